import { expect, it } from 'vitest';
import { createWorld } from '../../test/setup/world.ts';
import { createNetwork, type Network } from './index.ts';

async function room() {
  const world = await createWorld();
  const house = { ...world };
  const network = createNetwork(house, { authenticate: async () => world.context });
  return { world, network, context: world.context };
}

async function lan(network: Network, context: Parameters<Network['createNetwork']>[0], cidr = '10.1.0.0/24') {
  const net = await network.createNetwork(context, { name: 'lan' });
  const subnet = await network.createSubnet(context, { networkId: net.id, cidr });
  return { net, subnet };
}

const ips = (port: { fixedIps: readonly { ipAddress: string }[] }) => port.fixedIps.map((one) => one.ipAddress);

it('never gives one address twice, also to fifty ports made at the same moment', async () => {
  const { network, context } = await room();
  const { net } = await lan(network, context);
  const ports = await Promise.all(Array.from({ length: 50 }, () => network.createPort(context, { networkId: net.id })));
  const given = ports.flatMap(ips);
  expect(new Set(given).size).toBe(50);
  expect(new Set(ports.map((port) => port.macAddress)).size).toBe(50);
  // The gateway, .1, is nobody's; the pool is used from its front without holes.
  expect(given.map((ip) => Number(ip.split('.')[3])).sort((a, b) => a - b)).toEqual(
    Array.from({ length: 50 }, (_, i) => i + 2),
  );
});

it('gives the last address to one of many, and says to the others that the pool is empty', async () => {
  const { network, context } = await room();
  const net = await network.createNetwork(context, { name: 'small' });
  await network.createSubnet(context, { networkId: net.id, cidr: '10.2.0.0/29' });
  const tries = await Promise.allSettled(
    Array.from({ length: 20 }, () => network.createPort(context, { networkId: net.id })),
  );
  const made = tries.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const refused = tries.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
  expect(made.flatMap(ips).sort()).toEqual(['10.2.0.2', '10.2.0.3', '10.2.0.4', '10.2.0.5', '10.2.0.6']);
  expect(refused).toHaveLength(15);
  expect(refused[0]).toMatchObject({ code: 'pool-exhausted' });
  expect(refused[0].message).toContain('all 5 addresses');
  // What comes back is given again, the longest rested first.
  for (const port of [made.find((p) => ips(p)[0] === '10.2.0.5'), made.find((p) => ips(p)[0] === '10.2.0.3')])
    await network.deletePort(context, port?.id ?? '');
  const again = [
    await network.createPort(context, { networkId: net.id }),
    await network.createPort(context, { networkId: net.id }),
  ];
  expect(again.flatMap(ips)).toEqual(['10.2.0.5', '10.2.0.3']);
});

it('loses no address when ports come and go at the same time', async () => {
  const { network, context } = await room();
  const net = await network.createNetwork(context, { name: 'churn' });
  await network.createSubnet(context, { networkId: net.id, cidr: '10.3.0.0/27' });
  const churn = async () => {
    for (let i = 0; i < 8; i += 1) {
      const port = await network.createPort(context, { networkId: net.id });
      await network.deletePort(context, port.id);
    }
  };
  await Promise.all(Array.from({ length: 8 }, churn));
  // 29 hosts (30 less the gateway): all must be there still.
  const all = await Promise.all(Array.from({ length: 29 }, () => network.createPort(context, { networkId: net.id })));
  expect(new Set(all.flatMap(ips)).size).toBe(29);
  await expect(network.createPort(context, { networkId: net.id })).rejects.toMatchObject({ code: 'pool-exhausted' });
});

it('steps over addresses that were asked for by name', async () => {
  const { network, context } = await room();
  const { net, subnet } = await lan(network, context);
  await network.createPort(context, { networkId: net.id, fixedIps: [{ ipAddress: '10.1.0.3' }] });
  const next = [
    await network.createPort(context, { networkId: net.id }),
    await network.createPort(context, { networkId: net.id, fixedIps: [{ subnetId: subnet.id }] }),
  ];
  expect(next.flatMap(ips)).toEqual(['10.1.0.2', '10.1.0.4']);
  await expect(
    network.createPort(context, { networkId: net.id, fixedIps: [{ ipAddress: '10.1.0.3' }] }),
  ).rejects.toMatchObject({ code: 'address-in-use' });
  for (const ipAddress of ['10.9.0.1', '10.1.0.0', '10.1.0.255', 'x'])
    await expect(network.createPort(context, { networkId: net.id, fixedIps: [{ ipAddress }] })).rejects.toMatchObject({
      code: 'network-invalid',
    });
  // None of the refused left a port behind.
  expect(await network.listPorts(context, { network_id: net.id })).toHaveLength(3);
});

it('keeps MACs unique on a network', async () => {
  const { network, context } = await room();
  const { net } = await lan(network, context);
  const other = await network.createNetwork(context, { name: 'other' });
  const mac = '52:54:00:AA:00:01';
  const first = await network.createPort(context, { networkId: net.id, macAddress: mac });
  expect(first.macAddress).toBe('52:54:00:aa:00:01');
  const rival = network.createPort(context, { networkId: net.id, macAddress: mac });
  await expect(rival).rejects.toMatchObject({ code: 'mac-in-use', message: expect.stringContaining(first.id) });
  await network.createPort(context, { networkId: other.id, macAddress: mac });
  for (const bad of ['52:54:00:aa:00', '01:00:5e:00:00:01', '00:00:00:00:00:00', 'zz'])
    await expect(network.createPort(context, { networkId: net.id, macAddress: bad })).rejects.toMatchObject({
      code: 'network-invalid',
    });
});

it('changes the addresses of a port and keeps those that stay', async () => {
  const { network, context } = await room();
  const { net } = await lan(network, context);
  const port = await network.createPort(context, { networkId: net.id });
  const more = await network.updatePort(context, port.id, {
    fixedIps: [{ ipAddress: '10.1.0.2' }, { ipAddress: '10.1.0.77' }],
  });
  expect(ips(more)).toEqual(['10.1.0.2', '10.1.0.77']);
  const less = await network.updatePort(context, port.id, { fixedIps: [{ ipAddress: '10.1.0.77' }] });
  expect(ips(less)).toEqual(['10.1.0.77']);
});

it('serves IPv6 subnets beside IPv4', async () => {
  const { network, context } = await room();
  const { net } = await lan(network, context);
  await network.createSubnet(context, { networkId: net.id, cidr: '2001:db8::/64', ipVersion: 6 });
  expect(ips(await network.createPort(context, { networkId: net.id }))).toEqual(['10.1.0.2', '2001:db8::2']);
});

it('refuses subnets that overlap, pools that cannot be, and what is in use', async () => {
  const { network, context } = await room();
  const { net, subnet } = await lan(network, context);
  const bad = [
    { cidr: '10.1.0.128/25' },
    { cidr: '10.1.0.0' },
    { cidr: '10.2.0.0/24', gatewayIp: '10.2.0.0' },
    { cidr: '10.2.0.0/24', allocationPools: [{ start: '10.2.0.9', end: '10.2.0.2' }] },
    { cidr: '10.2.0.0/24', allocationPools: [{ start: '10.2.0.1', end: '10.2.0.9' }] },
    { cidr: '10.2.0.0/24', allocationPools: [{ start: '10.3.0.1', end: '10.3.0.9' }] },
    { cidr: '10.2.0.0/24', dnsNameservers: ['dns'] },
    { cidr: '10.2.0.0/24', ipVersion: 6 as const },
  ];
  for (const fields of bad)
    await expect(network.createSubnet(context, { networkId: net.id, ...fields })).rejects.toMatchObject({
      code: 'network-invalid',
    });
  const port = await network.createPort(context, { networkId: net.id });
  await expect(network.deleteNetwork(context, net.id)).rejects.toMatchObject({ code: 'network-in-use' });
  await expect(network.deleteSubnet(context, subnet.id)).rejects.toMatchObject({ code: 'subnet-in-use' });
  await network.deletePort(context, port.id);
  await network.deleteNetwork(context, net.id);
  await expect(network.findSubnet(context, subnet.id)).rejects.toMatchObject({ code: 'subnet-not-found' });
});

it('shows a project its own and what is shared, and lets it change its own only', async () => {
  const { network, context } = await room();
  const mine = { ...context, projectId: 'mine', roles: ['member'] };
  const theirs = { ...context, projectId: 'theirs', roles: ['member'] };
  const own = await network.createNetwork(mine, { name: 'own' });
  const shared = await network.createNetwork(context, { name: 'shared', shared: true });
  await network.createSubnet(context, { networkId: shared.id, cidr: '10.5.0.0/24' });
  expect((await network.listNetworks(theirs)).map((one) => one.name)).toEqual(['shared']);
  await expect(network.findNetwork(theirs, own.id)).rejects.toMatchObject({ code: 'network-not-found' });
  await expect(network.deleteNetwork(theirs, shared.id)).rejects.toMatchObject({ code: 'forbidden' });
  await expect(network.createNetwork(mine, { shared: true })).rejects.toMatchObject({ code: 'forbidden' });
  const port = await network.createPort(theirs, { networkId: shared.id });
  expect(await network.listPorts(mine)).toEqual([]);
  await network.deletePort(theirs, port.id);
  await network.createNetwork(mine, { name: 'own' });
  await expect(network.findNetwork(mine, 'own')).rejects.toMatchObject({ code: 'network-ambiguous' });
});

const ctlplane = {
  name: 'ctlplane',
  cidr: '192.0.2.0/24',
  pool: ['192.0.2.2', '192.0.2.62'],
  address: '192.0.2.1',
  nameservers: ['192.0.2.1'],
} as const;

it('makes the provisioning network once, however often and at once it is asked', async () => {
  const { network, context } = await room();
  const made = await Promise.all([1, 2, 3].map(() => network.ensureProvisioning(ctlplane)));
  expect(new Set(made.map((one) => one.network.id)).size).toBe(1);
  expect(made[0]?.network).toMatchObject({ name: 'ctlplane', physicalNetwork: 'ctlplane', networkType: 'flat' });
  expect(made[0]?.subnet).toMatchObject({
    cidr: '192.0.2.0/24',
    gatewayIp: null,
    allocationPools: [{ start: '192.0.2.2', end: '192.0.2.62' }],
  });
  const wider = await network.ensureProvisioning({ ...ctlplane, pool: ['192.0.2.2', '192.0.2.99'], mtu: 9000 });
  expect(wider.subnet.id).toBe(made[0]?.subnet.id);
  expect(wider.network.mtu).toBe(9000);
  expect(await network.listPorts(context)).toHaveLength(1);
  await network.keepAddress('52:54:00:aa:00:01');
  await expect(
    network.ensureProvisioning({
      ...ctlplane,
      cidr: '10.0.0.0/24',
      pool: ['10.0.0.2', '10.0.0.9'],
      address: '10.0.0.1',
    }),
  ).rejects.toMatchObject({ code: 'provisioning-changed' });
});

it('keeps one address for a MAC, lets a bound port win, and tells who listens', async () => {
  const { world, network, context } = await room();
  const { network: net } = await network.ensureProvisioning(ctlplane);
  const mac = '52:54:00:aa:00:01';
  const node = '11111111-1111-4111-8111-111111111111';
  expect(await network.addressOf(mac)).toBeNull();
  const kept = await Promise.all([1, 2, 3].map(() => network.keepAddress(mac, { nodeId: node, hostName: 'node-1' })));
  expect(kept.map((one) => one.ip)).toEqual(['192.0.2.2', '192.0.2.2', '192.0.2.2']);
  expect(await network.addressOf(mac)).toEqual({ ip: '192.0.2.2', portId: null });
  const changes: string[][] = [];
  network.onAddressChange((macs) => changes.push([...macs]));

  const port = await network.createPort(context, { networkId: net.id, deviceId: 'server-1' });
  const bound = await world.db.transaction((tx) => network.bindPort(tx, port.id, { nodeId: node, mac }));
  expect(bound).toMatchObject({ macAddress: mac, nodeId: node, status: 'ACTIVE', fixedIps: port.fixedIps });
  expect(changes.at(-1)).toEqual([mac, port.macAddress]);
  expect(await network.addressOf(mac)).toEqual({ ip: '192.0.2.3', portId: port.id });
  expect((await network.heldAddresses(net.id)).filter((one) => one.mac === mac)).toHaveLength(1);
  await world.heard('network.port-bound', (event) => event.subject.id === node);

  const rival = await network.createPort(context, { networkId: net.id });
  await expect(
    world.db.transaction((tx) => network.bindPort(tx, rival.id, { nodeId: node, mac })),
  ).rejects.toMatchObject({ code: 'mac-in-use' });

  await world.db.transaction((tx) => network.unbindPort(tx, port.id));
  await world.db.transaction((tx) => network.unbindPort(tx, port.id));
  expect((await network.findPort(context, port.id)).macAddress).toBe(port.macAddress);
  expect(await network.addressOf(mac)).toEqual({ ip: '192.0.2.2', portId: null });
  await world.db.transaction((tx) => network.forgetAddress(tx, mac));
  expect(await network.addressOf(mac)).toBeNull();
});

it('takes part in the caller’s transaction', async () => {
  const { world, network, context } = await room();
  const { net } = await lan(network, context);
  const told: string[] = [];
  network.onAddressChange((macs) => told.push(...macs));
  await expect(
    world.db.transaction(async (tx) => {
      const port = await network.createPort(context, { networkId: net.id }, tx);
      expect(await network.updatePort(context, port.id, { name: 'x' }, tx)).toMatchObject({ name: 'x' });
      throw new Error('taken back');
    }),
  ).rejects.toThrow('taken back');
  expect(await network.listPorts(context)).toEqual([]);
  expect(told).toEqual([]);
});
