/** qcow2 from a stock conductor: only where the ramdisk carries qemu-img, and only when the file fits into its memory. */
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdtemp, readFile, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ImageInfo } from '../ipa/index.ts';
import type { DiskFile } from './disk-file.ts';
import { imageFailure } from './failure.ts';
import type { Fetcher } from './fetcher.ts';
import type { Hardware } from './hardware.ts';
import { streamFormat, verifyHash } from './stream-writer.ts';

/**
 * The header's fields by their offset (docs/interop/qcow2.txt of QEMU): a backing file or an external data file would make
 * qemu-img read files of the ramdisk into the disk (CVE-2024-32498), so such an image is refused before qemu-img sees it.
 */
export function checkQcow2Header(head: Buffer): { size: number } {
  if (head.length < 104 || streamFormat(head) !== 'qcow2') throw imageFailure('The image is not a qcow2 file.');
  if (head.readBigUInt64BE(8) !== 0n) throw imageFailure('The qcow2 image names a backing file and is refused.');
  const version = head.readUInt32BE(4);
  if (version !== 2 && version !== 3) throw imageFailure(`The qcow2 image has version ${version}, which is not known.`);
  if (version === 3 && (head.readBigUInt64BE(72) & 4n) !== 0n)
    throw imageFailure('The qcow2 image names an external data file and is refused.');
  return { size: Number(head.readBigUInt64BE(24)) };
}

/** Answers the raw bytes that the image has. */
export async function writeQcow2(
  hardware: Hardware,
  info: ImageInfo,
  fetcher: Fetcher,
  file: DiskFile,
  signal?: AbortSignal,
): Promise<number> {
  const convert = hardware.convertQcow2;
  if (!convert)
    throw imageFailure(
      `Image ${info.id} is qcow2, and this ramdisk has no qemu-img: offer it as raw (or raw packed by zstd or gzip), or as chunks.`,
    );
  const folder = await mkdtemp(path.join(tmpdir(), 'image-'));
  const local = path.join(folder, 'image.qcow2');
  try {
    const { bavail, bsize } = await statfs(folder);
    const room = bavail * bsize;
    const hashing = info.hash ? createHash(info.hash.algorithm) : undefined;
    async function* downloaded() {
      let size = 0;
      for await (const piece of fetcher.range(info.urls[0]!, 0, undefined, signal)) {
        size += piece.length;
        if (size > room - 32 * 1_048_576)
          throw imageFailure(`Image ${info.id} does not fit into the ramdisk's ${room} free bytes: offer it as raw.`);
        hashing?.update(piece);
        yield piece;
      }
    }
    await pipeline(Readable.from(downloaded()), createWriteStream(local));
    verifyHash(info, hashing);
    const { size } = checkQcow2Header((await readFile(local)).subarray(0, 512));
    if (size > file.disk.size)
      throw imageFailure(`disk ${file.disk.name} has ${file.disk.size} bytes, the image needs ${size}.`);
    await convert(local, file.disk);
    return size;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
