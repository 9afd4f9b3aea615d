/** The private PostgreSQL cluster: Debian's binaries, our data directory, a unix socket under /run, no TCP, no passwords. */
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fault } from '../services/core/errors/index.ts';
import { command } from './command.ts';
import { type Ids, serviceUser } from './user.ts';

const root = '/usr/lib/postgresql';

/** The newest installed major version's programs. */
export function postgresqlPrograms(): { major: string; bin: string } {
  const majors = existsSync(root) ? readdirSync(root).filter((name) => existsSync(join(root, name, 'bin/initdb'))) : [];
  const major = majors.sort((a, b) => Number(b) - Number(a))[0];
  if (!major) throw fault('bootstrap-step', { step: 'find PostgreSQL', reason: `${root} holds no server` });
  return { major, bin: join(root, major, 'bin') };
}

/** Makes the cluster if there is none. An initdb that was interrupted is begun anew: it had no data yet. */
export async function ensureCluster(data: string, ids: Ids): Promise<void> {
  const { major, bin } = postgresqlPrograms();
  const marker = join(data, 'undercloud.ready');
  if (existsSync(marker)) {
    const found = readFileSync(join(data, 'PG_VERSION'), 'utf8').trim();
    if (found !== major) throw fault('database-major', { directory: data, found, installed: major });
    return;
  }
  rmSync(data, { recursive: true, force: true });
  mkdirSync(data, { recursive: true, mode: 0o700 });
  chownSync(data, ids.uid, ids.gid);
  const options = ['-D', data, '-U', serviceUser, '--auth=peer', '--locale=C.UTF-8', '-E', 'UTF8', '--data-checksums'];
  await command(join(bin, 'initdb'), options, { ...ids, cwd: data, env: { PATH: '/usr/bin:/bin' } });
  // Single-user mode: the database is there before the server is started for the first time.
  const single = ['--single', '-D', data, 'postgres'];
  await command(join(bin, 'postgres'), single, {
    ...ids,
    cwd: data,
    env: { PATH: '/usr/bin:/bin' },
    input: `create database ${serviceUser};\n`,
  });
  // root may look in (bootstrap migrates as root); everybody else is kept out by the socket's directory and this file.
  writeFileSync(join(data, 'pg_hba.conf'), 'local all all peer map=undercloud\n');
  writeFileSync(
    join(data, 'pg_ident.conf'),
    `undercloud ${serviceUser} ${serviceUser}\nundercloud root ${serviceUser}\n`,
  );
  writeFileSync(marker, '');
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
