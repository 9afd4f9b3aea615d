/** Requests that nobody should send: each is refused with 4xx and a reason in Heat's shape. Heat answers 500 to many of them. */
import { expect, it } from 'vitest';
import { stackApi } from '../setup/stack-cloud.ts';

const version = 'heat_template_version: 2021-04-16\n';
const circle = `${version}resources:
  a: {type: OS::Heat::None, depends_on: b}
  b: {type: OS::Heat::None, depends_on: a}
`;
const wrongs: readonly unknown[] = [
  undefined,
  null,
  [],
  'text',
  1,
  {},
  { template: null },
  { template: [] },
  { template: 5 },
  { template: '' },
  { template: '%' },
  { template: '[1, 2' },
  { template: '\u0000' },
  { template: 'null' },
  { template: version, environment: [] },
  { template: version, environment: '- a' },
  { template: version, environment: { resource_registry: [] } },
  { template: version, environment: { resource_registry: { a: { b: 1 } } } },
  { template: version, environment: { parameters: [] } },
  { template: version, environment: { parameter_merge_strategies: 5 } },
  { template: version, environment: { event_sinks: 5, encrypted_param_names: {} } },
  { template: version, environment_files: [5], files: {} },
  { template: version, files: [] },
  { template: version, files: { a: 5 } },
  { template: version, parameters: 'x' },
  { template: version, tags: { a: 1 } },
  { template: version, tags: 'x'.repeat(100) },
  { template: version, timeout_mins: -1 },
  { template: version, timeout_mins: 'soon' },
  { template: version, disable_rollback: 'perhaps' },
  { template: version, policy: 5 },
  { template: circle },
  { template: `${version}resources: {a: {type: OS::Heat::Value, properties: {value: {get_attr: [a, value]}}}}` },
  { template: `${version}resources: {a: {type: OS::Heat::Value, properties: {value: {get_file: 5}}}}` },
  { template: `${version}parameters: 5` },
  { template: `${version}parameters: {p: {type: string, constraints: 5}}` },
  { template: `${version}outputs: []` },
  { template: `${version}conditions: []` },
  { template_url: 'http://example.invalid/x.yaml' },
  { adopt_stack_data: 5, stack_name: 'x' },
  { adopt_stack_data: '{', stack_name: 'x' },
  { adopt_stack_data: { template: 5, resources: [] }, stack_name: 'x' },
];
const names = ['', ' ', '1', 'a/b', 'ä', 'x'.repeat(300), 5, {}, null, ['a']];
const queries = [
  'limit=-1',
  'limit=x',
  'limit=99999999999999999999',
  'marker=nothing',
  'marker=%00',
  'sort_keys=nothing',
  'sort_keys=name;drop',
  'sort_dir=up',
  'tags=a&tags=b&limit=1&status=COMPLETE',
  'status=%00',
  'id=%27',
  'show_nested=perhaps',
  'nested_depth=-3',
  'nested_depth=x',
  'with_attr=%00&with_attr=a',
  'name=%5B',
  'template_type=none',
  'with_condition_func=5',
];
const none = '00000000-0000-4000-8000-000000000000';

it('refuses what makes no sense with a reason, and never fails at it', async () => {
  const { url, token, project, orchestration, world } = await stackApi();
  const base = `${url}/orchestration/v1/${project}`;
  const context = { ...world.context, projectId: project };
  const template = `${version}resources: {r: {type: OS::Heat::RandomString}}\n`;
  const { id } = await orchestration.createStack(context, 's', { template });
  const off: string[] = [];
  let sent = 0;
  async function send(method: string, path: string, body?: unknown, text = JSON.stringify(body)): Promise<number> {
    const response = await fetch(`${base}${path}`, {
      method,
      headers: { 'x-auth-token': token, ...(text !== undefined && { 'content-type': 'application/json' }) },
      ...(text !== undefined && method !== 'GET' && { body: text }),
    });
    const answer = await response.text();
    sent += 1;
    const told = /"error":\{"type":"\w+","message":"[^"]/.test(answer);
    if (response.status >= 500 || (response.status >= 400 && !told))
      off.push(`${method} ${path} ${text?.slice(0, 120) ?? ''} -> ${response.status} ${answer.slice(0, 200)}`);
    return response.status;
  }

  for (const body of wrongs) {
    for (const path of ['/validate', '/validate?lint=true&show_nested=1', '/graph', '/stacks/s/plan'])
      await send('POST', path, body);
    const named =
      typeof body === 'object' && body !== null && !Array.isArray(body) ? { stack_name: 'n', ...body } : body;
    await send('POST', '/stacks/preview', named);
    await send('PATCH', `/stacks/s/${id}/preview`, body);
  }
  for (const stack_name of names) {
    expect(await send('POST', '/stacks', { stack_name, template })).toBe(400);
    await send('GET', `/stacks/${encodeURIComponent(String(stack_name))}`);
  }
  for (const text of ['{', '', '\u0000', '{"a":'.repeat(20_000)]) {
    await send('POST', '/stacks', undefined, text);
    await send('POST', `/stacks/s/${id}/resources/r/signal`, undefined, text);
  }
  const reads = ['/stacks', '/stacks/detail', `/stacks/s/${id}`, `/stacks/s/${id}/resources`, `/stacks/s/${id}/events`];
  reads.push(
    `/stacks/s/${id}/resources/r`,
    `/stacks/s/${id}/resources/r/events`,
    '/resource_types',
    '/software_configs',
  );
  reads.push('/resource_types/OS::Heat::None/template', '/template_versions/x/functions', '/software_deployments');
  for (const path of reads) for (const query of queries) await send('GET', `${path}?${query}`);
  for (const path of [
    ...[
      `/stacks/s/${none}`,
      '/stacks/%00',
      '/stacks/s%2Fx',
      `/stacks/s/${id}/outputs/x`,
      `/stacks/s/${id}/resources/x`,
    ],
    ...[`/stacks/s/${id}/resources/r/events/x`, `/stacks/s/${id}/resources/r/events/${none}`, '/software_configs/x'],
    ...['/software_deployments/x', `/software_configs/${none}`, `/software_deployments/${none}`, '/nothing'],
    ...['/software_deployments/metadata/x', `/stacks/s/${id}/snapshots/x`, `/stacks/s/${id}/snapshots/${none}`],
    ...['/resource_types/x', '/template_versions/x/functions', `/stacks/s/${id}/resources/%00/metadata`],
  ])
    for (const method of ['GET', 'DELETE']) await send(method, path);
  for (const body of [
    undefined,
    null,
    [],
    'x',
    {},
    { check: null, suspend: null },
    { nothing: null },
    { toString: null },
  ])
    await send('POST', `/stacks/s/${id}/actions`, body);
  for (const body of [
    null,
    [],
    {},
    'x',
    { inputs: 5 },
    { inputs: [5] },
    { outputs: [null] },
    { options: [] },
    { name: {} },
    { name: 'a\u0000' },
  ])
    await send('POST', '/software_configs', body);
  for (const body of [
    null,
    [],
    {},
    { server_id: 5 },
    { server_id: 'x', config_id: 'x' },
    { server_id: 'x', input_values: 5 },
  ])
    await send('POST', '/software_deployments', body);
  for (const body of [
    null,
    [],
    'x',
    {},
    { mark_unhealthy: 'yes' },
    { mark_unhealthy: true, resource_status_reason: {} },
  ])
    await send('PATCH', `/stacks/s/${id}/resources/r`, body);
  for (const body of [null, 5, [], { unset_hook: 5 }, { unset_hook: 'x' }])
    await send('POST', `/stacks/s/${id}/resources/r/signal`, body);
  for (const body of [null, {}, { plan: 5 }, { plan: {} }, { plan: { stack: 's', format: 'x' } }])
    await send('POST', '/plans/apply', body);
  expect(off.join('\n')).toBe('');
  expect(sent).toBeGreaterThan(400);
}, 120_000);
