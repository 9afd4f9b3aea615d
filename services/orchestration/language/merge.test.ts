import { describe, expect, test } from 'vitest';
import { environmentFrom } from './environment.ts';
import { childEnvironment, mergeEnvironments } from './merge.ts';
import { parameterSchemas } from './parameters.ts';
import { parseTemplate } from './template.ts';
import { type Dict, fromPlain, toPlain } from './values.ts';

const schemas = parameterSchemas(
  parseTemplate(
    'heat_template_version: 2021-04-16\nparameters:\n  l: {type: comma_delimited_list}\n  j: {type: json}\n  s: {type: string}\n  n: {type: number}\n  b: {type: boolean}\n',
  ),
);
const file = (name: string, content: string): { file: string; content: string } => ({ file: name, content });

describe('environments laid over each other', () => {
  test('the last file wins without a strategy', () => {
    const merged = mergeEnvironments(
      [file('a', 'parameters: {s: x, n: 1}\n'), file('b', 'parameters: {s: y}\n')],
      schemas,
    );
    expect(toPlain(merged)).toEqual({ parameters: { s: 'y', n: 1 } });
  });

  test('merges by the type of each parameter', () => {
    const strategies = 'parameter_merge_strategies: {default: merge}\n';
    const merged = mergeEnvironments(
      [
        file('a', `parameters: {l: "a,b", j: {x: {p: 1}}, s: x}\n${strategies}`),
        file('b', `parameters: {l: "c", j: {x: {q: 2}}, s: y}\n${strategies}`),
      ],
      schemas,
    );
    expect(toPlain(merged)).toEqual({ parameters: { l: 'a,b,c', j: { x: { q: 2 } }, s: 'xy' } });
  });

  test('deep merges maps, lists and texts within', () => {
    const strategies = 'parameter_merge_strategies: {j: deep_merge}\n';
    const merged = mergeEnvironments(
      [
        file('a', `parameters: {j: {x: {p: 1, l: [1], t: a}}}\n${strategies}`),
        file('b', `parameters: {j: {x: {q: 2, l: [2], t: b}}}\n${strategies}`),
      ],
      schemas,
    );
    expect(toPlain(merged)).toEqual({ parameters: { j: { x: { p: 1, l: [1, 2], t: 'ab', q: 2 } } } });
  });

  test('refuses strategies that contradict each other or the type', () => {
    const a = file('a', 'parameters: {s: x}\nparameter_merge_strategies: {s: merge}\n');
    expect(() =>
      mergeEnvironments([a, file('b', 'parameters: {s: y}\nparameter_merge_strategies: {s: overwrite}\n')], schemas),
    ).toThrow("Conflicting merge strategy 'overwrite' for parameter 's' in file 'b'.");
    const merge = 'parameter_merge_strategies: {b: merge}\n';
    expect(() =>
      mergeEnvironments(
        [file('a', `parameters: {b: "true"}\n${merge}`), file('b', `parameters: {b: "true"}\n${merge}`)],
        schemas,
      ),
    ).toThrow('Invalid merge strategy');
  });

  test('puts registries and event sinks together', () => {
    const merged = mergeEnvironments(
      [
        file('a', 'resource_registry: {A: a.yaml}\nevent_sinks: [{type: x}]\n'),
        file('b', 'resource_registry: {B: b.yaml}\nevent_sinks: [{type: y}]\n'),
      ],
      schemas,
    );
    expect(toPlain(merged)).toEqual({
      resource_registry: { A: 'a.yaml', B: 'b.yaml' },
      event_sinks: [{ type: 'x' }, { type: 'y' }],
    });
  });

  test('names the file that cannot be read', () => {
    expect(() => mergeEnvironments([file('bad.yaml', 'parameters: [')], schemas)).toThrow('bad.yaml');
    expect(() => mergeEnvironments([file('bad.yaml', 'prameters: {}')], schemas)).toThrow(
      'environment has wrong section "prameters"',
    );
  });

  test('a child gets its own parameters and the parent’s defaults', () => {
    const parent = environmentFrom(fromPlain({ parameters: { a: 1 }, parameter_defaults: { d: 2 } }) as Dict);
    const child = childEnvironment(parent, fromPlain({ b: 3 }) as Dict, 'r');
    expect(toPlain(child.parameters)).toEqual({ b: 3 });
    expect(toPlain(child.parameterDefaults)).toEqual({ d: 2 });
  });
});
