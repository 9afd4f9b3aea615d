import { asNumber, equal, isNumber, type Value } from '../values.ts';

/** A growing set of values under Python's equality: constant time for scalars, one by one for lists and maps. */
export class Members {
  private readonly scalars = new Set<unknown>();
  private readonly containers: Value[] = [];

  constructor(values: Iterable<Value> = []) {
    for (const value of values) this.add(value);
  }

  has(value: Value): boolean {
    if (isContainer(value)) return this.containers.some((other) => equal(other, value));
    return this.scalars.has(keyOf(value));
  }

  /** Adds the value; false where it was there. */
  add(value: Value): boolean {
    if (this.has(value)) return false;
    if (isContainer(value)) this.containers.push(value);
    else this.scalars.add(keyOf(value));
    return true;
  }
}

function isContainer(value: Value): boolean {
  return Array.isArray(value) || value instanceof Map;
}

/** Numbers by value whatever their type, as 1 == 1.0 == True; texts and null are themselves. */
function keyOf(value: Value): unknown {
  if (typeof value === 'bigint' || !isNumber(value)) return value;
  return asNumber(value);
}
