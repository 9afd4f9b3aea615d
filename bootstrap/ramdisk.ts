/** The deploy ramdisk: built by our own image pipeline, then put where the boot service serves it from. */
import { chownSync, copyFileSync, existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { buildRamdisk } from '../services/builder/index.ts';
import { statePaths } from '../services/core/config.ts';
import type { Ids } from './user.ts';

export interface RamdiskWish {
  stateDir: string;
  profile: 'lab' | 'hardware';
  ids: Ids;
  say: (line: string) => void;
}

/** Builder's name of each file, and the name under which boot serves it. */
const files = { kernel: 'kernel', initrd: 'ramdisk', 'manifest.json': 'manifest.json' } as const;

/** Returns what it did, or nothing when the ramdisk that is there is the one that would be built. */
export async function ensureRamdisk({ stateDir, profile, ids, say }: RamdiskWish): Promise<string | undefined> {
  const paths = statePaths(stateDir);
  const built = await buildRamdisk({
    profile,
    out: join(paths.cache, 'ramdisks'),
    cache: join(paths.cache, 'builder'),
    onProgress: (progress) =>
      say([progress.phase, progress.element, progress.script, progress.line].filter(Boolean).join(': ')),
  });
  const place = join(paths.boot, 'ramdisk', profile);
  const served = join(place, 'manifest.json');
  const mine = join(built.directory, 'manifest.json');
  if (existsSync(served) && readFileSync(served, 'utf8') === readFileSync(mine, 'utf8')) return undefined;
  mkdirSync(place, { recursive: true, mode: 0o755 });
  // The manifest goes last: with it the place is complete.
  for (const [from, to] of Object.entries(files)) {
    copyFileSync(join(built.directory, from), join(place, `${to}.new`));
    chownSync(join(place, `${to}.new`), ids.uid, ids.gid);
    renameSync(join(place, `${to}.new`), join(place, to));
  }
  return `profile ${profile}, ${(built.manifest.initrd.size / 1e6).toFixed(1)} MB`;
}
