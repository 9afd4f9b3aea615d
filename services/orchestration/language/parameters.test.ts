import { describe, expect, test } from 'vitest';
import { Fault } from './faults.ts';
import { Parameters, stackArn, validateParameterGroups } from './parameters.ts';
import { parseTemplate } from './template.ts';
import { builtInCatalog } from './types/index.ts';
import { type Dict, Float, fromPlain, type Value } from './values.ts';

const stack = { name: 'my stack', id: 'id', project: 'p' };
const check = (name: string, value: Value): string | undefined | null => builtInCatalog.constraint(name, value);

function parameters(
  yaml: string,
  given: Record<string, unknown> = {},
  defaults: Record<string, unknown> = {},
): Parameters {
  const template = parseTemplate(`heat_template_version: 2021-04-16\nparameters:\n${yaml}`);
  return new Parameters(template, stack, fromPlain(given) as Dict, fromPlain(defaults) as Dict);
}

function kindOf(work: () => void): string {
  try {
    work();
  } catch (thrown) {
    if (thrown instanceof Fault) return thrown.kind;
    throw thrown;
  }
  return 'none';
}

describe('parameters', () => {
  test('are typed by their declarations', () => {
    const all = parameters(
      '  s: {type: string}\n  n: {type: number}\n  f: {type: number}\n  l: {type: comma_delimited_list}\n  j: {type: json}\n  b: {type: boolean}\n',
      { s: 1, n: '7', f: '2.0', l: 'a,b', j: '{"k": 1.0}', b: 'On' },
    );
    all.validate(check);
    const value = (name: string): Value => all.value(name);
    expect(value('s')).toBe('1');
    expect(value('n')).toBe(7);
    expect(value('f')).toEqual(new Float(2));
    expect(value('l')).toEqual(['a', 'b']);
    expect(value('j')).toEqual(new Map([['k', new Float(1)]]));
    expect(value('b')).toBe(true);
  });

  test('take the user’s value before the environment’s default before their own', () => {
    const yaml = '  x: {type: string, default: own}\n';
    expect(parameters(yaml).value('x')).toBe('own');
    expect(parameters(yaml, {}, { x: 'env' }).value('x')).toBe('env');
    expect(parameters(yaml, { x: 'user' }, { x: 'env' }).value('x')).toBe('user');
  });

  test('bring the stack’s own along', () => {
    expect(parameters('  x: {type: string, default: a}\n').value('OS::stack_name')).toBe('my stack');
    const cfn = parseTemplate('AWSTemplateFormatVersion: "2010-09-09"\n');
    expect(new Parameters(cfn, stack, new Map(), new Map()).value('AWS::StackId')).toBe(stackArn(stack));
    expect(stackArn(stack)).toBe('arn:openstack:heat::p:stacks/my%20stack/id');
  });

  test.each([
    ['a missing value', '  x: {type: string}\n', {}, 'UserParameterMissing'],
    ['an unknown name', '  x: {type: string, default: a}\n', { y: 1 }, 'UnknownUserParameter'],
    ['a word for a number', '  x: {type: number}\n', { x: 'a' }, 'StackValidationFailed'],
    [
      'a number out of range',
      '  x: {type: number, constraints: [{range: {min: 1, max: 3}}]}\n',
      { x: 4 },
      'StackValidationFailed',
    ],
    [
      'a text too long',
      '  x: {type: string, constraints: [{length: {max: 2}}]}\n',
      { x: 'abc' },
      'StackValidationFailed',
    ],
    [
      'a value not allowed',
      '  x: {type: string, constraints: [{allowed_values: [a, b]}]}\n',
      { x: 'c' },
      'StackValidationFailed',
    ],
    [
      'a text against a pattern',
      '  x: {type: string, constraints: [{allowed_pattern: "[a-z]+"}]}\n',
      { x: 'ab1' },
      'StackValidationFailed',
    ],
    [
      'a number between steps',
      '  x: {type: number, constraints: [{modulo: {step: 4, offset: 1}}]}\n',
      { x: 6 },
      'StackValidationFailed',
    ],
    [
      'no address',
      '  x: {type: string, constraints: [{custom_constraint: ip_addr}]}\n',
      { x: 'a' },
      'StackValidationFailed',
    ],
    [
      'a constraint that does not exist',
      '  x: {type: string, constraints: [{custom_constraint: no.such}]}\n',
      { x: 'a' },
      'StackValidationFailed',
    ],
    [
      'a range of a string',
      '  x: {type: string, constraints: [{range: {min: 1}}]}\n',
      { x: 'a' },
      'InvalidSchemaError',
    ],
    [
      'a default out of range',
      '  x: {type: number, default: 9, constraints: [{range: {max: 3}}]}\n',
      { x: 1 },
      'InvalidSchemaError',
    ],
  ])('refuse %s', (_what, yaml, given, kind) => {
    expect(kindOf(() => parameters(yaml, given).validate(check))).toBe(kind);
  });

  test('show a constraint’s own words', () => {
    const all = parameters(
      '  x: {type: string, constraints: [{length: {min: 5}, description: five letters please}]}\n',
      { x: 'a' },
    );
    expect(() => all.validate(check)).toThrow('five letters please');
  });

  test.each([
    '  x: 1\n',
    '  x: {}\n',
    '  x: {type: strin}\n',
    '  x: {type: string, foo: 1}\n',
    '  x: {type: string, constraints: [{}]}\n',
    '  x: {type: string, constraints: [{allowed_pattern: "("}]}\n',
  ])('refuse the declaration %j', (yaml) => {
    expect(['InvalidSchemaError', 'error']).toContain(kindOf(() => parameters(yaml)));
  });

  test('hide hidden values, and tell changes of immutable ones', () => {
    const yaml = '  x: {type: string, hidden: true, immutable: true}\n';
    const before = parameters(yaml, { x: 'secret' });
    expect(before.all.get('x')!.shown()).toBe('******');
    expect(parameters(yaml, { x: 'other' }).immutableChanges(before)).toEqual(['x']);
    expect(parameters(yaml, { x: 'secret' }).immutableChanges(before)).toEqual([]);
  });

  test('groups name declared parameters once', () => {
    const of = (groups: string): void => {
      const template = parseTemplate(
        `heat_template_version: 2021-04-16\nparameter_groups: ${groups}\nparameters: {x: {type: string, default: a}}\n`,
      );
      validateParameterGroups(template, new Parameters(template, stack, new Map(), new Map()));
    };
    of('[{label: a, parameters: [x]}]');
    expect(() => of('[{parameters: [x, x]}]')).toThrow('one parameter group only');
    expect(() => of('[{parameters: [y]}]')).toThrow('does not reference a valid parameter');
    expect(() => of('[{label: a}]')).toThrow('must be provided');
    expect(() => of('{a: b}')).toThrow('should be a list');
  });
});
