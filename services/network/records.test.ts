/** Security groups, segments and trunks: Neutron's rules over HTTP, and the stock client's own commands. */
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { stockShell } from '../../test/setup/stock-client.ts';
import { createWorld } from '../../test/setup/world.ts';
import { fault } from '../core/errors/index.ts';
import { createApi, listen } from '../core/http/index.ts';
import { createIdentity } from '../identity/index.ts';
import { createNetwork } from './index.ts';

async function room() {
  const world = await createWorld();
  const contexts = {
    admin: world.context,
    member: { ...world.context, roles: ['member'] },
    stranger: { ...world.context, roles: ['member'], projectId: 's'.repeat(32) },
  };
  const network = createNetwork(world, {
    authenticate: async (token) => {
      const context = contexts[token as keyof typeof contexts];
      if (!context) throw fault('unauthorized');
      return context;
    },
  });
  const api = createApi();
  api.register(network.routes, { prefix: '/network' });
  const call = async (method: 'GET' | 'POST' | 'PUT' | 'DELETE', url: string, body?: object, token = 'member') => {
    const headers = { 'x-auth-token': token };
    const answer = await api.inject({ method, url: `/network/v2.0${url}`, headers, ...(body && { payload: body }) });
    return { status: answer.statusCode, body: answer.body === '' ? null : answer.json() };
  };
  const make = async (path: string, noun: string, fields: object, token = 'member') => {
    const { status, body } = await call('POST', path, { [noun]: fields }, token);
    expect(body).toHaveProperty(noun);
    expect(status).toBe(201);
    return body[noun];
  };
  return { world, network, call, make };
}

it('gives every project a default group, once, which cannot be renamed or deleted', async () => {
  const { call } = await room();
  await Promise.all([
    call('GET', '/security-groups'),
    call('GET', '/security-groups'),
    call('GET', '/security-groups'),
  ]);
  const { body } = await call('GET', '/security-groups');
  expect(body.security_groups).toHaveLength(1);
  const [group] = body.security_groups;
  expect(group).toMatchObject({ name: 'default', description: 'Default security group', stateful: true });
  const rules = group.security_group_rules as { direction: string; ethertype: string; remote_group_id: string }[];
  expect(rules.map((one) => [one.direction, one.ethertype, one.remote_group_id]).sort()).toEqual([
    ['egress', 'IPv4', null],
    ['egress', 'IPv6', null],
    ['ingress', 'IPv4', group.id],
    ['ingress', 'IPv6', group.id],
  ]);
  const refused = { status: 409, body: { NeutronError: { type: 'SecurityGroupCannotRemoveDefault' } } };
  expect(await call('DELETE', `/security-groups/${group.id}`)).toMatchObject(refused);
  const renamed = { security_group: { name: 'other' } };
  expect(await call('PUT', `/security-groups/${group.id}`, renamed)).toMatchObject(refused);
  expect(await call('POST', '/security-groups', { security_group: { name: 'default' } })).toMatchObject(refused);
  const foreign = await call('GET', '/security-groups', undefined, 'stranger');
  expect(foreign.body.security_groups).toHaveLength(1);
  expect(foreign.body.security_groups[0].id).not.toBe(group.id);
  expect((await call('GET', `/security-groups/${group.id}`, undefined, 'stranger')).status).toBe(404);
});

it('checks rules as Neutron does', async () => {
  const { call, make } = await room();
  const group = await make('/security-groups', 'security_group', { name: 'web' });
  const rule = (fields: object) => ({
    security_group_rule: { security_group_id: group.id, direction: 'ingress', ...fields },
  });
  const shown = (
    await call(
      'POST',
      '/security-group-rules',
      rule({ protocol: 'TCP', port_range_min: '80', port_range_max: 80, remote_ip_prefix: '192.0.2.7/24' }),
    )
  ).body.security_group_rule;
  expect(shown).toMatchObject({
    protocol: 'tcp',
    port_range_min: 80,
    remote_ip_prefix: '192.0.2.0/24',
    normalized_cidr: '192.0.2.0/24',
    ethertype: 'IPv4',
    remote_group_id: null,
  });
  const cases: [object, number, string, RegExp][] = [
    [{ direction: 'sideways' }, 400, 'InvalidInput', /neither ingress nor egress/],
    [{ protocol: 'tcpp' }, 400, 'InvalidInput', /neither one of ah, dccp/],
    [{ protocol: 256 }, 400, 'InvalidInput', /number from 0 to 255/],
    [{ port_range_min: 1, port_range_max: 2 }, 400, 'InvalidInput', /the protocol any has no ports/],
    [{ protocol: 'udp', port_range_min: 9, port_range_max: 2 }, 400, 'InvalidInput', /9 to 2 is no range/],
    [{ protocol: 'udp', port_range_min: 9 }, 400, 'InvalidInput', /both ends/],
    [{ protocol: 'icmp', port_range_max: 0 }, 400, 'InvalidInput', /needs its type/],
    [{ protocol: 'icmp', port_range_min: 256 }, 400, 'InvalidInput', /no ICMP type/],
    [{ ethertype: 'IPX' }, 400, 'InvalidInput', /neither IPv4 nor IPv6/],
    [{ remote_ip_prefix: '2001:db8::/32' }, 400, 'InvalidInput', /does not go with the prefix/],
    [{ remote_ip_prefix: 'all' }, 400, 'InvalidInput', /is no CIDR/],
    [{ remote_ip_prefix: '0.0.0.0/0', remote_group_id: group.id }, 400, 'InvalidInput', /only one of/],
    [{ remote_group_id: 'none' }, 404, 'SecurityGroupNotFound', /none does not exist/],
    [
      { protocol: 'tcp', port_range_min: 80, port_range_max: 80, remote_ip_prefix: '192.0.2.0/24' },
      409,
      'SecurityGroupRuleExists',
      /already exists/,
    ],
    [{ direction: undefined }, 400, 'InvalidInput', /Required attribute 'direction'/],
  ];
  for (const [fields, status, type, message] of cases) {
    const answer = await call('POST', '/security-group-rules', rule(fields));
    expect([fields, answer.status, answer.body.NeutronError?.type]).toEqual([fields, status, type]);
    expect(answer.body.NeutronError.message).toMatch(message);
  }
  expect(
    (await call('POST', '/security-group-rules', rule({ protocol: 'icmp', port_range_min: 8, port_range_max: 0 })))
      .status,
  ).toBe(201);
  const foreign = await call('POST', '/security-group-rules', rule({}), 'stranger');
  expect(foreign.status).toBe(404);
});

it('keeps the groups of ports, and neither group, segment nor port goes while it is needed', async () => {
  const { call, make } = await room();
  const network = await make('/networks', 'network', { name: 'n' });
  const group = await make('/security-groups', 'security_group', { name: 'web' });
  const foreign = await make('/security-groups', 'security_group', { name: 'theirs' }, 'stranger');
  const plain = await make('/ports', 'port', { network_id: network.id });
  expect(plain).toMatchObject({ security_groups: [], port_security_enabled: false });
  const port = await make('/ports', 'port', { network_id: network.id, security_groups: [group.id] });
  expect(port.security_groups).toEqual([group.id]);
  const bad = await call('POST', '/ports', { port: { network_id: network.id, security_groups: [foreign.id] } });
  expect([bad.status, bad.body.NeutronError.type]).toEqual([404, 'SecurityGroupNotFound']);
  expect((await call('GET', `/ports?security_groups=${group.id}`)).body.ports).toHaveLength(1);
  expect(await call('DELETE', `/security-groups/${group.id}`)).toMatchObject({
    status: 409,
    body: { NeutronError: { type: 'SecurityGroupInUse' } },
  });

  const trunk = await make('/trunks', 'trunk', {
    port_id: plain.id,
    sub_ports: [{ port_id: port.id, segmentation_type: 'vlan', segmentation_id: '100' }],
  });
  expect(trunk).toMatchObject({ status: 'DOWN', sub_ports: [{ port_id: port.id, segmentation_id: 100 }] });
  for (const id of [plain.id, port.id])
    expect(await call('DELETE', `/ports/${id}`)).toMatchObject({
      status: 409,
      body: { NeutronError: { type: 'PortInUse' } },
    });
  const third = await make('/ports', 'port', { network_id: network.id });
  const twice = { sub_ports: [{ port_id: third.id, segmentation_type: 'vlan', segmentation_id: 100 }] };
  expect((await call('PUT', `/trunks/${trunk.id}/add_subports`, twice)).body.NeutronError.type).toBe(
    'DuplicateSubPort',
  );
  const vlan = (segmentation_id: number) => ({ sub_ports: [{ port_id: third.id, segmentation_id }] });
  expect((await call('PUT', `/trunks/${trunk.id}/add_subports`, vlan(4095))).status).toBe(400);
  expect((await call('PUT', `/trunks/${trunk.id}/add_subports`, vlan(101))).body.sub_ports).toHaveLength(2);
  expect((await call('GET', `/trunks/${trunk.id}/get_subports`)).body.sub_ports).toHaveLength(2);
  const away = { sub_ports: [{ port_id: port.id }] };
  expect((await call('PUT', `/trunks/${trunk.id}/remove_subports`, away)).body.sub_ports).toHaveLength(1);
  expect((await call('PUT', `/trunks/${trunk.id}/remove_subports`, away)).status).toBe(400);
  expect((await call('DELETE', `/trunks/${trunk.id}`)).status).toBe(204);
  expect((await call('PUT', `/ports/${port.id}`, { port: { security_groups: [] } })).body.port.security_groups).toEqual(
    [],
  );
  expect((await call('DELETE', `/security-groups/${group.id}`)).status).toBe(204);
  for (const id of [plain.id, port.id, third.id]) expect((await call('DELETE', `/ports/${id}`)).status).toBe(204);
});

it('shows segments to administrators, one for each wire and VLAN', async () => {
  const { call, make } = await room();
  const network = await make('/networks', 'network', { name: 'n' });
  const fields = { network_id: network.id, network_type: 'vlan', physical_network: 'rack', segmentation_id: 7 };
  expect((await call('GET', '/segments')).status).toBe(403);
  const segment = await make('/segments', 'segment', fields, 'admin');
  expect(segment).toMatchObject({ name: null, segmentation_id: 7 });
  const again = await call('POST', '/segments', { segment: fields }, 'admin');
  expect([again.status, again.body.NeutronError.message]).toEqual([409, expect.stringContaining('as VLAN 7')]);
  for (const wrong of [
    { network_type: 'vxlan' },
    { segmentation_id: 0 },
    { network_type: 'flat' },
    { physical_network: null },
  ])
    expect((await call('POST', '/segments', { segment: { ...fields, ...wrong } }, 'admin')).status).toBe(400);
  const renamed = await call('PUT', `/segments/${segment.id}`, { segment: { name: 'left' } }, 'admin');
  expect(renamed.body.segment.name).toBe('left');
  expect((await call('DELETE', `/segments/${segment.id}`, undefined, 'admin')).status).toBe(204);
});

it('is what the stock client’s commands expect', async () => {
  const world = await createWorld();
  const identity = createIdentity(world, { region: 'RegionOne' });
  await identity.ensureAdmin('secret');
  const network = createNetwork(world, { authenticate: identity.authenticate });
  const api = createApi();
  api.register(identity.routes, { prefix: '/identity' });
  api.register(network.routes, { prefix: '/network' });
  const listener = await listen(api, { host: '127.0.0.1', port: 0 });
  const base = `http://127.0.0.1:${(listener.address as AddressInfo).port}`;
  onTestFinished(async () => {
    await listener.close();
    await api.close();
  });
  const commands = [
    'network create lan',
    'security group create --description website web',
    'security group rule create --protocol tcp --dst-port 80:81 --remote-ip 192.0.2.0/24 web',
    'security group rule create --egress --protocol icmp --icmp-type 8 web',
    'security group rule list web -f json',
    'security group set --name www web',
    'security group show www -f json',
    'port create --network lan --security-group www parent',
    'port create --network lan child',
    'port show parent -f value -c security_group_ids',
    'network trunk create --parent-port parent --subport port=child,segmentation-type=vlan,segmentation-id=42 t',
    'network trunk show t -f json',
    'network subport list --trunk t -f value',
    'network trunk unset --subport child t',
    'network trunk delete t',
    'network segment create --network lan --network-type vlan --physical-network rack --segment 9 s',
    'network segment set --description left s',
    'network segment list -f json',
    'network segment delete s',
    'port unset --security-group www parent',
    'security group delete www',
    'security group list -f value -c Name',
  ];
  const text = await stockShell({ url: base, password: 'secret' }, commands);
  expect(text).not.toMatch(/exception|traceback|error|not found|could not/i);
  expect(text).toContain('"Port Range": "80:81"');
  expect(text).toMatch(/"name": "www"/);
  expect(text).toMatch(/"segmentation_id": 42/);
  expect(text).toMatch(/"Segment": 9/);
  expect(text.trim().split('\n').at(-1)).toContain('default');
});
