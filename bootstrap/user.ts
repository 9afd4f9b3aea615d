/** The unprivileged user that PostgreSQL, Redis and `serve` run as. */
import { existsSync, lstatSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fault } from '../services/core/errors/index.ts';
import { command } from './command.ts';

export const serviceUser = 'undercloud';

export interface Ids {
  uid: number;
  gid: number;
}

export function findUser(name: string = serviceUser): Ids | null {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith(`${name}:`));
  const [, , uid, gid] = line?.split(':') ?? [];
  return uid && gid ? { uid: Number(uid), gid: Number(gid) } : null;
}

export async function ensureUser(): Promise<Ids> {
  const known = findUser();
  if (known) return known;
  await command('useradd', [
    '--system',
    '--user-group',
    '--no-create-home',
    '--home-dir',
    '/nonexistent',
    '--shell',
    '/usr/sbin/nologin',
    serviceUser,
  ]);
  const made = findUser();
  if (!made)
    throw fault('bootstrap-step', { step: 'make the service user', reason: `useradd made no user ${serviceUser}.` });
  return made;
}

/**
 * The service user has to walk to the state directory: each parent needs its execute bit, those behind symbolic links too.
 * Parents that are not there yet will be made by us, and let it pass.
 * @throws Fault `state-unreachable`, naming the parent whose mode stops it
 */
export function checkReachable(stateDir: string, ids: Ids): void {
  let place = dirname(resolve(stateDir));
  while (!existsSync(place)) place = dirname(place);
  const written = parentsOf(place).filter((parent) => !lstatSync(parent).isSymbolicLink());
  for (const parent of [...written, ...parentsOf(realpathSync(place))]) {
    const { mode, uid, gid } = statSync(parent);
    const bit = uid === ids.uid ? 0o100 : gid === ids.gid ? 0o010 : 0o001;
    if (!(mode & bit)) {
      const shown = (mode & 0o7777).toString(8).padStart(4, '0');
      throw fault('state-unreachable', { user: serviceUser, state: stateDir, parent, mode: shown });
    }
  }
}

/** The directory and all above it, the root first. */
function parentsOf(dir: string): string[] {
  const above = dirname(dir);
  return above === dir ? [dir] : [...parentsOf(above), dir];
}
