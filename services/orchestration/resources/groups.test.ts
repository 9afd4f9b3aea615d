/** Types that stand for several resources: chains, scaling groups with their policies, stacks from a text. */
import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { openAgents } from '../../../test/setup/stack-agents.ts';
import { atRest } from '../../../test/setup/stacks.ts';
import type { Properties } from '../engine/state.ts';
import type { Plain } from '../model.ts';
import { scaledMembers, sizeOf } from './scaling-groups.ts';
import { adjusted, adjustmentOf, cooldownLeft } from './scaling-policy.ts';

const hot = (resources: { [name: string]: Plain }, outputs: { [name: string]: Plain } = {}) => ({
  heat_template_version: '2021-04-16',
  resources,
  outputs: Object.fromEntries(Object.entries(outputs).map(([name, value]) => [name, { value }])),
});

async function open() {
  const { world, orchestration, context } = await openAgents();
  return {
    world,
    context,
    orchestration,
    rest: (name: string) => atRest(world, orchestration, name),
    outputs: async (name: string) =>
      Object.fromEntries((await orchestration.outputs(context, name)).map((o) => [o.output_key, o.output_value])),
  };
}

describe('a resource chain', () => {
  it('makes its resources one after the other, or all at once', async () => {
    const { orchestration, context, rest, outputs, world } = await open();
    const chain = (concurrent: boolean) => ({
      type: 'OS::Heat::ResourceChain',
      properties: {
        concurrent,
        resources: ['OS::Heat::RandomString', 'OS::Heat::RandomString', 'OS::Heat::RandomString'],
        resource_properties: { length: 5 },
      },
    });
    const template = hot(
      { a: chain(false), b: chain(true) },
      {
        refs: { get_attr: ['a', 'refs'] },
        values: { get_attr: ['b', 'value'] },
        map: { get_attr: ['a', 'attributes', 'value'] },
        one: { get_attr: ['b', 'resource.2', 'value'] },
      },
    );
    await orchestration.createStack(context, 's', { template });
    expect(await rest('s')).toBe('CREATE_COMPLETE');
    const { refs, values, map, one } = (await outputs('s')) as { [name: string]: Plain[] };
    expect([refs?.length, values?.length, Object.keys(map ?? {})]).toEqual([3, 3, ['0', '1', '2']]);
    expect(values?.[2]).toBe(one);
    const { id } = await orchestration.findStack(context, 's');
    const [child] = (
      await sql<{
        id: string;
      }>`select id from orchestration.stacks where parent_id = ${id} and parent_resource = 'a'`.execute(world.db.kysely)
    ).rows;
    const events = await world.recorder.timeline({ type: 'stack', id: String(child?.id) });
    const done = events.filter(
      ({ kind, data }) => kind === 'resource.state' && (data as { status: string }).status === 'COMPLETE',
    );
    expect(done.map(({ data }) => (data as { name: string }).name)).toEqual(['0', '1', '2']);
  });
});

describe('a stack from a text', () => {
  it('is laid out below, with its outputs as an attribute', async () => {
    const { orchestration, context, rest, outputs } = await open();
    const inner = {
      heat_template_version: '2021-04-16',
      parameters: { greeting: { type: 'string' } },
      resources: { v: { type: 'OS::Heat::Value', properties: { value: { get_param: 'greeting' } } } },
      outputs: { said: { value: { get_attr: ['v', 'value'] } } },
    };
    const template = hot(
      {
        below: {
          type: 'OS::Heat::Stack',
          properties: { template: JSON.stringify(inner), parameters: { greeting: 'ho' } },
        },
      },
      { said: { get_attr: ['below', 'outputs', 'said'] }, name: { get_attr: ['below', 'stack_name'] } },
    );
    await orchestration.createStack(context, 's', { template });
    expect(await rest('s')).toBe('CREATE_COMPLETE');
    expect(await outputs('s')).toEqual({ said: 'ho', name: expect.stringMatching(/^s-below-/) });
  });
});

describe('a scaling group', () => {
  const group = (more = {}) => ({
    type: 'OS::Heat::AutoScalingGroup',
    properties: {
      min_size: 1,
      max_size: 4,
      desired_capacity: 2,
      resource: { type: 'OS::Heat::RandomString', properties: { length: 6 } },
      ...more,
    },
  });
  const policy = (by: number, more = {}) => ({
    type: 'OS::Heat::ScalingPolicy',
    properties: {
      adjustment_type: 'change_in_capacity',
      auto_scaling_group_id: { get_resource: 'group' },
      scaling_adjustment: by,
      ...more,
    },
  });
  const outputs = {
    size: { get_attr: ['group', 'current_size'] },
    refs: { get_attr: ['group', 'refs'] },
    values: { get_attr: ['group', 'outputs_list', 'value'] },
    up: { get_attr: ['up', 'alarm_url'] },
    down: { get_attr: ['down', 'alarm_url'] },
  };

  it('follows its policies within its bounds, and the template when that changes', async () => {
    const { orchestration, context, rest, outputs: show } = await open();
    const template = (more = {}) => hot({ group: group(more), up: policy(1), down: policy(-3) }, outputs);
    await orchestration.createStack(context, 's', { template: template() });
    expect(await rest('s')).toBe('CREATE_COMPLETE');
    const first = await show('s');
    expect(first).toMatchObject({ size: 2, up: expect.stringContaining('Signature=') });
    const ring = async (name: 'up' | 'down') => {
      const answer = await fetch(String((await show('s'))[name]), { method: 'POST' });
      expect(answer.status).toBe(200);
      await rest('s');
    };
    await ring('up');
    const grown = await show('s');
    expect(grown.size).toBe(3);
    expect((grown.refs as string[]).slice(0, 2)).toEqual(first.refs);
    await ring('down');
    expect((await show('s')).size).toBe(1);
    // The oldest go first, as Heat has it.
    expect((await show('s')).refs).toEqual((grown.refs as string[]).slice(2));
    await ring('down');
    expect((await show('s')).size).toBe(1);
    await orchestration.updateStack(context, 's', { template: template({ desired_capacity: 4 }) });
    expect(await rest('s')).toBe('UPDATE_COMPLETE');
    expect((await show('s')).size).toBe(4);
  });

  it('counts as Heat counts', () => {
    const percent = (by: number, step?: number) => ({
      adjustment_type: 'percent_change_in_capacity',
      scaling_adjustment: by,
      ...(step !== undefined && { min_adjustment_step: step }),
    });
    const moved = (current: number, properties: Properties) => adjusted(current, adjustmentOf(properties));
    expect(moved(10, percent(25))).toBe(12);
    expect(moved(2, percent(10))).toBe(3);
    expect(moved(2, percent(-10))).toBe(1);
    expect(moved(10, percent(10, 3))).toBe(13);
    expect(moved(7, { adjustment_type: 'exact_capacity', scaling_adjustment: 2 })).toBe(2);
    expect(moved(7, { AdjustmentType: 'ChangeInCapacity', ScalingAdjustment: -2 })).toBe(5);
    expect(cooldownLeft(60, { capacity: 1, desired: null, at: 1000 }, 31_000)).toBe(30);
    const size = (more = {}) => sizeOf('OS::Heat::AutoScalingGroup', { min_size: 2, max_size: 5, ...more }, {}).now;
    expect([size(), size({ desired_capacity: 9 })]).toEqual([2, 5]);
    expect(scaledMembers(2, ['0', '1', '2'], new Set(['2']))).toEqual(['0', '1']);
    expect(scaledMembers(3, ['4', '10'], new Set(['4']))).toEqual(['10', '11', '12']);
  });
});
