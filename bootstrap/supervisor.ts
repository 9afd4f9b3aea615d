/**
 * `undercloud supervise`: the parent of everything, run as root by bootstrap or by systemd. It opens the sockets that need
 * privileges (so that `serve` runs without), keeps PostgreSQL, Redis and `serve` running, and holds the listening sockets
 * open across a restart of `serve`, so that no connection is refused meanwhile.
 */
import { chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Config, readConfig, statePaths } from '../services/core/config.ts';
import { fault } from '../services/core/errors/index.ts';
import { enterNamespace, hostListener, openProvisioningSockets } from '../services/core/sockets.ts';
import { labNetns } from '../services/lab/index.ts';
import {
  bootPort,
  type Descriptors,
  descriptorNames,
  metadataAddress,
  metadataPort,
} from '../services/serve/descriptors.ts';
import { type Child, type ChildSpec, keepRunning } from './children.ts';
import { postgresqlArguments, postgresqlPrograms } from './postgresql.ts';
import { forgetRecord, livingPid, writeRecord } from './process.ts';
import { redisArguments, redisProgram } from './redis.ts';
import { embeddedDatabaseUrl, embeddedRedisUrl, runPaths } from './run-dir.ts';
import { findUser, type Ids, serviceUser } from './user.ts';

/** Nodes expect little of an environment, and a service should not inherit an operator's. */
const plainEnvironment = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  LANG: 'C.UTF-8',
  TZ: 'UTC',
};
const serveEntry = join(import.meta.dirname, '..', 'services', 'serve', 'main.ts');

export async function supervise(stateDir: string): Promise<void> {
  const run = runPaths(stateDir);
  const running = livingPid(run.supervisorPid);
  if (running !== null) throw fault('already-running', { state: stateDir, pid: running });
  const config = readConfig(stateDir);
  const ids = findUser();
  if (!ids) throw fault('bootstrap-step', { step: 'find the service user', reason: `there is no user ${serviceUser}` });
  const say = (line: string) => process.stdout.write(`${new Date().toISOString()} ${line}\n`);

  makeRunDir(run.dir, ids);
  writeRecord(run.supervisorPid);
  const sockets = openSockets(config);
  const children = specs(stateDir, config, ids, sockets).map((spec) => keepRunning(spec, say));
  for (const child of children) child.start();
  const report = () => writeStatus(run.status, children);
  report();
  const reporting = setInterval(report, 2_000);
  say(`supervising ${children.map((child) => child.spec.name).join(', ')} of ${stateDir}`);

  await new Promise<void>((resolve) => {
    process.once('SIGTERM', () => resolve());
    process.once('SIGINT', () => resolve());
  });
  clearInterval(reporting);
  say('stopping');
  // serve first: it lets go of its work while the database is still there.
  for (const child of [...children].reverse()) await child.stop();
  forgetRecord(run.status);
  forgetRecord(run.servePid);
  forgetRecord(run.supervisorPid);
  say('stopped');
}

function makeRunDir(dir: string, ids: Ids): void {
  mkdirSync(join(dir, '..'), { recursive: true, mode: 0o755 });
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  chownSync(dir, ids.uid, ids.gid);
}

function writeStatus(file: string, children: readonly Child[]): void {
  const status = children.map(({ spec, pid, restarts }) => ({
    name: spec.name,
    pid: pid ?? null,
    restarts,
    log: spec.log,
  }));
  writeFileSync(file, JSON.stringify({ at: new Date().toISOString(), children: status }));
}

interface OpenSockets {
  fds: Descriptors;
  /** The lab's namespace, which `serve` is started in. */
  namespace: string | null;
}

/** The API's listener is outside, on the host; everything else on the provisioning interface, in the lab inside its namespace. */
function openSockets(config: Config): OpenSockets {
  const at = config.listen.lastIndexOf(':');
  const host = config.listen.slice(0, at).replace(/^\[|\]$/g, '');
  const api = hostListener(host === 'localhost' ? '127.0.0.1' : host, Number(config.listen.slice(at + 1)));
  const namespace = config.lab ? labNetns(config.stateDir).file : null;
  if (!config.provisioning) return { fds: { api }, namespace };
  const apiPort = Number(config.listen.slice(at + 1));
  const { interface: device, address } = config.provisioning;
  const opened = openProvisioningSockets({
    ...(namespace && { netns: namespace }),
    interface: device,
    address,
    apiPort,
    bootPort,
    metadata: { address: metadataAddress, port: metadataPort },
  });
  return { fds: { api, ...opened }, namespace };
}

function specs(stateDir: string, config: Config, ids: Ids, { fds, namespace }: OpenSockets): ChildSpec[] {
  const paths = statePaths(stateDir);
  const run = runPaths(stateDir);
  const log = (name: string) => join(paths.logs, `${name}.log`);
  const list: ChildSpec[] = [];
  if (config.databaseUrl === embeddedDatabaseUrl(stateDir)) {
    list.push({
      name: 'postgresql',
      program: join(postgresqlPrograms().bin, 'postgres'),
      args: postgresqlArguments(paths.database, run.dir),
      ...ids,
      cwd: paths.database,
      env: plainEnvironment,
      log: log('postgresql'),
      stopSignal: 'SIGINT',
    });
  }
  if (config.redisUrl === embeddedRedisUrl(stateDir)) {
    list.push({
      name: 'redis',
      program: redisProgram.path,
      argv0: redisProgram.argv0,
      args: redisArguments(run.dir, run.redisSocket),
      ...ids,
      cwd: run.dir,
      env: plainEnvironment,
      log: log('redis'),
    });
  }
  const handed = descriptorNames.filter((name) => fds[name] !== undefined);
  const numbers = Object.fromEntries(handed.map((name, index) => [name, index + 3]));
  list.push({
    name: 'serve',
    program: process.execPath,
    args: [serveEntry, '--state', stateDir, '--sockets', JSON.stringify(numbers)],
    ...ids,
    cwd: '/',
    env: plainEnvironment,
    log: log('serve'),
    descriptors: handed.map((name) => fds[name] as number),
    onStart: (pid) => writeRecord(run.servePid, pid),
    ...(namespace && { within: (start) => enterNamespace(namespace, start) }),
  });
  return list;
}
