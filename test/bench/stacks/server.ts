/**
 * Our side of the bench: orchestration and identity over HTTP on loopback, on a PostgreSQL of its own with the appliance's
 * settings (every commit synced). A process of its own, so that the client's work is not measured with it. It speaks lines
 * of JSON with its parent: the port first; then, for each line read, its own figures.
 */
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import pg from 'pg';
import { postgresqlArguments, postgresqlPrograms } from '../../../bootstrap/postgresql.ts';
import { systemClock } from '../../../services/core/clock.ts';
import { systemContext } from '../../../services/core/context.ts';
import { openDatabase } from '../../../services/core/database/index.ts';
import { migrate } from '../../../services/core/database/migrate.ts';
import { createRecorder } from '../../../services/core/events/index.ts';
import { createApi, listen } from '../../../services/core/http/index.ts';
import { createOperations } from '../../../services/core/operations/index.ts';
import { createSecrets } from '../../../services/core/secrets.ts';
import { createIdentity } from '../../../services/identity/index.ts';
import type { TransitionMoment } from '../../../services/orchestration/engine/session.ts';
import { stage } from '../../setup/stacks.ts';

/** What a killed run of another day left. */
function dropLeft(): void {
  for (const name of readdirSync('/var/tmp').filter((one) => one.startsWith('uc-bench-stacks-')))
    if (statSync(join('/var/tmp', name)).mtimeMs < Date.now() - 24 * 3600 * 1000)
      rmSync(join('/var/tmp', name), { recursive: true, force: true });
}

/** initdb refuses root; `nobody` is on every Debian. */
const nobody = { uid: 65534, gid: 65534 };

dropLeft();
const dir = mkdtempSync('/var/tmp/uc-bench-stacks-');
chmodSync(dir, 0o755);
const data = join(dir, 'data');
const sockets = join(dir, 's');
for (const made of [data, sockets]) {
  mkdirSync(made);
  chownSync(made, nobody.uid, nobody.gid);
}
const { bin } = postgresqlPrograms(data);
const who = { ...nobody, cwd: data, env: {} };
execFileSync(
  join(bin, 'initdb'),
  ['-D', data, '-U', 'undercloud', '-A', 'trust', '-N', '--locale=C.UTF-8', '-E', 'UTF8'],
  {
    ...who,
    stdio: 'pipe',
  },
);
const postgres = spawn(join(bin, 'postgres'), postgresqlArguments(data, sockets), { ...who, stdio: 'ignore' });
const gone = new Promise((resolve) => postgres.once('exit', resolve));
for (let tries = 0; ; tries += 1) {
  const admin = new pg.Client({ host: sockets, user: 'undercloud', database: 'postgres' });
  try {
    await admin.connect();
    await admin.query('create database undercloud');
    await admin.end();
    break;
  } catch (error) {
    if (tries > 200) throw error;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const db = openDatabase({ url: `postgresql://undercloud@/undercloud?host=${sockets}`, maxConnections: 16 });
await migrate(db);
const recorder = createRecorder(db);
const house = {
  db,
  recorder,
  operations: createOperations({ db, recorder, owner: 'bench' }),
  secrets: createSecrets(Buffer.alloc(32, 7)),
  clock: systemClock,
};
const identity = createIdentity(house, { region: 'RegionOne' });
await identity.ensureAdmin('adminpw');
const world = {
  ...house,
  databaseUrl: '',
  context: systemContext(),
  heard: () => Promise.reject(),
  close: async () => {},
};
/** When what a resource of a stack needs was complete, by the stack's name; and the times from there, while they are wanted. */
let startsMs: number[] | null = null;
const completed = new Map<string, number>();
const needOf = (name: string): string => {
  const [letter = '', place = ''] = [name[0], name.slice(1)];
  return letter === 'b' ? `a${place}` : `r${String(Number(place) - 1).padStart(5, '0')}`;
};
const probe = ({ stack, resource, transition, at }: TransitionMoment) => {
  if (!startsMs || transition !== 'CREATE_COMPLETE') return;
  if (at === 'after') completed.set(`${stack} ${resource}`, performance.now());
  else {
    const from = completed.get(`${stack} ${needOf(resource)}`);
    if (from !== undefined) startsMs.push(performance.now() - from);
  }
};
const { orchestration } = stage(world, { authenticate: identity.authenticate, identity, probe });
const api = createApi();
api.register(identity.routes, { prefix: '/identity' });
api.register(orchestration.routes, { prefix: '/orchestration' });
const listener = await listen(api, { host: '127.0.0.1', port: 0 });
await house.operations.run({ sole: true });
await orchestration.start();

const say = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`);
say({ port: (listener.address as { port: number }).port });

function childrenOf(pid: number | undefined): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
}

function pssMib(pid: number | undefined): number {
  try {
    return Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0) / 1024;
  } catch {
    // It has ended since.
    return 0;
  }
}

const delay = monitorEventLoopDelay({ resolution: 1 });
delay.enable();
let cpu = process.cpuUsage();

for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'end') break;
  if (line === 'watch') {
    completed.clear();
    startsMs = [];
    continue;
  }
  const { user, system } = process.cpuUsage(cpu);
  cpu = process.cpuUsage();
  global.gc?.();
  const rss = Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) / 1024;
  say({
    loopP99Ms: delay.percentile(99) / 1e6,
    loopMaxMs: delay.max / 1e6,
    cpuSeconds: (user + system) / 1e6,
    rssMib: rss,
    heapMib: process.memoryUsage().heapUsed / 1048576,
    allMib: [process.pid, postgres.pid, ...childrenOf(postgres.pid)].map(pssMib).reduce((sum, mib) => sum + mib, 0),
    startsMs: startsMs ?? [],
  });
  startsMs = null;
  delay.reset();
}
await listener.close();
await api.close();
orchestration.stop();
await house.operations.stop();
await recorder.drain();
await db.close();
postgres.kill('SIGINT');
await gone;
rmSync(dir, { recursive: true, force: true });
process.exit(0);
