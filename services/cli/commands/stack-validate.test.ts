import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Appliance, createAppliance } from '../../../test/setup/appliance.ts';
import { exitCodes } from '../exit.ts';

describe('overcloud validate', () => {
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
  const validate = (...args: string[]) => site.run('overcloud', 'validate', ...args);

  const untidy = `heat_template_version: 2021-04-16
parameters:
  used: {type: string, default: a}
  forgotten: {type: string, default: b}
conditions:
  never: {equals: [{get_param: used}, b]}
resources:
  a: {type: OS::Heat::Value, properties: {value: {get_param: used}}}
  b: {type: nested/child.yaml}
  c: {type: OS::Heat::ResourceGroup, properties: {count: 3, resource_def: {type: nested/child.yaml}}}
`;

  it('says nothing of a tidy template, and ends with 0', async () => {
    file('tidy.yaml', 'heat_template_version: 2021-04-16\nresources: {a: {type: OS::Heat::None}}\n');
    const ran = await validate('tidy.yaml', '--strict');
    expect(ran).toMatchObject({ code: exitCodes.ok, stdout: 'tidy.yaml is valid, with 0 files beside it.\n' });
  });

  it('tells what it could not look at, and refuses in JSON where JSON is asked for', async () => {
    file(
      'open.yaml',
      'heat_template_version: 2021-04-16\nparameters: {p: {type: string}}\noutputs: {p: {value: {get_param: p}}}\n',
    );
    expect((await validate('open.yaml')).stdout).toMatch(
      /^open\.yaml:2:14: warning: The parameter p has no default and was not given/,
    );
    expect((await validate('open.yaml', '--parameter', 'p=1', '--strict')).code).toBe(exitCodes.ok);
    const ran = await validate('open.yaml', '--parameter', 'q=1', '--json');
    expect(ran).toMatchObject({ code: exitCodes.usage, stdout: '' });
    expect(JSON.parse(ran.stderr)).toMatchObject({ error: { code: 'input-refused' } });
  });

  it('warns of what is not used, with its place, in the stacks within as well and once for each file', async () => {
    file('untidy.yaml', untidy);
    file('nested/child.yaml', 'heat_template_version: 2021-04-16\nparameters:\n  idle: {type: string, default: x}\n');
    const ran = await validate('untidy.yaml');
    expect(ran.stdout.split('\n').slice(0, 4)).toEqual([
      'untidy.yaml:4:3: warning: The parameter forgotten is not used.',
      'untidy.yaml:6:3: warning: The condition never is not used.',
      'nested/child.yaml:3:3: warning: The parameter idle is not used.',
      'untidy.yaml is valid, with 1 files beside it; 3 warnings.',
    ]);
    expect(ran.code).toBe(exitCodes.ok);
    expect((await validate('untidy.yaml', '--strict')).code).toBe(exitCodes.failed);
    const { valid, warnings, Parameters } = JSON.parse((await validate('untidy.yaml', '--json')).stdout);
    expect({ valid, first: warnings[0], names: Object.keys(Parameters) }).toEqual({
      valid: true,
      first: { file: 'untidy.yaml', line: 4, column: 3, message: 'The parameter forgotten is not used.' },
      names: ['used', 'forgotten'],
    });
  });

  it('`graph` shows which needs which, as text, for Graphviz and in JSON, and a circle in full', async () => {
    file(
      'needs.yaml',
      'heat_template_version: 2021-04-16\nresources:\n  a: {type: OS::Heat::None, depends_on: b}\n  b: {type: OS::Heat::None}\n',
    );
    const graph = (...args: string[]) => site.run('overcloud', 'graph', ...args);
    expect((await graph('needs.yaml')).stdout).toMatch(
      /^resource +type +needs\nb +OS::Heat::None +-\na +OS::Heat::None +b\n/,
    );
    expect((await graph('needs.yaml', '--format', 'dot')).stdout).toMatch(
      /^digraph stack \{\n[\s\S]*"b" -> "a";\n\}\n$/,
    );
    expect(JSON.parse((await graph('needs.yaml', '--json')).stdout).a.requires).toEqual(['b']);
    file(
      'circle.yaml',
      'heat_template_version: 2021-04-16\nresources:\n  a: {type: OS::Heat::None, depends_on: b}\n  b: {type: OS::Heat::None, depends_on: a}\n',
    );
    const refused = await graph('circle.yaml');
    expect(refused).toMatchObject({ code: exitCodes.usage, stdout: '' });
    expect(refused.stderr).toContain('a -> b -> a');
  });

  it.each([
    [
      'a misspelt property',
      'resources:\n  r:\n    type: OS::Heat::RandomString\n    properties:\n      lenght: 5\n',
      /^wrong\.yaml:6:7: .*lenght.*Did you mean "length"\?/,
    ],
    ['a misspelt type', 'resources:\n  r: {type: OS::Heat::RandomStrin}\n', /^wrong\.yaml:3:.*OS::Heat::RandomString/],
    [
      'a value of the wrong kind',
      'resources:\n  r: {type: OS::Heat::RandomString, properties: {length: many}}\n',
      /^wrong\.yaml:3:.*many/,
    ],
    ['a misspelt section', 'resorces: {}\n', /^wrong\.yaml:2:1: .*resorces.*Did you mean "resources"\?/],
    [
      'a resource that is not there',
      'outputs:\n  o: {value: {get_attr: [nothing, value]}}\n',
      /^wrong\.yaml:3:.*nothing/,
    ],
    [
      'a misspelt property two stacks below',
      'resources:\n  g: {type: OS::Heat::ResourceGroup, properties: {resource_def: {type: broken.yaml}}}\n',
      /^broken\.yaml:3:.*lenght.*Did you mean "length"\?/,
    ],
  ])('refuses %s with its place', async (_, text, sentence) => {
    file('wrong.yaml', `heat_template_version: 2021-04-16\n${text}`);
    file(
      'broken.yaml',
      'heat_template_version: 2021-04-16\nresources:\n  r: {type: OS::Heat::RandomString, properties: {lenght: 5}}\n',
    );
    const ran = await validate('wrong.yaml');
    expect(ran.stderr).toMatch(sentence);
    expect(ran).toMatchObject({ code: exitCodes.usage, stdout: '' });
  });
});
