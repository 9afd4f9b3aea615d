/** The domain search list, option 119 (RFC 3397): DNS names one after the other, with compression pointers into the option's own bytes. */

/** RFC 1035 section 3.1. */
const LONGEST_NAME = 255;

/** Undefined for pointers that do not point backwards (loops), cut labels, or names above 255 bytes. */
export function readDomainSearch(bytes: Uint8Array): string[] | undefined {
  const names: string[] = [];
  let at = 0;
  while (at < bytes.length) {
    const name = readName(bytes, at);
    if (!name) return undefined;
    names.push(name.text);
    at = name.end;
  }
  return names;
}

function readName(bytes: Uint8Array, start: number): { text: string; end: number } | undefined {
  const labels: string[] = [];
  let at = start;
  let end = -1;
  let total = 0;
  for (;;) {
    const length = bytes[at];
    if (length === undefined) return undefined;
    if (length === 0) {
      if (end < 0) end = at + 1;
      return { text: labels.join('.'), end };
    }
    if ((length & 0xc0) === 0xc0) {
      const low = bytes[at + 1];
      if (low === undefined) return undefined;
      const target = ((length & 0x3f) << 8) | low;
      // Only backwards, so that every jump shortens what is left and none can loop.
      if (target >= at) return undefined;
      if (end < 0) end = at + 2;
      at = target;
      // A label chain that runs forwards into its own pointer again is stopped by the length limit below; bare pointer chains only shrink.
      continue;
    }
    if (length > 63 || at + 1 + length > bytes.length) return undefined;
    total += length + 1;
    if (total > LONGEST_NAME) return undefined;
    labels.push(Buffer.from(bytes.subarray(at + 1, at + 1 + length)).toString('latin1'));
    at += 1 + length;
  }
}

/** Names without a trailing dot, suffixes shared by compression. Throws a sentence for a label that DNS cannot carry. */
export function writeDomainSearch(names: readonly string[]): Uint8Array {
  const bytes: number[] = [];
  const seen = new Map<string, number>();
  for (const name of names) {
    const labels = name.replace(/\.$/, '').split('.');
    for (let i = 0; ; i++) {
      if (i === labels.length) {
        bytes.push(0);
        break;
      }
      const suffix = labels.slice(i).join('.');
      const known = seen.get(suffix);
      if (known !== undefined) {
        bytes.push(0xc0 | (known >>> 8), known & 255);
        break;
      }
      const label = Buffer.from(labels[i]!, 'latin1');
      if (label.length === 0 || label.length > 63)
        throw new Error(`search domain "${name}": label "${labels[i]}" has ${label.length} bytes; 1 to 63 are allowed`);
      // A pointer has 14 bits.
      if (bytes.length < 0x4000) seen.set(suffix, bytes.length);
      bytes.push(label.length, ...label);
    }
  }
  return Uint8Array.from(bytes);
}
