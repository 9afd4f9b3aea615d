import { createHash, hash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { constants, zstdCompressSync } from 'node:zlib';
import { frameSum } from './chunk-index.ts';

/** Work of one thread: chunks to compress, or the digests of the whole file, which cannot be split. */
export type ChunkJob =
  | { kind: 'chunks'; path: string; level: number }
  | { kind: 'digests'; path: string; chunkSize: number };

/** One chunk done; `frame` is absent for a chunk of zeros. */
export interface ChunkDone {
  index: number;
  sha256: string;
  frame?: Uint8Array;
  /** `frameSum` of it. */
  sum?: string;
}

export interface DigestsDone {
  sha256: string;
  sha512: string;
}

function readFully(file: number, into: Buffer, at: number): number {
  let done = 0;
  while (done < into.length) {
    const got = readSync(file, into, done, into.length - done, at + done);
    if (got === 0) break;
    done += got;
  }
  return done;
}

const port = parentPort;
if (port !== null) {
  const job = workerData as ChunkJob;
  const file = openSync(job.path, 'r');
  if (job.kind === 'digests') {
    const sha256 = createHash('sha256');
    const sha512 = createHash('sha512');
    const buffer = Buffer.alloc(job.chunkSize);
    for (let at = 0, got = readFully(file, buffer, 0); got > 0; at += got, got = readFully(file, buffer, at)) {
      sha256.update(buffer.subarray(0, got));
      sha512.update(buffer.subarray(0, got));
    }
    closeSync(file);
    port.postMessage({ sha256: sha256.digest('hex'), sha512: sha512.digest('hex') } satisfies DigestsDone);
  } else {
    let zeros = Buffer.alloc(0);
    // With its content's checksum (RFC 8878, 3.1.1): who knows a frame by its own sum is told when his decoder errs.
    const params = { [constants.ZSTD_c_compressionLevel]: job.level, [constants.ZSTD_c_checksumFlag]: 1 };
    port.on('message', (message: { index: number; offset: number; length: number } | null) => {
      if (message === null) {
        closeSync(file);
        port.close();
        return;
      }
      const { index, offset, length } = message;
      const raw = Buffer.alloc(length);
      if (readFully(file, raw, offset) !== length)
        throw new Error(`${job.path} became shorter while it was read (byte ${offset}).`);
      if (zeros.length !== length) zeros = Buffer.alloc(length);
      if (raw.equals(zeros)) return port.postMessage({ index, sha256: '' } satisfies ChunkDone);
      const frame = zstdCompressSync(raw, { params });
      // A copy of its own, so that the transfer does not carry zlib's whole output buffer along.
      const own = new Uint8Array(frame);
      const done: ChunkDone = { index, sha256: hash('sha256', raw, 'hex'), frame: own, sum: frameSum(own) };
      port.postMessage(done, [own.buffer]);
    });
  }
}
