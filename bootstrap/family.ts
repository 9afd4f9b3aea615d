/** The children that make up a running undercloud, lowest first, and how to know them again when their parent was killed. */
import { join } from 'node:path';
import { type Config, statePaths } from '../services/core/config.ts';
import { enterNamespace } from '../services/core/sockets.ts';
import { type Descriptors, handOver } from '../services/serve/descriptors.ts';
import type { ChildSpec } from './children.ts';
import { postgresqlArguments, postgresqlPrograms } from './postgresql.ts';
import { endProcess, findProcesses, writeRecord } from './process.ts';
import { atPlace, checkout } from './program-place.ts';
import { redisArguments, redisProgram } from './redis.ts';
import { embeddedDatabaseUrl, embeddedRedisUrl, runPaths } from './run-dir.ts';
import { findUser, type Ids } from './user.ts';

/** Nodes expect little of an environment, and a service should not inherit an operator's. */
const plainEnvironment = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  LANG: 'C.UTF-8',
  TZ: 'UTC',
};
const serveEntry = join(checkout, 'services', 'serve', 'main.ts');

/** How long each gets to end by itself. */
export const graceMs = 20_000;

export interface OpenSockets {
  fds: Descriptors;
  /** The lab's namespace, which `serve` is started in. */
  namespace: string | null;
  /** Where the service user finds this program. */
  program: string;
  /** `serve` speaks on our own output. */
  isForeground?: boolean;
}

const signs = (stateDir: string) => ({
  postgresql: `\0-D\0${statePaths(stateDir).database}\0`,
  // Redis writes its own title over its command line: `redis-server unixsocket:/run/…/redis.sock`.
  redis: runPaths(stateDir).redisSocket,
  // `undercloud serve` in the foreground has no --sockets and is not ours to end.
  serve: `/services/serve/main.ts\0--state\0${stateDir}\0--sockets\0`,
});

const stopSignals = { postgresql: 'SIGINT', redis: 'SIGTERM', serve: 'SIGTERM' } as const;

export function childSpecs(stateDir: string, config: Config, ids: Ids, open: OpenSockets): ChildSpec[] {
  const { fds, namespace, program, isForeground = false } = open;
  const paths = statePaths(stateDir);
  const run = runPaths(stateDir);
  const log = (name: string) => join(paths.logs, `${name}.log`);
  const sign = signs(stateDir);
  const list: ChildSpec[] = [];
  if (config.databaseUrl === embeddedDatabaseUrl(stateDir)) {
    list.push({
      name: 'postgresql',
      program: join(postgresqlPrograms(paths.database).bin, 'postgres'),
      args: postgresqlArguments(paths.database, run.dir),
      ...ids,
      cwd: paths.database,
      env: plainEnvironment,
      log: log('postgresql'),
      sign: sign.postgresql,
      // PostgreSQL's "fast" shutdown.
      stopSignal: stopSignals.postgresql,
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
      sign: sign.redis,
    });
  }
  const { numbers, handed } = handOver(fds);
  list.push({
    name: 'serve',
    program: atPlace(process.execPath, program),
    args: [atPlace(serveEntry, program), '--state', stateDir, '--sockets', JSON.stringify(numbers)],
    ...ids,
    cwd: '/',
    // Compiled code is kept between starts: stripping types and compiling is half of what a start costs.
    env: { ...plainEnvironment, NODE_COMPILE_CACHE: join(paths.cache, 'node') },
    log: log('serve'),
    isShown: isForeground,
    descriptors: handed,
    sign: sign.serve,
    onStart: (pid) => writeRecord(run.servePid, pid),
    ...(namespace && { within: (start) => enterNamespace(namespace, start) }),
  });
  return list;
}

export interface Orphan {
  name: keyof typeof stopSignals;
  pid: number;
}

/** Children of this undercloud whose supervisor has gone, in the order in which they are to end. Asked while one runs, it names the living. */
export function orphans(stateDir: string): Orphan[] {
  const ids = findUser();
  if (!ids) return [];
  const sign = signs(stateDir);
  return (['serve', 'redis', 'postgresql'] as const).flatMap((name) =>
    findProcesses(ids.uid, sign[name]).map((pid) => ({ name, pid })),
  );
}

/** Ends what a killed supervisor left: they hold the listening sockets and the data directory. */
export async function endOrphans(stateDir: string, say: (line: string) => void = () => {}): Promise<number> {
  const left = orphans(stateDir);
  for (const { name, pid } of left) {
    say(`ending ${name} (process ${pid}), which a killed supervisor left behind`);
    await endProcess(pid, stopSignals[name], graceMs);
  }
  return left.length;
}
