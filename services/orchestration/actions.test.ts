/** What is done to stacks as they stand: batches, hooks, time-outs, drift, suspension. */
import { describe, expect, it } from 'vitest';
import { atRest, hastyClock, stage } from '../../test/setup/stacks.ts';
import { createWorld } from '../../test/setup/world.ts';
import type { ActiveResource, Plain } from './model.ts';

const hot = (resources: { [name: string]: Plain }, more: { [key: string]: Plain } = {}) => ({
  heat_template_version: '2021-04-16',
  resources,
  ...more,
});

async function open(options: Parameters<typeof stage>[1] & { hasty?: boolean } = {}) {
  const world = await createWorld(options.hasty ? { clock: hastyClock() } : {});
  const staged = stage(world, options);
  const { orchestration } = staged;
  await world.operations.run({ sole: true });
  await orchestration.start();
  const { context } = world;
  return {
    world,
    context,
    ...staged,
    rest: (name: string) => atRest(world, orchestration, name),
    resources: async (name: string): Promise<Record<string, ActiveResource>> =>
      Object.fromEntries((await orchestration.activity(context, name)).resources.map((one) => [one.name, one])),
    /** Transitions of the members of the group `g`, in their order. */
    async story(name: string) {
      const { resources } = await orchestration.activity(context, name);
      const id = resources.find((one) => one.name === 'g')?.physical_id ?? '';
      const events = await world.recorder.timeline({ type: 'stack', id });
      return events.flatMap(({ kind, data }) => {
        const { name: member, action, status } = data as { name: string; action: string; status: string };
        return kind === 'resource.state' ? [`${member} ${action}_${status}`] : [];
      });
    },
  };
}

const group = (count: number, policy: Plain, value: string, more: { [key: string]: Plain } = {}): Plain => ({
  type: 'OS::Heat::ResourceGroup',
  update_policy: policy,
  properties: {
    count,
    resource_def: { type: 'OS::Heat::TestResource', properties: { value, ...more } },
  },
});

describe('a group in batches', () => {
  it('is made some at a time, each batch after the one before', async () => {
    const { orchestration, context, rest, story } = await open();
    const g = group(5, { batch_create: { max_batch_size: 2 } }, 'a');
    await orchestration.createStack(context, 's', { template: hot({ g }) });
    expect(await rest('s')).toBe('CREATE_COMPLETE');
    const told = await story('s');
    const at = (text: string) => told.indexOf(text);
    for (const [before, after] of [
      ['0', '2'],
      ['1', '2'],
      ['2', '4'],
      ['3', '4'],
    ])
      expect(at(`${before} CREATE_COMPLETE`)).toBeLessThan(at(`${after} CREATE_IN_PROGRESS`));
    expect(at('1 CREATE_IN_PROGRESS')).toBeLessThan(at('0 CREATE_COMPLETE'));
  });

  it('is changed so that enough stay in service, with a pause between the batches', async () => {
    const { orchestration, context, rest, story } = await open({ hasty: true });
    const policy = { rolling_update: { max_batch_size: 3, min_in_service: 3, pause_time: 20 } };
    await orchestration.createStack(context, 's', { template: hot({ g: group(4, policy, 'a') }) });
    await rest('s');
    await orchestration.updateStack(context, 's', { template: hot({ g: group(4, policy, 'b') }) });
    expect(await rest('s')).toBe('UPDATE_COMPLETE');
    const told = (await story('s')).filter((text) => text.includes('UPDATE'));
    expect(told).toEqual(['0', '1', '2', '3'].flatMap((n) => [`${n} UPDATE_IN_PROGRESS`, `${n} UPDATE_COMPLETE`]));
  });

  it('stops where a member is not well, and leaves the rest as it was', async () => {
    const { orchestration, context, rest, outside, resources } = await open();
    const servers = (name: string): Plain => ({
      type: 'OS::Heat::ResourceGroup',
      update_policy: { rolling_update: { max_batch_size: 1 } },
      properties: {
        count: 3,
        resource_def: {
          type: 'OS::Nova::Server',
          properties: { image: 'lab', flavor: 'baremetal', metadata: { name } },
        },
      },
    });
    await orchestration.createStack(context, 's', { template: hot({ g: servers('a') }) });
    expect(await rest('s')).toBe('CREATE_COMPLETE');
    const first = (await resources('s')).g?.resources[0]?.physical_id ?? '';
    outside.servers.set(first, { ...(outside.servers.get(first) as never as object), status: 'ERROR' } as never);
    await orchestration.updateStack(context, 's', { template: hot({ g: servers('b') }) });
    expect(await rest('s')).toBe('UPDATE_FAILED');
    const { reason } = await orchestration.findStack(context, 's');
    expect(reason).toContain('the next batch is not begun');
    const states = (await resources('s')).g?.resources.map(({ name, action, status }) => [name, `${action}_${status}`]);
    expect(states).toEqual([
      ['0', 'UPDATE_FAILED'],
      ['1', 'CREATE_COMPLETE'],
      ['2', 'CREATE_COMPLETE'],
    ]);
  });
});

describe('a resource', () => {
  it('fails when it takes longer than its template allows, with what it waited for', async () => {
    const { orchestration, context, rest, resources } = await open({ hasty: true });
    const t = {
      type: 'OS::Heat::TestResource',
      metadata: { timeout_minutes: 0.2 },
      properties: { action_wait_secs: { create: 3600 } },
    };
    await orchestration.createStack(context, 's', { template: hot({ t }) });
    expect(await rest('s')).toBe('CREATE_FAILED');
    expect((await resources('s')).t?.reason).toMatch(
      /CREATE of t took longer than its 0.2 minutes; it still waited for its create to take the 3600 s/,
    );
  });

  it('is deleted in bounded time: what will not go is told, and the rest is gone', async () => {
    const { orchestration, context, rest, resources } = await open({ hasty: true });
    const t = {
      type: 'OS::Heat::TestResource',
      metadata: { timeout_minutes: 0.2 },
      properties: { action_wait_secs: { delete: 360_000 } },
    };
    const { id } = await orchestration.createStack(context, 's', {
      template: hot({ t, n: { type: 'OS::Heat::None' } }),
    });
    await rest('s');
    await orchestration.deleteStack(context, 's');
    expect(await rest(id)).toBe('DELETE_FAILED');
    const left = await resources(id);
    expect(Object.keys(left)).toEqual(['t']);
    expect(left.t?.reason).toContain('DELETE of t took longer than its 0.2 minutes');
  });

  it('keeps its state when an update cannot work out its properties', async () => {
    const { orchestration, context, rest, resources } = await open();
    const a = (length: Plain) => ({
      r: { type: 'OS::Heat::Value', properties: { value: { x: 1 } } },
      v: { type: 'OS::Heat::RandomString', properties: { length } },
    });
    await orchestration.createStack(context, 's', { template: hot(a(5)) });
    await rest('s');
    const before = (await resources('s')).v?.physical_id;
    await orchestration.updateStack(context, 's', { template: hot(a({ get_attr: ['r', 'value'] })) });
    expect(await rest('s')).toBe('UPDATE_FAILED');
    expect((await resources('s')).v).toMatchObject({ action: 'UPDATE', status: 'FAILED', physical_id: before });
    await orchestration.updateStack(context, 's', { template: hot(a(5)) });
    expect(await rest('s')).toBe('UPDATE_COMPLETE');
    expect((await resources('s')).v?.physical_id).toBe(before);
  });

  it('is not touched where its environment restricts it', async () => {
    const { orchestration, context, rest, resources } = await open();
    const environment = { resource_registry: { resources: { v: { restricted_actions: 'replace' } } } };
    const template = (length: number) => hot({ v: { type: 'OS::Heat::RandomString', properties: { length } } });
    await orchestration.createStack(context, 's', { template: template(5), environment });
    await rest('s');
    const before = (await resources('s')).v?.physical_id;
    await orchestration.updateStack(context, 's', { template: template(6), environment });
    expect(await rest('s')).toBe('UPDATE_FAILED');
    expect((await resources('s')).v).toMatchObject({ physical_id: before });
    expect((await orchestration.findStack(context, 's')).reason).toContain('replace is restricted for resource v');
  });
});

describe('a stack', () => {
  it('goes back to the files of before, too', async () => {
    const { orchestration, context, rest } = await open();
    const bad = { type: 'OS::Heat::TestResource', properties: { fail: true }, depends_on: 'c' };
    const child = (value: string) =>
      JSON.stringify(
        hot(
          { v: { type: 'OS::Heat::Value', properties: { value } } },
          { outputs: { o: { value: { get_attr: ['v', 'value'] } } } },
        ),
      );
    const outer = (more: { [name: string]: Plain }) =>
      hot({ c: { type: 'child.yaml' }, ...more }, { outputs: { o: { value: { get_attr: ['c', 'o'] } } } });
    await orchestration.createStack(context, 's', {
      template: outer({}),
      files: { 'child.yaml': child('one') },
      disableRollback: false,
    });
    await rest('s');
    await orchestration.updateStack(context, 's', { template: outer({ bad }), files: { 'child.yaml': child('two') } });
    expect(await rest('s')).toBe('ROLLBACK_COMPLETE');
    expect((await orchestration.outputs(context, 's'))[0]?.output_value).toBe('one');
  });

  it('tells what has drifted, and what is gone', async () => {
    const { orchestration, context, rest, outside } = await open();
    const server = {
      type: 'OS::Nova::Server',
      properties: { image: 'lab', flavor: 'baremetal', metadata: { role: 'db' } },
    };
    const resources = { a: server, b: server, c: server, n: { type: 'OS::Heat::None' } };
    const { id } = await orchestration.createStack(context, 's', { template: hot(resources) });
    await rest('s');
    const made = Object.fromEntries(
      (await orchestration.activity(context, 's')).resources.map((one) => [one.name, one.physical_id ?? '']),
    );
    const b = outside.servers.get(made.b ?? '');
    if (b) outside.servers.set(b.id, { ...b, metadata: { role: 'web' } });
    outside.servers.delete(made.c ?? '');
    const found = await orchestration.drift(context, id);
    expect(Object.fromEntries(found.map(({ path, state }) => [path, state]))).toEqual({
      a: 'in sync',
      b: 'drifted',
      c: 'gone',
      n: 'not looked at',
    });
    expect(found.find(({ path }) => path === 'b')?.properties).toEqual([
      { name: 'metadata', expected: { role: 'db' }, actual: { role: 'web' } },
    ]);
  });
});
