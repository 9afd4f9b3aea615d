import { describe, expect, it, onTestFinished } from 'vitest';
import { atRest, hastyClock, stage } from '../../../test/setup/stacks.ts';
import { createWorld } from '../../../test/setup/world.ts';
import { createApi } from '../../core/http/index.ts';
import type { Plain } from '../model.ts';
import type { PlannedResource } from './resources.ts';

interface PlanFile {
  readonly changes: Readonly<Record<string, number>>;
  readonly order: readonly (readonly string[])[];
  readonly at_once: number;
  readonly expected: { readonly minutes: number; readonly known: number; readonly unknown: number };
  readonly violations: readonly string[];
  readonly resources: readonly PlannedResource[];
  readonly error?: { readonly message: string };
}

async function open({ hasty = false } = {}) {
  const world = await createWorld(hasty ? { clock: hastyClock() } : {});
  const { orchestration, outside } = stage(world);
  const api = createApi();
  api.register(orchestration.routes, { prefix: '/orchestration' });
  onTestFinished(() => api.close());
  await world.operations.run({ sole: true });
  await orchestration.start();
  onTestFinished(() => orchestration.stop());
  const post = async (path: string, payload: object) => {
    const url = `/orchestration/v1/${world.context.projectId}${path}`;
    const answer = await api.inject({ method: 'POST', url, headers: { 'x-auth-token': 't' }, payload });
    return { status: answer.statusCode, text: answer.body, body: answer.json() as PlanFile };
  };
  return {
    world,
    orchestration,
    outside,
    plan: (wish: object) => post('/stacks/s/plan', wish),
    apply: (plan: object) => post('/plans/apply', { plan }),
    make: async (wish: Parameters<typeof orchestration.createStack>[2]) => {
      await orchestration.createStack(world.context, 's', wish);
      return atRest(world, orchestration, 's');
    },
    rest: () => atRest(world, orchestration, 's'),
  };
}

const hot = (resources: { [name: string]: Plain }, more: { [key: string]: Plain } = {}) => ({
  heat_template_version: '2021-04-16',
  resources,
  ...more,
});
const server = (name: string, more: { [key: string]: Plain } = {}): Plain => ({
  type: 'OS::Nova::Server',
  properties: { name, image: 'lab', flavor: 'baremetal', ...more },
});
const wait = (seconds: number, more: { [key: string]: Plain } = {}): Plain => ({
  type: 'OS::Heat::TestResource',
  properties: { action_wait_secs: { create: seconds } },
  ...more,
});

describe('a plan', () => {
  it('says what happens to each resource and to the machine behind it, why, and in which order', async () => {
    const { plan, make } = await open();
    const before = hot({
      keep: { type: 'OS::Heat::None' },
      change: { type: 'OS::Heat::Value', properties: { value: 'one' } },
      renew: { type: 'OS::Heat::RandomString', properties: { length: 8 } },
      leave: { type: 'OS::Heat::None' },
      node: server('old'),
      after: { type: 'OS::Heat::None', depends_on: 'node' },
    });
    const first = (await plan({ template: before })).body;
    expect(first).toMatchObject({ changes: { create: 6 }, at_once: 5, violations: [] });
    expect(first.order.at(-1)).toEqual(['after']);
    expect(first.resources.find(({ name }) => name === 'node')).toMatchObject({ change: 'create', impact: 'boot' });
    expect(await make({ template: before })).toBe('CREATE_COMPLETE');
    const { body } = await plan({
      template: hot({
        keep: { type: 'OS::Heat::None' },
        change: { type: 'OS::Heat::Value', properties: { value: 'two' } },
        renew: { type: 'OS::Heat::RandomString', properties: { length: 9 } },
        node: server('old', { key_name: null, config_drive: false }),
        after: { type: 'OS::Heat::None', depends_on: 'node' },
        come: { type: 'OS::Heat::None' },
      }),
    });
    const told = Object.fromEntries(body.resources.map((one) => [one.name, one]));
    expect(told).toMatchObject({
      keep: { change: 'keep', impact: null },
      change: { change: 'update', properties: [{ name: 'value', from: 'one', to: 'two', unknown: false }] },
      renew: { change: 'replace', because: 'length', properties: [{ name: 'length', from: 8, to: 9 }] },
      node: { change: 'replace', because: 'config_drive', impact: 'wipe' },
      come: { change: 'create' },
      leave: { change: 'delete', because: 'it is no longer in the template' },
    });
    expect(body.order.at(-1)).toEqual(['leave']);
  });

  it('tells a rewrite from a wipe: another image goes onto the same node, unless the policy says REPLACE', async () => {
    const { plan, apply, make, rest, outside } = await open();
    const node = (image: string, more = {}) => hot({ node: server('n', { image, ...more }) });
    expect(await make({ template: node('lab') })).toBe('CREATE_COMPLETE');
    const [id] = outside.servers.keys();
    const told = async (template: object, more = {}) => (await plan({ template, ...more })).body;
    const [rewritten] = (await told(node('debian'))).resources;
    expect(rewritten).toMatchObject({ change: 'update', because: null, impact: 'rewrite' });
    const [replaced] = (await told(node('debian', { image_update_policy: 'REPLACE' }))).resources;
    expect(replaced).toMatchObject({ change: 'replace', because: 'image', impact: 'wipe' });
    expect((await told(node('debian'), { policy: { forbid: ['rewrite'] } })).violations).toHaveLength(1);
    expect((await apply(await told(node('debian')))).status).toBe(202);
    expect(await rest()).toBe('UPDATE_COMPLETE');
    expect([...outside.servers]).toMatchObject([[id, { image_id: 'debian', status: 'ACTIVE' }]]);
  });

  it('foretells minutes by what was usual here, along the longest chain', async () => {
    const { plan, make, world } = await open({ hasty: true });
    expect((await plan({ template: hot({ t: wait(60), s: server('n') }) })).body.expected).toMatchObject({
      minutes: 0,
      known: 0,
      unknown: 1,
    });
    expect(await make({ template: hot({ t: wait(60) }) })).toBe('CREATE_COMPLETE');
    const usual = (await world.db.pool.query('select seconds from orchestration.durations')).rows[0].seconds as number;
    expect(usual).toBeGreaterThan(59);
    const chain = hot({ t: wait(60), u: wait(60, { depends_on: 't' }), v: wait(60, { depends_on: 'u' }), w: wait(60) });
    const { expected } = (await plan({ template: chain })).body;
    expect(expected.known).toBe(3);
    // `t` stands; `u` and `v` come one after the other, `w` beside them.
    expect(Math.abs(expected.minutes - (2 * usual) / 60)).toBeLessThan(0.06);
  });

  it('shows no secret: not by its name, not by the hidden parameter it came from, new or old, however deep', async () => {
    const { plan, make } = await open();
    const wish = (secret: string) => ({
      template: hot(
        {
          plain: { type: 'OS::Heat::Value', properties: { value: { get_param: 'p' } } },
          deep: {
            type: 'OS::Heat::Value',
            properties: {
              value: { a: [{ b: { str_replace: { template: 'x-S-y', params: { S: { get_param: 'p' } } } } }] },
            },
          },
          number: { type: 'OS::Heat::Value', properties: { value: { n: { get_param: 'n' } } } },
          named: { type: 'OS::Heat::Value', properties: { value: { admin_password: 'by its name' } } },
          open: { type: 'OS::Heat::Value', properties: { value: 'readable' } },
          within: { type: 'child.yaml', properties: { x: { get_param: 'p' } } },
        },
        { parameters: { p: { type: 'string', hidden: true }, n: { type: 'number', hidden: true, default: 4711 } } },
      ),
      files: {
        'child.yaml': JSON.stringify(
          hot(
            { inner: { type: 'OS::Heat::Value', properties: { value: { get_param: 'x' } } } },
            { parameters: { x: { type: 'string' } } },
          ),
        ),
      },
      environment: { parameters: { p: secret } },
    });
    const first = await plan(wish('first secret'));
    expect(await make(wish('first secret'))).toBe('CREATE_COMPLETE');
    const second = await plan(wish('second secret'));
    for (const { text } of [first, second]) {
      for (const secret of ['first secret', 'second secret', '4711', 'by its name']) expect(text).not.toContain(secret);
      expect(text).toContain('******');
    }
    expect(first.text).toContain('readable');
    expect(second.body.changes).toEqual({ update: 4, keep: 3 });
  });

  it('is carried out as it is, once, and not when anything has happened since', async () => {
    const { plan, apply, make, rest, orchestration, world } = await open();
    const { context } = world;
    const one = hot({ r: { type: 'OS::Heat::RandomString', properties: { length: 8 } } });
    const two = hot({ r: { type: 'OS::Heat::RandomString', properties: { length: 9 } } });
    const early = (await plan({ template: one })).body;
    expect(await make({ template: one })).toBe('CREATE_COMPLETE');
    const late = await apply(early);
    expect([late.status, late.body.error?.message]).toEqual([
      409,
      expect.stringContaining('a stack of that name is there'),
    ]);
    const planned = (await plan({ template: two })).body;
    expect((await apply(planned)).status).toBe(202);
    expect(await rest()).toBe('UPDATE_COMPLETE');
    const again = await apply(planned);
    expect([again.status, again.body.error?.message]).toEqual([409, expect.stringContaining('it was changed since')]);
    const third = (await plan({ template: one })).body;
    const { id } = await orchestration.findStack(context, 's');
    await world.db.pool.query("update orchestration.resources set physical_id = 'moved' where stack_id = $1", [id]);
    expect((await apply(third)).body.error?.message).toContain('something has happened to its resources since');
    await orchestration.deleteStack(context, 's');
    await rest().catch(() => {});
    expect((await apply(third)).body.error?.message).toContain('the stack is not there any more');
  });

  it.each([
    [
      'most_deletions',
      { most_deletions: 1 },
      '2 resources would be deleted or replaced, and at most 1 may be: node, r',
    ],
    ['protected', { protected: ['n*'] }, 'node is protected, and would be deleted'],
    ['forbid', { forbid: ['wipe'] }, 'wipe is forbidden, and node would be deleted'],
  ])('is refused by a policy, %s, before anything moves', async (_name, policy, sentence) => {
    const { plan, apply, make, orchestration, outside, world } = await open();
    expect(await make({ template: hot({ node: server('n'), r: { type: 'OS::Heat::None' } }) })).toBe('CREATE_COMPLETE');
    const template = hot({ other: { type: 'OS::Heat::None' } });
    const file = (await plan({ template, policy })).body;
    expect(file.violations.join(' ')).toContain(sentence);
    const refused = await apply(file);
    expect([refused.status, refused.body.error?.message]).toEqual([400, expect.stringContaining(sentence)]);
    await expect(orchestration.updateStack(world.context, 's', { template, policy: policy as never })).rejects.toThrow(
      sentence,
    );
    expect(outside.servers.size).toBe(1);
    expect((await orchestration.findStack(world.context, 's')).action).toBe('CREATE');
  });
});

it('fails with what it waited for when the stack’s own time is up', async () => {
  const { make, orchestration, world } = await open({ hasty: true });
  const template = hot({ t: wait(36_000), n: { type: 'OS::Heat::None', depends_on: 't' } });
  expect(await make({ template, timeoutMinutes: 1 })).toBe('CREATE_FAILED');
  const { resources } = await orchestration.activity(world.context, 's');
  const t = resources.find(({ name }) => name === 't');
  expect(t).toMatchObject({ status: 'FAILED', reason: expect.stringContaining('3600') });
  expect((await orchestration.findStack(world.context, 's')).reason).toContain('36000 s');
});
