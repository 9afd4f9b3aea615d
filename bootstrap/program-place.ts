/**
 * Where the service user finds this program. A checkout in root's home is closed to it (Debian gives /root mode 0700), and
 * opening an operator's home is not ours to do: then it sees the checkout by a read-only bind mount beside it.
 */
import { mkdirSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Fault, fault } from '../services/core/errors/index.ts';
import { command } from './command.ts';
import { removeEmpty } from './run-dir.ts';
import { checkReachable, type Ids, serviceUser } from './user.ts';

export const checkout = resolve(import.meta.dirname, '..');
/** Not below an undercloud's own directory in /run, which is removed with all that is in it. */
const place = '/run/undercloud-program';

const serveFile = 'services/serve/main.ts';

/** The checkout itself, or the place that it is mounted at. @throws Fault `program-unreadable`, `program-unreachable` */
export async function programPlace(ids: Ids, root: string = checkout): Promise<string> {
  const { mode, uid, gid } = statSync(join(root, serveFile));
  const bit = uid === ids.uid ? 0o400 : gid === ids.gid ? 0o040 : 0o004;
  if (!(mode & bit)) throw fault('program-unreadable', { user: serviceUser, program: root });
  try {
    checkReachable(join(root, serveFile), ids);
    return root;
  } catch (error) {
    return mounted(root, error as Fault);
  }
}

async function mounted(root: string, why: Fault): Promise<string> {
  const { dev, ino } = statSync(root);
  const at = join(place, `${dev}-${ino}`);
  const isThere = readFileSync('/proc/self/mountinfo', 'utf8').includes(` ${at} `);
  if (isThere) return at;
  try {
    mkdirSync(at, { recursive: true, mode: 0o755 });
    await command('mount', ['-o', 'bind,ro', root, at]);
  } catch (error) {
    const reason = (error as Error).message.split('\n').at(-1);
    throw fault('program-unreachable', { ...why.details, program: root, reason }, error);
  }
  return at;
}

/** Takes the mount away, unless another undercloud's services still run from it: then it is busy, and theirs to take away. */
export async function leavePlace(program: string): Promise<void> {
  if (program === checkout) return;
  await command('umount', [program]).catch(() => {});
  removeEmpty(program);
  removeEmpty(place);
}

/** A path of the checkout as the service user finds it. */
export const atPlace = (path: string, program: string): string =>
  path.startsWith(`${checkout}/`) ? program + path.slice(checkout.length) : path;
