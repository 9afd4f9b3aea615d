import { Call, type Node, OMIT } from '../calls.ts';
import { Fault } from '../faults.ts';
import { repr } from '../render.ts';
import { Float, isFloat, isInteger, typeName, type Value } from '../values.ts';

/** The shapes that functions ask of their arguments, with Python's errors for the wrong ones. */

export function valueError(message: string): Fault {
  return new Fault('ValueError', message);
}
export function typeError(message: string): Fault {
  return new Fault('TypeError', message);
}

/** Python's `a, b = node`: exactly `count` items of a list (a string gives its characters, a map its keys). */
export function unpack(node: Node, count: number): Node[] {
  let items: Node[];
  if (Array.isArray(node)) items = node;
  else if (typeof node === 'string') items = [...node];
  else if (node instanceof Map) items = [...node.keys()];
  else throw typeError(`cannot unpack non-iterable ${nodeType(node)} object`);
  if (items.length > count) throw valueError(`too many values to unpack (expected ${count})`);
  if (items.length < count) throw valueError(`not enough values to unpack (expected ${count}, got ${items.length})`);
  return items;
}

/** Python's name of a node's type; a call is a function object there. */
export function nodeType(node: unknown): string {
  return node instanceof Call ? node.constructor.name : node === OMIT ? 'ellipsis' : typeName(node);
}

/** Python's text.split(delimiter). */
export function split(subject: Value, delimiter: Value): string[] {
  if (typeof subject !== 'string') {
    throw new Fault('AttributeError', `'${typeName(subject)}' object has no attribute 'split'`);
  }
  if (delimiter === null) return subject.split(/\s+/).filter((part) => part !== '');
  if (typeof delimiter !== 'string') throw typeError(`must be str or None, not ${typeName(delimiter)}`);
  if (delimiter === '') throw valueError('empty separator');
  return subject.split(delimiter);
}

/** Python's int(value). Throws ValueError or TypeError. */
export function toInteger(value: unknown): number | bigint {
  if (isInteger(value)) return typeof value === 'boolean' ? Number(value) : value;
  if (isFloat(value)) {
    const number = Math.trunc(value instanceof Float ? value.number : value);
    if (!Number.isFinite(number)) throw new Fault('OverflowError', 'cannot convert float infinity to integer');
    return Number.isSafeInteger(number) ? number : BigInt(number);
  }
  if (typeof value !== 'string') {
    throw typeError(`int() argument must be a string, a bytes-like object or a real number, not '${nodeType(value)}'`);
  }
  const text = value.trim();
  if (!/^[-+]?\d+(_\d+)*$/.test(text)) throw valueError(`invalid literal for int() with base 10: ${repr(value)}`);
  const digits = text.replaceAll('_', '');
  const number = Number(digits);
  return Number.isSafeInteger(number) ? number + 0 : BigInt(digits.replace(/^\+/, ''));
}

/** Python's list[index] with negative indexes; undefined beyond the ends. */
export function itemAt<T>(list: readonly T[], index: number | bigint): T | undefined {
  const at = Number(index);
  return list[at < 0 ? list.length + at : at];
}
