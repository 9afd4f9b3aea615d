import { equal, truthy } from '../values.ts';
import { define, items, lambda, numberOf } from './library.ts';
import { Stream, type Y } from './runtime.ts';

/** Collections with items put in, taken out or exchanged, and those that are made from nothing. */

const stream = (source: Iterator<Y>): Stream => new Stream(source);

define('method', 'insert', 'collection:sequence position:int value:any', ([collection, position, value]) => {
  const copy = [...items(collection)];
  copy.splice(numberOf(position), 0, value!);
  return copy;
});
define('method', 'insert', 'collection:list position:int value:any', ([collection, position, value]) => {
  const copy = [...items(collection)];
  if (numberOf(position) >= 0) copy.splice(numberOf(position), 0, value!);
  return copy;
});

define('method', 'insertMany', 'collection:list position:int values:list', ([collection, position, values]) => {
  const copy = [...items(collection)];
  copy.splice(Math.max(0, numberOf(position)), 0, ...items(values));
  return copy;
});

define('method', 'delete', 'collection:list position:int count:int=', ([collection, position, count]) => {
  const [from, size] = [numberOf(position), count === undefined ? 1 : numberOf(count)];
  return [...items(collection)].filter((_, i) => (size >= 0 ? i < from || i >= from + size : i < from));
});

/** The items from `position` on, `count` of them (all where negative), exchanged for others. */
function exchanged(source: Iterable<Y>, position: number, count: number, values: Iterable<Y>): Y[] {
  const out: Y[] = [];
  let given = false;
  for (const [index, item] of [...source].entries()) {
    if (index < position || (count >= 0 && index >= position + count)) {
      out.push(item);
      continue;
    }
    if (!given) out.push(...values);
    given = true;
  }
  return out;
}
define('method', 'replace', 'collection:list position:int value:any count:int=', ([list, position, value, count]) =>
  stream(exchanged(items(list), numberOf(position), count === undefined ? 1 : numberOf(count), [value!]).values()),
);
define('method', 'replaceMany', 'collection:list position:int values:list count:int=', (args) => {
  const [list, position, values, count] = args;
  return stream(
    exchanged(items(list), numberOf(position), count === undefined ? 1 : numberOf(count), items(values)).values(),
  );
});
define('method', 'sliceWhere', 'collection:list predicate:lambda', ([collection, predicate]) => {
  const out: Y[][] = [];
  let before: Y | undefined;
  for (const item of items(collection)) {
    const now = lambda(predicate)!(item);
    if (before === undefined || !equal(now, before)) out.push([]);
    out.at(-1)!.push(item);
    before = now;
  }
  return stream(out.values());
});
define('method', 'cycle', 'collection:list', ([collection]) => {
  const all = [...items(collection)];
  return stream(
    (function* () {
      while (all.length > 0) yield* all;
    })(),
  );
});
define(
  'function',
  'generate',
  'initial:any predicate:lambda producer:lambda selector:lambda= decycle:bool=',
  ([initial, predicate, producer, selector, decycle]) => {
    const seen: Y[] = [];
    return stream(
      (function* () {
        for (let item: Y = initial ?? null; truthy(lambda(predicate)!(item)); item = lambda(producer)!(item)) {
          if (decycle === true && seen.some((other) => equal(other, item))) return;
          seen.push(item);
          yield selector === undefined ? item : lambda(selector)!(item);
        }
      })(),
    );
  },
);
