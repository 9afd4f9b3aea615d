import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Appliance, createAppliance } from '../../../test/setup/appliance.ts';
import { exitCodes } from '../exit.ts';
import { parametersOf, stackNameOf } from './deploy.ts';

describe('overcloud', () => {
  let site: Appliance;
  beforeAll(async () => {
    site = await createAppliance();
    return () => site.close();
  });
  const file = (name: string, text: string): string => {
    const path = join(site.dir, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    return name;
  };
  const overcloud = (...args: string[]) => site.run('overcloud', ...args);

  const hello = `heat_template_version: 2021-04-16
parameters:
  greeting: {type: string}
resources:
  word: {type: OS::Heat::RandomString, properties: {length: 6}}
  roles:
    type: OS::Heat::ResourceGroup
    properties: {count: 2, resource_def: {type: nested/role.yaml, properties: {index: '%index%'}}}
  text:
    type: OS::Heat::Value
    properties: {value: {list_join: [' ', [{get_param: greeting}, {get_file: motd.txt}, {get_attr: [word, value]}]]}}
outputs:
  text: {value: {get_attr: [text, value]}}
  roles: {value: {get_attr: [roles, out]}}
`;
  const role = `heat_template_version: 2016-10-14
parameters: {index: {type: string}}
resources:
  config: {type: OS::Heat::Value, properties: {value: {get_file: motd.txt}}}
outputs:
  out: {value: {list_join: ['', [{get_param: index}, {get_attr: [config, value]}]]}}
`;
  const lay = () => {
    file('hello.hot.yaml', hello);
    file('motd.txt', 'there');
    file('nested/role.yaml', role);
    file('nested/motd.txt', '!');
    file('env.yaml', 'parameters: {greeting: hello}\n');
  };

  it('lays a template out with all its files, shows each resource, and ends with the outputs', async () => {
    lay();
    const ran = await overcloud('deploy', 'hello.hot.yaml', '-e', 'env.yaml');
    expect(ran.stderr).toContain('✔ roles.0.config: created');
    expect(ran.code).toBe(exitCodes.ok);
    expect(ran.stdout).toMatch(/text +hello there [A-Za-z0-9]{6}\n/);
    expect(ran.stdout).toContain('["0!","1!"]');
    const tree = (await overcloud('status', 'hello')).stdout;
    expect(tree).toMatch(/^✔ hello {2}created\n/);
    expect(tree).toMatch(/\n {4}✔ 1 {2}role\.yaml {2}created/);
    expect((await overcloud('list')).stdout).toMatch(/hello +\S+ +CREATE_COMPLETE/);
    expect((await overcloud('outputs', 'hello', 'text')).stdout).toMatch(/^hello there \w{6}\n$/);
    expect((await overcloud('events', 'hello')).stdout).toMatch(/word {2}CREATE_COMPLETE/);
    expect((await overcloud('show', 'hello')).stdout).toMatch(/status +CREATE_COMPLETE/);
  });

  it('plans, changes what is there, and tells what it keeps', async () => {
    lay();
    await overcloud('deploy', 'hello.hot.yaml', '-e', 'env.yaml', '--name', 'again');
    const change = ['hello.hot.yaml', '--parameter', 'greeting=goodbye', '--name', 'again'];
    const plan = await overcloud('plan', ...change);
    expect(plan.stdout).toMatch(/update +text +OS::Heat::Value +value/);
    expect(plan.stdout).toContain('again: 1 to change, 6 kept.');
    expect(plan.stdout).toMatch(/text\.value: hello there \w+ → goodbye there \w+/);
    const refused = await overcloud('plan', ...change, '--protect', 'text', '--forbid', 'replace');
    expect(refused.code).toBe(exitCodes.ok);
    const none = ['hello.hot.yaml', '--name', 'again', '--parameter', 'greeting=x'];
    const graph = await overcloud('graph', 'hello.hot.yaml', '-e', 'env.yaml', '--format', 'dot');
    expect(graph.stdout).toContain('"word" -> "text";');
    expect(await overcloud('drift', 'again')).toMatchObject({ code: exitCodes.ok });
    const only = await overcloud('deploy', ...change, '--plan-only', '--json');
    expect(JSON.parse(only.stdout)).toMatchObject({ stack: 'again', isNew: false });
    // A plan that was kept is carried out as it stands, once; then it is stale.
    expect((await overcloud('plan', ...none, '--output', 'kept.json')).code).toBe(exitCodes.ok);
    expect((await overcloud('deploy', '--plan', 'kept.json', '--json')).code).toBe(exitCodes.ok);
    expect((await overcloud('outputs', 'again', 'text')).stdout).toMatch(/^x there \w+\n$/);
    expect((await overcloud('deploy', '--plan', 'kept.json')).stderr).toMatch(/The plan for the stack again is stale/);
    expect((await overcloud('deploy')).stderr).toMatch(/Give a template to deploy, or --plan/);
    const ran = await overcloud('deploy', ...change, '--json');
    expect(ran.code).toBe(exitCodes.ok);
    expect(JSON.parse(ran.stdout)).toMatchObject({ name: 'again', action: 'UPDATE', status: 'COMPLETE' });
    expect(ran.stderr).toContain('"word","state":"skipped"');
    const gone = await overcloud('delete', 'again');
    expect(gone).toMatchObject({ code: exitCodes.ok, stdout: 'again  deleted\n' });
    expect((await overcloud('status', 'again')).stderr).toContain('The Stack (again) could not be found.');
  });

  it.each([
    ['an unreadable template', null, [], /cannot be read: there is no such file/],
    ['broken YAML', 'heat_template_version: 2021-04-16\nresources:\n  a: {type: [\n', [], /bad\.yaml:4:1: /],
    [
      'an unknown type',
      'heat_template_version: 2021-04-16\nresources:\n  a: {type: OS::No::Such}\n',
      [],
      /bad\.yaml:3:.*OS::No::Such/,
    ],
    [
      'a missing parameter',
      'heat_template_version: 2021-04-16\nparameters:\n  p: {type: string}\nresources: {}\n',
      [],
      /parameter.*p.*--parameter/i,
    ],
    [
      'a missing file',
      'heat_template_version: 2021-04-16\nresources:\n  a:\n    type: no.yaml\n',
      [],
      /bad\.yaml:4: the file no\.yaml .*no such file/,
    ],
    ['a parameter without a value', 'heat_template_version: 2021-04-16\n', ['--parameter', 'x'], /NAME=VALUE/],
  ])('refuses %s in one sentence with the place, and leaves nothing', async (_, text, more, sentence) => {
    if (text !== null) file('bad.yaml', text);
    const ran = await overcloud('deploy', text === null ? 'nothing.yaml' : 'bad.yaml', '--name', 'bad', ...more);
    expect(ran.stderr).toMatch(sentence);
    expect(ran.stderr.trim().split('\n')).toHaveLength(1);
    expect(ran.code).toBe(exitCodes.usage);
    expect((await overcloud('list')).stdout).not.toMatch(/^bad /m);
  });

  const servers = (count: number) => `heat_template_version: 2021-04-16
resources:
${Array.from(
  { length: count },
  (_, n) => `  s${n}:
    type: OS::Nova::Server
    properties: {image: lab, flavor: baremetal, networks: [{network: ctlplane}]}`,
).join('\n')}
`;

  it('removes a stack that failed before anything of it was deployed, with the cause and its line', async () => {
    site.stacks.outside.nodes = 0;
    file('many.yaml', servers(1));
    const ran = await overcloud('deploy', 'many.yaml');
    expect(ran.code).toBe(exitCodes.failed);
    expect(ran.stderr).toMatch(/CREATE of stack many failed: .*No node can take the server/);
    expect(ran.stderr).toContain('many.yaml:3');
    expect(ran.stderr).toContain('Nothing of it is left.');
    expect((await overcloud('list')).stdout).not.toMatch(/^many /m);
  });

  it('keeps a stack of which something is deployed, or when it is asked to', async () => {
    site.stacks.outside.nodes = 0;
    file('kept.yaml', servers(1));
    const ran = await overcloud('deploy', 'kept.yaml', '--keep-failed');
    expect(ran.code).toBe(exitCodes.failed);
    expect(ran.stderr).toContain('Correct that and deploy again');
    const status = await overcloud('status', 'kept');
    expect(status.code).toBe(exitCodes.failed);
    expect(status.stdout).toMatch(/✘ s0/);
    site.stacks.outside.nodes = 1;
    expect((await overcloud('deploy', 'kept.yaml')).code).toBe(exitCodes.ok);
  });

  it('stops watching at Ctrl-C; the stack goes on', async () => {
    site.stacks.outside.nodes = 1;
    file(
      'wait.yaml',
      `heat_template_version: 2021-04-16
resources:
  handle: {type: OS::Heat::WaitConditionHandle}
  wait: {type: OS::Heat::WaitCondition, properties: {handle: {get_resource: handle}, timeout: 3600}}
`,
    );
    const running = site.start('overcloud', 'deploy', 'wait.yaml');
    await running.says('… wait: waits for');
    running.interrupt();
    const ran = await running.ended;
    expect(ran.code).toBe(exitCodes.interrupted);
    expect(ran.stderr).toContain(
      'Stopped watching. The stack wait goes on in the undercloud; `overcloud status wait --follow`',
    );
    const follow = site.start('overcloud', 'status', 'wait', '--follow');
    await follow.says('… wait: waits for');
    follow.interrupt('SIGTERM');
    expect(await follow.ended).toMatchObject({ code: 143, stderr: expect.stringContaining('Stopped watching.') });
    expect((await overcloud('status', 'wait')).stdout).toMatch(/… wait .*waits for/);
    expect((await overcloud('delete', 'wait')).code).toBe(exitCodes.ok);
  });

  it('validates without making anything', async () => {
    lay();
    const ran = await overcloud('validate', 'hello.hot.yaml');
    expect(ran.code).toBe(exitCodes.ok);
    expect(ran.stdout).toMatch(/greeting +String +\(required\)/);
  });
});

describe('the command line', () => {
  it.each([
    ['templates/hello.hot.yaml', 'hello'],
    ['/srv/My stack.yml', 'My-stack'],
    ['https://example.org/a/web.template?x=1', 'web'],
    ['9.yaml', 'overcloud'],
  ])('names the stack of %s %s', (path, name) => expect(stackNameOf(path)).toBe(name));

  it('takes parameters whose values hold anything', () => {
    expect(parametersOf(['a=b=c', 'd='])).toEqual({ a: 'b=c', d: '' });
  });
});
