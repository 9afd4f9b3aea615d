import { Fault } from '../faults.ts';
import type { Value } from '../values.ts';

/** Bounds on what functions build: a template of a few lines can ask for more than any machine holds. */

export const MOST_CHARACTERS = 32 << 20;
export const MOST_ITEMS = 1_000_000;

/** Throws RequestLimitExceeded where a function would build a text beyond the bound. */
export function boundText(characters: number, name: string): void {
  if (characters <= MOST_CHARACTERS) return;
  throw new Fault(
    'RequestLimitExceeded',
    `Request limit exceeded: ${name} makes a text of over ${MOST_CHARACTERS} characters`,
  );
}

/** Throws RequestLimitExceeded where a function would build a list or map of more nodes than the bound. */
export function boundItems(items: number, name: string): void {
  if (items <= MOST_ITEMS) return;
  throw new Fault('RequestLimitExceeded', `Request limit exceeded: ${name} makes over ${MOST_ITEMS} items`);
}

/** How many nodes a value has, counted up to the bound. */
export function sizeOf(value: Value): number {
  let size = 1;
  if (Array.isArray(value)) for (const item of value) size += sizeOf(item);
  else if (value instanceof Map) for (const item of value.values()) size += sizeOf(item);
  return size;
}
