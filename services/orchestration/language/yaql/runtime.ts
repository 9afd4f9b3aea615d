import { Fault } from '../faults.ts';
import { type Dict, equal, type Key, type Scalar, type Value } from '../values.ts';

/** What expressions work on: the tree's values, and what only lives while an expression is evaluated. */
export type Y = Scalar | Y[] | YMap | Stream | YSet | Lambda | Context | Rule | Regex;
export type YMap = Map<Key, Y>;

/** Heat's configuration of yaql: most elements of a collection, most bytes of one result. */
export const LIMITS = { elements: 200, bytes: 10_000, steps: 1_000_000 };

/** A sequence that is worked out while it is read, once. */
export class Stream implements Iterable<Y> {
  private readonly source: Iterator<Y>;
  constructor(source: Iterator<Y>) {
    this.source = source;
  }
  [Symbol.iterator](): Iterator<Y> {
    return this.source;
  }
}

/** A set: each value once. */
export class YSet implements Iterable<Y> {
  readonly items: Y[] = [];
  constructor(items: Iterable<Y>) {
    for (const item of items) if (!this.has(item)) this.items.push(item);
  }
  has(value: Y): boolean {
    return this.items.some((item) => equal(item, value));
  }
  [Symbol.iterator](): Iterator<Y> {
    return this.items[Symbol.iterator]();
  }
}

/** An expression that its function evaluates when and as often as it likes. */
export class Lambda {
  readonly call: (args: Y[], context?: Context) => Y;
  constructor(call: (args: Y[], context?: Context) => Y) {
    this.call = call;
  }
}

/** "a => b" as an argument; both sides evaluated, or kept for a function that chooses. */
export class Rule {
  readonly source: Y;
  readonly destination: Y;
  constructor(source: Y, destination: Y) {
    this.source = source;
    this.destination = destination;
  }
}

export class Regex {
  readonly pattern: RegExp;
  constructor(pattern: RegExp) {
    this.pattern = pattern;
  }
}

/** The variables (and defined functions) that an expression sees. */
export class Context {
  private readonly parent: Context | undefined;
  private readonly variables = new Map<string, Y>();
  private readonly functions = new Map<string, Lambda>();
  readonly budget: { steps: number };

  constructor(parent?: Context) {
    this.parent = parent;
    this.budget = parent?.budget ?? { steps: LIMITS.steps };
  }

  /** A variable's value, null where there is none. "$" is "$1". */
  get(name: string): Y {
    const key = normal(name);
    for (let here: Context | undefined = this; here; here = here.parent) {
      const value = here.variables.get(key);
      if (value !== undefined) return value;
    }
    return null;
  }

  set(name: string, value: Y): void {
    this.variables.set(normal(name), value);
  }

  define(name: string, body: Lambda): void {
    this.functions.set(name, body);
  }

  defined(name: string): Lambda | undefined {
    return this.functions.get(name) ?? this.parent?.defined(name);
  }

  /** Counts work, so that no expression runs on and on. */
  step(): void {
    if (--this.budget.steps < 0) {
      throw new Fault(
        'RequestLimitExceeded',
        `Request limit exceeded: a yaql expression took over ${LIMITS.steps} steps`,
      );
    }
  }
}

function normal(name: string): string {
  const full = name.startsWith('$') ? name : `$${name}`;
  return full === '$' ? '$1' : full;
}

export function yaqlFault(kind: string, message: string): Fault {
  return new Fault(kind, message);
}

export const isList = (value: Y): value is Y[] | Stream | YSet =>
  Array.isArray(value) || value instanceof Stream || value instanceof YSet;

/** A collection's elements, refused beyond the limit: at once where the size is known, else when it is reached. */
export function limited(value: Y[] | Stream | YSet): Y[] | Stream | YSet {
  const size = Array.isArray(value) ? value.length : value instanceof YSet ? value.items.length : undefined;
  if (size !== undefined) {
    if (size > LIMITS.elements) throw tooLarge();
    return value;
  }
  return new Stream(upTo(value));
}

function* upTo(source: Iterable<Y>): Generator<Y> {
  let count = 0;
  for (const item of source) {
    if (count++ >= LIMITS.elements) throw tooLarge();
    yield item;
  }
}

function tooLarge(): Fault {
  return yaqlFault('CollectionTooLargeException', `Collection length exceeds ${LIMITS.elements} elements`);
}

/** Refuses a result beyond the memory quota; sizes as CPython 3.11 has them. */
export function withinQuota(value: Y): Y {
  let bytes = 0;
  if (typeof value === 'string') {
    let widest = 0;
    for (let i = 0; i < value.length; i++) widest = Math.max(widest, value.charCodeAt(i));
    bytes = widest < 0x80 ? 49 + value.length : widest < 0x100 ? 73 + value.length : 74 + 2 * value.length;
  } else if (Array.isArray(value)) {
    bytes = 40 + 8 * value.length;
  }
  if (bytes > LIMITS.bytes) throw yaqlFault('MemoryQuotaExceededException', 'Expression consumed too much memory');
  return value;
}

/** Brings the template's values in: they are the same here. */
export function fromValue(value: Value): Y {
  return value as Y;
}

/** The result as a value of the template: sequences and sets as lists. Throws TypeError for what is no data. */
export function toValue(value: Y): Value {
  if (isList(value)) {
    const list = [...limited(value)].map(toValue);
    if (value instanceof YSet) list.forEach(hashable);
    return list;
  }
  if (value instanceof Map) {
    if (value.size > LIMITS.elements) throw tooLarge();
    const out: Dict = new Map();
    for (const [key, item] of value) {
      hashable(key);
      out.set(key, toValue(item));
    }
    return out;
  }
  if (value instanceof Rule || value instanceof Lambda || value instanceof Context || value instanceof Regex) {
    throw yaqlFault('TypeError', 'the result of the yaql expression is no data');
  }
  return value;
}

/** Throws where yaql would have to put a list or map into a set, or make it a key: its result is made of Python's. */
function hashable(value: unknown): void {
  if (Array.isArray(value)) throw yaqlFault('TypeError', "unhashable type: 'list'");
  if (value instanceof Map) throw yaqlFault('TypeError', "unhashable type: 'dict'");
}
