/** A process that dies at any transition of a stack leaves no trace of its death in what the stack becomes. */
import { describe, expect, it } from 'vitest';
import { atRest, newOutside, stage } from '../../test/setup/stacks.ts';
import { createWorld, freshDatabaseUrl } from '../../test/setup/world.ts';
import { Killed } from '../core/operations/index.ts';
import type { TransitionMoment } from './engine/session.ts';
import type { Plain } from './model.ts';

type Template = { [key: string]: Plain };

const child = JSON.stringify({
  heat_template_version: '2016-10-14',
  parameters: { x: { type: 'string' } },
  resources: {
    rs: { type: 'OS::Heat::RandomString', properties: { length: 5 } },
    after: {
      type: 'OS::Heat::Value',
      properties: { value: { list_join: ['', [{ get_param: 'x' }, { get_attr: ['rs', 'value'] }]] } },
    },
  },
  outputs: { out: { value: { get_attr: ['after', 'value'] } } },
});

const template = (length: number, count: number, more: Template = {}): Template => ({
  heat_template_version: '2021-04-16',
  resources: {
    r: { type: 'OS::Heat::RandomString', properties: { length } },
    c: { type: 'OS::Heat::SoftwareConfig', properties: { config: 'echo', group: 'script' } },
    s: {
      type: 'OS::Nova::Server',
      properties: { image: 'lab', flavor: 'baremetal', user_data_format: 'SOFTWARE_CONFIG' },
    },
    d: {
      type: 'OS::Heat::SoftwareDeployment',
      properties: {
        config: { get_resource: 'c' },
        server: { get_resource: 's' },
        signal_transport: 'NO_SIGNAL',
        input_values: { p: { get_attr: ['r', 'value'] } },
      },
    },
    g: {
      type: 'OS::Heat::ResourceGroup',
      depends_on: 'd',
      properties: { count, resource_def: { type: 'child.yaml', properties: { x: 'n%index%' } } },
    },
    ...more,
  },
  outputs: {
    ip: { value: { get_attr: ['s', 'first_address'] } },
    g: { value: { get_attr: ['g', 'out'] } },
    r: { value: { get_attr: ['r', 'value'] } },
  },
});

/** Where each act ends when nobody disturbs it. */
const ends = {
  create: 'CREATE_COMPLETE',
  update: 'UPDATE_COMPLETE',
  delete: 'DELETE_COMPLETE',
  'create that fails': 'CREATE_FAILED',
  'create that is rolled back': 'ROLLBACK_COMPLETE',
} as const;
type Act = keyof typeof ends;

const bad: Template = { bad: { type: 'OS::Heat::TestResource', depends_on: 'g', properties: { fail: true } } };

/** Plays the act to its end; where `dieAt` says so the process dies and another takes its place. */
async function play(act: Act, dieAt: number | null) {
  const databaseUrl = await freshDatabaseUrl();
  const outside = newOutside();
  const moments: TransitionMoment[] = [];
  let counting = false;
  let died = false;
  let die = () => {};
  const death = new Promise<'dead'>((resolve) => {
    die = () => resolve('dead');
  });
  const probe = (moment: TransitionMoment) => {
    if (!counting || died) return;
    moments.push(moment);
    if (moments.length - 1 !== dieAt) return;
    died = true;
    die();
    throw new Killed();
  };
  const fresh = act.startsWith('create');
  let id = '';
  for (let life = 1; life <= 2; life += 1) {
    const world = await createWorld({ databaseUrl, owner: 'orchestration', keep: true });
    const { orchestration } = stage(world, { outside, probe });
    try {
      await world.operations.run({ sole: true });
      await orchestration.start();
      const files = { 'child.yaml': child };
      if (life === 1) {
        if (!fresh) {
          await orchestration.createStack(world.context, 's', { template: template(8, 2), files });
          await atRest(world, orchestration, 's');
        }
        counting = true;
        const more = act === 'create' ? {} : bad;
        if (fresh) {
          const wish = { template: template(8, 2, more), files, disableRollback: act !== 'create that is rolled back' };
          await orchestration.createStack(world.context, 's', wish);
        } else id = (await orchestration.findStack(world.context, 's')).id;
        if (act === 'update') {
          const wish = { template: template(9, 1, { n: { type: 'OS::Heat::None' } }), files };
          await orchestration.updateStack(world.context, 's', wish);
        }
        if (act === 'delete') await orchestration.deleteStack(world.context, 's');
      }
      id ||= (await orchestration.findStack(world.context, 's')).id;
      const end = await Promise.race([
        atRest(world, orchestration, id),
        death.then((dead) => (life === 1 ? dead : new Promise<never>(() => {}))),
      ]);
      if (end === 'dead') continue;
      return { end, seen: await observe(world, orchestration, id, outside), moments };
    } finally {
      await world.close();
    }
  }
  throw new Error('the second life did not end');
}

async function observe(
  world: Awaited<ReturnType<typeof createWorld>>,
  orchestration: ReturnType<typeof stage>['orchestration'],
  id: string,
  outside: ReturnType<typeof newOutside>,
) {
  const shape = (
    resources: readonly { name: string; action: string; status: string; resources: readonly never[] }[],
  ): unknown =>
    resources
      .map(({ name, action, status, resources: inner }) => ({
        name,
        state: `${action}_${status}`,
        inner: shape(inner),
      }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  const { resources } = await orchestration.activity(world.context, id);
  const outputs = resources.length > 0 ? await orchestration.outputs(world.context, id) : [];
  const count = async (table: string) =>
    (await world.db.pool.query(`select count(*)::int as n from ${table}`)).rows[0].n as number;
  return {
    resources: shape(resources as never),
    outputs: outputs.map(({ output_key, output_value }) => [
      output_key,
      JSON.stringify(output_value).replace(/[A-Za-z0-9]/g, 'x'),
    ]),
    servers: outside.servers.size,
    nodes: outside.nodes,
    configs: await count('orchestration.configs'),
    deployments: await count('orchestration.deployments'),
    credentials: await count('orchestration.credentials'),
    stacks: await count('orchestration.stacks'),
    users: await count("identity.users where domain_id = 'stacks'"),
  };
}

describe.each(Object.keys(ends) as Act[])('%s', (act) => {
  it('ends where an undisturbed run ends, killed at any transition', async () => {
    const calm = await play(act, null);
    expect(calm.end).toBe(ends[act]);
    const places = calm.moments.length;
    expect(places).toBeGreaterThan(20);
    const left = Array.from({ length: places }, (_, at) => at);
    const work = async () => {
      for (let at = left.shift(); at !== undefined; at = left.shift()) {
        const disturbed = await play(act, at);
        const where = `killed at ${at} of ${places}: ${JSON.stringify(calm.moments[at])}`;
        expect(disturbed.end, where).toBe(calm.end);
        expect(disturbed.seen, where).toEqual(calm.seen);
      }
    };
    // Each play has a database of its own.
    await Promise.all(Array.from({ length: 4 }, work));
  }, 300_000);
});
