/** What the stock client does to stacks beside making and deleting them: each as Heat's transcripts have it. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { type Row, stackCloud } from '../setup/stack-cloud.ts';

const child = `heat_template_version: 2016-10-14
parameters:
  x: {type: string}
resources:
  rs: {type: OS::Heat::RandomString, properties: {length: 5}}
outputs:
  out: {value: {list_join: ['', [{get_param: x}, {get_attr: [rs, value]}]]}}
`;
const template = `heat_template_version: 2021-04-16
description: demo
parameters:
  len: {type: number, default: 8}
resources:
  r: {type: OS::Heat::RandomString, properties: {length: {get_param: len}}}
  t: {type: OS::Heat::TestResource, properties: {value: {get_attr: [r, value]}}}
  g:
    type: OS::Heat::ResourceGroup
    properties: {count: 2, resource_def: {type: child.yaml, properties: {x: "%index%"}}}
outputs:
  r: {value: {get_attr: [r, value]}}
  g: {value: {get_attr: [g, out]}}
`;

const outputsOf = async (json: Awaited<ReturnType<typeof stackCloud>>['json'], name: string) => {
  const shown = await json('stack', 'show', name);
  return Object.fromEntries((shown.outputs as Row[]).map((one) => [one.output_key as string, one.output_value]));
};

it('suspends, resumes, keeps snapshots and goes back to one', async () => {
  const { json, openstack, refused, file } = await stackCloud();
  file('child.yaml', child);
  file('a.yaml', template);
  await json('stack', 'create', '-t', 'a.yaml', '--wait', 'demo');
  const before = await outputsOf(json, 'demo');

  const suspended = await json<Row[]>('stack', 'suspend', 'demo', '--wait');
  expect(suspended[0]).toMatchObject({ 'Stack Status': 'SUSPEND_COMPLETE' });
  const told = await openstack('stack', 'event', 'list', 'demo', '--nested-depth', '2', '-f', 'log');
  const at = (text: string) => told.indexOf(text);
  expect(at('[demo.t]: SUSPEND_COMPLETE')).toBeGreaterThan(0);
  // Dependants first, as Heat does it.
  expect(at('[demo.t]: SUSPEND_COMPLETE')).toBeLessThan(at('[demo.r]: SUSPEND_IN_PROGRESS'));
  expect(at('[demo.g.0.rs]: SUSPEND_COMPLETE')).toBeLessThan(at('[demo.g]: SUSPEND_COMPLETE'));
  expect(await refused('stack', 'update', 'demo', '--existing', '--parameter', 'len=9')).toContain(
    'Updating a stack when it is suspended is not supported',
  );
  const resumed = await json<Row[]>('stack', 'resume', 'demo', '--wait');
  expect(resumed[0]).toMatchObject({ 'Stack Status': 'RESUME_COMPLETE' });

  const snapshot = await json('stack', 'snapshot', 'create', 'demo', '--name', 'snap1');
  expect(snapshot).toMatchObject({ name: 'snap1', status: 'IN_PROGRESS', status_reason: null, data: null });
  await openstack('stack', 'event', 'list', 'demo');
  const listed = await until(
    () => json<Row[]>('stack', 'snapshot', 'list', 'demo'),
    (rows) => rows[0]?.status === 'COMPLETE',
  );
  expect(listed).toMatchObject([{ name: 'snap1', status_reason: 'Stack SNAPSHOT completed successfully' }]);
  const id = snapshot.ID as string;
  expect(await openstack('stack', 'snapshot', 'show', 'demo', id)).toContain('action: SNAPSHOT');

  await json('stack', 'update', 'demo', '--existing', '--parameter', 'len=12', '--wait');
  expect((await outputsOf(json, 'demo')).r).toHaveLength(12);
  await openstack('stack', 'snapshot', 'restore', 'demo', id);
  const shown = await until(
    () => json('stack', 'show', 'demo'),
    (one) => one.stack_status === 'RESTORE_COMPLETE',
  );
  expect(shown).toMatchObject({
    stack_status_reason: 'Stack RESTORE completed successfully',
    parameters: { len: '8' },
  });
  expect((await outputsOf(json, 'demo')).r).toHaveLength(8);
  expect((await outputsOf(json, 'demo')).g).toEqual(before.g);
  await openstack('stack', 'snapshot', 'delete', 'demo', id);
  expect(await json<Row[]>('stack', 'snapshot', 'list', 'demo')).toEqual([]);
  expect(await refused('stack', 'snapshot', 'show', 'demo', id)).toContain('not found');
}, 240_000);

/** Asks again until it is so: the client itself takes a second for each question. */
async function until<T>(ask: () => Promise<T>, isSo: (answer: T) => boolean): Promise<T> {
  for (let tries = 0; ; tries += 1) {
    const answer = await ask();
    if (isSo(answer) || tries > 60) return answer;
  }
}

it('exports a stack, abandons it, and adopts it with all that it made', async () => {
  const { json, openstack, refused, file, dir } = await stackCloud();
  file('child.yaml', child);
  file('a.yaml', template);
  await json('stack', 'create', '-t', 'a.yaml', '--wait', 'demo');
  const before = await outputsOf(json, 'demo');
  await openstack('stack', 'export', 'demo', '--output-file', 'exported.json');
  const exported = JSON.parse(readFileSync(join(dir, 'exported.json'), 'utf8'));
  expect(Object.keys(exported)).toEqual(
    ['name', 'id', 'action', 'environment', 'files', 'status', 'template', 'resources', 'project_id'].concat(
      'stack_user_project_id',
      'tags',
    ),
  );
  expect(exported.resources.r).toMatchObject({ type: 'OS::Heat::RandomString', resource_data: { value: before.r } });
  await openstack('stack', 'abandon', 'demo', '--output-file', 'ab.json');
  expect(await json<Row[]>('stack', 'list')).toEqual([]);
  const adopted = await json('stack', 'adopt', '--adopt-file', 'ab.json', 'demo2', '--wait');
  expect(adopted).toMatchObject({ stack_name: 'demo2', stack_status: 'ADOPT_COMPLETE' });
  expect(await outputsOf(json, 'demo2')).toEqual(before);
  const rows = await json<Row[]>('stack', 'resource', 'list', 'demo2', '-n', '3');
  expect(new Set(rows.map((row) => row.resource_status))).toEqual(new Set(['ADOPT_COMPLETE']));
  // What was adopted is as good as what was made: it is kept, changed, and deleted.
  await json('stack', 'update', 'demo2', '--existing', '--parameter', 'len=9', '--wait');
  expect((await outputsOf(json, 'demo2')).g).toEqual(before.g);
  const data = JSON.parse(readFileSync(join(dir, 'ab.json'), 'utf8'));
  delete data.resources.r;
  writeFileSync(join(dir, 'part.json'), JSON.stringify(data));
  expect(await refused('stack', 'adopt', '--adopt-file', 'part.json', 'demo3', '--wait')).toContain(
    'Resource ID was not provided for r.',
  );
}, 240_000);

it('stands still at hooks until they are cleared', async () => {
  const { json, openstack, refused, file } = await stackCloud();
  file('child.yaml', child);
  file('a.yaml', template);
  file('hook.yaml', 'resource_registry:\n  resources:\n    r: {hooks: [pre-create, pre-update]}\n');
  await json('stack', 'create', '-t', 'a.yaml', '-e', 'hook.yaml', 'hooked');
  const poll = () => json<Row[]>('stack', 'hook', 'poll', 'hooked');
  const standing = await until(poll, (rows) => rows.length === 1);
  expect(standing).toMatchObject([
    {
      'Resource Name': 'r',
      'Resource Status': 'INIT_COMPLETE',
      'Resource Status Reason': 'CREATE paused until Hook pre-create is cleared',
    },
  ]);
  expect(await json('stack', 'resource', 'show', 'hooked', 'r')).toMatchObject({
    blocked_on: { on: 'the hook pre-create to be cleared' },
  });
  expect(
    await refused('stack', 'resource', 'signal', 'hooked', 'r', '--data', '{"unset_hook": "pre-update"}'),
  ).toContain('The "pre-update" hook is not defined on r');
  await openstack('stack', 'hook', 'clear', 'hooked', 'r', '--pre-create');
  await until(
    () => json('stack', 'show', 'hooked'),
    (one) => one.stack_status === 'CREATE_COMPLETE',
  );
  await openstack('stack', 'update', 'hooked', '-t', 'a.yaml', '-e', 'hook.yaml', '--parameter', 'len=12');
  const again = await until(
    () => json<Row[]>('stack', 'hook', 'poll', 'hooked', '--nested-depth', '2'),
    (rows) => rows.length === 1,
  );
  expect(again).toMatchObject([
    {
      'Resource Status': 'CREATE_COMPLETE',
      'Resource Status Reason': 'UPDATE paused until Hook pre-update is cleared',
    },
  ]);
  await openstack('stack', 'hook', 'clear', 'hooked', 'r', '--pre-update');
  await until(
    () => json('stack', 'show', 'hooked'),
    (one) => one.stack_status === 'UPDATE_COMPLETE',
  );
  expect((await outputsOf(json, 'hooked')).r).toHaveLength(12);
  await openstack('stack', 'delete', '-y', '--wait', 'hooked');
}, 240_000);

it('cancels an update with and without going back, and takes another update in its place', async () => {
  const { json, openstack, refused, file } = await stackCloud();
  const slow = (value: string, seconds: number) => `heat_template_version: 2021-04-16
resources:
  t: {type: OS::Heat::TestResource, properties: {value: ${value}, action_wait_secs: {update: ${seconds}}}}
outputs:
  v: {value: {get_attr: [t, output]}}
`;
  file('a.yaml', slow('a', 0));
  file('b.yaml', slow('b', 600));
  file('c.yaml', slow('c', 0));
  await json('stack', 'create', '-t', 'a.yaml', '--wait', 's');
  expect(await refused('stack', 'cancel', 's')).toContain(
    "Stack s with status 'create_complete' not in cancelable state",
  );
  await openstack('stack', 'update', '-t', 'b.yaml', 's');
  await json<Row[]>('stack', 'cancel', 's');
  await until(
    () => json('stack', 'show', 's'),
    (one) => one.stack_status === 'ROLLBACK_COMPLETE',
  );
  expect(await outputsOf(json, 's')).toEqual({ v: 'a' });
  await openstack('stack', 'update', '-t', 'b.yaml', 's');
  const updated = await json('stack', 'update', '-t', 'c.yaml', 's', '--wait');
  expect(updated.stack_status).toBe('UPDATE_COMPLETE');
  expect(await outputsOf(json, 's')).toEqual({ v: 'c' });
  await openstack('stack', 'update', '-t', 'b.yaml', 's');
  await openstack('stack', 'cancel', '--no-rollback', 's');
  await until(
    () => json('stack', 'show', 's'),
    (one) => one.stack_status === 'UPDATE_FAILED',
  );
  expect(await outputsOf(json, 's')).not.toEqual({});
}, 240_000);

it('makes anew what was marked unhealthy, and nothing else', async () => {
  const { json, openstack, file } = await stackCloud();
  file('child.yaml', child);
  file('a.yaml', template);
  await json('stack', 'create', '-t', 'a.yaml', '--wait', 'demo');
  const before = await outputsOf(json, 'demo');
  await openstack('stack', 'resource', 'mark', 'unhealthy', 'demo', 'r', 'because');
  const rows = await json<Row[]>('stack', 'resource', 'list', 'demo');
  expect(rows.find((row) => row.resource_name === 'r')).toMatchObject({ resource_status: 'CHECK_FAILED' });
  await openstack('stack', 'resource', 'mark', 'unhealthy', '--reset', 'demo', 'r');
  await openstack('stack', 'resource', 'mark', 'unhealthy', 'demo', 'r', 'because2');
  await json('stack', 'update', '--existing', 'demo', '--wait');
  const after = await outputsOf(json, 'demo');
  expect(after.r).not.toBe(before.r);
  expect(after.g).toEqual(before.g);
}, 120_000);
