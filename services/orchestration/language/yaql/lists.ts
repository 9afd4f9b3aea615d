import { Fault } from '../faults.ts';
import { equal, truthy } from '../values.ts';
import { mapped } from './evaluate.ts';
import { define, items, lambda, numberOf } from './library.ts';
import { add, greater, less } from './numbers.ts';
import { isList, Stream, type Y, YSet } from './runtime.ts';

/** Collections: queries as .NET's LINQ has them, lazily where yaql is lazy. */

const stream = (source: Iterator<Y>): Stream => new Stream(source);
const stop = (): Fault => new Fault('StopIteration', '');

define('method', 'where filter', 'collection:list predicate:lambda', ([collection, predicate]) =>
  stream(filtered(items(collection), lambda(predicate)!)),
);
function* filtered(source: Iterable<Y>, keep: (item: Y) => Y): Generator<Y> {
  for (const item of source) if (truthy(keep(item))) yield item;
}

define('method', 'select map', 'collection:list selector:lambda', ([collection, selector]) =>
  stream(mapped(items(collection), lambda(selector)!)),
);

define('method', 'selectMany', 'collection:list selector:lambda', ([collection, selector]) =>
  stream(
    (function* () {
      for (const item of items(collection)) {
        const inner = lambda(selector)!(item);
        if (isList(inner)) yield* inner;
        else yield inner;
      }
    })(),
  ),
);

define('method', 'skip', 'collection:list count:int', ([collection, count]) =>
  stream(slice(items(collection), numberOf(count), Number.POSITIVE_INFINITY)),
);
define('method', 'limit take', 'collection:list count:int', ([collection, count]) =>
  stream(slice(items(collection), 0, numberOf(count))),
);
function* slice(source: Iterable<Y>, from: number, to: number): Generator<Y> {
  let index = 0;
  if (to <= 0) return;
  for (const item of source) {
    if (index >= from) yield item;
    if (++index >= to) return;
  }
}

define('both', 'append', 'collection:list args:any*', ([collection, ...more]) =>
  stream(chained([items(collection), more])),
);
define('both', 'concat', 'collections:list*', (collections) => stream(chained(collections.map(items))));
function* chained(sources: Iterable<Y>[]): Generator<Y> {
  for (const source of sources) yield* source;
}

define('both', 'distinct', 'collection:list keySelector:lambda=', ([collection, selector]) =>
  stream(distinct(items(collection), lambda(selector))),
);
export function* distinct(source: Iterable<Y>, key?: (item: Y) => Y): Generator<Y> {
  const seen: Y[] = [];
  for (const item of source) {
    const known = key ? key(item) : item;
    if (seen.some((other) => equal(other, known))) continue;
    seen.push(known);
    yield item;
  }
}

define('both', 'enumerate', 'collection:list start:int=', ([collection, start]) =>
  stream(
    (function* () {
      let index = start === undefined ? 0 : numberOf(start);
      for (const item of items(collection)) yield [index++, item];
    })(),
  ),
);

define('both', 'any', 'collection:list predicate:lambda=', ([collection, predicate]) => {
  const holds = lambda(predicate);
  for (const item of items(collection)) if (!holds || truthy(holds(item))) return true;
  return false;
});
define('both', 'all', 'collection:list predicate:lambda=', ([collection, predicate]) => {
  const holds = lambda(predicate) ?? ((item: Y) => item);
  for (const item of items(collection)) if (!truthy(holds(item))) return false;
  return true;
});

define('both', 'len', 'sequence:list', ([collection]) => [...items(collection)].length);
define('method', 'count', 'collection:list', ([collection]) => [...items(collection)].length);
define('method', 'memorize toList', 'collection:list', ([collection]) => [...items(collection)]);
define('method', 'toSet', 'collection:list', ([collection]) => new YSet(items(collection)));

function reduced(source: Iterable<Y>, combine: (a: Y, b: Y) => Y, seed: Y | undefined): Y {
  let total = seed;
  for (const item of source) total = total === undefined ? item : combine(total, item);
  if (total === undefined) throw new Fault('TypeError', 'reduce() of empty iterable with no initial value');
  return total;
}
define('method', 'aggregate reduce', 'collection:list selector:lambda seed:any=', ([collection, selector, seed]) =>
  reduced(items(collection), lambda(selector)!, seed),
);
define('method', 'accumulate', 'collection:list selector:lambda seed:any=', ([collection, selector, seed]) =>
  stream(
    (function* () {
      let total = seed as Y | undefined;
      if (total !== undefined) yield total;
      for (const item of items(collection)) {
        total = total === undefined ? item : lambda(selector)!(total, item);
        yield total;
      }
      if (total === undefined) {
        throw new Fault('TypeError', 'accumulate() of empty sequence with no initial value');
      }
    })(),
  ),
);
define('method', 'sum', 'collection:list initial:any=', ([collection, seed]) => reduced(items(collection), add, seed));
define('method', 'max', 'collection:list initial:any=', ([collection, seed]) =>
  reduced(items(collection), (a, b) => (greater(b, a) ? b : a), seed),
);
define('method', 'min', 'collection:list initial:any=', ([collection, seed]) =>
  reduced(items(collection), (a, b) => (greater(b, a) ? a : b), seed),
);

define('method', 'first', 'collection:list default:any=', ([collection, fallback]) => {
  for (const item of items(collection)) return item;
  if (fallback === undefined) throw stop();
  return fallback;
});
define('method', 'single', 'collection:list', ([collection]) => {
  const all = [...items(collection)];
  if (all.length !== 1) throw stop();
  return all[0]!;
});
define('method', 'last', 'collection:list default:any=', ([collection, fallback]) => {
  const all = [...items(collection)];
  if (all.length > 0) return all.at(-1)!;
  if (fallback === undefined) throw stop();
  return fallback;
});

/** A list in an order that thenBy can refine. */
class Ordered extends Stream {
  readonly unsorted: Y[];
  readonly keys: { of: (item: Y) => Y; up: boolean }[];
  constructor(unsorted: Y[], keys: { of: (item: Y) => Y; up: boolean }[]) {
    super(sorted(unsorted, keys));
    this.unsorted = unsorted;
    this.keys = keys;
  }
}
function* sorted(list: Y[], keys: { of: (item: Y) => Y; up: boolean }[]): Generator<Y> {
  yield* [...list].sort((left, right) => {
    for (const { of, up } of keys) {
      const [a, b] = [of(left), of(right)];
      if (less(a, b)) return up ? -1 : 1;
      if (greater(a, b)) return up ? 1 : -1;
    }
    return 0;
  });
}
for (const [name, then, up] of [
  ['orderBy', 'thenBy', true],
  ['orderByDescending', 'thenByDescending', false],
] as const) {
  define(
    'method',
    name,
    'collection:list selector:lambda',
    ([collection, selector]) => new Ordered([...items(collection)], [{ of: lambda(selector)!, up }]),
  );
  define('method', then, 'collection:any selector:lambda', ([collection, selector]) => {
    if (!(collection instanceof Ordered)) {
      throw new Fault('NoMatchingMethodException', `No method "${then}" for receiver matches supplied arguments`);
    }
    return new Ordered(collection.unsorted, [...collection.keys, { of: lambda(selector)!, up }]);
  });
}

define('method', 'groupBy', 'collection:list keySelector:lambda valueSelector:lambda= aggregator:lambda=', (args) => {
  const [collection, keyOf, valueFrom, aggregate] = args;
  const groups: [Y, Y[]][] = [];
  for (const item of items(collection)) {
    const value = lambda(valueFrom)?.(item) ?? item;
    const key = lambda(keyOf)!(item);
    const known = groups.find(([other]) => equal(other, key));
    if (known) known[1].push(value);
    else groups.push([key, [value]]);
  }
  const combine = lambda(aggregate);
  return stream(mapped(groups, (group) => (combine ? [(group as Y[])[0]!, combine((group as Y[])[1]!)] : group)));
});

define('method', 'join', 'collection1:list collection2:list predicate:lambda selector:lambda', (args) => {
  const [first, second, predicate, selector] = args;
  const others = [...items(second)];
  return stream(
    (function* () {
      for (const a of items(first)) {
        for (const b of others) if (truthy(lambda(predicate)!(a, b))) yield lambda(selector)!(a, b);
      }
    })(),
  );
});

define('method', 'zip', 'collections:list rest:list*', (collections) => {
  const lists = collections.map((one) => [...items(one)]);
  const length = Math.min(...lists.map((list) => list.length));
  return stream(Array.from({ length }, (_, row) => lists.map((list) => list[row]!)).values());
});
define('method', 'zipLongest', 'collections:list rest:list*', (collections) => {
  const lists = collections.map((one) => [...items(one)]);
  const length = Math.max(...lists.map((list) => list.length));
  return stream(Array.from({ length }, (_, row) => lists.map((list) => list[row] ?? null)).values());
});

define('method', 'takeWhile', 'collection:list predicate:lambda', ([collection, predicate]) =>
  stream(
    (function* () {
      for (const item of items(collection)) {
        if (!truthy(lambda(predicate)!(item))) return;
        yield item;
      }
    })(),
  ),
);
define('method', 'skipWhile', 'collection:list predicate:lambda', ([collection, predicate]) =>
  stream(
    (function* () {
      let skipping = true;
      for (const item of items(collection)) {
        skipping = skipping && truthy(lambda(predicate)!(item));
        if (!skipping) yield item;
      }
    })(),
  ),
);

define('method', 'indexOf', 'collection:list item:any', ([list, item]) =>
  [...items(list)].findIndex((other) => equal(other, item)),
);
define('method', 'lastIndexOf', 'collection:list item:any', ([list, item]) =>
  [...items(list)].findLastIndex((other) => equal(other, item)),
);
define('method', 'indexWhere', 'collection:list predicate:lambda', ([list, predicate]) =>
  [...items(list)].findIndex((item) => truthy(lambda(predicate)!(item))),
);
define('method', 'lastIndexWhere', 'collection:list predicate:lambda', ([list, predicate]) =>
  [...items(list)].findLastIndex((item) => truthy(lambda(predicate)!(item))),
);

define('method', 'slice', 'collection:list length:int', ([collection, length]) => {
  const all = [...items(collection)];
  const size = Math.max(1, numberOf(length));
  return stream(
    Array.from({ length: Math.ceil(all.length / size) }, (_, i) => all.slice(i * size, (i + 1) * size)).values(),
  );
});
define('method', 'splitAt', 'collection:list index:int', ([collection, index]) => {
  const all = [...items(collection)];
  return [all.slice(0, numberOf(index)), all.slice(numberOf(index))];
});
define('method', 'splitWhere', 'collection:list predicate:lambda', ([collection, predicate]) => {
  const out: Y[][] = [[]];
  for (const item of items(collection)) {
    if (truthy(lambda(predicate)!(item))) out.push([]);
    else out.at(-1)!.push(item);
  }
  if (out.at(-1)!.length === 0) out.pop();
  return stream(out.values());
});
define('method', 'reverse', 'collection:list', ([collection]) => stream([...items(collection)].reverse().values()));
define('method', 'flatten', 'collection:list', ([collection]) => stream(flattened(items(collection))));
function* flattened(source: Iterable<Y>): Generator<Y> {
  for (const item of source) {
    if (isList(item)) yield* flattened(item);
    else yield item;
  }
}
define('method', 'defaultIfEmpty', 'collection:list default:list', ([collection, fallback]) => {
  const all = [...items(collection)];
  return all.length > 0 ? all : fallback!;
});
define('method', 'contains', 'collection:list value:any', ([list, value]) => {
  for (const item of items(list)) if (equal(item, value)) return true;
  return false;
});

define('function', 'range', 'stop:int', ([end]) => stream(counted(0, numberOf(end), 1)));
define('function', 'range', 'start:int stop:int step:int=', ([start, end, step]) =>
  stream(counted(numberOf(start), numberOf(end), step === undefined ? 1 : numberOf(step))),
);
define('function', 'sequence', 'start:int= step:int=', ([start, step]) =>
  stream(
    counted(
      start === undefined ? 0 : numberOf(start),
      Number.POSITIVE_INFINITY,
      step === undefined ? 1 : numberOf(step),
    ),
  ),
);
function* counted(start: number, end: number, step: number): Generator<Y> {
  if (step === 0) throw new Fault('ValueError', 'range() arg 3 must not be zero');
  for (let n = start; step > 0 ? n < end : n > end; n += step) yield n;
}
define('method', 'repeat', 'value:any times:int=', ([value, times]) =>
  stream(
    (function* () {
      for (let n = times === undefined ? -1 : numberOf(times); n !== 0; n--) yield value!;
    })(),
  ),
);

define('function', 'list', 'args:any*', (args) => {
  const flat = function* (source: Iterable<Y>): Generator<Y> {
    for (const item of source) {
      if (item instanceof Stream) yield* flat(item);
      else yield item;
    }
  };
  return [...flat(args)];
});
define('function', 'set', 'args:any*', (args) => new YSet(args));

define('method', 'union', 'left:set right:set', ([left, right]) => new YSet([...items(left), ...items(right)]));
define(
  'method',
  'intersect',
  'left:set right:set',
  ([left, right]) => new YSet([...items(left)].filter((item) => (right as YSet).has(item))),
);
define(
  'method',
  'difference',
  'left:set right:set',
  ([left, right]) => new YSet([...items(left)].filter((item) => !(right as YSet).has(item))),
);
define('method', 'add', 's:set values:any*', ([set, ...more]) => new YSet([...items(set), ...more]));
define(
  'method',
  'remove',
  's:set values:any*',
  ([set, ...less]) => new YSet([...items(set)].filter((item) => !less.some((other) => equal(item, other)))),
);
