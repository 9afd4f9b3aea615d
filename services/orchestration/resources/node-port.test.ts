/** OS::Ironic::Port in the real bare-metal service. */
import { expect, it } from 'vitest';
import { atRest, stage } from '../../../test/setup/stacks.ts';
import { createWorld } from '../../../test/setup/world.ts';
import { createBaremetal } from '../../baremetal/index.ts';
import type { Context } from '../../core/context.ts';
import { createPower } from '../../power/index.ts';
import type { Plain } from '../model.ts';

async function room() {
  const world = await createWorld();
  const baremetal = createBaremetal(world, {
    power: createPower(world),
    images: { find: async () => null, deployInfo: async () => null } as never,
    authenticate: async () => world.context,
    hostname: 'undercloud',
    fleet: null,
  });
  const { orchestration } = stage(world, { baremetal });
  await world.operations.run({ sole: true });
  await orchestration.start();
  const node = await baremetal.createNode(world.context, { name: 'n1', driver: 'fake-hardware' });
  return { world, baremetal, orchestration, node, rest: (name: string) => atRest(world, orchestration, name) };
}

const template = (address: string, more: { [key: string]: Plain } = {}): { [key: string]: Plain } => ({
  heat_template_version: '2021-04-16',
  resources: { port: { type: 'OS::Ironic::Port', properties: { node: 'n1', address, ...more } } },
  outputs: {
    address: { value: { get_attr: ['port', 'address'] } },
    node: { value: { get_attr: ['port', 'node_uuid'] } },
    link: { value: { get_attr: ['port', 'local_link_connection', 'port_id'] } },
  },
});

it('is made, changed in place and deleted', async () => {
  const { world, baremetal, orchestration, node, rest } = await room();
  const { context } = world;
  const link = { local_link_connection: { port_id: 'Eth1', switch_id: '00:00:5e:00:53:01' } };
  const { id } = await orchestration.createStack(context, 's', { template: template('52-54-00-AA-00-01', link) });
  expect(await rest('s')).toBe('CREATE_COMPLETE');
  const outputs = Object.fromEntries(
    (await orchestration.outputs(context, 's')).map((one) => [one.output_key, one.output_value]),
  );
  expect(outputs).toEqual({ address: '52:54:00:aa:00:01', node: node.uuid, link: 'Eth1' });
  const [before] = await baremetal.portsOf(node.uuid);
  await orchestration.updateStack(context, 's', { template: template('52:54:00:aa:00:02', { pxe_enabled: false }) });
  expect(await rest('s')).toBe('UPDATE_COMPLETE');
  expect(await baremetal.portsOf(node.uuid)).toMatchObject([
    { uuid: before?.uuid, address: '52:54:00:aa:00:02', pxeEnabled: false, localLinkConnection: {} },
  ]);
  await orchestration.deleteStack(context, 's');
  expect(await rest(id)).toBe('DELETE_COMPLETE');
  expect(await baremetal.portsOf(node.uuid)).toEqual([]);
});

it('says what is at fault: the address, who has it, the node, who asks, the port group', async () => {
  const { world, orchestration, rest } = await room();
  const { context } = world;
  const reasonOf = async (name: string, wanted: { [key: string]: Plain }, as: Context = context) => {
    await orchestration.createStack(as, name, { template: wanted });
    expect(await rest(name)).toBe('CREATE_FAILED');
    return (await orchestration.findStack(context, name)).reason;
  };
  const mac = '52:54:00:aa:00:01';
  await orchestration.createStack(context, 'first', { template: template(mac) });
  expect(await rest('first')).toBe('CREATE_COMPLETE');
  expect(await reasonOf('a', template(mac))).toContain(mac);
  expect(await reasonOf('b', template('52:54'))).toContain('Expected valid MAC address for address: 52:54');
  expect(await reasonOf('c', template('52:54:00:aa:00:03', { node: 'nosuch' }))).toContain(
    'Node nosuch could not be found',
  );
  expect(await reasonOf('d', template('52:54:00:aa:00:04', { portgroup: 'g' }))).toContain('it has no port groups');
  const member = { ...context, roles: ['member'] };
  expect(await reasonOf('e', template('52:54:00:aa:00:05'), member)).toMatch(
    /baremetal:port:create.*needs one of the roles admin/,
  );
});
