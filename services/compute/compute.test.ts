import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { createWorld, type World } from '../../test/setup/world.ts';
import { createApi, listen } from '../core/http/index.ts';
import { operationConformance } from '../core/operations/conformance.ts';
import { createNetwork } from '../network/index.ts';
import { configDrive } from './config-drive.ts';
import { createDesk, type Desk } from './desk.ts';
import { createCompute, serverSubject } from './index.ts';
import { buildOperation } from './operations/build.ts';
import { deleteOperation } from './operations/delete.ts';
import { rebuildOperation } from './operations/rebuild.ts';
import { createRack, type Rack } from './rack.fixture.ts';
import { insertFlavor, server as storedServer } from './store.ts';

const image = { id: '11111111-1111-4111-8111-111111111111', name: 'lab', status: 'active' };
const other = { id: '22222222-2222-4222-8222-222222222222', name: 'other', status: 'active' };
const ca = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';

async function tenant(world: World, rack: Rack = createRack(['n1', 'n2'])) {
  rack.changed = (server) => world.operations.wake(serverSubject(server));
  const network = createNetwork(world, { authenticate: async () => world.context });
  await network.ensureProvisioning({
    name: 'ctlplane',
    cidr: '192.0.2.0/24',
    pool: ['192.0.2.2', '192.0.2.62'],
    gateway: '192.0.2.1',
    nameservers: ['192.0.2.1'],
  });
  const deps = {
    network,
    baremetal: rack.baremetal,
    images: { find: async (_context: unknown, key: string) => (key === 'other' ? other : image) },
    caCertificate: ca,
    region: 'RegionOne',
    authenticate: async () => world.context,
  };
  const compute = createCompute(world, deps);
  return { network, compute, rack, deps };
}

const wanted = {
  name: 'web',
  image: 'lab',
  flavor: 'baremetal',
  userData: '#!/bin/sh\necho hello\n',
  metadata: { role: 'web' },
};
const ended = async (world: World, id: string) => {
  const row = await world.operations.last(serverSubject(id));
  return world.operations.ended(row?.id ?? '');
};

describe('servers', () => {
  it('put an image on a node, with a port that has the node’s MAC', async () => {
    const world = await createWorld();
    const { compute, network, rack } = await tenant(world);
    await world.operations.run();
    const { id } = await compute.createServer(world.context, wanted);
    expect((await ended(world, id)).error).toBeNull();
    const server = await compute.findServer(world.context, 'web');
    expect(server).toMatchObject({ status: 'ACTIVE', node_name: 'n1', task_state: null });
    const [port] = await network.portsOf(id);
    expect(port).toMatchObject({ macAddress: '52:54:00:00:00:01', deviceOwner: 'compute:nova' });
    expect(await network.addressOf('52:54:00:00:00:01')).toMatchObject({ ip: port?.fixedIps[0]?.ipAddress });
    await compute.deleteServer(world.context, id);
    await world.heard('server.deleted');
    expect(await network.portsOf(id)).toEqual([]);
    expect([...rack.nodes.values()].map((node) => node.instanceUuid)).toEqual([null, null]);
    await expect(compute.findServer(world.context, id)).rejects.toThrow(/could not be found/);
  });

  it('say what they wait on, in the node’s words, and end when they are deleted meanwhile', async () => {
    const world = await createWorld();
    const { compute, rack } = await tenant(world);
    await compute.start();
    await world.operations.run();
    rack.outcome = 'hangs';
    const { id } = await compute.createServer(world.context, wanted);
    await world.heard('operation.waiting');
    expect((await compute.activity(id))?.waiting?.on).toBe('node n1: the agent’s first heartbeat');
    await compute.deleteServer(world.context, id);
    await world.heard('server.deleted');
    expect(rack.nodes.values().next().value?.instanceUuid).toBeNull();
    compute.stop();
  });

  it('fail with the node’s reason, and give node and port back', async () => {
    const world = await createWorld();
    const { compute, network, rack } = await tenant(world);
    await world.operations.run();
    rack.outcome = 'deploy failed';
    const { id } = await compute.createServer(world.context, wanted);
    expect((await ended(world, id)).state).toBe('failed');
    const server = await compute.findServer(world.context, id);
    expect(server.status).toBe('ERROR');
    expect(server.fault?.message).toContain('Node n1 could not be deployed for the server web: the disk is too small');
    expect(await network.portsOf(id)).toEqual([]);
    expect([...rack.nodes.values()].every((node) => node.instanceUuid === null)).toBe(true);
  });

  it('fail at once when there are no more nodes', async () => {
    const world = await createWorld();
    const { compute } = await tenant(world, createRack([]));
    await world.operations.run();
    const { id } = await compute.createServer(world.context, wanted);
    expect((await ended(world, id)).error?.code).toBe('no-valid-host');
  });

  it('are rebuilt with another image: same node, port and address', async () => {
    const world = await createWorld();
    const { compute, network, rack } = await tenant(world);
    await world.operations.run();
    const { id } = await compute.createServer(world.context, wanted);
    await expect(compute.rebuildServer(world.context, id, { image: 'lab' })).rejects.toThrow(/build/);
    await ended(world, id);
    const before = await network.portsOf(id);
    const more = { image: 'other', preserveEphemeral: true, name: 'web-2' };
    expect(await compute.rebuildServer(world.context, id, more)).toMatchObject({
      status: 'REBUILD',
      task_state: 'rebuilding',
    });
    expect((await ended(world, id)).error).toBeNull();
    expect(await compute.findServer(world.context, id)).toMatchObject({
      name: 'web-2',
      status: 'ACTIVE',
      node_name: 'n1',
      image_id: other.id,
    });
    expect(await network.portsOf(id)).toEqual(before);
    expect(rack.requests.at(-1)).toMatchObject({
      imageId: other.id,
      rebuild: true,
      instanceInfo: { preserve_ephemeral: true },
    });
  });

  it('are in error when their rebuild fails, keep their node, and can be rebuilt again or deleted', async () => {
    const world = await createWorld();
    const { compute, rack } = await tenant(world);
    await world.operations.run();
    const { id } = await compute.createServer(world.context, wanted);
    await ended(world, id);
    rack.outcome = 'deploy failed';
    await compute.rebuildServer(world.context, id, { image: 'other' });
    expect((await ended(world, id)).state).toBe('failed');
    const failed = await compute.findServer(world.context, id);
    expect(failed).toMatchObject({ status: 'ERROR', node_name: 'n1' });
    expect(failed.fault?.message).toContain('the disk is too small');
    rack.outcome = 'active';
    await compute.rebuildServer(world.context, id, { image: 'lab' });
    expect((await ended(world, id)).error).toBeNull();
    expect(await compute.findServer(world.context, id)).toMatchObject({ status: 'ACTIVE', fault: null });
    await compute.deleteServer(world.context, id);
    await world.heard('server.deleted');
    expect([...rack.nodes.values()].map((node) => node.instanceUuid)).toEqual([null, null]);
  });

  it('refuse a flavor, a network and a key that are not there, before anything is made', async () => {
    const world = await createWorld();
    const { compute } = await tenant(world);
    await expect(compute.createServer(world.context, { ...wanted, flavor: 'huge' })).rejects.toThrow(
      /Flavor huge could not be found/,
    );
    await expect(compute.createServer(world.context, { ...wanted, networks: [{ network: 'nope' }] })).rejects.toThrow(
      /nope/,
    );
    await expect(compute.createServer(world.context, { ...wanted, keyName: 'mine' })).rejects.toThrow(/key pair mine/);
    await expect(compute.createServer(world.context, { ...wanted, userData: 'x'.repeat(70_000) })).rejects.toThrow(
      /70000 bytes; 65535/,
    );
    await expect(compute.createServer(world.context, { ...wanted, hints: { hand_over: 'jump' } })).rejects.toThrow(
      /hint hand_over of the server web is “jump”\. Say kexec/,
    );
    expect(await compute.listServers(world.context)).toEqual([]);
  });

  it('are handed over as a hint or the flavor says, the hint first, and as the node says where nobody does', async () => {
    const world = await createWorld();
    const { compute, rack } = await tenant(world, createRack(['n1', 'n2', 'n3']));
    await world.operations.run();
    const plain = await compute.flavor('baremetal');
    const specs = { 'undercloud:hand_over': 'kexec' };
    await insertFlavor(world.db, { ...plain, id: 'quick', name: 'quick', extra_specs: specs });
    for (const more of [{ flavor: 'quick' }, { flavor: 'quick', hints: { hand_over: 'reset' } }, {}]) {
      const { id } = await compute.createServer(world.context, { ...wanted, ...more });
      expect((await ended(world, id)).error).toBeNull();
    }
    expect(rack.requests.map(({ kexec }) => kexec)).toEqual([true, false, undefined]);
  });
});

describe('what a machine is told', () => {
  it('is on the config drive, labelled config-2, user data and the CA included', async () => {
    const world = await createWorld();
    const { compute, deps } = await tenant(world);
    const { id } = await compute.createServer(world.context, wanted);
    const row = await storedServer(world.db, id);
    expect(row?.user_data).not.toContain('hello');
    const desk = createDesk(world, deps);
    const drive = gunzipSync(
      Buffer.from(await configDrive(await desk.facts(await desk.server(id), world.context)), 'base64'),
    );
    const dir = mkdtempSync(join(tmpdir(), 'uc-iso-'));
    try {
      writeFileSync(join(dir, 'drive.iso'), drive);
      const read = (path: string) =>
        execFileSync('isoinfo', ['-R', '-i', join(dir, 'drive.iso'), '-x', path], { encoding: 'utf8' });
      expect(execFileSync('isoinfo', ['-d', '-i', join(dir, 'drive.iso')], { encoding: 'utf8' })).toContain(
        'Volume id: config-2',
      );
      expect(JSON.parse(read('/openstack/latest/meta_data.json'))).toMatchObject({
        uuid: id,
        hostname: 'web',
        meta: { role: 'web' },
      });
      expect(read('/openstack/latest/user_data')).toBe(wanted.userData);
      expect(JSON.parse(read('/openstack/latest/vendor_data.json'))['cloud-init']).toContain('      MIIB');
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  it('comes from the metadata service to the machine at that address alone', async () => {
    const world = await createWorld();
    const { compute, network } = await tenant(world);
    await world.operations.run();
    const loopback = await network.createNetwork(world.context, { name: 'here' });
    await network.createSubnet(world.context, { networkId: loopback.id, cidr: '127.0.0.0/8', gatewayIp: null });
    const api = createApi();
    api.register(compute.metadataRoutes);
    const listener = await listen(api, { host: '127.0.0.1', port: 0 });
    const url = `http://127.0.0.1:${(listener.address as AddressInfo).port}`;
    expect((await fetch(`${url}/openstack/latest/meta_data.json`)).status).toBe(404);
    const { id } = await compute.createServer(world.context, {
      ...wanted,
      networks: [{ network: 'here', fixedIp: '127.0.0.1' }],
    });
    await ended(world, id);
    const meta = await (await fetch(`${url}/openstack/2018-08-27/meta_data.json`)).json();
    expect(meta).toMatchObject({ uuid: id, name: 'web' });
    expect(await (await fetch(`${url}/openstack/latest/user_data`)).text()).toBe(wanted.userData);
    expect((await (await fetch(`${url}/latest/meta-data/`)).text()).split('\n')).toContain('placement/');
    expect(await (await fetch(`${url}/latest/meta-data/local-ipv4`)).text()).toBe('127.0.0.1');
    expect((await fetch(`${url}/openstack/latest/nothing.json`)).status).toBe(404);
    await listener.close();
  });
});

/** The operation under test is made once and outlives several processes: its desk is the present one's. */
function livingDesk(): { desk: Desk; enter(present: Desk): void } {
  let now: Desk | null = null;
  const desk = new Proxy({} as Desk, { get: (_, name) => now?.[name as keyof Desk] });
  return {
    desk,
    enter(present) {
      now = present;
    },
  };
}

for (const [kind, make] of [
  ['build', buildOperation],
  // Its params have one more name than the others'.
  ['rebuild', rebuildOperation as unknown as typeof deleteOperation],
  ['delete', deleteOperation],
] as const) {
  const life = livingDesk();
  operationConformance({
    operation: make(life.desk),
    async stage(world, played, outside, number) {
      const rack = (outside.get('rack') as Rack | undefined) ?? createRack(['n1']);
      outside.set('rack', rack);
      const serverId = () => String(outside.get('server'));
      if (kind !== 'build' && number === 1) {
        const quiet = await createWorld({ databaseUrl: world.databaseUrl, keep: true, owner: 'before' });
        const before = await tenant(quiet, rack);
        await quiet.operations.run();
        outside.set('server', (await before.compute.createServer(world.context, wanted)).id);
        await ended(quiet, serverId());
        await quiet.close();
      }
      const { compute, deps } = await tenant(world, rack);
      life.enter(createDesk(world, deps));
      world.operations.register(played);
      return {
        async start() {
          if (kind === 'build') outside.set('server', (await compute.createServer(world.context, wanted)).id);
          else {
            const start = {
              subject: serverSubject(serverId()),
              params: { server: serverId(), ...(kind === 'rebuild' && { preserveEphemeral: false }) },
              context: world.context,
            };
            await world.db.transaction((tx) => world.operations.start(tx, played, start));
          }
          return (await world.operations.last(serverSubject(serverId())))?.id ?? '';
        },
        async observe() {
          const row = await storedServer(world.db, serverId());
          const ports = await deps.network.portsOf(serverId());
          const nodes = [...rack.nodes.values()].map((node) => [node.provisionState, node.instanceUuid !== null]);
          if (row?.status === 'ERROR' && kind === 'build')
            expect({ ports, nodes }).toEqual({ ports: [], nodes: [['available', false]] });
          return { status: row?.status, task: row?.task_state, node: row?.node_name, ports: ports.length, nodes };
        },
      };
    },
  });
}
