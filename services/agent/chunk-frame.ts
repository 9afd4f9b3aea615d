/**
 * One frame of a chunked image, unpacked and verified. Where the index has the sum of the frame's own bytes, they are verified by
 * it before the decoder sees them: a third of the bytes to sum up, and nobody who sits between store and node can feed the
 * decoder. What comes out is then what came in when the image was packed, which the frame's own checksum holds the decoder to.
 * Without that sum (an older index, a frame lent by another image) the raw bytes are what is verified.
 */
import { hash, subtle } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { promisify } from 'node:util';
import { zstdDecompress, zstdDecompressSync } from 'node:zlib';
import { frameSum } from '../ipa/index.ts';
import type { Frame } from './chunk-plan.ts';
import { reasonOf } from './failure.ts';

/** The message begins the sentence; `lasting`: these are the bytes that the index means, and fetching them again changes nothing. */
export class FrameFault extends Error {
  override name = 'FrameFault';
  readonly lasting: boolean;
  constructor(message: string, lasting: boolean, cause?: unknown) {
    super(message, { cause });
    this.lasting = lasting;
  }
}

const decompressAside = promisify(zstdDecompress);

/**
 * One output buffer of the full size, so that zlib does not grow it 16 kB at a time (four times the CPU, measured).
 * On one CPU the thread pool only adds its own cost.
 */
async function decompressed(packed: Buffer, size: number): Promise<Buffer> {
  const options = { chunkSize: size + 64, maxOutputLength: size };
  return availableParallelism() > 1 ? decompressAside(packed, options) : zstdDecompressSync(packed, options);
}

/** sha256 of raw bytes, in hexadecimal. Beside other work where there is a processor for it: a whole disk is compared by it. */
export async function rawSum(raw: Buffer): Promise<string> {
  if (availableParallelism() === 1) return hash('sha256', raw, 'hex');
  return Buffer.from(await subtle.digest('SHA-256', raw as Uint8Array<ArrayBuffer>)).toString('hex');
}

/** The chunk's raw bytes. @throws FrameFault */
export async function unpackFrame(frame: Frame, packed: Buffer): Promise<Buffer> {
  const [chunk = 0] = frame.chunks;
  const known = frame.sum !== undefined;
  if (known) {
    const sum = frameSum(packed);
    if (sum !== frame.sum)
      throw new FrameFault(
        `wrong checksum in chunk ${chunk}: sha512/256 of its ${packed.length} packed bytes is ${sum}, the index says ${frame.sum}`,
        false,
      );
  }
  let raw: Buffer;
  try {
    raw = await decompressed(packed, frame.size);
  } catch (cause) {
    throw new FrameFault(`chunk ${chunk} cannot be decompressed: ${reasonOf(cause)}`, known, cause);
  }
  if (raw.length !== frame.size)
    throw new FrameFault(`wrong length of chunk ${chunk}: ${raw.length} bytes, the index says ${frame.size}`, known);
  if (known) return raw;
  const sum = await rawSum(raw);
  if (sum === frame.sha256) return raw;
  throw new FrameFault(`wrong checksum in chunk ${chunk}: sha256 is ${sum}, the index says ${frame.sha256}`, false);
}
