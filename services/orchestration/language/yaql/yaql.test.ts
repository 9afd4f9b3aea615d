import { describe, expect, test } from 'vitest';
import { Fault } from '../faults.ts';
import { fromPlain, toPlain } from '../values.ts';
import { evaluateYaql, parseYaql } from './index.ts';

const data = {
  data: {
    a: [1, 2, 3],
    l: ['b', 'a', 'b'],
    m: { x: 1, y: null },
    s: 'a:b:c',
    n: [
      { k: 'p', v: 1 },
      { k: 'q', v: 2 },
    ],
    o: [[1, [2]], 3],
  },
};
const run = (expression: string): unknown => toPlain(evaluateYaql(parseYaql(expression), fromPlain(data)));

function kindOf(expression: string): string {
  try {
    run(expression);
  } catch (thrown) {
    if (thrown instanceof Fault) return thrown.kind;
    throw thrown;
  }
  return 'none';
}

describe('yaql', () => {
  test.each([
    ['$.data.a.where($ > 1).select($ * 10)', [20, 30]],
    ['concat($.data.s.rightSplit(separator => ":", maxSplits => 1)[0], "-x")', 'a:b-x'],
    ['$.data.l.distinct().orderBy($)', ['a', 'b']],
    ['$.data.n.k', ['p', 'q']],
    ['$.data.n.toDict($.k, $.v)', { p: 1, q: 2 }],
    ['$.data.m.mergeWith({z => 3})', { x: 1, y: null, z: 3 }],
    ['$.data.m.items().where($[1] != null)', [['x', 1]]],
    ['$.data.a.sum() + $.data.a.len()', 9],
    ['let(x => 2) -> $.data.a.select($ * $x)', [2, 4, 6]],
    ['switch($.data.s = "b" => 1, true => 2)', 2],
    ['coalesce($.data.m.y, $.data.m.x)', 1],
    ['$.data.o.flatten()', [1, 2, 3]],
    [
      '$.data.l.groupBy($).select([$[0], $[1].len()])',
      [
        ['b', 2],
        ['a', 1],
      ],
    ],
    ['not $.data.a.contains(9) and "a" in $.data.s', true],
    ['$.data.a[1]', 2],
    ['-7 / 2', -4],
    ['7 mod -3', -2],
    ['1 + 1.5', 2.5],
    ['str(null) + str(true) + str([1])', 'nulltrue(1,)'],
    ['$.data.s =~ "^a.*c$"', true],
    ['regex("(.):").replace($.data.s, "<\\\\1>")', '<a><b>c'],
    ['$.data?.none?.x', 'KeyError'],
    ['[1, 2, 3].aggregate($1 + $2, 10)', 16],
    [
      'range(3).enumerate(1)',
      [
        [1, 0],
        [2, 1],
        [3, 2],
      ],
    ],
    [
      '$.data.a.zip($.data.l)',
      [
        [1, 'b'],
        [2, 'a'],
        [3, 'b'],
      ],
    ],
    ['"{0}/{1}".format("a", 1)', 'a/1'],
    ['def(twice, $ * 2) -> twice(4)', 8],
    ['$.data.a.limit(2).concat([9])', [1, 2, 9]],
    ['$nothing', null],
  ])('%s', (expression, wanted) => {
    if (wanted === 'KeyError') expect(kindOf(expression)).toBe(wanted);
    else expect(run(expression)).toEqual(wanted);
  });

  test.each([
    ['invalid(', 'ValueError'],
    ['$.data.', 'ValueError'],
    ['"open', 'ValueError'],
    ['a b', 'ValueError'],
    ['$.data.zz', 'KeyError'],
    ['$.data.a[7]', 'IndexError'],
    ['nothing()', 'NoFunctionRegisteredException'],
    ['$.data.a.nothing()', 'NoMethodRegisteredException'],
    ['$.data.s.where($)', 'NoMatchingMethodException'],
    ['$.data.a + 1', 'NoMatchingFunctionException'],
    ['[].first()', 'StopIteration'],
    ['1 / 0', 'ZeroDivisionError'],
    ['sequence().len()', 'CollectionTooLargeException'],
    ['"a" * 100000000', 'MemoryQuotaExceededException'],
    ['def(f, f()) -> f()', 'RecursionError'],
    [
      'range(199).select(range(199).select(range(199).select(range(199).sum()).sum()).sum()).sum()',
      'RequestLimitExceeded',
    ],
    ['"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab" =~ "(?=a)^(a+)+$"', 'RequestLimitExceeded'],
  ])('%s raises %s', (expression, kind) => {
    expect(kindOf(expression)).toBe(kind);
  });

  test('refuses nesting beyond any use', () => {
    expect(kindOf(`${'('.repeat(10_000)}1${')'.repeat(10_000)}`)).toBe('ValueError');
  });
});
