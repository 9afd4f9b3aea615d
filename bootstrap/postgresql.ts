/** The private PostgreSQL cluster: Debian's binaries, our data directory, a unix socket under /run, no TCP, no passwords. */
import {
  chownSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fault } from '../services/core/errors/index.ts';
import { command } from './command.ts';
import { type Ids, serviceUser } from './user.ts';

const root = '/usr/lib/postgresql';

/** The programs of the major version that made the data, else the newest installed. @throws Fault `database-major` */
export function postgresqlPrograms(data: string): { major: string; bin: string } {
  const majors = existsSync(root) ? readdirSync(root).filter((name) => existsSync(join(root, name, 'bin/initdb'))) : [];
  const newest = majors.sort((a, b) => Number(b) - Number(a))[0];
  if (!newest) throw fault('bootstrap-step', { step: 'find PostgreSQL', reason: `${root} holds no server.` });
  const found = clusterMajor(data);
  if (found !== null && !majors.includes(found))
    throw fault('database-major', { directory: data, found, installed: majors.join(' and ') });
  const major = found ?? newest;
  return { major, bin: join(root, major, 'bin') };
}

/** The major version that a data directory belongs to; null when there is none. */
export function clusterMajor(data: string): string | null {
  const file = join(data, 'PG_VERSION');
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : null;
}

const making = 'new-';

/**
 * Makes the cluster if there is none: aside, and renamed when it is whole. An initdb that outlived its killed parent works on
 * in its own directory and harms nobody.
 */
export async function ensureCluster(data: string, ids: Ids): Promise<string | undefined> {
  const { major, bin } = postgresqlPrograms(data);
  for (const name of readdirSync(dirname(data)))
    if (name.startsWith(`${basename(data)}.${making}`))
      rmSync(join(dirname(data), name), { recursive: true, force: true, maxRetries: 5 });
  if (clusterMajor(data) !== null) return undefined;
  const aside = mkdtempSync(`${data}.${making}`);
  chownSync(aside, ids.uid, ids.gid);
  const run = { ...ids, cwd: aside, env: { PATH: '/usr/bin:/bin' } };
  const options = ['-U', serviceUser, '--auth=peer', '--locale=C.UTF-8', '-E', 'UTF8', '--data-checksums', '--no-sync'];
  await command(join(bin, 'initdb'), ['-D', aside, ...options], run);
  // Single-user mode: the database is there before the server is started for the first time.
  await command(join(bin, 'postgres'), ['--single', '-D', aside, 'postgres'], {
    ...run,
    input: `create database ${serviceUser};\n`,
  });
  // root may look in (bootstrap makes the administrator as root); everybody else is kept out by the socket's directory and this file.
  writeFileSync(join(aside, 'pg_hba.conf'), 'local all all peer map=undercloud\n');
  writeFileSync(
    join(aside, 'pg_ident.conf'),
    `undercloud ${serviceUser} ${serviceUser}\nundercloud root ${serviceUser}\n`,
  );
  // One sync of everything instead of initdb's and ours; then the name, which makes it the cluster.
  await command(join(bin, 'initdb'), ['--sync-only', '-D', aside], run);
  renameSync(aside, data);
  return `PostgreSQL ${major}`;
}

/** Few settings: an appliance of one process with a pool of ten, beside which some readers come and go. */
export const postgresqlArguments = (data: string, socketDir: string): string[] => {
  const settings = {
    listen_addresses: '',
    unix_socket_directories: socketDir,
    unix_socket_permissions: '0700',
    max_connections: '60',
    shared_buffers: '64MB',
    // Group commit does the gathering; this only keeps the writer from syncing for each straggler.
    wal_compression: 'on',
    log_timezone: 'UTC',
    timezone: 'UTC',
  };
  return ['-D', data, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
};
