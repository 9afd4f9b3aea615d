/** The stock `openstack` client against orchestration, logged in at the real identity service. */
import { expect, it } from 'vitest';
import { stackCloud as cloud, type Row } from '../setup/stack-cloud.ts';

const template = `heat_template_version: 2021-04-16
description: demo
parameters:
  len: {type: number, default: 8, constraints: [{range: {min: 1, max: 64}}]}
  secret: {type: string, default: s3cret, hidden: true}
resources:
  r: {type: OS::Heat::RandomString, properties: {length: {get_param: len}}}
  v: {type: OS::Heat::Value, properties: {value: {get_attr: [r, value]}}}
  g:
    type: OS::Heat::ResourceGroup
    properties: {count: 2, resource_def: {type: child.yaml, properties: {x: "%index%"}}}
outputs:
  r: {description: the string, value: {get_attr: [v, value]}}
  g: {value: {get_attr: [g, out]}}
`;
const child = `heat_template_version: 2016-10-14
parameters:
  x: {type: string}
resources:
  rs: {type: OS::Heat::RandomString, properties: {length: 5}}
outputs:
  out: {value: {list_join: ['', [{get_param: x}, {get_attr: [rs, value]}]]}}
`;

it('makes, lists, shows, changes and deletes a stack, waiting for each', async () => {
  const { openstack, json, file, refused } = await cloud();
  file('child.yaml', child);
  file('a.yaml', template);
  const made = await json(
    'stack',
    'create',
    '-t',
    'a.yaml',
    '--parameter',
    'len=10',
    '--tags',
    'one,two',
    '--wait',
    'demo',
  );
  expect(made).toMatchObject({ stack_name: 'demo', stack_status: 'CREATE_COMPLETE', description: 'demo' });
  expect(await json<Row[]>('stack', 'list')).toMatchObject([
    { 'Stack Name': 'demo', 'Stack Status': 'CREATE_COMPLETE' },
  ]);
  const shown = await json('stack', 'show', 'demo');
  expect(shown).toMatchObject({
    stack_status: 'CREATE_COMPLETE',
    parameters: { len: '10', secret: '******' },
    tags: ['one', 'two'],
  });
  expect((await json('stack', 'show', made.id as string)).stack_name).toBe('demo');
  const resources = await json<Row[]>('stack', 'resource', 'list', 'demo');
  expect(resources.map((row) => row.resource_name).sort()).toEqual(['g', 'r', 'v']);
  expect(new Set(resources.map((row) => row.resource_status))).toEqual(new Set(['CREATE_COMPLETE']));
  const nested = await json<Row[]>('stack', 'resource', 'list', 'demo', '-n', '5');
  expect(nested.map((row) => row.resource_name).sort()).toEqual(['0', '1', 'g', 'r', 'rs', 'rs', 'v']);
  const one = await json('stack', 'resource', 'show', 'demo', 'r');
  expect((one.attributes as Row).value).toHaveLength(10);
  const output = await json('stack', 'output', 'show', 'demo', 'r');
  expect(output.output_value).toBe((one.attributes as Row).value);
  expect((await json<Row[]>('stack', 'output', 'list', 'demo')).map((row) => row.output_key)).toEqual(['r', 'g']);
  const events = await json<Row[]>('stack', 'event', 'list', 'demo');
  expect(events.at(0)).toMatchObject({
    resource_name: 'demo',
    resource_status: 'CREATE_IN_PROGRESS',
    resource_status_reason: 'Stack CREATE started',
  });
  expect(events.at(-1)).toMatchObject({ resource_name: 'demo', resource_status: 'CREATE_COMPLETE' });
  expect(await openstack('stack', 'event', 'list', 'demo', '--nested-depth', '2', '-f', 'log')).toContain(
    '[demo.g.0.rs]: CREATE_COMPLETE',
  );
  expect(await openstack('stack', 'template', 'show', 'demo')).toContain('heat_template_version');
  expect(await openstack('stack', 'environment', 'show', 'demo')).toContain("len: '10'");
  const dry = await openstack('stack', 'update', 'demo', '--existing', '--parameter', 'len=12', '--dry-run');
  expect(dry).toMatch(/replaced +\| \[[\s\S]*"resource_name": "r"/);
  const updated = await json('stack', 'update', 'demo', '--existing', '--parameter', 'len=12', '--wait');
  expect(updated.stack_status).toBe('UPDATE_COMPLETE');
  expect((await json('stack', 'output', 'show', 'demo', 'r')).output_value).toHaveLength(12);
  expect((await json<Row[]>('stack', 'check', 'demo', '--wait'))[0]).toMatchObject({
    'Stack Status': 'CHECK_COMPLETE',
  });
  await openstack('stack', 'resource', 'mark', 'unhealthy', 'demo', 'r', 'because');
  await openstack('stack', 'delete', '-y', '--wait', 'demo');
  expect(await json<Row[]>('stack', 'list')).toEqual([]);
  expect(await refused('stack', 'show', 'demo')).toContain('Stack not found: demo');
}, 180_000);

it('tells what is wrong in one sentence', async () => {
  const { refused, file, openstack, json } = await cloud();
  file('unknown.yaml', 'heat_template_version: 2021-04-16\nresources:\n  r: {type: OS::Heat::Nope}\n');
  expect(await refused('stack', 'create', '-t', 'unknown.yaml', 's')).toContain(
    'The Resource Type (OS::Heat::Nope) could not be found.',
  );
  file('missing.yaml', 'heat_template_version: 2021-04-16\nparameters:\n  p: {type: string}\nresources: {}\n');
  expect(await refused('stack', 'create', '-t', 'missing.yaml', 's')).toContain('The Parameter (p) was not provided.');
  file(
    'circle.yaml',
    'heat_template_version: 2021-04-16\nresources:\n  a: {type: OS::Heat::None, depends_on: b}\n  b: {type: OS::Heat::None, depends_on: a}\n',
  );
  expect(await refused('stack', 'create', '-t', 'circle.yaml', 's')).toContain('Circular Dependency Found');
  file(
    'fail.yaml',
    'heat_template_version: 2021-04-16\nresources:\n  t: {type: OS::Heat::TestResource, properties: {fail: true}}\n',
  );
  expect(await refused('stack', 'create', '-t', 'fail.yaml', '--wait', 'failing')).toContain('Test Resource failed t');
  expect(await openstack('stack', 'failures', 'list', 'failing')).toContain('Test Resource failed t');
  file(
    'server.yaml',
    'heat_template_version: 2021-04-16\nresources:\n  s: {type: OS::Nova::Server, properties: {image: nosuch, flavor: baremetal}}\n',
  );
  expect(await refused('stack', 'create', '-t', 'server.yaml', 's')).toContain('The image nosuch could not be found.');
  expect((await json<Row[]>('stack', 'list')).map((row) => row['Stack Name'])).toEqual(['failing']);
}, 120_000);

it('answers about types, versions, configurations and deployments', async () => {
  const { openstack, json, file } = await cloud();
  expect(await openstack('orchestration', 'build', 'info')).toContain('undercloud');
  expect(await json<Row[]>('orchestration', 'resource', 'type', 'list')).toContainEqual({
    'Resource Type': 'OS::Nova::Server',
  });
  expect(await openstack('orchestration', 'resource', 'type', 'show', 'OS::Heat::RandomString')).toContain(
    'lettersdigits',
  );
  expect(
    await openstack('orchestration', 'resource', 'type', 'show', 'OS::Heat::RandomString', '--template-type', 'hot'),
  ).toContain('get_param');
  expect(await openstack('orchestration', 'template', 'version', 'list')).toContain('heat_template_version.2021-04-16');
  expect(
    await openstack('orchestration', 'template', 'function', 'list', 'heat_template_version.2021-04-16'),
  ).toContain('list_join');
  file('a.yaml', 'heat_template_version: 2021-04-16\nparameters:\n  p: {type: string, hidden: true}\nresources: {}\n');
  expect(await openstack('orchestration', 'template', 'validate', '-t', 'a.yaml')).toContain('NoEcho');
  file('hello.sh', '#!/bin/sh\necho hello > $heat_outputs_path.result\n');
  const config = await json('software', 'config', 'create', '--config-file', 'hello.sh', '--group', 'script', 'myconf');
  expect(config).toMatchObject({ name: 'myconf', group: 'script' });
  const server = '11111111-2222-3333-4444-555555555555';
  const deployment = await json(
    ...[
      'software',
      'deployment',
      'create',
      '--config',
      config.id as string,
      '--server',
      server,
      '--signal-transport',
      'NO_SIGNAL',
    ],
    ...['--input-value', 'a=b', '--action', 'CREATE', 'dep'],
  );
  expect(await json<Row[]>('software', 'deployment', 'list', '--server', server)).toMatchObject([
    { id: deployment.id },
  ]);
  expect(await openstack('software', 'deployment', 'metadata', 'show', server)).toContain('deploy_server_id');
  const id = deployment.id as string;
  expect(await json('software', 'deployment', 'show', id)).toMatchObject({ id, server_id: server, action: 'CREATE' });
  // Nothing came of it: Heat's client prints nothing then.
  expect(await openstack('software', 'deployment', 'output', 'show', id, '--all')).toBe('');
  expect(await json<Row[]>('software', 'config', 'list')).toContainEqual(expect.objectContaining({ id: config.id }));
  expect(await openstack('software', 'config', 'show', '--config-only', config.id as string)).toContain('echo hello');
  expect(await json<Row[]>('orchestration', 'service', 'list')).toMatchObject([
    { Binary: 'heat-engine', Status: 'up' },
  ]);
  await openstack('software', 'deployment', 'delete', id);
  await openstack('software', 'config', 'delete', config.id as string);
  expect(await json<Row[]>('software', 'deployment', 'list')).toEqual([]);
}, 120_000);

it('takes environments that are merged, wildcards, hidden and immutable parameters, and shows what became of them', async () => {
  const { openstack, json, file, refused } = await cloud();
  file(
    'a.yaml',
    `heat_template_version: 2021-04-16
parameter_groups: [{label: g, parameters: [names, secret]}]
parameters:
  names: {type: json, default: {}}
  secret: {type: string, hidden: true, default: hush}
  fixed: {type: string, immutable: true, default: one}
resources:
  a: {type: My::Own::Thing, properties: {value: {get_param: names}}}
  b: {type: Their::Thing}
outputs:
  names: {value: {get_attr: [a, value]}}
`,
  );
  file(
    'one.yaml',
    `parameters: {names: {x: {deep: 1}}}
parameter_merge_strategies: {names: deep_merge}
resource_registry: {"My::Own::*": "OS::Heat::Value", "Their::Thing": "OS::Heat::None"}
encrypted_param_names: [fixed]
event_sinks: []
`,
  );
  file('two.yaml', 'parameters: {names: {x: {low: 2}}}\nparameter_merge_strategies: {names: deep_merge}\n');
  file('bad.yaml', 'resource_registry: {"My::Own::*": "No::Such::*"}\n');
  const validated = await json('orchestration', 'template', 'validate', '-t', 'a.yaml', '-e', 'one.yaml');
  expect(validated).toMatchObject({ ParameterGroups: [{ label: 'g', parameters: ['names', 'secret'] }] });
  expect(validated).toMatchObject({ Parameters: { secret: { NoEcho: 'true' }, names: { Type: 'Json' } } });
  const made = await json('stack', 'create', '-t', 'a.yaml', '-e', 'one.yaml', '-e', 'two.yaml', '--wait', 's');
  expect(made.stack_status).toBe('CREATE_COMPLETE');
  expect((await json('stack', 'output', 'show', 's', 'names')).output_value).toEqual({ x: { deep: 1, low: 2 } });
  expect(await json('stack', 'show', 's')).toMatchObject({ parameters: { secret: '******', fixed: 'one' } });
  const shown = await openstack('stack', 'environment', 'show', 's');
  expect(shown).toContain('My::Own::*: OS::Heat::Value');
  expect(await refused('stack', 'update', 's', '--existing', '--parameter', 'fixed=two')).toMatch(
    /parameters are immutable and may not be updated: fixed/,
  );
  expect(await refused('stack', 'create', '-t', 'a.yaml', '-e', 'bad.yaml', 't')).toContain('My::Own::Thing');
  expect(await openstack('stack', 'file', 'list', 's')).toContain('one.yaml');
  expect(await openstack('stack', 'resource', 'metadata', 's', 'a')).toContain('{}');
  const [, event] = await json<Row[]>('stack', 'event', 'list', 's');
  const { id, resource_name } = event as { id: string; resource_name: string };
  expect(await json('stack', 'event', 'show', 's', resource_name, id)).toMatchObject({ id, resource_name });
  expect(await refused('stack', 'resource', 'signal', 's', 'a', '--data', '{}')).toContain('signal is not supported');
}, 120_000);
