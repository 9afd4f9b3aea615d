/** A stream that passes bytes on and keeps their digests. A `data` listener would not do: it starts the flow before its reader is there. */
import { createHash, type Hash } from 'node:crypto';
import { type Readable, Transform } from 'node:stream';

export interface Hashing {
  readonly stream: Readable;
  digest(algorithm: string): string;
}

export function hashing(bytes: Readable, algorithms: readonly string[]): Hashing {
  const hashes = new Map<string, Hash>(algorithms.map((name) => [name, createHash(name)]));
  const stream = new Transform({
    transform(piece: Buffer, _encoding, done) {
      for (const hash of hashes.values()) hash.update(piece);
      done(null, piece);
    },
  });
  // pipe() does not pass errors on, and a client that goes away must fail the upload.
  bytes.once('error', (error) => stream.destroy(error));
  bytes.once('aborted', () => stream.destroy(new Error('the client went away in the middle of its upload')));
  bytes.pipe(stream);
  return { stream, digest: (name) => hashes.get(name)?.digest('hex') ?? '' };
}
