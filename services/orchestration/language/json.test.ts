import { expect, test } from 'vitest';
import { parseJson } from './json.ts';
import { Float } from './values.ts';
import { SyntaxFault } from './yaml/position.ts';

test('keeps floats, the order of keys and long integers', () => {
  const value = parseJson(
    '{"10": 1.0, "2": [1e2, 123456789012345678901, -0], "a\\u00e9": null, "a": 1, "a": 2}',
  ) as Map<string, unknown>;
  expect([...value]).toEqual([
    ['10', new Float(1)],
    ['2', [new Float(100), 123456789012345678901n, 0]],
    ['aé', null],
    ['a', 2],
  ]);
});

test.each(['', '{', '[1,]', '{"a" 1}', '"\n"', '01', 'nul', '{"a": 1} x', '"\\x"', '[1 2]'])('refuses %j', (source) => {
  expect(() => parseJson(source)).toThrow(SyntaxFault);
});

test('refuses nesting beyond its limit without touching the stack', () => {
  expect(() => parseJson('['.repeat(1_000_000))).toThrow('levels deep');
});
