/** A PostgreSQL as the appliance runs its own: Debian's programs, fsync on, a unix socket; thrown away at the end. */
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { postgresqlArguments, postgresqlPrograms } from '../../../bootstrap/postgresql.ts';
import { openDatabase } from '../../../services/core/database/index.ts';
import { migrate } from '../../../services/core/database/migrate.ts';

/** initdb refuses root; `nobody` is on every Debian. */
const nobody = { uid: 65534, gid: 65534 };

export interface BenchDatabase {
  readonly url: string;
  readonly pid: number;
  close(): Promise<void>;
}

/** With every migration applied, on the processor with this number. */
export async function startPostgresql(processor: number): Promise<BenchDatabase> {
  const dir = mkdtempSync('/var/tmp/uc-bench-pg-');
  chmodSync(dir, 0o755);
  const data = join(dir, 'data');
  const sockets = join(dir, 's');
  for (const made of [data, sockets]) {
    mkdirSync(made);
    chownSync(made, nobody.uid, nobody.gid);
  }
  const { bin } = postgresqlPrograms(data);
  const who = { ...nobody, env: {}, cwd: data };
  const options = [
    '-U',
    'undercloud',
    '-A',
    'trust',
    '--locale=C.UTF-8',
    '-E',
    'UTF8',
    '--data-checksums',
    '--no-sync',
  ];
  execFileSync(join(bin, 'initdb'), ['-D', data, ...options], { ...who, stdio: 'pipe' });
  const words = ['-c', String(processor), join(bin, 'postgres'), ...postgresqlArguments(data, sockets)];
  const server = spawn('/usr/bin/taskset', words, { ...who, stdio: 'ignore' });
  const url = `postgresql://undercloud@/undercloud?host=${sockets}`;
  await made(sockets);
  const db = openDatabase({ url });
  await migrate(db);
  await db.close();
  return {
    url,
    pid: server.pid ?? 0,
    async close() {
      const gone = new Promise((resolve) => server.once('exit', resolve));
      server.kill('SIGINT');
      await gone;
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

async function made(host: string): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    const client = new pg.Client({ host, user: 'undercloud', database: 'postgres' });
    try {
      await client.connect();
      await client.query('create database undercloud');
      return;
    } catch (error) {
      if (tries > 200) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    } finally {
      await client.end().catch(() => {});
    }
  }
}
