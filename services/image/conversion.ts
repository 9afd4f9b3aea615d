/**
 * From an uploaded disk of any format to verified chunks, in the background: nodes write chunks, and what images share is
 * kept once. The file was inspected before (formats/), is opened as the format that it was inspected as, and never probed.
 */
import { execFile } from 'node:child_process';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import type { Tx } from '../core/database/index.ts';
import { fault } from '../core/errors/index.ts';
import { type ChunkIndex, type ChunkObject, chunkImage } from '../ipa/index.ts';
import { keys } from './blobs/index.ts';
import type { Chunked } from './chunked.ts';
import type { Ground } from './ground.ts';
import type { Image } from './model.ts';
import { storedChunks } from './store/objects.ts';

/** Glance's disk formats by qemu-img's names. */
const qemuFormats: Readonly<Record<string, string>> = {
  raw: 'raw',
  qcow2: 'qcow2',
  vmdk: 'vmdk',
  vhd: 'vpc',
  vhdx: 'vhdx',
  vdi: 'vdi',
};

/** Whether the image holds a disk that a node can be given as chunks. Disks are made of sectors of 512 bytes. */
export const convertible = (image: Image): boolean =>
  image.container_format === 'bare' &&
  (image.disk_format ?? '') in qemuFormats &&
  (image.virtual_size ?? 0) > 0 &&
  (image.virtual_size ?? 0) % 512 === 0;

export interface Conversion {
  /** Begins the conversion with the caller's transaction. */
  start(tx: Tx, image: Image): Promise<void>;
}

/** qemu-img's own needs are some 100 MB; a file made to exhaust it ends here. */
const memoryBytes = 4 * 2 ** 30;
/** What a conversion leaves free on its disk: a small file can hold a disk of terabytes that are not zero. */
const reserveBytes = 2 ** 30;
const watchMs = 500;

const run = promisify(execFile);

/**
 * Converts and stores; nothing names the result until the caller commits it. Run again, it begins anew.
 * @throws Fault `image-convert`
 */
export async function cutIntoChunks(
  ground: Ground,
  chunked: Chunked,
  image: Image,
  options: { signal: AbortSignal; onProgress: (done: number, total: number) => void },
): Promise<ChunkIndex> {
  const { signal, onProgress } = options;
  const work = join(ground.workDir, image.id);
  await rm(work, { recursive: true, force: true });
  await mkdir(work, { recursive: true });
  try {
    const source = join(work, 'source');
    await pipeline(await ground.blobs.get(keys.stream(image.id)), createWriteStream(source), { signal });
    const disk = image.disk_format === 'raw' ? source : join(work, 'disk');
    if (disk !== source) await convert(image, source, disk, signal);
    const objects = join(work, 'objects');
    const { index } = await chunkImage({
      raw: disk,
      objects,
      signal,
      onProgress,
      known: async (sha256s) =>
        new Map(
          (await storedChunks(ground.house.db, sha256s)).map((chunk) => [
            chunk.sha256,
            { object: objectOf(chunk), offset: chunk.place, length: chunk.length },
          ]),
        ),
    });
    for (const { sha256 } of index.objects) {
      const file = join(objects, sha256);
      // Not every object is new: those that hold chunks of other images are in the store.
      if (await stat(file).catch(() => null))
        await chunked.putObject(nobody, sha256, createReadStream(file, { highWaterMark: 256 * 1024 }));
    }
    return index;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

const nobody = { requestId: 'req-convert', userId: null, projectId: null, domainId: null, roles: [] };
const objectOf = (chunk: { object: string; objectSize: number }): ChunkObject => ({
  name: chunk.object,
  size: chunk.objectSize,
  sha256: chunk.object,
});

async function convert(image: Image, source: string, disk: string, signal: AbortSignal): Promise<void> {
  const format = qemuFormats[image.disk_format ?? ''] ?? 'raw';
  const full = new AbortController();
  const watch = setInterval(async () => {
    const { bavail, bsize } = await statfs(source).catch(() => ({ bavail: Number.POSITIVE_INFINITY, bsize: 1 }));
    if (bavail * bsize < reserveBytes) full.abort();
  }, watchMs);
  try {
    // A name that begins with "json:" or holds a colon would be a description and not a file, hence the protocol in front.
    const args = [
      `--as=${memoryBytes}`,
      'qemu-img',
      'convert',
      '-f',
      format,
      '-O',
      'raw',
      `file:${source}`,
      `file:${disk}`,
    ];
    await run('prlimit', args, { signal: AbortSignal.any([signal, full.signal]) });
  } catch (error) {
    signal.throwIfAborted();
    const told = (error as { stderr?: string }).stderr?.trim().split('\n').at(-1)?.replaceAll(`file:${source}`, 'it');
    const reason = full.signal.aborted
      ? 'the disk within it does not fit beside the 1 GiB that is kept free here.'
      : (error as { code?: string }).code === 'ENOENT'
        ? 'qemu-img or prlimit is not installed.'
        : told || (error as Error).message;
    throw fault('image-convert', { id: image.id, reason }, error);
  } finally {
    clearInterval(watch);
  }
}
