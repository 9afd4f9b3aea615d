/**
 * The bare-metal API beside Debian's Ironic: a thousand fake nodes made, read, changed and deployed. Ours is a whole appliance made by
 * `bootstrap` (TLS, tokens, PostgreSQL synced at every commit); Ironic runs without authentication, on SQLite. Figures of requests
 * are milliseconds of CPU, those of the appliance's every process together; the rest says its unit.
 */
import { readFileSync } from 'node:fs';
import { ensurePackages } from '../../../bootstrap/packages.ts';
import { standing } from '../../../bootstrap/services.ts';
import { freePort, type Site, site } from '../../lab/undercloud.fixture.ts';
import { cpuSeconds } from '../network/cpu.ts';
import type { Bench } from '../row.ts';
import { type Client, createClient, many, type Place } from './client.ts';
import { startIronic } from './ironic.ts';

const nodes = 1000;
const deployed = 100;
const connections = 10;
const fakes = ['boot', 'deploy', 'management', 'power'].map((kind) => [`${kind}_interface`, 'fake']);

/** Of one side. CPU in milliseconds a request, memory in MiB, times in seconds. */
interface Figures {
  requests: Record<string, number>;
  deploysPerS: number;
  memoryMib: number;
  coldStartS: number;
}

interface Side {
  place: Place;
  coldStartS: number;
  /** Whose descendants are all of it, database and queue included. */
  pid: number;
  /** Its own program. */
  program: number;
}

export const bench: Bench = async (report, { full }) => {
  await ensurePackages(['tests', 'images', 'undercloud']);
  const made = await site();
  let ours: Figures;
  let manyNodesMib = 0;
  try {
    const side = await startOurs(made);
    ours = await measure(side);
    if (full) manyNodesMib = await hold(side, 10_000);
  } finally {
    await made.remove();
  }
  const ironic = await startIronic(await freePort());
  let peer: Figures;
  try {
    const { url, pid, coldStartS } = ironic;
    peer = await measure({ place: { url }, coldStartS, pid, program: ironic.program() });
  } finally {
    await ironic.stop();
  }
  for (const [name, cpu] of Object.entries(ours.requests))
    report({ name: `${name}_cpu_ms`, ours: cpu, peer: peer.requests[name] ?? 0, better: 'lower' });
  report({ name: 'fake_deploys_per_s', ours: ours.deploysPerS, peer: peer.deploysPerS, better: 'higher' });
  report({ name: 'memory_mib', ours: ours.memoryMib, peer: peer.memoryMib, better: 'lower' });
  report({ name: 'cold_start_s', ours: ours.coldStartS, peer: peer.coldStartS, better: 'lower' });
  if (full) report({ name: 'memory_10000_nodes_mib', ours: manyNodesMib, peer: 0, better: 'lower' });
};

async function startOurs(made: Site): Promise<Side> {
  const ran = await made.bootstrap();
  if (ran.code !== 0) throw new Error(`bootstrap failed: ${ran.stderr}`);
  await made.undercloud('stop');
  const began = performance.now();
  const started = await made.undercloud('start');
  if (started.code !== 0) throw new Error(`start failed: ${started.stderr}`);
  if ((await made.get('/baremetal/v1')) !== 200) throw new Error('the bare-metal API does not answer');
  const coldStartS = (performance.now() - began) / 1000;
  const url = `https://127.0.0.1:${made.port}`;
  const ca = readFileSync(made.paths.caCertificate, 'utf8');
  const password = /password: "?([^\s"]+)/.exec(readFileSync(made.paths.clouds, 'utf8'))?.[1];
  const user = { name: 'admin', domain: { name: 'Default' }, password };
  const scope = { project: { name: 'admin', domain: { name: 'Default' } } };
  const login = createClient({ url, ca }, 1);
  const auth = { identity: { methods: ['password'], password: { user } }, scope };
  const token = (await login.request('POST', '/identity/v3/auth/tokens', { auth })).header('x-subject-token');
  login.close();
  if (!token) throw new Error('no token was given');
  const { supervisor, serve } = standing(made.state);
  return { place: { url: `${url}/baremetal`, ca, token }, coldStartS, pid: supervisor ?? 0, program: serve ?? 0 };
}

async function measure(side: Side): Promise<Figures> {
  const client = createClient(side.place, connections);
  try {
    const requests: Record<string, number> = {};
    const take = async (name: string, count: number, one: (k: number) => ReturnType<Client['request']>) => {
      const before = cpuSeconds(side.pid);
      await many(count, connections, one);
      requests[name] = ((cpuSeconds(side.pid) - before) / count) * 1000;
    };
    const ids: string[] = [];
    await take('create', nodes, async (k) => {
      const answer = await client.request('POST', '/v1/nodes', newNode(k));
      if (answer.status === 201) ids.push(JSON.parse(answer.body.toString()).uuid);
      return answer;
    });
    await take('show', 1000, (k) => client.request('GET', `/v1/nodes/${ids[k % ids.length]}`));
    await take('patch', 500, (k) =>
      client.request('PATCH', `/v1/nodes/${ids[(k * 7) % ids.length]}`, [{ op: 'add', path: '/extra/k', value: k }]),
    );
    await take('list_1000', 20, () => client.request('GET', '/v1/nodes?limit=1000'));
    await take('detail_1000', 10, () => client.request('GET', '/v1/nodes/detail?limit=1000'));
    const memoryMib = residentMib(side.program);
    const some = ids.slice(0, deployed);
    await provision(client, some, 'manage', 'manageable');
    await provision(client, some, 'provide', 'available');
    const began = performance.now();
    await provision(client, some, 'active', 'active');
    const deploysPerS = some.length / ((performance.now() - began) / 1000);
    return { requests, deploysPerS, memoryMib, coldStartS: side.coldStartS };
  } finally {
    client.close();
  }
}

/** Resident MiB of our program at rest with so many nodes. */
async function hold(side: Side, count: number): Promise<number> {
  const client = createClient(side.place, connections);
  await many(count - nodes, connections, (k) => client.request('POST', '/v1/nodes', newNode(nodes + k)));
  client.close();
  return residentMib(side.program);
}

const newNode = (k: number): object => ({
  driver: 'fake-hardware',
  name: `node-${k}`,
  resource_class: 'baremetal',
  properties: { cpus: 8, memory_mb: 65_536, local_gb: 500, cpu_arch: 'x86_64' },
  instance_info: { image_source: 'http://127.0.0.1:8080/image', image_checksum: '0' },
  ...Object.fromEntries(fakes),
});

/** ms for a hundred nodes; both take seconds. */
const provisionMs = 180_000;

/** Asks for the verb on each node, and looks until every one has got there. @throws Error where one has not */
async function provision(client: Client, ids: readonly string[], target: string, wanted: string): Promise<void> {
  await many(ids.length, connections, (k) => client.request('PUT', `/v1/nodes/${ids[k]}/states/provision`, { target }));
  const asked = new Set(ids);
  const until = performance.now() + provisionMs;
  for (;;) {
    const answer = await client.request('GET', '/v1/nodes?limit=1000&fields=uuid,name,provision_state,last_error');
    const all: { uuid: string; name: string; provision_state: string; last_error: string | null }[] = JSON.parse(
      answer.body.toString(),
    ).nodes;
    const away = all.filter((node) => asked.has(node.uuid) && node.provision_state !== wanted);
    const [first] = away;
    if (!first) return;
    if (performance.now() > until || first.provision_state.endsWith('failed'))
      throw new Error(
        `${away.length} nodes did not become ${wanted}: ${first.name} is ${first.provision_state}, ${first.last_error}`,
      );
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const residentMib = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
