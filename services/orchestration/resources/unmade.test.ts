/** Types that are only understood: valid everywhere, refused with their place and reason before anything is made. */
import { expect, it } from 'vitest';
import { atRest, stage } from '../../../test/setup/stacks.ts';
import { createWorld } from '../../../test/setup/world.ts';
import { createApi } from '../../core/http/index.ts';
import { builtInCatalog } from '../language/index.ts';
import { handlerOf } from './index.ts';
import { unmadeReason } from './unmade.ts';

const template = `heat_template_version: 2021-04-16
parameters:
  size: {type: number, default: 3}
resources:
  first: {type: 'OS::Heat::RandomString'}
  disk:
    type: OS::Cinder::Volume
    properties: {size: {get_param: size}}
  router: {type: 'OS::Neutron::Router', properties: {name: {get_attr: [first, value]}}}
`;

async function room() {
  const world = await createWorld();
  const { orchestration } = stage(world);
  await world.operations.run({ sole: true });
  await orchestration.start();
  const api = createApi();
  api.register(orchestration.routes, { prefix: '/orchestration' });
  const post = async (path: string, payload: object) => {
    const url = `/orchestration/v1/${world.context.projectId}${path}`;
    const answer = await api.inject({ method: 'POST', url, headers: { 'x-auth-token': 'any' }, payload });
    return { status: answer.statusCode, body: answer.json() };
  };
  return { world, orchestration, post };
}

it('passes validation and preview, with advice for who asks for it', async () => {
  const { post } = await room();
  const validated = await post('/validate?lint=True', { template });
  expect(validated.status).toBe(200);
  expect(validated.body.Advice).toEqual([
    {
      place: 'template:6:3: ',
      message:
        'disk: The type OS::Cinder::Volume is understood but not made by this undercloud: it has no block storage; a node’s disks are its own. A stack with it is refused before anything is made.',
    },
    { place: 'template:9:3: ', message: expect.stringContaining('it routes nothing') },
  ]);
  expect((await post('/validate', { template })).body).not.toHaveProperty('Advice');
  expect((await post('/stacks/preview', { stack_name: 's', template })).status).toBe(200);
});

it('checks its properties like any other’s', async () => {
  const { post } = await room();
  const wrong = template.replace('properties: {size:', 'properties: {sise: 1, size:');
  const { status, body } = await post('/stacks', { stack_name: 's', template: wrong });
  expect([status, body.error.message]).toEqual([400, expect.stringMatching(/Unknown Property sise/)]);
});

it('is refused when it is created or comes with an update, and nothing is begun', async () => {
  const { world, orchestration, post } = await room();
  const { status, body } = await post('/stacks', { stack_name: 's', template });
  expect(status).toBe(400);
  expect(body.error.message).toMatch(
    /^template:\d+:\d+: The resource (disk|router) of stack s cannot be made: The type OS::(Cinder::Volume|Neutron::Router) is understood but not made/,
  );
  await expect(orchestration.findStack(world.context, 's')).rejects.toThrow('could not be found');
  const good = template.split('\n').slice(0, 5).join('\n');
  await orchestration.createStack(world.context, 's', { template: good });
  expect(await atRest(world, orchestration, 's')).toBe('CREATE_COMPLETE');
  await expect(orchestration.updateStack(world.context, 's', { template })).rejects.toThrow(
    'is understood but not made',
  );
  expect((await orchestration.findStack(world.context, 's')).action).toBe('CREATE');
});

it('has a reason of its own for each type that the undercloud’s neighbours would make', () => {
  const vague = [...builtInCatalog.names()].filter(
    (type) =>
      /^(OS::(Neutron|Nova|Keystone|Glance|Heat|Swift|Ironic|Cinder|Octavia|Zaqar)|AWS)::/.test(type) &&
      handlerOf(type) === undefined &&
      unmadeReason(type) === 'its service is not here',
  );
  expect(vague).toEqual([]);
});
