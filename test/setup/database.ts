/**
 * One private PostgreSQL cluster and one Redis for a whole test run, on unix sockets, thrown away at its end. The
 * cluster has a template database with every migration applied; a test file clones it (world.ts) in some 30 ms.
 */
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import type { TestProject } from 'vitest/node';
import { openDatabase } from '../../services/core/database/index.ts';
import { migrate } from '../../services/core/database/migrate.ts';

declare module 'vitest' {
  interface ProvidedContext {
    databaseSocket: string;
    redisUrl: string;
  }
}

/** initdb refuses root; `nobody` is on every Debian. */
const nobody = { uid: 65534, gid: 65534 };

const place = '/tmp';
/** Whose run it is stands in the name: what a killed run has left is known by that. */
const prefix = 'uc-test-';

export async function setup(project: TestProject): Promise<() => Promise<void>> {
  sweep();
  const dir = mkdtempSync(join(place, `${prefix}${process.pid}-`));
  chmodSync(dir, 0o755);
  const data = join(dir, 'data');
  const sockets = join(dir, 's');
  for (const made of [data, sockets]) {
    mkdirSync(made);
    if (process.getuid?.() === 0) chownSync(made, nobody.uid, nobody.gid);
  }
  const who = process.getuid?.() === 0 ? nobody : {};
  const bin = postgresBin();
  execFileSync(
    join(bin, 'initdb'),
    ['-D', data, '-U', 'undercloud', '-A', 'trust', '-N', '--locale=C.UTF-8', '-E', 'UTF8'],
    {
      ...who,
      stdio: 'pipe',
      env: {},
      cwd: data,
    },
  );
  // fsync off: a test run's database need not survive a power cut.
  const settings = [
    'fsync=off',
    'synchronous_commit=off',
    'full_page_writes=off',
    'max_connections=200',
    'autovacuum=off',
    'listen_addresses=',
    `unix_socket_directories=${sockets}`,
  ];
  const words = [join(bin, 'postgres'), '-D', data, ...settings.flatMap((s) => ['-c', s])];
  // SIGQUIT is PostgreSQL's immediate shutdown, its backends included.
  const postgres = spawn('setpriv', ['--pdeathsig', 'QUIT', ...words], { ...who, stdio: 'ignore', env: {}, cwd: data });
  const redisSocket = join(sockets, 'redis.sock');
  // Which program it is, Debian's one file for all of Redis takes from its name.
  symlinkSync('/usr/bin/redis-check-rdb', join(dir, 'redis-server'));
  const redisWords = [join(dir, 'redis-server'), '--port', '0', '--unixsocket', redisSocket];
  const redis = spawn('setpriv', ['--pdeathsig', 'KILL', ...redisWords, '--save', '', '--appendonly', 'no'], {
    ...who,
    stdio: 'ignore',
    cwd: sockets,
  });
  await until(async () => {
    const client = new pg.Client({ host: sockets, user: 'undercloud', database: 'postgres' });
    await client.connect();
    await client.query('create database template_undercloud');
    await client.end();
  });
  const template = openDatabase({ url: `postgresql://undercloud@/template_undercloud?host=${sockets}` });
  await migrate(template);
  await template.close();
  await until(async () => {
    if (!existsSync(redisSocket)) throw new Error('redis has no socket yet');
  });
  project.provide('databaseSocket', sockets);
  project.provide('redisUrl', `unix://${redisSocket}`);
  return async () => {
    for (const child of [postgres, redis]) {
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGINT');
      await gone;
    }
    rmSync(dir, { recursive: true, force: true });
  };
}

/** A run that was killed takes its servers with it, and leaves gigabytes. */
function sweep(): void {
  for (const name of readdirSync(place)) {
    const [, pid] = new RegExp(`^${prefix}(\\d+)-`).exec(name) ?? [];
    if (pid && !existsSync(`/proc/${pid}`)) rmSync(join(place, name), { recursive: true, force: true });
  }
}

function postgresBin(): string {
  const root = '/usr/lib/postgresql';
  const newest = existsSync(root) ? readdirSync(root).sort((a, b) => Number(b) - Number(a))[0] : undefined;
  if (!newest) throw new Error('PostgreSQL is not installed: run bootstrap/test, which installs it');
  return join(root, newest, 'bin');
}

async function until(attempt: () => Promise<void>): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (tries > 200) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
