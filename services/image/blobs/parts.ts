/** A stream cut into the parts of a multipart upload, through one buffer. */
import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';

export interface Part {
  /** Valid until the next part is asked for: the buffer is used again. */
  readonly bytes: Buffer;
  /** Hex, kept while the bytes came in: a hash over the whole part at once would hold up everything else. */
  readonly sha256: string;
}

/**
 * Bytes of part `number` (from 1). All but the last have to have at least 5 MiB (S3); Swift takes 1,000 parts and S3
 * 10,000, so later parts are larger: 43 GiB fit the one, 590 GiB the other.
 */
export const partBytes = (number: number): number => (number <= 400 ? 16 : 64) * 1024 * 1024;

/** At least one part, which is empty when the stream is; all but the last are full. */
export async function* inParts(bytes: Readable): AsyncGenerator<Part, undefined> {
  let number = 1;
  let held: Buffer = Buffer.allocUnsafeSlow(partBytes(number));
  let size = 0;
  let hash = createHash('sha256');
  for await (const chunk of bytes as AsyncIterable<Uint8Array>) {
    for (let at = 0; at < chunk.length; ) {
      const piece = chunk.subarray(at, at + held.length - size);
      held.set(piece, size);
      hash.update(piece);
      at += piece.length;
      size += piece.length;
      if (size < held.length) continue;
      yield { bytes: held, sha256: hash.digest('hex') };
      number += 1;
      if (held.length !== partBytes(number)) held = Buffer.allocUnsafeSlow(partBytes(number));
      size = 0;
      hash = createHash('sha256');
    }
  }
  if (size > 0 || number === 1) yield { bytes: held.subarray(0, size), sha256: hash.digest('hex') };
  return undefined;
}
