/** Security groups, segments and trunks from templates, in the real network service. */
import { expect, it } from 'vitest';
import { atRest, stage } from '../../../test/setup/stacks.ts';
import { createWorld } from '../../../test/setup/world.ts';
import { createNetwork } from '../../network/index.ts';
import type { Plain } from '../model.ts';

async function room() {
  const world = await createWorld();
  const network = createNetwork(world, { authenticate: async () => world.context });
  const { orchestration } = stage(world, { network });
  await world.operations.run({ sole: true });
  await orchestration.start();
  const { context } = world;
  return {
    world,
    network,
    orchestration,
    context,
    rest: (name: string) => atRest(world, orchestration, name),
    ids: async () =>
      Object.fromEntries(
        (await orchestration.activity(context, 's')).resources.map(({ name, physical_id }) => [
          name,
          physical_id ?? '',
        ]),
      ),
  };
}

const hot = (rules: Plain[], vlan: number, name = 'web'): { [key: string]: Plain } => ({
  heat_template_version: '2021-04-16',
  resources: {
    net: { type: 'OS::Neutron::Net', properties: { name: 'lan' } },
    group: { type: 'OS::Neutron::SecurityGroup', properties: { name, rules } },
    rule: {
      type: 'OS::Neutron::SecurityGroupRule',
      properties: {
        security_group: { get_resource: 'other' },
        remote_group: { get_resource: 'group' },
        protocol: 'udp',
      },
    },
    other: { type: 'OS::Neutron::SecurityGroup' },
    parent: {
      type: 'OS::Neutron::Port',
      properties: { network: { get_resource: 'net' }, security_groups: [{ get_resource: 'group' }] },
    },
    child: { type: 'OS::Neutron::Port', properties: { network: { get_resource: 'net' } } },
    trunk: {
      type: 'OS::Neutron::Trunk',
      properties: {
        port: { get_resource: 'parent' },
        sub_ports: [{ port: { get_resource: 'child' }, segmentation_type: 'vlan', segmentation_id: vlan }],
      },
    },
    segment: {
      type: 'OS::Neutron::Segment',
      properties: {
        network: { get_resource: 'net' },
        network_type: 'vlan',
        physical_network: 'rack',
        segmentation_id: 12,
        name: `segment of ${name}`,
      },
    },
  },
  outputs: {
    port: { value: { get_attr: ['trunk', 'port_id'] } },
    groups: { value: { get_attr: ['parent', 'security_groups'] } },
  },
});

const http = { protocol: 'tcp', port_range_min: 80, port_range_max: 80, remote_ip_prefix: '192.0.2.0/24' };

it('makes them, changes them in place, and takes them away', async () => {
  const { network, orchestration, context, rest, ids } = await room();
  const { id } = await orchestration.createStack(context, 's', { template: hot([http, http], 100) });
  expect(await rest('s')).toBe('CREATE_COMPLETE');
  const made = await ids();
  const told = async () =>
    (await network.securityGroups.find(context, made.group ?? '')).rules
      .map((one) => `${one.direction} ${one.ethertype} ${one.protocol} ${one.remoteIpPrefix ?? one.remoteGroupId}`)
      .sort();
  expect(await told()).toEqual(['egress IPv4 null null', 'egress IPv6 null null', 'ingress IPv4 tcp 192.0.2.0/24']);
  const outputs = Object.fromEntries(
    (await orchestration.outputs(context, 's')).map((one) => [one.output_key, one.output_value]),
  );
  expect(outputs).toEqual({ port: made.parent, groups: [made.group] });
  const rules: Plain[] = [{ direction: 'egress', protocol: 'icmp' }, { remote_mode: 'remote_group_id' }];
  await orchestration.updateStack(context, 's', { template: hot(rules, 101, 'www') });
  expect(await rest('s')).toBe('UPDATE_COMPLETE');
  expect(await ids()).toEqual(made);
  expect(await told()).toEqual(['egress IPv4 icmp null', `ingress IPv4 null ${made.group}`]);
  expect((await network.trunks.find(context, made.trunk ?? '')).subPorts).toMatchObject([{ segmentationId: 101 }]);
  expect((await network.segments.find(context, made.segment ?? '')).name).toBe('segment of www');
  expect((await network.securityGroups.find(context, made.other ?? '')).rules).toContainEqual(
    expect.objectContaining({ protocol: 'udp', remoteGroupId: made.group }),
  );
  // What somebody took away by hand keeps nothing from being deleted.
  await network.segments.remove(context, made.segment ?? '');
  await orchestration.deleteStack(context, 's');
  expect(await rest(id)).toBe('DELETE_COMPLETE');
  expect((await network.securityGroups.list(context)).map(({ name }) => name)).toEqual(['default']);
  expect([...(await network.trunks.list(context)), ...(await network.listPorts(context))]).toEqual([]);
});

it('takes AWS’s words for a group', async () => {
  const { network, orchestration, context, rest, ids } = await room();
  const template: { [key: string]: Plain } = {
    AWSTemplateFormatVersion: '2010-09-09',
    Resources: {
      Web: {
        Type: 'AWS::EC2::SecurityGroup',
        Properties: {
          GroupDescription: 'web',
          SecurityGroupIngress: [
            { IpProtocol: 'tcp', FromPort: '22', ToPort: '22', CidrIp: '0.0.0.0/0' },
            { IpProtocol: '-1', SourceSecurityGroupName: 'default' },
          ],
        },
      },
    },
    Outputs: { Id: { Value: { Ref: 'Web' } } },
  };
  await network.securityGroups.list(context);
  const { id } = await orchestration.createStack(context, 's', { template });
  expect(await rest('s')).toBe('CREATE_COMPLETE');
  const group = await network.securityGroups.find(context, (await ids()).Web ?? '');
  expect(group).toMatchObject({ description: 'web', name: expect.stringMatching(/^s-Web-/) });
  expect(group.rules.filter((one) => one.direction === 'ingress')).toMatchObject([
    { protocol: 'tcp', portRangeMin: 22, remoteIpPrefix: '0.0.0.0/0' },
    { protocol: null, remoteGroupId: expect.any(String) },
  ]);
  expect(await orchestration.outputs(context, 's')).toMatchObject([{ output_value: group.id }]);
  await orchestration.deleteStack(context, 's');
  expect(await rest(id)).toBe('DELETE_COMPLETE');
});

it('says which words of a rule are at fault', async () => {
  const { orchestration, context, rest } = await room();
  const template = hot([{ protocol: 'tcp', port_range_min: 90, port_range_max: 80 }], 5);
  await orchestration.createStack(context, 's', { template });
  expect(await rest('s')).toBe('CREATE_FAILED');
  expect((await orchestration.findStack(context, 's')).reason).toContain('90 to 80 is no range of ports');
});
