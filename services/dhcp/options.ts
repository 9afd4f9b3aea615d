import { OPTION, OPTION_TABLE } from './option-table.ts';

/**
 * Options as they lie in the packet: code, length, bytes; PAD between them, END after them, in up to three areas (RFC 2132 section 9.3:
 * option 52 lends the `file` and `sname` fields to options), and values above 255 bytes cut into several options of one code (RFC 3396).
 */

/** Values by code, in the order of their first appearance. The bytes may be views into the packet: copy what outlives it. */
export type OptionMap = Map<number, Uint8Array>;

/**
 * Reads one area into `into`. Returns undefined, or the reason why the area cannot be read.
 * A missing END is accepted (ROMs forget it); a value that reaches beyond the area is not.
 */
export function readOptions(area: Uint8Array, into: OptionMap, where: string): string | undefined {
  let at = 0;
  while (at < area.length) {
    const code = area[at]!;
    if (code === OPTION.pad) {
      at++;
      continue;
    }
    if (code === OPTION.end) return undefined;
    if (at + 1 >= area.length) return `option ${code} at byte ${at} of the ${where} has no length`;
    const length = area[at + 1]!;
    const from = at + 2;
    if (from + length > area.length) {
      return `option ${code} at byte ${at} of the ${where} claims ${length} bytes, ${area.length - from} are left`;
    }
    const value = area.subarray(from, from + length);
    const earlier = into.get(code);
    if (!earlier) into.set(code, value);
    else if (OPTION_TABLE[code]?.length === undefined) into.set(code, joined(earlier, value));
    at = from + length;
  }
  return undefined;
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

/** Bytes on the wire of one value, with a header for each 255 bytes of it. */
export function wireLength(value: Uint8Array): number {
  return value.length + 2 * Math.max(1, Math.ceil(value.length / 255));
}

/** Writes one value at `at` of `area`, cut at 255 bytes, and returns the place behind it. The caller has checked the room. */
export function writeOption(area: Uint8Array, at: number, code: number, value: Uint8Array): number {
  let from = 0;
  do {
    const length = Math.min(value.length - from, 255);
    area[at] = code;
    area[at + 1] = length;
    // Most values have four bytes: a call would cost more than they do.
    for (let i = 0; i < length; i++) area[at + 2 + i] = value[from + i]!;
    at += 2 + length;
    from += 255;
  } while (from < value.length);
  return at;
}
