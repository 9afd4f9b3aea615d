/** Reads a bundle: all of it is verified before any of it is unpacked, and what is unpacked is verified again on its way. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { type FileHandle, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import {
  BundleError,
  type BundleIndex,
  type BundlePart,
  fingerprint,
  HEAD,
  openIndex,
  readTrailer,
  type Segment,
  TRAILER_BYTES,
} from './format.ts';

export interface OpenBundle {
  readonly index: BundleIndex;
  /** Who signed it. */
  readonly fingerprint: string;
  /** Every segment's checksum. @throws BundleError */
  verify(onPart?: (part: BundlePart) => void): Promise<void>;
  /** Unpacks a part into a directory, entry by entry, each of which appears whole or not at all. @throws BundleError */
  unpack(segment: Segment, directory: string): Promise<void>;
  close(): Promise<void>;
}

const block = 256 * 1024;

/** `trusted`: the fingerprint of who may have signed it. @throws BundleError, and `untrusted` for another signer's */
export async function openBundle(
  path: string,
  trusted: string,
  untrusted: (signer: string) => Error,
): Promise<OpenBundle> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const head = await exactly(file, 0, Math.min(HEAD.length, size));
    if (!head.equals(HEAD)) throw new BundleError('it does not begin as a bundle does');
    if (size < HEAD.length + TRAILER_BYTES) throw new BundleError(`it has ${size} bytes: it was cut short`);
    const trailer = readTrailer(await exactly(file, size - TRAILER_BYTES, TRAILER_BYTES), size);
    const index = openIndex(await exactly(file, trailer.indexAt, trailer.indexBytes), trailer);
    const signer = fingerprint(trailer.key);
    if (signer !== trusted) throw untrusted(signer);
    return {
      index,
      fingerprint: signer,
      async verify(onPart) {
        for (const segment of index.segments) {
          for await (const _piece of verified(file, segment));
          onPart?.(segment.part);
        }
      },
      unpack: (segment, directory) => unpack(file, segment, directory),
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function exactly(file: FileHandle, at: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  const { bytesRead } = await file.read(bytes, 0, length, at);
  return bytes.subarray(0, bytesRead);
}

async function* verified(file: FileHandle, { part, offset, length, sha256 }: Segment): AsyncGenerator<Buffer> {
  const hash = createHash('sha256');
  for (let at = 0; at < length; ) {
    const piece = await exactly(file, offset + at, Math.min(block, length - at));
    if (piece.length === 0) throw new BundleError(`it ends within the part ${part}`);
    hash.update(piece);
    at += piece.length;
    yield piece;
  }
  const actual = hash.digest('hex');
  if (actual !== sha256)
    throw new BundleError(`the part ${part} is damaged: its sha256 is ${actual}, and the signed index says ${sha256}`);
}

async function unpack(file: FileHandle, segment: Segment, directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  const staging = join(directory, '.loading');
  await rm(staging, { recursive: true, force: true });
  await mkdir(staging);
  try {
    // GNU tar takes neither absolute names nor ".." out of an archive. Without --ignore-zeros it ends at the archive's last block, before
    // we have said that there is no more: on a busy machine that broke a good bundle ("Premature close").
    const words = ['-x', '-p', '--ignore-zeros', '--no-same-owner', '-C', staging];
    const tar = spawn('tar', words, { stdio: ['pipe', 'ignore', 'pipe'] });
    let told = '';
    tar.stderr.on('data', (text: Buffer) => {
      told = `${told}${text}`.slice(-2000);
    });
    const ended = once(tar, 'close') as Promise<[number | null]>;
    ended.catch(() => {});
    const through = new Transform({ transform: (piece, _encoding, next) => next(null, piece) });
    const unpacker = segment.packing === 'gzip' ? createGunzip() : createZstdDecompress();
    await pipeline(verified(file, segment), unpacker, through, tar.stdin).catch(async (error: Error) => {
      if (error instanceof BundleError) throw error;
      const [code] = await ended;
      throw new BundleError(
        `the part ${segment.part} could not be unpacked: ${told.trim() || error.message} (tar ended with ${code})`,
        {
          cause: error,
        },
      );
    });
    const [code] = await ended;
    if (code !== 0)
      throw new BundleError(`the part ${segment.part} could not be unpacked: ${told.trim().split('\n').at(-1)}`);
    for (const name of await readdir(staging)) {
      await rm(join(directory, name), { recursive: true, force: true });
      await rename(join(staging, name), join(directory, name));
    }
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}
