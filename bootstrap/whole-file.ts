/** Files that are whole or absent, whenever bootstrap is interrupted. */
import { chmodSync, chownSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { Ids } from './user.ts';

export interface FileRights {
  mode: number;
  /** Default: root. */
  owner?: Ids;
}

/** Written aside and renamed. False when the file had this text already; its rights are set all the same. */
export function writeWhole(file: string, text: string, { mode, owner = { uid: 0, gid: 0 } }: FileRights): boolean {
  const isNew = !existsSync(file) || readFileSync(file, 'utf8') !== text;
  const aside = isNew ? `${file}.new` : file;
  if (isNew) {
    rmSync(aside, { force: true });
    writeFileSync(aside, text, { mode: 0o600 });
  }
  chownSync(aside, owner.uid, owner.gid);
  chmodSync(aside, mode);
  if (isNew) renameSync(aside, file);
  return isNew;
}
