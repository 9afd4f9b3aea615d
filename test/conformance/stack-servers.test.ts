/** Stacks whose servers are compute's own, on nodes of a rack that is not there. */
import { expect, it } from 'vitest';
import { createCompute } from '../../services/compute/index.ts';
import { createRack } from '../../services/compute/rack.fixture.ts';
import { createNetwork } from '../../services/network/index.ts';
import type { Plain } from '../../services/orchestration/index.ts';
import { atRest, hastyClock, stage } from '../setup/stacks.ts';
import { createWorld } from '../setup/world.ts';

const image = { id: '11111111-1111-4111-8111-111111111111', name: 'lab', status: 'active' };

async function cloud(nodes: string[]) {
  const world = await createWorld({ clock: hastyClock() });
  const rack = createRack(nodes);
  const authenticate = async () => world.context;
  const network = createNetwork(world, { authenticate });
  await network.ensureProvisioning({
    name: 'ctlplane',
    cidr: '192.0.2.0/24',
    pool: ['192.0.2.2', '192.0.2.62'],
    gateway: '192.0.2.1',
    nameservers: [],
  });
  const images = { find: async () => image };
  const compute = createCompute(world, {
    network,
    baremetal: rack.baremetal,
    images,
    caCertificate: '',
    region: 'RegionOne',
    authenticate,
  });
  const { orchestration } = stage(world, { network, compute });
  await world.operations.run();
  await compute.start();
  await orchestration.start();
  return {
    world,
    rack,
    network,
    compute,
    orchestration,
    context: world.context,
    rest: (name: string) => atRest(world, orchestration, name),
  };
}

const server = (more: { [name: string]: Plain } = {}): Plain => ({
  type: 'OS::Nova::Server',
  properties: { image: 'lab', flavor: 'baremetal', user_data_format: 'RAW', ...more },
});
const hot = (resources: { [name: string]: Plain }, outputs: { [name: string]: Plain } = {}) => ({
  heat_template_version: '2021-04-16',
  resources,
  outputs,
});

it('builds servers on nodes, one with a port of its own, and gives everything back', async () => {
  const { orchestration, context, rest, network, rack, compute } = await cloud(['n1', 'n2']);
  const template = hot(
    {
      p: { type: 'OS::Neutron::Port', properties: { network: 'ctlplane', fixed_ips: [{ ip_address: '192.0.2.50' }] } },
      a: server({ name: 'a', networks: [{ port: { get_resource: 'p' } }] }),
      b: server({
        name: 'b',
        networks: [{ network: 'ctlplane' }],
        metadata: { peer: { get_attr: ['a', 'first_address'] } },
      }),
    },
    {
      a: { value: { get_attr: ['a', 'first_address'] } },
      b: { value: { get_attr: ['b', 'networks', 'ctlplane', 0] } },
    },
  );
  const { id } = await orchestration.createStack(context, 's', { template });
  expect(await rest('s')).toBe('CREATE_COMPLETE');
  const outputs = Object.fromEntries(
    (await orchestration.outputs(context, 's')).map((one) => [one.output_key, one.output_value]),
  );
  expect(outputs).toEqual({ a: '192.0.2.50', b: expect.stringMatching(/^192\.0\.2\.\d+$/) });
  expect((await compute.findServer(context, 'b')).metadata).toEqual({ peer: '192.0.2.50' });
  await orchestration.deleteStack(context, 's');
  expect(await rest(id)).toBe('DELETE_COMPLETE');
  expect([...rack.nodes.values()].map((node) => node.instanceUuid)).toEqual([null, null]);
  expect((await network.listPorts(context)).filter((port) => port.deviceOwner === 'compute:nova')).toEqual([]);
});

it('fails at once with the count of nodes, and its deletion takes the half-built ones back', async () => {
  const { orchestration, context, rest, rack } = await cloud(['n1']);
  const { id } = await orchestration.createStack(context, 's', { template: hot({ a: server(), b: server() }) });
  expect(await rest('s')).toBe('CREATE_FAILED');
  expect((await orchestration.findStack(context, id)).reason).toMatch(
    /resources\.[ab]: The server s-[ab]-\w+ went to status ERROR: No node can take the server/,
  );
  await orchestration.deleteStack(context, 's');
  expect(await rest(id)).toBe('DELETE_COMPLETE');
  expect([...rack.nodes.values()].map((node) => node.instanceUuid)).toEqual([null]);
});

it('says what a server waits for in the node’s own words, and lets go of it when it is deleted meanwhile', async () => {
  const { orchestration, context, rest, rack, world } = await cloud(['n1']);
  rack.outcome = 'hangs';
  const { id } = await orchestration.createStack(context, 's', { template: hot({ a: server({ name: 'a' }) }) });
  await world.heard('resource.waiting', ({ data }) => data.on.includes('first heartbeat'));
  const [a] = (await orchestration.activity(context, 's')).resources;
  expect(a?.blocked_on).toMatchObject({ on: 'server a: node n1: the agent’s first heartbeat', usual_seconds: null });
  await orchestration.deleteStack(context, 's');
  await world.heard('stack.state', ({ data }) => data.action === 'DELETE' && data.status === 'COMPLETE');
  expect(await rest(id)).toBe('DELETE_COMPLETE');
  expect([...rack.nodes.values()].map((node) => node.instanceUuid)).toEqual([null]);
});
