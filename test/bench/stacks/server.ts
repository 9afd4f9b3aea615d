/**
 * Our side of the bench: orchestration and identity over HTTP on loopback, on a PostgreSQL of its own with the appliance's
 * settings (every commit synced). A process of its own, so that the client's work is not measured with it. It speaks lines
 * of JSON with its parent: the port first; then, for each line read, its own figures.
 */
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
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
import { stage } from '../../setup/stacks.ts';

/** initdb refuses root; `nobody` is on every Debian. */
const nobody = { uid: 65534, gid: 65534 };

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
const { orchestration } = stage(world, { authenticate: identity.authenticate, identity });
const api = createApi();
api.register(identity.routes, { prefix: '/identity' });
api.register(orchestration.routes, { prefix: '/orchestration' });
const listener = await listen(api, { host: '127.0.0.1', port: 0 });
await house.operations.run({ sole: true });
await orchestration.start();

const say = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`);
say({ port: (listener.address as { port: number }).port });

const delay = monitorEventLoopDelay({ resolution: 1 });
delay.enable();
let cpu = process.cpuUsage();

for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'end') break;
  const { user, system } = process.cpuUsage(cpu);
  cpu = process.cpuUsage();
  const rss = Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) / 1024;
  global.gc?.();
  say({
    loopP99Ms: delay.percentile(99) / 1e6,
    loopMaxMs: delay.max / 1e6,
    cpuSeconds: (user + system) / 1e6,
    rssMib: rss,
    heapMib: process.memoryUsage().heapUsed / 1048576,
  });
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
