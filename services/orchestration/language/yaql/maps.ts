import { Fault } from '../faults.ts';
import { itemAt, toInteger } from '../functions/arguments.ts';
import { repr } from '../render.ts';
import { equal, type Key, truthy } from '../values.ts';
import { define, items, lambda, numberOf } from './library.ts';
import { distinct } from './lists.ts';
import { Context, isList, type Lambda, type Rule, type Y, type YMap, YSet } from './runtime.ts';

/** Maps, indexes, and what steers an expression: let, def, switch and their kin. */

const map = (value: Y | undefined): YMap => value as YMap;
const key = (value: Y | undefined): Key => value as Key;

define('function', '#index', 'list:sequence index:int', ([list, index]) => {
  const item = itemAt(list as Y[], toInteger(index));
  if (item === undefined) throw new Fault('IndexError', 'tuple index out of range');
  return item;
});
define('function', '#index', 'dict:map key:any', ([dict, name]) => {
  const value = map(dict).get(key(name));
  if (value === undefined) throw new Fault('KeyError', repr(name));
  return value;
});
define(
  'function',
  '#index',
  'dict:map key:any default:any',
  ([dict, name, fallback]) => map(dict).get(key(name)) ?? fallback!,
);
const destination = (rule: Y): [Key, Y] => [
  ((rule as Rule).source as Lambda).call([]) as Key,
  ((rule as Rule).destination as Lambda).call([]),
];

define('function', 'dict', 'args:rule*', (rules) => new Map(rules.map(destination)));
define('function', 'dict', 'items:list', ([list]) => {
  const out: YMap = new Map();
  for (const pair of items(list)) {
    const [name, value] = [...items(pair)] as [Y, Y];
    out.set(key(name), value);
  }
  return out;
});
define(
  'method',
  'toDict',
  'collection:list keySelector:lambda valueSelector:lambda=',
  ([collection, keyOf, valueFrom]) => {
    const out: YMap = new Map();
    const value = lambda(valueFrom);
    for (const item of items(collection)) out.set(key(lambda(keyOf)!(item)), value ? value(item) : item);
    return out;
  },
);
define(
  'method',
  'get',
  'dict:map key:any default:any=',
  ([dict, name, fallback]) => map(dict).get(key(name)) ?? fallback ?? null,
);
define('method', 'set', 'dict:map key:any value:any', ([dict, name, value]) =>
  new Map(map(dict)).set(key(name), value!),
);
define('method', 'set', 'dict:map replacements:map', ([dict, more]) => new Map([...map(dict), ...map(more)]));
define(
  'method',
  'set',
  'dict:map args:rule*',
  ([dict, ...rules]) => new Map([...map(dict), ...rules.map(destination)]),
);
define('method', 'keys', 'dict:map', ([dict]) => new YSet(map(dict).keys() as Iterable<Y>));
define('method', 'values', 'dict:map', ([dict]) => [...map(dict).values()]);
// As in Python, keys() and items() are sets: what is done with them may be a list again, they themselves are not.
define('method', 'items', 'dict:map', ([dict]) => new YSet([...map(dict)].map(([name, value]): Y[] => [name, value])));
define('method', 'containsKey', 'dict:map key:any', ([dict, name]) => map(dict).has(key(name)));
define('method', 'containsValue', 'dict:map value:any', ([dict, value]) =>
  [...map(dict).values()].some((item) => equal(item, value)),
);
define('both', 'len', 'dict:map', ([dict]) => map(dict).size);
define('method', 'delete', 'dict:map keys:any*', ([dict, ...names]) => without(map(dict), names));
define('method', 'deleteAll', 'dict:map keys:list', ([dict, names]) => without(map(dict), items(names)));
function without(dict: YMap, names: Iterable<Y>): YMap {
  const copy = new Map(dict);
  for (const name of names) copy.delete(key(name));
  return copy;
}

define('method', 'mergeWith', 'dict:map another:map listMerger:lambda= itemMerger:lambda= maxLevels:int=', (args) => {
  const [one, other, listMerger, itemMerger, levels] = args;
  const lists = lambda(listMerger) ?? ((a: Y, b: Y): Y => [...distinct([...items(a), ...items(b)])]);
  const single = lambda(itemMerger) ?? ((_a: Y, b: Y): Y => b);
  return merged(map(one), map(other), lists, single, levels === undefined ? 0 : numberOf(levels));
});
type Merge = (a: Y, b: Y) => Y;
function merged(one: YMap, other: YMap, lists: Merge, single: Merge, levels: number): YMap {
  const out: YMap = new Map(one);
  for (const [name, theirs] of other) {
    const ours = one.get(name);
    if (ours === undefined) out.set(name, theirs);
    else if (levels !== 1 && theirs instanceof Map) {
      if (!(ours instanceof Map)) throw new Fault('TypeError', 'Cannot merge a map with what is none');
      out.set(name, merged(ours, theirs, lists, single, levels === 0 ? 0 : levels - 1));
    } else if (levels !== 1 && Array.isArray(theirs)) {
      if (!Array.isArray(ours)) throw new Fault('TypeError', 'Cannot merge a list with what is none');
      out.set(name, lists(ours, theirs));
    } else out.set(name, single(ours, theirs));
  }
  return out;
}

define('function', 'isList', 'value:any', ([value]) => Array.isArray(value));
define('function', 'isDict', 'value:any', ([value]) => value instanceof Map);
define('function', 'isSet', 'value:any', ([value]) => value instanceof YSet);
define('function', 'isIterable', 'value:any', ([value]) => isList(value!));
define('function', 'isBoolean', 'value:any', ([value]) => typeof value === 'boolean');
define('function', 'bool', 'value:any', ([value]) => truthy(value));

define('function', 'with', 'args:any*', (args, context) => {
  const inner = new Context(context);
  for (const [index, value] of args.entries()) inner.set(String(index + 1), value);
  return inner;
});
define('function', 'let', 'args:rule*', (rules, context) => {
  const inner = new Context(context);
  let index = 0;
  for (const rule of rules) {
    const { source, destination: value } = rule as Rule;
    const name = (source as Lambda).call([]);
    inner.set(typeof name === 'string' ? name : String(++index), (value as Lambda).call([]));
  }
  return inner;
});
define('function', 'let', 'args:any*', (args, context) => {
  const inner = new Context(context);
  for (const [index, value] of args.entries()) inner.set(String(index + 1), value);
  return inner;
});
define('function', 'def', 'name:text func:lambda', ([name, body], context) => {
  const inner = new Context(context);
  inner.define(name as string, { call: (args) => (body as Lambda).call(args, inner) } as Lambda);
  return inner;
});
define('method', 'unpack', 'sequence:list args:text*', ([sequence, ...names], context) => {
  const values = [...items(sequence)];
  if (names.length > 0 && names.length !== values.length) {
    throw new Fault('ValueError', `Cannot unpack ${values.length} elements into ${names.length}`);
  }
  const inner = new Context(context);
  for (const [index, value] of values.entries()) {
    inner.set((names[index] as string | undefined) ?? String(index + 1), value);
  }
  return inner;
});
define('function', 'switch', 'args:rule*', (rules) => {
  for (const rule of rules) {
    const { source, destination: value } = rule as Rule;
    if (truthy((source as Lambda).call([]))) return (value as Lambda).call([]);
  }
  return null;
});
define('function', 'coalesce', 'args:lambda*', (args) => {
  for (const one of args) {
    const value = lambda(one)!();
    if (value !== null) return value;
  }
  return null;
});
define('function', 'selectCase', 'args:lambda*', (args) => {
  const index = args.findIndex((one) => truthy(lambda(one)!()));
  return index === -1 ? args.length : index;
});
define('method', 'switchCase', 'case:int args:lambda*', ([chosen, ...args]) => {
  const one = args[numberOf(chosen)] ?? args.at(-1);
  return one === undefined ? null : lambda(one)!();
});
define('function', 'selectAllCases', 'args:lambda*', (args) =>
  [...args.entries()].filter(([, one]) => truthy(lambda(one)!())).map(([index]) => index),
);
define('function', 'examine', 'args:lambda*', (args) => args.map((one) => truthy(lambda(one)!())));
define('method', 'assert', 'obj:any condition:lambda message:text=', ([value, condition, message]) => {
  if (!truthy(lambda(condition)!(value!)))
    throw new Fault('AssertionError', (message as string | undefined) ?? 'Assertion failed');
  return value!;
});
