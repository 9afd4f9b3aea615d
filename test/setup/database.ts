/**
 * One private PostgreSQL cluster and one Redis for a whole test run, on unix sockets, thrown away at its end. The
 * cluster has a template database with every migration applied; a test file clones it (world.ts) in some 30 ms.
 */
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
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

export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const dir = mkdtempSync('/tmp/uc-test-');
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
  const postgres = spawn(join(bin, 'postgres'), ['-D', data, ...settings.flatMap((s) => ['-c', s])], {
    ...who,
    stdio: 'ignore',
    env: {},
    cwd: data,
  });
  const redisSocket = join(sockets, 'redis.sock');
  const redis = spawn(
    '/usr/bin/redis-check-rdb',
    ['--port', '0', '--unixsocket', redisSocket, '--save', '', '--appendonly', 'no'],
    {
      ...who,
      argv0: 'redis-server',
      stdio: 'ignore',
      cwd: sockets,
    },
  );
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
