import { describe, expect, it, onTestFinished } from 'vitest';
import { atRest, stage } from '../../../test/setup/stacks.ts';
import { createWorld } from '../../../test/setup/world.ts';
import { isAdmin } from '../../core/context.ts';
import { fault } from '../../core/errors/index.ts';
import { createApi } from '../../core/http/index.ts';

async function open() {
  const world = await createWorld();
  const member = { ...world.context, roles: ['member'] };
  const contexts = {
    admin: world.context,
    member,
    reader: { ...member, roles: ['reader'] },
    stranger: { ...member, projectId: 's'.repeat(32) },
  };
  const { orchestration, outside } = stage(world, {
    authenticate: async (token) => {
      const context = contexts[token as keyof typeof contexts];
      if (!context) throw fault('unauthorized');
      return context;
    },
  });
  const api = createApi();
  api.register(orchestration.routes, { prefix: '/orchestration' });
  await world.operations.run({ sole: true });
  await orchestration.start();
  onTestFinished(() => api.close());
  const ask = async (
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    path: string,
    body?: object,
    token = 'member',
  ) => {
    const url = `/orchestration/v1/${token === 'stranger' ? 's'.repeat(32) : member.projectId}${path}`;
    const answer = await api.inject({
      method,
      url,
      headers: { 'x-auth-token': token, host: 'uc:1' },
      ...(body && { payload: body }),
    });
    return {
      status: answer.statusCode,
      body: answer.body === '' ? null : answer.json(),
      location: answer.headers.location,
    };
  };
  return {
    world,
    orchestration,
    outside,
    api,
    ask,
    isAdmin,
    rest: (name: string) => atRest(world, orchestration, name),
  };
}

const template = {
  heat_template_version: '2021-04-16',
  resources: {
    a: { type: 'OS::Heat::RandomString' },
    b: { type: 'OS::Heat::Value', properties: { value: { get_attr: ['a', 'value'] } } },
  },
};

describe('Heat v1', () => {
  it('tells its version without a token, and refuses the rest in the middleware’s own shape', async () => {
    const { api } = await open();
    const root = await api.inject({ url: '/orchestration', headers: { host: 'uc:1' } });
    expect([root.statusCode, root.json()]).toEqual([
      300,
      {
        versions: [{ id: 'v1.0', status: 'CURRENT', links: [{ rel: 'self', href: 'http://uc:1/orchestration/v1/' }] }],
      },
    ]);
    const refused = await api.inject({ url: '/orchestration/v1/abc/stacks' });
    expect([refused.statusCode, refused.json()]).toEqual([
      401,
      { error: { code: 401, title: 'Unauthorized', message: 'The request you have made requires authentication.' } },
    ]);
  });

  it('creates with a Location, answers short paths directly, and pages events by marker', async () => {
    const { ask, rest } = await open();
    const made = await ask('POST', '/stacks', { stack_name: 's', template, disable_rollback: true, tags: 'x,y' });
    expect(made.status).toBe(201);
    const whole = made.body.stack.links[0].href as string;
    expect(made.location).toBe(whole);
    expect(await rest('s')).toBe('CREATE_COMPLETE');
    const short = await ask('GET', '/stacks/s');
    expect([short.status, short.location, short.body.stack.stack_status]).toEqual([200, whole, 'CREATE_COMPLETE']);
    const path = whole.replace(/^.*\/stacks/, '/stacks');
    const events = (await ask('GET', `${path}/events?sort_dir=asc`)).body.events as {
      id: string;
      resource_name: string;
    }[];
    expect(events.map(({ resource_name }) => resource_name)).toEqual(['s', 'a', 'a', 'b', 'b', 's']);
    const [first, second] = events;
    const after = (await ask('GET', `${path}/events?marker=${first?.id}&limit=2`)).body.events as { id: string }[];
    expect(after.map(({ id }) => id)).toEqual(events.slice(1, 3).map(({ id }) => id));
    expect((await ask('GET', `${path}/events?sort_dir=desc&limit=1`)).body.events[0].id).toBe(events.at(-1)?.id);
    expect((await ask('GET', `${path}/resources/a/events/${second?.id}`)).body.event.resource_type).toBe(
      'OS::Heat::RandomString',
    );
    expect((await ask('GET', '/stacks?tags=x&limit=5')).body.stacks).toHaveLength(1);
    expect((await ask('GET', '/stacks?not_tags=x')).body.stacks).toHaveLength(0);
    expect((await ask('GET', '/stacks?limit=many')).status).toBe(400);
    expect((await ask('POST', '/stacks', { stack_name: 's', template })).body.error).toMatchObject({
      type: 'StackExists',
      message: 'The Stack (s) already exists.',
    });
    expect((await ask('DELETE', '/stacks/s')).status).toBe(204);
  });

  it('answers mistakes in a template with Heat’s class, and with the place where the text is known', async () => {
    const { ask } = await open();
    const create = async (text: unknown, more: object = {}) =>
      (await ask('POST', '/stacks', { stack_name: 's', template: text, template_file: 'my.yaml', ...more })).body;
    expect(
      await create({
        heat_template_version: '2021-04-16',
        resources: { r: { type: 'OS::Heat::RandomString', properties: { foo: 1 } } },
      }),
    ).toEqual({
      code: 400,
      title: 'Bad Request',
      explanation: 'The server could not comply with the request since it is either malformed or otherwise incorrect.',
      error: {
        type: 'StackValidationFailed',
        message: 'Property error: resources.r.properties.foo: Unknown Property foo.',
        traceback: null,
      },
    });
    const messages = {
      yaml: await create('heat_template_version: 2021-04-16\nresources:\n  a: [\n'),
      type: await create('heat_template_version: 2021-04-16\nresources:\n  r:\n    type: OS::No::Such\n'),
      property: await create(
        'heat_template_version: 2021-04-16\nresources:\n  r:\n    type: OS::Heat::RandomString\n    properties:\n      length: 9999\n',
      ),
      parameter: await create('heat_template_version: 2021-04-16\nparameters:\n  p: {type: string}\n'),
      image: await create(
        'heat_template_version: 2021-04-16\nresources:\n  s:\n    type: OS::Nova::Server\n    properties:\n      flavor: baremetal\n      image: nosuch\n',
      ),
      inner: await create(
        'heat_template_version: 2021-04-16\nresources:\n  g:\n    type: OS::Heat::ResourceGroup\n    properties:\n      resource_def: {type: OS::No::Such}\n',
      ),
    };
    const said = Object.fromEntries(
      Object.entries(messages).map(([name, body]) => [name, body.error.message as string]),
    );
    expect(said.yaml).toMatch(/my\.yaml:4:1/);
    expect(said.type).toMatch(/^my\.yaml:4:\d+: .*The Resource Type \(OS::No::Such\) could not be found\.$/);
    expect(said.property).toMatch(/^my\.yaml:6:\d+: .*9999 is out of range/);
    expect(said.parameter).toMatch(
      /^my\.yaml:3:\d+: The Parameter \(p\) was not provided\. Give it with --parameter NAME=VALUE/,
    );
    expect(said.image).toMatch(
      /^my\.yaml:7:\d+: The resource s of stack s cannot be made: The image nosuch could not be found\.$/,
    );
    expect(said.inner).toMatch(/^my\.yaml:3:\d+: resources\.g: .*OS::No::Such/);
    expect((await ask('GET', '/stacks')).body.stacks).toEqual([]);
  });

  it('refuses bodies that are none, and what it does not do', async () => {
    const { ask, rest } = await open();
    const status = async (...args: Parameters<typeof ask>) => (await ask(...args)).status;
    expect(await status('POST', '/stacks')).toBe(400);
    expect(await status('POST', '/stacks', [])).toBe(400);
    expect(await status('POST', '/stacks', { stack_name: 's' })).toBe(400);
    expect(await status('POST', '/stacks', { stack_name: '1 s', template })).toBe(400);
    expect(await status('POST', '/stacks', { stack_name: 's', template, timeout_mins: -1 })).toBe(400);
    expect(await status('POST', '/stacks', { stack_name: 's', template_url: 'file:///etc/passwd' })).toBe(400);
    expect(
      await status('POST', '/stacks', {
        stack_name: 's',
        template: {
          heat_template_version: '2021-04-16',
          resources: { f: { type: 'OS::Heat::Value', properties: { value: { get_file: '/etc/passwd' } } } },
        },
      }),
    ).toBe(400);
    await ask('POST', '/stacks', { stack_name: 's', template });
    await rest('s');
    expect(await status('POST', '/stacks/s/actions', {})).toBe(400);
    expect(await status('POST', '/stacks/s/actions', { explode: null })).toBe(400);
    expect(await status('POST', '/stacks/s/actions', { check: null, suspend: null })).toBe(400);
    expect(await status('GET', '/stacks/s/x/resources/nosuch')).toBe(404);
    expect(await status('GET', '/stacks/nosuch')).toBe(404);
  });

  it('lets each project see its own, and readers only read', async () => {
    const { ask, rest } = await open();
    await ask('POST', '/stacks', { stack_name: 's', template });
    await rest('s');
    expect((await ask('GET', '/stacks/s', undefined, 'stranger')).status).toBe(404);
    expect((await ask('GET', '/stacks', undefined, 'stranger')).body.stacks).toEqual([]);
    expect((await ask('GET', '/stacks/s', undefined, 'reader')).status).toBe(200);
    expect((await ask('DELETE', '/stacks/s', undefined, 'reader')).status).toBe(403);
    expect((await ask('GET', '/stacks?global_tenant=True')).status).toBe(403);
    expect((await ask('GET', '/stacks?global_tenant=True', undefined, 'admin')).body.stacks).toHaveLength(1);
  });

  it('plans what an update would do, with the property that forces it', async () => {
    const { ask, rest } = await open();
    const changed = {
      ...template,
      resources: {
        a: { type: 'OS::Heat::RandomString', properties: { length: 9 } },
        b: template.resources.b,
        n: { type: 'OS::Heat::None' },
      },
    };
    const before = (await ask('POST', '/stacks/s/plan', { template })).body;
    expect(before.resources.map((one: { name: string; change: string }) => [one.name, one.change])).toEqual([
      ['a', 'create'],
      ['b', 'create'],
    ]);
    await ask('POST', '/stacks', { stack_name: 's', template });
    await rest('s');
    const after = (await ask('POST', '/stacks/s/plan', { template: changed })).body.resources as {
      name: string;
      change: string;
      because: string;
    }[];
    expect(Object.fromEntries(after.map(({ name, change, because }) => [name, [change, because]]))).toEqual({
      a: ['replace', 'length'],
      b: ['update', 'a changes'],
      n: ['create', null],
    });
    const same = (await ask('POST', '/stacks/s/plan', { template })).body.resources as { change: string }[];
    expect(same.map(({ change }) => change)).toEqual(['keep', 'keep']);
    const less = { ...template, resources: { a: template.resources.a } };
    expect((await ask('POST', '/stacks/s/plan', { template: less })).body.resources[1]).toMatchObject({
      name: 'b',
      change: 'delete',
    });
  });
});
