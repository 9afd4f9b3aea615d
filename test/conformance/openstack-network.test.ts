/** The stock `openstack` client against the network service, logged in at the real identity service. */
import { expect, it, onTestFinished } from 'vitest';
import { createApi, listen } from '../../services/core/http/index.ts';
import { createIdentity } from '../../services/identity/index.ts';
import { createNetwork } from '../../services/network/index.ts';
import { stockClient } from '../setup/stock-client.ts';
import { createWorld } from '../setup/world.ts';

type Row = Record<string, unknown>;

async function cloud() {
  const world = await createWorld();
  const identity = createIdentity(world, { region: 'RegionOne' });
  await identity.ensureAdmin('secret');
  const network = createNetwork(world, { authenticate: identity.authenticate });
  const api = createApi();
  api.register(identity.routes, { prefix: '/identity' });
  api.register(network.routes, { prefix: '/network' });
  const listener = await listen(api, { host: '127.0.0.1', port: 0 });
  onTestFinished(async () => {
    await listener.close();
    await api.close();
  });
  const { port } = listener.address as { port: number };
  return { world, network, ...stockClient({ url: `http://127.0.0.1:${port}`, password: 'secret' }) };
}

it('makes, lists, shows, changes and deletes networks, subnets and ports', async () => {
  const { openstack, json, refused } = await cloud();
  expect(await json('network', 'create', 'lan', '--mtu', '9000', '--description', 'a lan')).toMatchObject({
    name: 'lan',
    status: 'ACTIVE',
    mtu: 9000,
    description: 'a lan',
    shared: false,
    'provider:network_type': 'flat',
  });
  const subnet = await json(
    ...['subnet', 'create', 'lan-v4', '--network', 'lan', '--subnet-range', '10.1.0.0/24', '--no-dhcp'],
    ...['--allocation-pool', 'start=10.1.0.10,end=10.1.0.20', '--dns-nameserver', '10.1.0.1'],
    ...['--host-route', 'destination=10.2.0.0/24,gateway=10.1.0.7'],
  );
  expect(subnet).toMatchObject({
    cidr: '10.1.0.0/24',
    gateway_ip: '10.1.0.1',
    enable_dhcp: false,
    dns_nameservers: ['10.1.0.1'],
    allocation_pools: [{ start: '10.1.0.10', end: '10.1.0.20' }],
    host_routes: [{ destination: '10.2.0.0/24', nexthop: '10.1.0.7' }],
  });
  const port = await json('port', 'create', 'p1', '--network', 'lan', '--mac-address', '52:54:00:AA:00:01');
  expect(port).toMatchObject({ mac_address: '52:54:00:aa:00:01', status: 'DOWN' });
  expect(port.fixed_ips).toEqual([{ subnet_id: subnet.id, ip_address: '10.1.0.10' }]);
  const fixed = await json(
    'port',
    'create',
    'p2',
    '--network',
    'lan',
    '--fixed-ip',
    'subnet=lan-v4,ip-address=10.1.0.99',
  );
  expect(fixed.fixed_ips).toEqual([{ subnet_id: subnet.id, ip_address: '10.1.0.99' }]);

  expect(await json<Row[]>('network', 'list')).toMatchObject([{ Name: 'lan', Subnets: [subnet.id] }]);
  expect(await json<Row[]>('network', 'list', '--long')).toMatchObject([{ Name: 'lan', Shared: false }]);
  expect(await json<Row[]>('subnet', 'list', '--network', 'lan')).toMatchObject([{ Name: 'lan-v4' }]);
  expect((await json<Row[]>('port', 'list', '--network', 'lan')).map((one) => one.Name)).toEqual(['p1', 'p2']);
  expect(await json<Row[]>('port', 'list', '--fixed-ip', 'ip-address=10.1.0.99')).toMatchObject([{ Name: 'p2' }]);
  expect(await json('network', 'show', 'lan')).toMatchObject({ subnets: [subnet.id] });
  expect(await json('subnet', 'show', 'lan-v4')).toMatchObject({ id: subnet.id });
  expect(await json('port', 'show', 'p1')).toMatchObject({ id: port.id });

  await openstack('network', 'set', 'lan', '--name', 'wan', '--tag', 'blue');
  expect(await json('network', 'show', 'wan')).toMatchObject({ tags: ['blue'] });
  await openstack('subnet', 'set', 'lan-v4', '--dhcp');
  await openstack('port', 'set', 'p2', '--device', 'server-1', '--name', 'p3');
  expect(await json('port', 'show', 'p3')).toMatchObject({ device_id: 'server-1' });

  expect(await refused('network', 'delete', 'wan')).toContain('port(s) are still on it');
  expect(await refused('network', 'show', 'nothing')).toContain('No Network found for nothing');
  expect(await refused('port', 'create', 'x', '--network', 'wan', '--fixed-ip', 'ip-address=10.1.0.99')).toContain(
    '10.1.0.99 already allocated',
  );
  await openstack('port', 'delete', 'p1', 'p3');
  await openstack('subnet', 'delete', 'lan-v4');
  await openstack('network', 'delete', 'wan');
  expect(await json<Row[]>('network', 'list')).toEqual([]);
}, 180_000);

it('answers what bare metal has none of with empty lists', async () => {
  const { json, network } = await cloud();
  await network.ensureProvisioning({
    name: 'ctlplane',
    cidr: '192.0.2.0/24',
    pool: ['192.0.2.2', '192.0.2.62'],
    address: '192.0.2.1',
  });
  for (const what of [['router'], ['floating', 'ip'], ['network', 'agent'], ['subnet', 'pool']])
    expect(await json<Row[]>(...what, 'list')).toEqual([]);
  const extensions = await json<Row[]>('extension', 'list', '--network');
  expect(extensions.map((one) => one.Alias)).toContain('provider');
  expect(await json('network', 'show', 'ctlplane')).toMatchObject({
    'provider:physical_network': 'ctlplane',
    shared: true,
  });
}, 180_000);
