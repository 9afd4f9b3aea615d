import { describe, expect, test } from 'vitest';
import { Float, toPlain, type Value } from '../values.ts';
import { loadYaml, locate } from './load.ts';
import { SyntaxFault } from './position.ts';

const limits = { depth: 50, nodes: 10_000 };
const load = (source: string): Value => loadYaml(source, limits);
const plain = (source: string): unknown => toPlain(load(source));

describe('YAML 1.1 as PyYAML reads it', () => {
  test('resolves scalars by PyYAML’s patterns, not the specification’s', () => {
    const source =
      'a: y\nb: n\nc: yes\nd: Off\ne: 1e3\nf: 08\ng: 010\nh: 0x1F\ni: 1_000\nj: 1:30\nk: 2013-05-23\nl: ~\nm: =\n';
    expect(plain(source)).toEqual({
      a: 'y',
      b: 'n',
      c: true,
      d: false,
      e: '1e3',
      f: '08',
      g: 8,
      h: 31,
      i: 1000,
      j: 90,
      k: '2013-05-23',
      l: null,
      m: '=',
    });
  });

  test('keeps integers and floats apart', () => {
    const value = load('[1, 1.0, 1.5, 1.e+3, 123456789012345678901234567890]') as Value[];
    expect(value).toEqual([1, new Float(1), 1.5, new Float(1000), 123456789012345678901234567890n]);
  });

  test('keeps the order of keys that look like numbers, and their type', () => {
    const value = load('10: a\n9: b\n"8": c\n') as Map<unknown, Value>;
    expect([...value.keys()]).toEqual([10, 9, '8']);
  });

  test('reads block scalars with their chomping and indentation', () => {
    expect(plain('a: |\n  x\n   y\n\nb: >-\n  p\n  q\n\n  r\nc: |+\n  z\n\nd: |2\n   k\n')).toEqual({
      a: 'x\n y\n',
      b: 'p q\nr',
      c: 'z\n\n',
      d: ' k\n',
    });
  });

  test('folds quoted and plain texts over lines', () => {
    expect(plain("a: \"x\n  y\\\n  z\\u263a\"\nb: 'it''s\n\n  so'\nc: plain\n  text\n")).toEqual({
      a: 'x yz☺',
      b: "it's\nso",
      c: 'plain text',
    });
  });

  test('merges maps by <<, their own keys winning, and shares anchors', () => {
    expect(plain('base: &b {x: 1, y: 1}\nm:\n  <<: *b\n  y: 2\nn: {<<: [{a: 1}, {a: 2, b: 2}]}\n')).toEqual({
      base: { x: 1, y: 1 },
      m: { x: 1, y: 2 },
      n: { a: 1, b: 2 },
    });
  });

  test('takes the last of keys written twice', () => {
    expect(plain('a: 1\na: 2\n')).toEqual({ a: 2 });
  });

  test.each([
    ['a: b: c', 4],
    ['a: [1, 2', 3],
    ['a: "open', 3],
    ['a: *none', 3],
    ['a:\n  - b\n c: d', 10],
    ['\ta: b', 0],
    ['a: @x', 3],
    ['a: !unknown b', 3],
    ['a: b\n---\nc: d', 5],
    ['{a: b}}', 6],
    ['a: \u0001', 3],
  ])('refuses %j and says where', (source, offset) => {
    try {
      load(source);
    } catch (thrown) {
      expect(thrown).toBeInstanceOf(SyntaxFault);
      expect((thrown as SyntaxFault).offset).toBe(offset);
      return;
    }
    throw new Error('was read');
  });

  test('refuses aliases that stand for more than the limit, at once', () => {
    const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]'];
    for (let i = 1; i < 12; i++)
      lines.push(
        `a${i}: &a${i} [${Array(10)
          .fill(`*a${i - 1}`)
          .join(', ')}]`,
      );
    expect(() => load(lines.join('\n'))).toThrow('aliases are expanded');
  });

  test('refuses nesting beyond the limit in every style', () => {
    expect(() => load('['.repeat(100_000))).toThrow('levels deep');
    expect(() => load('- '.repeat(1000))).toThrow('levels deep');
    expect(() => load('{a: '.repeat(100_000))).toThrow('levels deep');
  });

  test('ends on every truncation and on mutated bytes with a value or a SyntaxFault', () => {
    const source = 'a: &x [1, {b: "c\\n"}]\nd: |\n  text\n  more\ne:\n- f: *x\n  g: >-\n    h\n? k\n: !!str 1\n';
    const variants = [...source].flatMap((_, i) => [
      source.slice(0, i),
      `${source.slice(0, i)}"${source.slice(i)}`,
      `${source.slice(0, i)}\t${source.slice(i + 1)}`,
      `${source.slice(0, i)}: ${source.slice(i)}`,
    ]);
    for (const variant of variants) {
      try {
        load(variant);
      } catch (thrown) {
        if (!(thrown instanceof SyntaxFault)) throw new Error(`${JSON.stringify(variant)}: ${String(thrown)}`);
      }
    }
    expect(variants.length).toBeGreaterThan(200);
  });

  test('locates a path in the text', () => {
    const source = 'a:\n  b:\n  - x\n  - c: 1\n    d: 2\n';
    expect(locate(source, limits, ['a', 'b', 1, 'd'])).toEqual({ line: 5, column: 5 });
    expect(locate(source, limits, ['a', 'b', 'nothing'])).toEqual({ line: 2, column: 3 });
  });
});
