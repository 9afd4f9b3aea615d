import { Fault } from './faults.ts';
import { Float, floatText, isFloat, keyText } from './values.ts';

/**
 * Python's own texts of a value. Heat's str_replace and list_join print values with str() and json.dumps(), and property
 * values of other types become strings by str(): templates depend on the exact characters.
 */

/** Python's str(value): strings as they are, everything else as repr(). */
export function text(value: unknown): string {
  return typeof value === 'string' ? value : repr(value);
}

/** Python's repr(value). */
export function repr(value: unknown): string {
  if (typeof value === 'string') return quoted(value);
  if (Array.isArray(value)) return `[${value.map(repr).join(', ')}]`;
  if (value instanceof Map) {
    return `{${[...value].map(([key, item]) => `${repr(key)}: ${repr(item)}`).join(', ')}}`;
  }
  if (value !== null && typeof value === 'object' && !(value instanceof Float)) return `<${value.constructor.name}>`;
  return isFloat(value) ? floatText(value instanceof Float ? value.number : value) : keyText(value);
}

const ESCAPES: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\\': '\\\\' };
// Python escapes what Unicode calls control, format, surrogate, unassigned or separator, except the space itself.
const UNPRINTABLE = /[\p{C}\p{Z}\\]/gu;

function quoted(value: string): string {
  const quote = value.includes("'") && !value.includes('"') ? '"' : "'";
  let body = value.replace(UNPRINTABLE, (c) => {
    if (c === ' ') return c;
    const simple = ESCAPES[c];
    if (simple) return simple;
    const code = c.codePointAt(0)!;
    if (code < 0x100) return `\\x${code.toString(16).padStart(2, '0')}`;
    return code < 0x10000 ? `\\u${code.toString(16).padStart(4, '0')}` : `\\U${code.toString(16).padStart(8, '0')}`;
  });
  if (quote === "'") body = body.replaceAll("'", "\\'");
  return quote + body + quote;
}

/** Python's json.dumps(value): ASCII only, ", " and ": ", keys sorted where asked. Raises TypeError for what JSON lacks. */
export function dumps(value: unknown, options: { sortKeys?: boolean } = {}): string {
  if (value === null || value === undefined) return 'null';
  if (typeof value === 'string') return jsonString(value);
  if (typeof value === 'boolean') return value ? 'true' : 'false';
  if (Array.isArray(value)) return `[${value.map((item) => dumps(item, options)).join(', ')}]`;
  if (value instanceof Map) {
    let entries = [...value];
    if (options.sortKeys) {
      if (entries.some(([key]) => typeof key !== typeof entries[0]![0])) {
        throw new Fault('TypeError', "'<' not supported between instances of keys of different types");
      }
      entries = entries.sort(([a], [b]) => compareKeys(a, b));
    }
    return `{${entries.map(([key, item]) => `${jsonString(jsonKey(key))}: ${dumps(item, options)}`).join(', ')}}`;
  }
  if (typeof value === 'number' || typeof value === 'bigint' || value instanceof Float) return jsonNumber(value);
  throw new Fault('TypeError', `Object of type ${typeof value} is not JSON serializable`);
}

/** Orders two texts as Python does: by code point (JS orders by UTF-16 unit). */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (x !== y) {
      const [surrogateX, surrogateY] = [x >= 0xd800 && x < 0xe000, y >= 0xd800 && y < 0xe000];
      if (surrogateX !== surrogateY) return surrogateX ? 1 : -1;
      return x - y;
    }
  }
  return a.length - b.length;
}

function compareKeys(a: unknown, b: unknown): number {
  return typeof a === 'string' && typeof b === 'string' ? compareText(a, b) : Number(a) - Number(b);
}

function jsonKey(key: unknown): string {
  if (typeof key === 'string') return key;
  if (key === null) return 'null';
  if (typeof key === 'boolean') return key ? 'true' : 'false';
  return jsonNumber(key as number | bigint | Float);
}

function jsonNumber(value: number | bigint | Float): string {
  if (!isFloat(value)) return String(value);
  const number = value instanceof Float ? value.number : value;
  if (Number.isNaN(number)) return 'NaN';
  return Number.isFinite(number) ? floatText(number) : number > 0 ? 'Infinity' : '-Infinity';
}

function jsonString(value: string): string {
  return JSON.stringify(value).replace(/[\u007f-\uffff]/g, (c) =>
    c === '\u007f' ? c : `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
