/** A stream that passes bytes on and keeps their digests. A `data` listener would not do: it starts the flow before its reader is there. */
import { createHash, type Hash } from 'node:crypto';
import { finished, type Readable, Transform } from 'node:stream';
import { Fault, fault } from '../core/errors/index.ts';

export interface Hashing {
  readonly stream: Readable;
  digest(algorithm: string): string;
}

/**
 * @param each called with every piece as it passes; what it throws fails the stream
 * @param check called when all bytes have passed and before the stream ends: what it throws fails the stream, so that
 *   bytes with a wrong digest never become visible
 */
export function hashing(
  bytes: Readable,
  algorithms: readonly string[],
  check: (digest: Hashing['digest']) => void = () => {},
  each: (piece: Buffer) => void = () => {},
): Hashing {
  const hashes = new Map<string, Hash>(algorithms.map((name) => [name, createHash(name)]));
  const digests = new Map<string, string>();
  const digest = (name: string): string => digests.get(name) ?? '';
  const stream = new Transform({
    transform(piece: Buffer, _encoding, done) {
      try {
        each(piece);
        for (const hash of hashes.values()) hash.update(piece);
        done(null, piece);
      } catch (error) {
        done(error as Error);
      }
    },
    flush(done) {
      for (const [name, hash] of hashes) digests.set(name, hash.digest('hex'));
      try {
        check(digest);
        done();
      } catch (error) {
        done(error as Error);
      }
    },
  });
  // Whoever reads the stream is told; until somebody does, an error must not end the process.
  stream.on('error', () => {});
  // pipe() does not pass errors on. finished() also sees a client that was gone before it could be listened to.
  finished(bytes, { writable: false }, (error) => {
    if (!error) return;
    const gone = ['ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE'].includes(error.code ?? '');
    const reason = gone ? 'the client went away' : error.message;
    stream.destroy(error instanceof Fault ? error : fault('image-upload-broken', { reason }, error));
  });
  bytes.pipe(stream);
  return { stream, digest };
}
