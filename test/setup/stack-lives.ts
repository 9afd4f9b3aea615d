/** A stack of twenty resources and what is done to it by processes that die where a test tells them to, each followed by another. */

import { expect } from 'vitest';
import type { Context } from '../../services/core/context.ts';
import { Killed } from '../../services/core/operations/index.ts';
import type { TransitionMoment } from '../../services/orchestration/engine/session.ts';
import type { Orchestration } from '../../services/orchestration/index.ts';
import type { Plain } from '../../services/orchestration/model.ts';
import { atRest, newOutside, type Outside, stage } from './stacks.ts';
import { createWorld, dropDatabase, freshDatabaseUrl, type World } from './world.ts';

type Template = { readonly [key: string]: Plain };

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
const files = { 'child.yaml': child };

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
    n: { type: 'child.yaml', properties: { x: { get_attr: ['r', 'value'] } } },
    v: { type: 'OS::Heat::Value', properties: { value: { get_attr: ['n', 'out'] } } },
    sg: { type: 'OS::Nova::ServerGroup', properties: { policies: ['anti-affinity'] } },
    wh: { type: 'OS::Heat::WaitConditionHandle' },
    h: { type: 'OS::Heat::ResourceChain', properties: { resources: ['OS::Heat::RandomString'] } },
    ...more,
  },
  outputs: {
    ip: { value: { get_attr: ['s', 'first_address'] } },
    g: { value: { get_attr: ['g', 'out'] } },
    r: { value: { get_attr: ['r', 'value'] } },
    v: { value: { get_attr: ['v', 'value'] } },
  },
});

const bad: Template = { bad: { type: 'OS::Heat::TestResource', depends_on: 'g', properties: { fail: true } } };

/** Where each act ends when nobody disturbs it. */
export const ends = {
  create: 'CREATE_COMPLETE',
  update: 'UPDATE_COMPLETE',
  'update that fails and is rolled back': 'ROLLBACK_COMPLETE',
  delete: 'DELETE_COMPLETE',
  'create that fails and is rolled back': 'ROLLBACK_COMPLETE',
  'create that fails': 'CREATE_FAILED',
} as const;
export type Act = keyof typeof ends;

/** Each of a row is played on what the one before it left. */
export const rows: readonly (readonly Act[])[] = [
  ['create', 'update', 'update that fails and is rolled back', 'delete'],
  ['create that fails and is rolled back'],
  ['create that fails'],
];

type Beginning = (orchestration: Orchestration, context: Context) => Promise<{ readonly id: string }>;
const update =
  (wanted: Template, disableRollback: boolean): Beginning =>
  (orchestration, context) =>
    orchestration.updateStack(context, 's', { template: wanted, files, disableRollback });
const create =
  (name: string, wanted: Template, disableRollback: boolean): Beginning =>
  (orchestration, context) =>
    orchestration.createStack(context, name, { template: wanted, files, disableRollback });

const beginnings: Readonly<Record<Act, Beginning>> = {
  create: create('s', template(8, 2, { k: { type: 'OS::Nova::KeyPair', properties: { name: 'k' } } }), true),
  update: update(template(9, 1, { e: { type: 'OS::Heat::None' } }), true),
  'update that fails and is rolled back': update(template(10, 2, bad), false),
  async delete(orchestration, context) {
    const stack = await orchestration.findStack(context, 's');
    await orchestration.deleteStack(context, 's');
    return stack;
  },
  'create that fails and is rolled back': create('t', template(8, 2, bad), false),
  'create that fails': create('u', template(8, 2, bad), true),
};

export interface Played {
  readonly end: string;
  /** What is there afterwards, and what came or went in all services. */
  readonly seen: unknown;
  readonly transitions: number;
  /** The transition at which the process died. */
  readonly died: TransitionMoment | null;
}

/** Before the transition of that number is written, or right after. */
export interface Death {
  readonly transition: number;
  readonly at: TransitionMoment['at'];
}

export interface Lives {
  play(act: Act, death: Death | null): Promise<Played>;
  close(): Promise<void>;
}

export async function createLives(
  options: { onMoment?: (moment: TransitionMoment) => void; tell?: (owner: string, operation: string) => void } = {},
): Promise<Lives> {
  const databaseUrl = await freshDatabaseUrl();
  const outside = newOutside();
  const counted = { before: 0, after: 0 };
  let planned: Death | null = null;
  let died: TransitionMoment | null = null;
  let death = Promise.withResolvers<'dead'>();
  const probe = (moment: TransitionMoment) => {
    const number = counted[moment.at];
    counted[moment.at] += 1;
    options.onMoment?.(moment);
    if (planned?.at !== moment.at || planned.transition !== number) return;
    planned = null;
    died = moment;
    death.resolve('dead');
    throw new Killed();
  };
  async function live() {
    const { tell } = options;
    const world = await createWorld({ databaseUrl, owner: 'orchestration', keep: true, ...(tell && { tell }) });
    const { orchestration } = stage(world, { outside, probe });
    await world.operations.run({ sole: true });
    await orchestration.start();
    return { world, orchestration };
  }
  async function end({ world, orchestration }: Awaited<ReturnType<typeof live>>): Promise<void> {
    orchestration.stop();
    await world.close();
  }
  let now = await live();
  return {
    async play(act, wanted) {
      const before = await tally(now.world, outside);
      Object.assign(counted, { before: 0, after: 0 });
      died = null;
      death = Promise.withResolvers();
      planned = wanted;
      const { id } = await beginnings[act](now.orchestration, now.world.context);
      let ended = await Promise.race([atRest(now.world, now.orchestration, id), death.promise]);
      if (ended === 'dead') {
        await end(now);
        now = await live();
        ended = await atRest(now.world, now.orchestration, id);
      }
      planned = null;
      const after = await tally(now.world, outside);
      const came = Object.fromEntries(
        Object.entries(after).map(([name, count]) => [name, count - (before[name] ?? 0)]),
      );
      const seen = { ...(await observe(now.world, now.orchestration, id)), came };
      return { end: ended, seen, transitions: counted.before, died };
    },
    async close() {
      await end(now);
      await dropDatabase(databaseUrl);
    },
  };
}

interface Shown {
  readonly name: string;
  readonly action: string;
  readonly status: string;
  readonly resources: readonly Shown[];
}

const shape = (resources: readonly Shown[]): unknown =>
  resources
    .map(({ name, action, status, resources: inner }) => ({ name, state: `${action}_${status}`, inner: shape(inner) }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));

const countOf = (resources: readonly Shown[]): number =>
  resources.reduce((sum, { resources: inner }) => sum + 1 + countOf(inner), 0);

async function observe({ context }: World, orchestration: Orchestration, id: string) {
  const { resources } = await orchestration.activity(context, id);
  const outputs = resources.length > 0 ? await orchestration.outputs(context, id) : [];
  const { reason } = await orchestration.findStack(context, id);
  return {
    resources: shape(resources as readonly Shown[]),
    count: countOf(resources as readonly Shown[]),
    reason,
    // What is random in them is as long in every run.
    outputs: outputs.map(({ output_key, output_value }) => [
      output_key,
      JSON.stringify(output_value).replace(/[A-Za-z0-9]/g, 'x'),
    ]),
  };
}

const tables = [
  ...['stacks', 'resources', 'configs', 'deployments', 'credentials'].map((name) => `orchestration.${name}`),
  ...['keypairs', 'server_groups'].map((name) => `compute.${name}`),
  'identity.users',
];

/** How many there are of what a stack makes, in each service. */
async function tally({ db }: World, { servers, nodes }: Outside): Promise<Record<string, number>> {
  const counts = tables.map((table) => `(select count(*)::int from ${table}) as "${table}"`);
  const { rows: found } = await db.pool.query<Record<string, number>>(`select ${counts.join(', ')}`);
  return { ...found[0], servers: servers.size, nodes };
}

/** Plays all rows in a database of their own. */
async function playRows(
  deathOf: (act: Act) => Death | null | undefined,
  seen: (act: Act, played: Played) => void,
  options: Parameters<typeof createLives>[0] = {},
): Promise<void> {
  const lives = await createLives(options);
  try {
    for (const row of rows) {
      // Where nobody is left to die.
      if (row.every((act) => deathOf(act) === undefined)) continue;
      for (const act of row) seen(act, await lives.play(act, deathOf(act) ?? null));
    }
  } finally {
    await lives.close();
  }
}

export async function playCalmly(options: Parameters<typeof createLives>[0] = {}): Promise<Map<Act, Played>> {
  const calm = new Map<Act, Played>();
  await playRows(
    () => null,
    (act, played) => calm.set(act, played),
    options,
  );
  for (const [act, played] of calm) expect(played.end, act).toBe(ends[act]);
  return calm;
}

/** Holds each death, at each transition of each act, against the undisturbed run. @returns how many there were of each act */
export async function dieEverywhere(momentsOf: (transition: number) => Death['at'][]): Promise<Map<Act, number>> {
  const calm = await playCalmly();
  expect(calm.get('create')?.seen).toMatchObject({ count: 20 });
  const most = Math.max(...[...calm.values()].map(({ transitions }) => transitions));
  const left = Array.from({ length: most }, (_, transition) =>
    momentsOf(transition).map((at): Death => ({ transition, at })),
  ).flat();
  const deaths = new Map<Act, number>();
  const work = async () => {
    for (let death = left.shift(); death; death = left.shift()) {
      const { transition } = death;
      const here = death;
      await playRows(
        (act) => (transition < (calm.get(act)?.transitions ?? 0) ? here : undefined),
        (act, played) => {
          const before = calm.get(act);
          const where = `${act}, killed ${JSON.stringify(played.died)}`;
          expect(played.end, where).toBe(before?.end);
          expect(played.seen, where).toEqual(before?.seen);
          if (played.died) deaths.set(act, (deaths.get(act) ?? 0) + 1);
        },
      );
    }
  };
  await Promise.all(Array.from({ length: 4 }, work));
  return deaths;
}
