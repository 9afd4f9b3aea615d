/** Bad packets made of good ones, the same ones for the same generator. */

const OPTIONS = 240;

/** Where options begin in the options field, and how long their values are. Of a good packet. */
export function optionsOf(
  bytes: Uint8Array,
): { readonly at: number; readonly code: number; readonly length: number }[] {
  const found: { at: number; code: number; length: number }[] = [];
  for (let at = OPTIONS; at < bytes.length && bytes[at] !== 255; ) {
    if (bytes[at] === 0) {
      at++;
      continue;
    }
    const length = bytes[at + 1] ?? 0;
    found.push({ at, code: bytes[at]!, length });
    at += 2 + length;
  }
  return found;
}

/** The packet with other bytes in the place of one option. */
export function spliced(bytes: Uint8Array, at: number, length: number, other: readonly number[]): Uint8Array {
  return Uint8Array.from([...bytes.subarray(0, at), ...other, ...bytes.subarray(at + 2 + length)]);
}

/** Each option twice, without value, with 255 bytes, and with a length that reaches beyond the packet. */
export function optionFaults(bytes: Uint8Array): Uint8Array[] {
  return optionsOf(bytes).flatMap(({ at, code, length }) => {
    const option = [...bytes.subarray(at, at + 2 + length)];
    return [
      spliced(bytes, at, length, [...option, ...option]),
      spliced(bytes, at, length, [code, 0]),
      spliced(bytes, at, length, [code, 255, ...new Array<number>(255).fill(code)]),
      spliced(bytes, at, length, [code, 255, ...option.slice(2)]),
    ];
  });
}

/** One change or several: bytes, a cut, an option fault. */
export function mutate(bytes: Uint8Array, random: () => number): Uint8Array {
  const pick = (count: number): number => Math.floor(random() * count);
  if (random() < 0.2) {
    const options = optionsOf(bytes);
    const one = options[pick(options.length)];
    if (one) {
      const value = Array.from({ length: pick(256) }, () => pick(256));
      return spliced(bytes, one.at, one.length, [one.code, random() < 0.5 ? value.length : pick(256), ...value]);
    }
  }
  const changed = bytes.slice(0, random() < 0.2 ? pick(bytes.length) : bytes.length);
  for (let changes = 1 + pick(8); changes > 0; changes--) changed[pick(changed.length)] = pick(256);
  return changed;
}
