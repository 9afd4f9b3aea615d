/** Networks, subnets and ports of stacks, in the real network service. */
import { expect, it } from 'vitest';
import { atRest, hastyClock, stage } from '../../../test/setup/stacks.ts';
import { createWorld } from '../../../test/setup/world.ts';
import { createNetwork } from '../../network/index.ts';
import type { Plain } from '../model.ts';

const template = (pool: string, mtu = 1500): { [key: string]: Plain } => ({
  heat_template_version: '2021-04-16',
  resources: {
    net: { type: 'OS::Neutron::Net', properties: { name: 'lan', value_specs: { mtu } } },
    subnet: {
      type: 'OS::Neutron::Subnet',
      properties: {
        network: { get_resource: 'net' },
        cidr: '10.9.0.0/24',
        allocation_pools: [{ start: '10.9.0.10', end: pool }],
        dns_nameservers: ['10.9.0.2'],
      },
    },
    // It names no subnet, and still has to wait for it.
    port: { type: 'OS::Neutron::Port', properties: { network: { get_resource: 'net' } } },
    fixed: {
      type: 'OS::Neutron::Port',
      properties: {
        network: { get_resource: 'net' },
        fixed_ips: [{ subnet: { get_resource: 'subnet' }, ip_address: '10.9.0.99' }],
      },
    },
  },
  outputs: {
    ip: { value: { get_attr: ['port', 'fixed_ips', 0, 'ip_address'] } },
    fixed: { value: { get_attr: ['fixed', 'fixed_ips', 0, 'ip_address'] } },
    cidr: { value: { get_attr: ['subnet', 'cidr'] } },
    mtu: { value: { get_attr: ['net', 'mtu'] } },
  },
});

it('makes them in order, changes what can be changed, and leaves nothing behind', async () => {
  const world = await createWorld();
  const network = createNetwork(world, { authenticate: async () => world.context });
  const { orchestration } = stage(world, { network });
  await world.operations.run({ sole: true });
  await orchestration.start();
  const { context } = world;
  const outputs = async () =>
    Object.fromEntries((await orchestration.outputs(context, 's')).map((one) => [one.output_key, one.output_value]));
  const ids = async () =>
    Object.fromEntries(
      (await orchestration.activity(context, 's')).resources.map(({ name, physical_id }) => [name, physical_id]),
    );
  const stack = await orchestration.createStack(context, 's', { template: template('10.9.0.90') });
  expect(await atRest(world, orchestration, 's')).toBe('CREATE_COMPLETE');
  expect(await outputs()).toEqual({ ip: '10.9.0.10', fixed: '10.9.0.99', cidr: '10.9.0.0/24', mtu: 1500 });
  const before = await ids();
  await orchestration.updateStack(context, 's', { template: template('10.9.0.95', 9000) });
  expect(await atRest(world, orchestration, 's')).toBe('UPDATE_COMPLETE');
  expect(await ids()).toEqual(before);
  expect((await network.findSubnet(context, before.subnet ?? '')).allocationPools).toEqual([
    { start: '10.9.0.10', end: '10.9.0.95' },
  ]);
  expect((await network.findNetwork(context, 'lan')).mtu).toBe(9000);
  await orchestration.deleteStack(context, 's');
  expect(await atRest(world, orchestration, stack.id)).toBe('DELETE_COMPLETE');
  expect(await network.listNetworks(context)).toEqual([]);
  expect(await network.listPorts(context)).toEqual([]);
});

it('refuses a network that is not there before anything is made', async () => {
  const world = await createWorld();
  const network = createNetwork(world, { authenticate: async () => world.context });
  const { orchestration } = stage(world, { network });
  const port = { type: 'OS::Neutron::Port', properties: { network: 'nosuch' } };
  const made = orchestration.createStack(world.context, 's', {
    template: { heat_template_version: '2021-04-16', resources: { port } },
  });
  await expect(made).rejects.toThrow('The resource port of stack s cannot be made: Network nosuch could not be found.');
});

it('tells what keeps it from being deleted instead of waiting for ever, and is deleted once that is gone', async () => {
  const world = await createWorld({ clock: hastyClock() });
  const network = createNetwork(world, { authenticate: async () => world.context });
  const { orchestration } = stage(world, { network });
  await world.operations.run({ sole: true });
  await orchestration.start();
  const { context } = world;
  const stack = await orchestration.createStack(context, 's', { template: template('10.9.0.90') });
  await atRest(world, orchestration, 's');
  const lan = await network.findNetwork(context, 'lan');
  const foreign = await network.createPort(context, { networkId: lan.id, name: 'foreign' });
  await orchestration.deleteStack(context, 's');
  expect(await atRest(world, orchestration, stack.id)).toBe('DELETE_FAILED');
  const { reason } = await orchestration.findStack(context, stack.id);
  expect(reason).toContain('Resource DELETE failed: resources.subnet: Unable to complete operation on subnet');
  expect(reason).toContain(foreign.id);
  await network.deletePort(context, foreign.id);
  await orchestration.deleteStack(context, 's');
  expect(await atRest(world, orchestration, stack.id)).toBe('DELETE_COMPLETE');
  expect(await network.listNetworks(context)).toEqual([]);
});
