import { describe, expect, test } from 'vitest';
import { Analysis } from './analysis.ts';
import { resolve } from './calls.ts';
import { environmentFrom, parseEnvironment } from './environment.ts';
import { Fault } from './faults.ts';
import { lint } from './lint.ts';
import { nestedAnalysis, validateDeep } from './nested.ts';
import type { Files } from './scope.ts';
import { parseTemplate } from './template.ts';
import { builtInCatalog } from './types/index.ts';
import { toPlain, type Value } from './values.ts';

const stack = { name: 'teststack', id: '0dd3a1ee', project: 'p' };

function analysis(
  body: string,
  options: { environment?: string; files?: Record<string, string>; version?: string } = {},
): Analysis {
  const files: Files = new Map(Object.entries(options.files ?? {}));
  return new Analysis({
    template: parseTemplate(`heat_template_version: ${options.version ?? '2021-04-16'}\n${body}`, { file: 't.yaml' }),
    environment: environmentFrom(parseEnvironment(options.environment ?? '')),
    files,
    types: builtInCatalog,
    stack,
  });
}

function faultOf(work: () => unknown): Fault {
  try {
    work();
  } catch (thrown) {
    if (thrown instanceof Fault) return thrown;
    throw thrown;
  }
  throw new Error('nothing was thrown');
}

describe('mistakes are told with their place', () => {
  test.each([
    [
      'resources:\n  r:\n    type: OS::Heat::RandomString\n    properties:\n      lenght: 5\n',
      't.yaml:6:7: StackValidationFailed: Property error: resources.r.properties.lenght: Unknown Property lenght',
    ],
    [
      'resources:\n  r:\n    type: OS::Heat::RandomString\n    properties: {length: abc}\n',
      "t.yaml:5:18: StackValidationFailed: Property error: resources.r.properties.length: Value 'abc' is not an integer",
    ],
    [
      'resources:\n  r: {type: OS::Nova::Serve}\n',
      't.yaml:3:7: StackValidationFailed: resources.r.type: The Resource Type (OS::Nova::Serve) could not be found.',
    ],
    [
      'resources:\n  r:\n    type: OS::Heat::Value\n    properties:\n      value: [1, {get_resource: nope}]\n',
      't.yaml:6:18: InvalidTemplateReference: The specified reference "nope" (in r.Properties.value[1]) is incorrect.',
    ],
    [
      'resources:\n  r: {type: OS::Heat::RandomString}\noutputs:\n  o:\n    value: {get_attr: [r, valu]}\n',
      't.yaml:6:13: StackValidationFailed: outputs.o.value.get_attr: The Referenced Attribute (r valu) is incorrect.',
    ],
    ['parameters:\n  p: {type: string}\n', 't.yaml:3:3: UserParameterMissing: The Parameter (p) was not provided.'],
    ['resource: {}\n', 't.yaml:2:1: InvalidTemplateSection: The template section is invalid: resource'],
    [
      'resources:\n  a: {type: OS::Heat::None, depends_on: b}\n  b: {type: OS::Heat::None, depends_on: a}\n',
      't.yaml:3:3: CircularDependencyException: Circular Dependency Found: a -> b -> a',
    ],
    [
      'conditions:\n  c: {not: c}\nresources:\n  a: {type: OS::Heat::None, condition: c}\n',
      't.yaml:3:3: StackValidationFailed: Condition validation error: ',
    ],
    [
      'resources:\n  r:\n    type: OS::Nova::Server\n    properties: {flavor: m, networks: [{port: a}, {prot: b}]}\n',
      't.yaml:5:52: StackValidationFailed: Property error: resources.r.properties.networks[1].prot: Unknown Property prot',
    ],
  ])('%j', (body, message) => {
    expect(faultOf(() => analysis(body).validate()).toString()).toContain(message);
  });

  test('also in a nested template, with the way to it', () => {
    const files = {
      'n.yaml':
        'heat_template_version: 2021-04-16\nresources:\n  q:\n    type: OS::Heat::RandomString\n    properties: {x: 1}\n',
    };
    const fault = faultOf(() => validateDeep(analysis('resources:\n  r: {type: n.yaml}\n', { files })));
    expect(fault.toString()).toBe(
      'n.yaml:5:18: StackValidationFailed: Property error: resources.r<n.yaml>.resources.q.properties.x: Unknown Property x',
    );
  });
});

describe('the analysis', () => {
  test('leaves what waits for live data unresolved, and resolves it when it comes', () => {
    const found = analysis(
      'resources:\n  a: {type: OS::Heat::RandomString}\n  b: {type: OS::Heat::Value, properties: {value: {get_attr: [a, value]}}}\noutputs:\n  o: {value: {list_join: ["-", [{get_resource: a}, {get_attr: [a, value]}]]}}\n',
    ).validate();
    expect(found.graph.edges()).toEqual([['b', 'a']]);
    const live = found.live((name) => ({
      name,
      action: 'CREATE',
      status: 'COMPLETE',
      reference: () => 'physical',
      hasAttribute: () => true,
      attribute: (): Value => 'secret',
      attributes: () => new Map(),
    }));
    expect(resolve(found.outputs.get('o')!.value, live)).toBe('physical-secret');
  });

  test('conditions switch resources, outputs and properties off', () => {
    const found = analysis(
      'parameters: {p: {type: boolean, default: false}}\nconditions:\n  lit: {get_param: p}\n  dark: {not: lit}\nresources:\n  a: {type: OS::Heat::None, condition: lit}\n  b: {type: OS::Heat::Value, properties: {value: {if: [dark, 1, 2]}}}\noutputs:\n  o: {value: {get_resource: a}, condition: lit}\n',
    ).validate();
    expect([...found.resources.keys()]).toEqual(['b']);
    expect(found.resources.get('b')!.properties.get('value')).toBe(1);
    expect(found.outputs.get('o')!.value).toBeNull();
  });

  test('a port needs the subnets of its network, though no template says so', () => {
    const found = analysis(
      'resources:\n  net: {type: OS::Neutron::Net}\n  sub: {type: OS::Neutron::Subnet, properties: {network: {get_resource: net}, cidr: 192.0.2.0/24}}\n  port: {type: OS::Neutron::Port, properties: {network: {get_resource: net}}}\n',
    ).validate();
    expect(found.graph.edges()).toContainEqual(['port', 'sub']);
    expect(found.explicitGraph).toBeDefined();
  });

  test('deprecated properties stand for the new ones', () => {
    const found = analysis('resources:\n  port: {type: OS::Neutron::Port, properties: {network_id: n}}\n').validate();
    expect(found.resources.get('port')!.properties.get('network')).toBe('n');
    const both = 'resources:\n  port: {type: OS::Neutron::Port, properties: {network_id: n, network: m}}\n';
    expect(faultOf(() => analysis(both).validate()).message).toContain(
      'Cannot define the following properties at the same time',
    );
  });

  test('a nested stack gets its parameters from the properties', () => {
    const files = {
      'n.yaml':
        'heat_template_version: 2021-04-16\nparameters:\n  l: {type: comma_delimited_list}\n  s: {type: string}\noutputs:\n  o: {value: {get_param: l}}\n  f: {value: {resource_facade: metadata}}\n',
    };
    const parent = analysis('resources:\n  r: {type: My::Type, properties: {l: [a, b], s: 1}, metadata: {k: v}}\n', {
      files,
      environment: 'resource_registry: {My::Type: n.yaml}\n',
    });
    validateDeep(parent);
    const child = nestedAnalysis(parent, parent.resources.get('r')!, 'teststack-r')!;
    expect(child.parameters.value('s')).toBe('1');
    expect(resolve(child.outputs.get('o')!.value, child.scope)).toEqual(['a', 'b']);
    expect(toPlain(resolve(child.outputs.get('f')!.value, child.scope))).toEqual({ k: 'v' });
  });

  test('functions belong to their versions', () => {
    const body =
      'resources: {r: {type: OS::Heat::Value, properties: {value: {Ref: r2}}}, r2: {type: OS::Heat::None}}\n';
    expect(analysis(body, { version: '2013-05-23' }).validate().graph.edges()).toEqual([['r', 'r2']]);
    expect(faultOf(() => analysis(body, { version: '2014-10-16' }).validate()).heatMessage).toContain(
      'not supported in this version of HOT',
    );
  });
});

describe('hostile templates end in a clear refusal', () => {
  const nested = (count: number, of: string): string =>
    `heat_template_version: 2021-04-16\nresources:\n${Array.from({ length: count }, (_, i) => `  r${i}: {type: ${of}}\n`).join('')}`;

  test('a template that is its own resource', () => {
    const files = { 'self.yaml': nested(2, 'self.yaml') };
    expect(faultOf(() => validateDeep(analysis('resources: {r: {type: self.yaml}}\n', { files }))).kind).toBe(
      'RequestLimitExceeded',
    );
  });

  test('a few templates that multiply', () => {
    const files = Object.fromEntries(
      Array.from({ length: 8 }, (_, i) => [`a${i}.yaml`, nested(9, i < 7 ? `a${i + 1}.yaml` : 'OS::Heat::None')]),
    );
    const fault = faultOf(() => validateDeep(analysis('resources: {r: {type: a0.yaml}}\n', { files })));
    expect(fault.message).toContain('Maximum resources per stack exceeded');
  });

  test.each([
    [
      'repeat',
      `{repeat: {template: "%0%", for_each: {${Array.from({ length: 12 }, (_, i) => `"%${i}%": [a, b, c, d, e, f, g]`).join(', ')}}}}`,
    ],
    ['str_replace', `{str_replace: {template: "${'%'.repeat(20_000)}", params: {"%": "${'x'.repeat(20_000)}"}}}`],
    ['list_join', `{list_join: ["${'x'.repeat(100_000)}", [${'a, '.repeat(1_000)}a]]}`],
  ])('%s that asks for too much', (_name, value) => {
    const found = analysis(`outputs:\n  o:\n    value: ${value}\n`);
    expect(faultOf(() => resolve(found.outputs.get('o')!.value, found.scope)).kind).toBe('RequestLimitExceeded');
  });

  test('patterns that backtrack without end', () => {
    const pattern = (text: string): string =>
      `parameters:\n  p: {type: string, default: ${'a'.repeat(60)}b, constraints: [{allowed_pattern: "${text}"}]}\n`;
    expect(faultOf(() => analysis(pattern('(a+)+')).validate()).kind).toBe('InvalidSchemaError');
    expect(faultOf(() => analysis(pattern('(?=a)(a+)+$')).validate()).message).toContain('takes too long');
  });

  test('texts beyond the limit', () => {
    expect(faultOf(() => parseTemplate('x'.repeat(50 << 20))).kind).toBe('RequestLimitExceeded');
  });

  test('files are never read from elsewhere', () => {
    for (const file of ['/etc/passwd', '../x.yaml', 'file:///etc/passwd', 'http://192.0.2.1/x.yaml']) {
      const found = analysis(`outputs: {o: {value: {get_file: "${file}"}}}\n`);
      expect(faultOf(() => resolve(found.outputs.get('o')!.value, found.scope)).message).toContain('No content found');
    }
    expect(faultOf(() => analysis('resources: {r: {type: "file:///etc/x.yaml"}}\n').validate()).message).toContain(
      'not among the files',
    );
  });
});

describe('advice', () => {
  test('offers the name that was probably meant', () => {
    const hint = (body: string): string | undefined => faultOf(() => analysis(body).validate()).hint;
    expect(hint('resources: {r: {type: OS::Heat::RandomString, properties: {lenght: 5}}}\n')).toBe(
      'did you mean "length"?',
    );
    expect(hint('resources: {r: {type: OS::Nova::Serve}}\n')).toBe('did you mean "OS::Nova::Server"?');
    expect(hint('resource: {}\n')).toBe('did you mean "resources"?');
    expect(hint('resources: {r: {type: Nothing::Like::It}}\n')).toBeUndefined();
  });

  test('tells what is unused or outdated, and where', () => {
    const found = analysis(
      'parameters:\n  a: {type: string, default: x}\n  b: {type: string, default: x}\nconditions:\n  c: true\nresources:\n  p: {type: OS::Neutron::Port, properties: {network_id: {get_param: a}}}\n',
    ).validate();
    expect(lint(found).map(({ message, position }) => `${position!.line}:${position!.column} ${message}`)).toEqual([
      '4:3 The parameter b is not used.',
      '6:3 The condition c is not used.',
      '8:45 The property network_id is obsolete. Use property network.',
    ]);
  });
});
