/**
 * Writes an image that comes as one plain stream, as a stock conductor offers it: raw, or raw packed by zstd or gzip. The checksum
 * is of the bytes as downloaded (IPA's rule), so it is known only at the end: the first MiB, without which nothing boots, waits for it.
 */
import { createHash, type Hash } from 'node:crypto';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import type { ImageInfo } from '../ipa/index.ts';
import type { DiskFile } from './disk-file.ts';
import { AgentFailure, imageFailure, reasonOf } from './failure.ts';
import { type Fetcher, withoutQuery } from './fetcher.ts';

const BLOCK = 1_048_576;
const SECTOR = 512;

export type StreamFormat = 'raw' | 'zstd' | 'gzip' | 'qcow2';

/** By its first bytes, whatever its name says. */
export function streamFormat(head: Buffer): StreamFormat {
  if (head.length >= 4) {
    if (head.readUInt32LE(0) === 0xfd2fb528) return 'zstd';
    if (head.readUInt32BE(0) === 0x514649fb) return 'qcow2';
    if (head.readUInt16BE(0) === 0x1f8b) return 'gzip';
  }
  return 'raw';
}

export interface StreamWrite {
  info: ImageInfo;
  fetcher: Fetcher;
  file: DiskFile;
  onProgress?: (done: number, total: number) => void;
  signal?: AbortSignal;
  flushEvery?: number;
}

export class ChecksumFailure extends AgentFailure {}

export function verifyHash(info: ImageInfo, hashing: Hash | undefined): void {
  if (!info.hash || !hashing) return;
  const sum = hashing.digest('hex');
  if (sum !== info.hash.value)
    throw new ChecksumFailure(
      'ImageChecksumError',
      `wrong checksum of image ${info.id}: ${info.hash.algorithm} is ${sum}, expected ${info.hash.value}. The disk has been left without a boot sector.`,
    );
}

/** Answers the raw bytes written. Throws AgentFailure; after a failure the disk's first MiB is zeros. */
export async function writeStream({
  info,
  fetcher,
  file,
  onProgress = () => {},
  signal,
  flushEvery = 256 * BLOCK,
}: StreamWrite): Promise<number> {
  const url = info.urls[0]!;
  const hashing = info.hash ? createHash(info.hash.algorithm) : undefined;
  const source = fetcher.range(url, 0, undefined, signal);
  const start = await source.next();
  if (start.done) throw imageFailure(`${withoutQuery(url)} is empty.`);
  const format = streamFormat(start.value);
  if (format === 'qcow2') {
    await source.return();
    throw imageFailure(`${withoutQuery(url)} is a qcow2 image although its disk_format says ${info.disk_format}.`);
  }

  async function* downloaded() {
    hashing?.update(start.value as Buffer);
    yield start.value as Buffer;
    for await (const piece of source) {
      hashing?.update(piece);
      yield piece;
    }
  }

  const first = Buffer.alloc(BLOCK);
  let firstLength = 0;
  let total = 0;
  const block = Buffer.allocUnsafeSlow(BLOCK);
  let filled = 0;
  let flushed = 0;

  async function put() {
    const position = total - filled;
    if (total > file.disk.size)
      throw imageFailure(`disk ${file.disk.name} has ${file.disk.size} bytes, the image needs more.`);
    if (position === 0) {
      block.copy(first, 0, 0, filled);
      firstLength = filled;
    } else await file.write(block.subarray(0, filled), position);
    filled = 0;
    onProgress(total, file.disk.size);
    if (total - flushed >= flushEvery) {
      flushed = total;
      await file.flush();
    }
  }

  async function sink(raw: AsyncIterable<Buffer>) {
    for await (const piece of raw) {
      for (let at = 0; at < piece.length; ) {
        const taken = piece.copy(block, filled, at, at + Math.min(piece.length - at, BLOCK - filled));
        at += taken;
        filled += taken;
        total += taken;
        if (filled === BLOCK) await put();
      }
    }
    if (filled === 0) return;
    // A raw file that ends within a sector is padded with zeros.
    const padding = (SECTOR - (filled % SECTOR)) % SECTOR;
    block.fill(0, filled, filled + padding);
    filled += padding;
    total += padding;
    await put();
  }

  await file.clear(0, BLOCK);
  try {
    const bytes = Readable.from(downloaded(), { objectMode: false, highWaterMark: BLOCK });
    if (format === 'raw') await sink(bytes);
    else
      await pipeline(
        bytes,
        format === 'zstd' ? createZstdDecompress({ chunkSize: BLOCK }) : createGunzip({ chunkSize: BLOCK }),
        sink,
      );
  } catch (cause) {
    if (cause instanceof AgentFailure) throw cause;
    if (signal?.aborted) throw imageFailure('The write was stopped.', cause);
    throw imageFailure(`${withoutQuery(url)} cannot be unpacked at byte ${total}: ${reasonOf(cause)}.`, cause);
  }
  verifyHash(info, hashing);
  await file.flush();
  await file.write(first.subarray(0, firstLength), 0);
  await file.flush();
  return total;
}
