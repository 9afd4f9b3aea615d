import { expect, it } from 'vitest';
import { atRest, stage } from '../../test/setup/stacks.ts';
import { createWorld } from '../../test/setup/world.ts';
import { adoptionFrom } from './export.ts';
import type { Plain } from './model.ts';

const child = JSON.stringify({
  heat_template_version: '2016-10-14',
  parameters: { x: { type: 'string' } },
  resources: { rs: { type: 'OS::Heat::RandomString', properties: { length: 5 } } },
  outputs: { out: { value: { list_join: ['', [{ get_param: 'x' }, { get_attr: ['rs', 'value'] }]] } } },
});

const template: { [key: string]: Plain } = {
  heat_template_version: '2021-04-16',
  resources: {
    s: { type: 'OS::Nova::Server', properties: { image: 'lab', flavor: 'baremetal' } },
    g: {
      type: 'OS::Heat::ResourceGroup',
      properties: { count: 2, resource_def: { type: 'child.yaml', properties: { x: 'n%index%' } } },
    },
  },
  outputs: { g: { value: { get_attr: ['g', 'out'] } } },
};

it('gives a stack away as data and takes it back, the stacks within and the machines too', async () => {
  const world = await createWorld();
  const { orchestration, outside } = stage(world);
  const { context } = world;
  await world.operations.run({ sole: true });
  await orchestration.start();
  await orchestration.createStack(context, 's', { template, files: { 'child.yaml': child } });
  expect(await atRest(world, orchestration, 's')).toBe('CREATE_COMPLETE');
  const [before] = await orchestration.outputs(context, 's');
  const servers = [...outside.servers.keys()];
  const data = await orchestration.abandonStack(context, 's');
  expect([...outside.servers.keys()]).toEqual(servers);

  const { resources, files, template: given, environment } = adoptionFrom(JSON.stringify(data));
  const { resource_registry = {} } = environment;
  const wish = { template: given, environment: { resource_registry }, files, adopt: { resources } };
  await orchestration.createStack(context, 't', wish);
  expect(await atRest(world, orchestration, 't')).toBe('ADOPT_COMPLETE');
  expect((await orchestration.outputs(context, 't'))[0]).toEqual(before);
  expect([...outside.servers.keys()]).toEqual(servers);
  const { id } = await orchestration.findStack(context, 't');
  await orchestration.deleteStack(context, 't');
  expect(await atRest(world, orchestration, id)).toBe('DELETE_COMPLETE');
  expect([...outside.servers.keys()]).toEqual([]);
});
