/** The provisioning network with a subnet for each of two interfaces. */
import { expect, it } from 'vitest';
import { createWorld } from '../../test/setup/world.ts';
import { createNetwork } from './index.ts';

const ctlplane = {
  name: 'ctlplane',
  cidr: '192.0.2.0/24',
  pool: ['192.0.2.2', '192.0.2.62'] as const,
  address: '192.0.2.1',
};
const further = { cidr: '198.51.100.0/24', pool: ['198.51.100.2', '198.51.100.9'], address: '198.51.100.1' } as const;

async function room() {
  const world = await createWorld();
  const { context } = world;
  return { world, context, network: createNetwork(world, { authenticate: async () => context }) };
}

it('has a subnet for each interface, whose own address no port gets', async () => {
  const { network, context } = await room();
  await network.ensureProvisioning(ctlplane);
  const made = await network.ensureProvisioning({ ...ctlplane, further: [further] });
  expect(made.subnet.cidr).toBe(ctlplane.cidr);
  const find = async () =>
    (await network.listSubnets(context, { network_id: made.network.id })).find(({ cidr }) => cidr === further.cidr);
  expect(await find()).toMatchObject({ gatewayIp: further.address, enableDhcp: true });
  const own = (await network.listPorts(context)).map((port) => port.fixedIps[0]?.ipAddress);
  expect(own.sort()).toEqual([ctlplane.address, further.address]);
  // Again, and with another range: the same subnet.
  const before = await find();
  await network.ensureProvisioning({ ...ctlplane, further: [{ ...further, pool: ['198.51.100.2', '198.51.100.20'] }] });
  expect(await find()).toMatchObject({
    id: before?.id,
    allocationPools: [{ start: '198.51.100.2', end: '198.51.100.20' }],
  });
  expect(await network.listPorts(context)).toHaveLength(2);
  // The first interface's subnet stays the first, also when it was made anew after the other.
  const moved = {
    ...ctlplane,
    cidr: '203.0.113.0/24',
    pool: ['203.0.113.2', '203.0.113.9'],
    address: '203.0.113.1',
  } as const;
  expect((await network.ensureProvisioning({ ...moved, further: [further] })).subnet.cidr).toBe(moved.cidr);
  expect((await network.provisioning())?.subnet.cidr).toBe(moved.cidr);
});

it('moves a server’s port to the subnet of the card that it is bound to, and leaves one that is there already', async () => {
  const { world, network, context } = await room();
  const { network: net } = await network.ensureProvisioning({ ...ctlplane, further: [further] });
  const [, far] = await network.listSubnets(context, { network_id: net.id });
  const bind = async (mac: string, last: string, fields: { fixedIps?: { ipAddress: string }[] } = {}) => {
    const port = await network.createPort(context, { networkId: net.id, deviceId: `server-${last}`, ...fields });
    const to = { nodeId: `11111111-1111-4111-8111-11111111111${last}`, mac };
    return { port, bound: await world.db.transaction((tx) => network.bindPort(tx, port.id, to)) };
  };
  const [near, other] = ['52:54:00:aa:00:01', '52:54:00:aa:00:02'];
  await network.keepAddress(near);
  await network.keepAddress(other, { subnetId: far?.id ?? '' });
  const first = await bind(near, '1');
  expect(first.bound.fixedIps).toEqual(first.port.fixedIps);
  const second = await bind(other, '2');
  expect(second.port.fixedIps[0]?.ipAddress).toMatch(/^192\.0\.2\./);
  expect(second.bound.fixedIps).toEqual([{ subnetId: far?.id, ipAddress: '198.51.100.3' }]);
  expect(await network.addressOf(other)).toEqual({ ip: '198.51.100.3', portId: second.port.id });
  // What it had before is free for others.
  const third = await network.createPort(context, { networkId: net.id, fixedIps: second.port.fixedIps });
  expect(third.fixedIps).toEqual(second.port.fixedIps);
});
