import { describe, expect, test } from 'vitest';
import { compareText, dumps, repr, text } from './render.ts';
import { Float } from './values.ts';

describe('the texts of values are Python’s', () => {
  test.each([
    [null, 'None'],
    [true, 'True'],
    [3, '3'],
    [new Float(1), '1.0'],
    [1.5, '1.5'],
    [new Float(1e22), '1e+22'],
    [0.00001, '1e-05'],
    [12345678901234567890n, '12345678901234567890'],
    ["it's", "it's"],
    [['a', "it's", 1], `['a', "it's", 1]`],
    [
      new Map<string, unknown>([
        ['a', [null]],
        ['b', '\n\u00a0é\u0001'],
      ]),
      `{'a': [None], 'b': '\\n\\xa0é\\x01'}`,
    ],
  ])('%s is %s', (value, shown) => {
    expect(text(value)).toBe(shown);
  });

  test('a string alone is shown with quotes by repr only', () => {
    expect(repr('a"b\'c')).toBe(`'a"b\\'c'`);
  });

  test('JSON is ASCII, spaced and sorted as json.dumps has it', () => {
    const value = new Map<string, unknown>([
      ['b', [1, new Float(2)]],
      ['a', 'é☺'],
      ['c', null],
    ]);
    expect(dumps(value, { sortKeys: true })).toBe('{"a": "\\u00e9\\u263a", "b": [1, 2.0], "c": null}');
  });

  test('texts are ordered by code point, not by UTF-16 unit', () => {
    expect(compareText('\u{1f600}', '\uffee')).toBeGreaterThan(0);
    expect(compareText('a', 'ab')).toBeLessThan(0);
  });
});
