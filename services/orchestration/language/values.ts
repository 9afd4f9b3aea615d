/**
 * The tree that templates, environments and resolved properties are made of.
 *
 * Heat's engine is Python, and templates in the wild lean on what Python says of a value: 1 and 1.0 differ when printed,
 * maps keep their order whatever their keys look like, a key may be an integer, True equals 1. JSON's own types lose all
 * of that, so the tree keeps them apart:
 * - integers are `number` (or `bigint` beyond 2^53); a float is a `number` with a fraction, or a `Float` where the number
 *   is whole (1.0);
 * - maps are `Map`s in document order (a plain object would move the key "10" before "a").
 * `toPlain` gives the JSON view of a value, `fromPlain` the way back.
 */

/** A float whose value is a whole number (or not finite): 1.0, 1e3, inf. Any other float is a plain `number`. */
export class Float {
  readonly number: number;
  constructor(number: number) {
    this.number = number;
  }
  toJSON(): number | null {
    return Number.isFinite(this.number) ? this.number : null;
  }
}

export type Scalar = null | boolean | number | bigint | Float | string;
export type Key = Scalar;
export type Value = Scalar | Value[] | Dict;
export type Dict = Map<Key, Value>;

/** What JSON can say. */
export type Plain = null | boolean | number | string | Plain[] | { [key: string]: Plain };

/** Makes a float of the tree from a JS number. */
export function float(number: number): number | Float {
  return Number.isInteger(number) || !Number.isFinite(number) ? new Float(number) : number;
}

/** Makes an integer of the tree: `number` while it is exact, `bigint` beyond. */
export function integer(value: bigint): number | bigint {
  return value >= -9007199254740991n && value <= 9007199254740991n ? Number(value) : value;
}

export function isFloat(value: unknown): value is number | Float {
  return value instanceof Float || (typeof value === 'number' && !Number.isInteger(value));
}

/** Whether Python's isinstance(value, int) holds; booleans are integers there, and count unless told otherwise. */
export function isInteger(value: unknown, booleans = true): value is number | bigint | boolean {
  if (typeof value === 'number') return Number.isInteger(value);
  return typeof value === 'bigint' || (booleans && typeof value === 'boolean');
}

export function isNumber(value: unknown): value is number | bigint | Float | boolean {
  return typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean' || value instanceof Float;
}

/** A number of the tree as a JS number (booleans as 0 and 1); loses digits only beyond 2^53. */
export function asNumber(value: number | bigint | Float | boolean): number {
  return value instanceof Float ? value.number : Number(value);
}

/** Python's truth of a value: null, false, 0, 0.0, '', [] and {} are false. */
export function truthy(value: unknown): boolean {
  if (value === null || value === undefined) return false;
  if (Array.isArray(value)) return value.length > 0;
  if (value instanceof Map) return value.size > 0;
  if (value instanceof Float) return value.number !== 0;
  return Boolean(value);
}

/** Python's name of the value's type, as it appears in its messages. */
export function typeName(value: unknown): string {
  if (value === null || value === undefined) return 'NoneType';
  if (typeof value === 'string') return 'str';
  if (typeof value === 'boolean') return 'bool';
  if (isInteger(value)) return 'int';
  if (isFloat(value)) return 'float';
  if (Array.isArray(value)) return 'list';
  return value instanceof Map ? 'dict' : 'object';
}

/** Python's ==: numbers by value whatever their type (1 == 1.0 == True), lists in order, maps in any order. */
export function equal(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (isNumber(a) && isNumber(b)) {
    if (typeof a === 'bigint' || typeof b === 'bigint') return bigEqual(a, b);
    return asNumber(a) === asNumber(b);
  }
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, i) => equal(item, b[i]));
  }
  if (a instanceof Map) {
    if (!(b instanceof Map) || a.size !== b.size) return false;
    for (const [key, value] of a) {
      if (!b.has(key) || !equal(value, b.get(key))) return false;
    }
    return true;
  }
  return false;
}

function bigEqual(a: number | bigint | Float | boolean, b: number | bigint | Float | boolean): boolean {
  const [x, y] = [a instanceof Float ? a.number : a, b instanceof Float ? b.number : b];
  // JS compares bigint and number by value under ==, which is what Python does.
  // biome-ignore lint/suspicious/noDoubleEquals: bigint against number by value
  return x == y;
}

/** The JSON view: maps as objects (keys by `keyText`), floats as numbers, integers beyond 2^53 as text. */
export function toPlain(value: unknown): Plain {
  if (value === null || value === undefined) return null;
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Float) return value.toJSON();
  if (Array.isArray(value)) return value.map(toPlain);
  if (value instanceof Map) {
    const object: { [key: string]: Plain } = {};
    for (const [key, item] of value) {
      const name = keyText(key);
      if (name === '__proto__') Object.defineProperty(object, name, { value: toPlain(item), enumerable: true });
      else object[name] = toPlain(item);
    }
    return object;
  }
  return value as Plain;
}

/** Builds the tree from JSON data: whole numbers become integers. */
export function fromPlain(plain: unknown): Value {
  if (plain === null || plain === undefined) return null;
  if (Array.isArray(plain)) return plain.map(fromPlain);
  if (plain instanceof Map || plain instanceof Float) return plain as Value;
  if (typeof plain === 'object') return new Map(Object.entries(plain).map(([key, item]) => [key, fromPlain(item)]));
  if (typeof plain === 'number') return Number.isFinite(plain) ? plain : float(plain);
  return typeof plain === 'string' || typeof plain === 'boolean' || typeof plain === 'bigint' ? plain : String(plain);
}

/** A map's key as text: what Python's str() says of it. */
export function keyText(key: unknown): string {
  if (typeof key === 'string') return key;
  if (key === null || key === undefined) return 'None';
  if (typeof key === 'boolean') return key ? 'True' : 'False';
  return key instanceof Float ? floatText(key.number) : String(key);
}

/** Python's repr() of a float: shortest digits, exponent outside 1e-4 .. 1e16. */
export function floatText(number: number): string {
  if (Number.isNaN(number)) return 'nan';
  if (!Number.isFinite(number)) return number > 0 ? 'inf' : '-inf';
  if (number === 0) return Object.is(number, -0) ? '-0.0' : '0.0';
  const size = Math.abs(number);
  if (size >= 1e16 || size < 1e-4) {
    const [digits, exponent] = number.toExponential().split('e') as [string, string];
    const sign = exponent.startsWith('-') ? '-' : '+';
    return `${digits}e${sign}${exponent.slice(1).padStart(2, '0')}`;
  }
  const text = String(number);
  return text.includes('.') ? text : `${text}.0`;
}
