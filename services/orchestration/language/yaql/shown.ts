import { repr } from '../render.ts';
import { Stream, type Y } from './runtime.ts';

/** Python's repr() of a value within yaql, where lists are tuples. */
export function pythonRepr(value: Y): string {
  if (Array.isArray(value))
    return value.length === 1 ? `(${pythonRepr(value[0]!)},)` : `(${value.map(pythonRepr).join(', ')})`;
  if (value instanceof Map)
    return `{${[...value].map(([key, item]) => `${repr(key)}: ${pythonRepr(item)}`).join(', ')}}`;
  return value instanceof Stream ? '<map object>' : repr(value);
}

/** Python's str() of a value within yaql. */
export function pythonStr(value: Y): string {
  return typeof value === 'string' ? value : pythonRepr(value);
}
