import { describe, expect, it } from 'vitest';
import { atRest, stage } from '../../test/setup/stacks.ts';
import { createWorld } from '../../test/setup/world.ts';
import type { Plain } from './model.ts';

const hot = (resources: { [name: string]: Plain }, more: { [key: string]: Plain } = {}) => ({
  heat_template_version: '2021-04-16',
  resources,
  ...more,
});

async function open(options: Parameters<typeof stage>[1] = {}) {
  const world = await createWorld();
  const { orchestration, ...rest } = stage(world, options);
  await world.operations.run({ sole: true });
  await orchestration.start();
  const { context } = world;
  return {
    world,
    context,
    orchestration,
    ...rest,
    rest: (name: string) => atRest(world, orchestration, name),
    outputs: async (name: string) =>
      Object.fromEntries((await orchestration.outputs(context, name)).map((o) => [o.output_key, o.output_value])),
    resources: async (name: string) =>
      Object.fromEntries((await orchestration.activity(context, name)).resources.map((r) => [r.name, r])),
  };
}

describe('a stack', () => {
  it('is created in the order of what needs what, and gives its outputs', async () => {
    const { orchestration, context, rest, outputs, resources, world } = await open();
    const template = hot(
      {
        b: {
          type: 'OS::Heat::Value',
          properties: { value: { list_join: ['-', ['v', { get_attr: ['a', 'value'] }]] } },
        },
        a: { type: 'OS::Heat::RandomString', properties: { length: 8 } },
        n: { type: 'OS::Heat::None', depends_on: 'b' },
      },
      { outputs: { v: { value: { get_attr: ['b', 'value'] } } } },
    );
    const stack = await orchestration.createStack(context, 's', { template });
    expect(await rest('s')).toBe('CREATE_COMPLETE');
    const { v } = await outputs('s');
    expect(v).toMatch(/^v-[A-Za-z0-9]{8}$/);
    expect(Object.values(await resources('s')).map(({ action, status }) => `${action}_${status}`)).toEqual(
      Array(3).fill('CREATE_COMPLETE'),
    );
    const told = (await world.recorder.timeline({ type: 'stack', id: stack.id })).filter(
      ({ kind }) => kind === 'resource.state',
    );
    const complete = told
      .map(({ data }) => data as { name: string; status: string })
      .filter(({ status }) => status === 'COMPLETE');
    expect(complete.map(({ name }) => name)).toEqual(['a', 'b', 'n']);
  });

  it('keeps, changes in place and replaces by what the properties’ schemas say', async () => {
    const { orchestration, context, rest, outputs, resources } = await open();
    const template = (length: number, value: string) =>
      hot(
        {
          a: { type: 'OS::Heat::RandomString', properties: { length } },
          k: { type: 'OS::Heat::RandomString' },
          v: { type: 'OS::Heat::Value', properties: { value } },
        },
        {
          outputs: {
            a: { value: { get_attr: ['a', 'value'] } },
            k: { value: { get_attr: ['k', 'value'] } },
            v: { value: { get_attr: ['v', 'value'] } },
          },
        },
      );
    await orchestration.createStack(context, 's', { template: template(8, 'one') });
    await rest('s');
    const [before, first] = [await outputs('s'), await resources('s')];
    await orchestration.updateStack(context, 's', { template: template(9, 'two') });
    expect(await rest('s')).toBe('UPDATE_COMPLETE');
    const [after, second] = [await outputs('s'), await resources('s')];
    expect(after.k).toBe(before.k);
    expect(after.a).toHaveLength(9);
    expect(after.v).toBe('two');
    expect(second.a?.physical_id).not.toBe(first.a?.physical_id);
    expect(second.v?.physical_id).toBe(first.v?.physical_id);
    expect(second.v?.action).toBe('UPDATE');
    expect(second.k?.action).toBe('CREATE');
    await orchestration.updateStack(context, 's', {
      template: hot({ v: { type: 'OS::Heat::Value', properties: { value: 'two' } } }),
    });
    expect(await rest('s')).toBe('UPDATE_COMPLETE');
    expect(Object.keys(await resources('s'))).toEqual(['v']);
  });

  it('holds groups and templates within it, and deletes all of it', async () => {
    const { orchestration, context, rest, outputs, resources, world } = await open();
    const child = JSON.stringify({
      heat_template_version: '2016-10-14',
      parameters: { x: { type: 'string' } },
      resources: { rs: { type: 'OS::Heat::RandomString', properties: { length: 5 } } },
      outputs: { out: { value: { list_join: ['', [{ get_param: 'x' }, { get_attr: ['rs', 'value'] }]] } } },
    });
    const template = (count: number) =>
      hot(
        {
          g: {
            type: 'OS::Heat::ResourceGroup',
            properties: { count, resource_def: { type: 'child.yaml', properties: { x: 'n%index%-' } } },
          },
        },
        {
          outputs: {
            all: { value: { get_attr: ['g', 'out'] } },
            one: { value: { get_attr: ['g', 'resource.1.out'] } },
            refs: { value: { get_attr: ['g', 'refs'] } },
          },
        },
      );
    const files = { 'child.yaml': child };
    await orchestration.createStack(context, 's', { template: template(3), files });
    expect(await rest('s')).toBe('CREATE_COMPLETE');
    const first = await outputs('s');
    expect(first.all).toEqual([0, 1, 2].map((n) => expect.stringMatching(new RegExp(`^n${n}-.{5}$`))));
    expect(first.one).toBe((first.all as string[])[1]);
    await orchestration.updateStack(context, 's', { template: template(2), files });
    expect(await rest('s')).toBe('UPDATE_COMPLETE');
    expect((await outputs('s')).all).toEqual((first.all as string[]).slice(0, 2));
    expect((await resources('s')).g?.resources.map(({ name }) => name)).toEqual(['0', '1']);
    const { id } = await orchestration.findStack(context, 's');
    await orchestration.deleteStack(context, 's');
    expect(await rest(id)).toBe('DELETE_COMPLETE');
    const left = await world.db.pool.query('select count(*)::int as n from orchestration.resources');
    expect(left.rows).toEqual([{ n: 0 }]);
  });

  it('fails with the resource, the reason and the line of the template', async () => {
    const { orchestration, context, rest } = await open();
    const template =
      'heat_template_version: 2021-04-16\nresources:\n  ok: {type: OS::Heat::None}\n  bad:\n    type: OS::Heat::TestResource\n    properties: {fail: true}\n';
    await orchestration.createStack(context, 's', { template, file: 'bad.hot.yaml' });
    expect(await rest('s')).toBe('CREATE_FAILED');
    const { reason } = await orchestration.findStack(context, 's');
    expect(reason).toBe('Resource CREATE failed: resources.bad: Test Resource failed bad (bad.hot.yaml:4:3)');
  });

  it('goes back to nothing, or to what was before, where it is asked to', async () => {
    const { orchestration, context, rest, outputs, resources } = await open();
    const bad = { type: 'OS::Heat::TestResource', properties: { fail: true }, depends_on: 'r' };
    const r = { type: 'OS::Heat::RandomString' };
    const told = { outputs: { r: { value: { get_attr: ['r', 'value'] } } } };
    await orchestration.createStack(context, 'c', { template: hot({ r, bad }), disableRollback: false });
    expect(await rest('c')).toBe('ROLLBACK_COMPLETE');
    expect(await resources('c')).toEqual({});
    await orchestration.createStack(context, 'u', { template: hot({ r }, told), disableRollback: false });
    await rest('u');
    const before = await outputs('u');
    await orchestration.updateStack(context, 'u', {
      template: hot({ r: { ...r, properties: { length: 9 } }, bad }, told),
    });
    expect(await rest('u')).toBe('ROLLBACK_COMPLETE');
    expect(Object.keys(await resources('u'))).toEqual(['r']);
    // The string was replaced by then; what comes back is a string of the first length.
    expect((await outputs('u')).r).toHaveLength((before.r as string).length);
  });

  it('is cut short by a deletion, and by an operator', async () => {
    const { orchestration, context, rest, world, resources } = await open();
    const template = hot({ t: { type: 'OS::Heat::TestResource', properties: { action_wait_secs: { create: 3600 } } } });
    const one = await orchestration.createStack(context, 'one', { template });
    await world.heard('resource.waiting', ({ subject }) => subject.id === one.id);
    expect((await resources('one')).t?.blocked_on?.on).toContain('3600 s');
    await orchestration.cancelStack(context, 'one', { rollback: false });
    expect(await rest('one')).toBe('CREATE_FAILED');
    expect((await orchestration.findStack(context, 'one')).reason).toBe('Stack CREATE cancelled');
    const two = await orchestration.createStack(context, 'two', { template });
    await world.heard('resource.waiting', ({ subject }) => subject.id === two.id);
    await orchestration.deleteStack(context, 'two');
    await world.heard(
      'stack.state',
      ({ subject, data }) => subject.id === two.id && data.action === 'DELETE' && data.status === 'COMPLETE',
    );
  });

  it('goes on after a cancel with what was begun, and makes anew only what failed by itself', async () => {
    const { orchestration, context, rest, world, outside, finish, resources } = await open({ builds: 'when told' });
    const template = (fail: boolean) =>
      hot({
        s: { type: 'OS::Nova::Server', properties: { image: 'lab', flavor: 'baremetal' } },
        t: { type: 'OS::Heat::TestResource', depends_on: 's', properties: { fail } },
      });
    const { id } = await orchestration.createStack(context, 's', { template: template(true) });
    await world.heard('resource.waiting', ({ subject }) => subject.id === id);
    const [server] = [...outside.servers.keys()];
    // An update while the create is under way: that one is cut short, and the server is neither lost nor built twice.
    await orchestration.updateStack(context, 's', { template: template(true) });
    await world.heard('stack.state', ({ data }) => data.action === 'UPDATE');
    finish(server ?? '');
    expect(await rest('s')).toBe('UPDATE_FAILED');
    expect([...outside.servers.keys()]).toEqual([server]);
    await orchestration.updateStack(context, 's', { template: template(false) });
    expect(await rest('s')).toBe('UPDATE_COMPLETE');
    expect((await resources('s')).s?.physical_id).toBe(server);
    expect((await resources('s')).t?.status).toBe('COMPLETE');
  });

  it('writes another image to the server that is there; where that fails, the old image comes back with the roll-back', async () => {
    const { orchestration, context, rest, world, outside, finish, resources } = await open({ builds: 'when told' });
    const template = (image: string) =>
      hot({ s: { type: 'OS::Nova::Server', properties: { image, flavor: 'baremetal' } } });
    await orchestration.createStack(context, 's', { template: template('lab') });
    await world.heard('resource.waiting');
    const id = [...outside.servers.keys()][0] ?? '';
    finish(id);
    expect(await rest('s')).toBe('CREATE_COMPLETE');
    let [asked, count] = [() => {}, 0];
    world.recorder.subscribe(({ kind, data }) => {
      if (kind !== 'server.status' || (data as { to: string }).to !== 'REBUILD') return;
      count += 1;
      asked();
    });
    /** Resolves when it is being rebuilt for the nth time. */
    const rebuilt = async (n: number, image: string) => {
      while (count < n) await new Promise<void>((resolve) => (asked = resolve));
      expect(outside.servers.get(id)).toMatchObject({ image_id: image, status: 'REBUILD' });
    };
    await orchestration.updateStack(context, 's', { template: template('debian'), disableRollback: false });
    await rebuilt(1, 'debian');
    finish(id, 'ERROR', 'the disk is too small');
    await rebuilt(2, 'lab');
    finish(id);
    expect(await rest('s')).toBe('ROLLBACK_COMPLETE');
    expect([...outside.servers.values()]).toMatchObject([{ id, image_id: 'lab', status: 'ACTIVE' }]);
    await orchestration.updateStack(context, 's', { template: template('debian'), disableRollback: true });
    await rebuilt(3, 'debian');
    finish(id, 'ERROR', 'the disk is too small');
    expect(await rest('s')).toBe('UPDATE_FAILED');
    expect((await resources('s')).s?.reason).toContain('the disk is too small');
    // The same once more is another attempt on the same node.
    await orchestration.updateStack(context, 's', { template: template('debian') });
    await rebuilt(4, 'debian');
    finish(id);
    expect(await rest('s')).toBe('UPDATE_COMPLETE');
    expect([...outside.servers.keys()]).toEqual([id]);
  });
});
