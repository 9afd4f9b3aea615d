/** deploy.write_image: from image_info to a disk that boots. */
import { hash } from 'node:crypto';
import {
  CHUNK_INDEX_MAX_BYTES,
  type ChunkIndex,
  type ImageInfo,
  type JsonObject,
  parseChunkIndex,
} from '../ipa/index.ts';
import { writeChunks } from './chunk-writer.ts';
import { decodeConfigDrive, finishPartitions } from './config-drive.ts';
import { type DiskFile, openDisk } from './disk-file.ts';
import { readLayout, volumeUuid } from './disk-layout.ts';
import { AgentFailure, imageFailure, reasonOf } from './failure.ts';
import type { Fetcher } from './fetcher.ts';
import type { Disk, Hardware } from './hardware.ts';
import { PartitionTableError } from './partition-table.ts';
import { writeQcow2 } from './qcow2.ts';
import { writeStream } from './stream-writer.ts';

const MIB = 1_048_576;

export interface ImageWrite {
  hardware: Hardware;
  disk: Disk;
  info: ImageInfo;
  /** Beside image_info.configdrive, the step's own argument. */
  configDrive?: string | undefined;
  fetcher: Fetcher;
  onProgress(done: number, total: number): void;
  log(line: string): void;
  signal: AbortSignal;
  connections?: number;
}

/** What standby.get_partition_uuids answers; the keys with blanks are IPA's. */
export interface WrittenImage {
  disk: Disk;
  uuids: JsonObject;
  /** For people. */
  summary: string;
}

function tooSmall(disk: Disk, needed: number): AgentFailure {
  return imageFailure(`disk ${disk.name} has ${disk.size} bytes, the image needs ${needed}.`);
}

async function fetchIndex(
  info: ImageInfo,
  fetcher: Fetcher,
  signal: AbortSignal,
): Promise<{ index: ChunkIndex; urls: string[] }> {
  const chunks = info.chunks!;
  const text = await fetcher.bytes(chunks.index_url, { most: CHUNK_INDEX_MAX_BYTES }, signal);
  const sum = hash('sha256', text, 'hex');
  if (sum !== chunks.index_sha256)
    throw new AgentFailure(
      'ImageChecksumError',
      `wrong checksum of the chunk index of image ${info.id}: sha256 is ${sum}, expected ${chunks.index_sha256}.`,
    );
  let index: ChunkIndex;
  try {
    index = parseChunkIndex(text);
  } catch (cause) {
    throw imageFailure(reasonOf(cause), cause);
  }
  const urls = index.objects.map(({ name }) => {
    const url = chunks.objects[name];
    if (url === undefined)
      throw imageFailure(`The chunk index of image ${info.id} names object ${name}, and no URL was given for it.`);
    return url;
  });
  return { index, urls };
}

/** Raw bytes of the image, now on the disk. */
async function writeBlocks(order: ImageWrite, file: DiskFile): Promise<number> {
  const { info, fetcher, disk, log, signal, onProgress } = order;
  if (info.chunks) {
    const { index, urls } = await fetchIndex(info, fetcher, signal);
    if (index.size > disk.size) throw tooSmall(disk, index.size);
    const report = await writeChunks({
      index,
      urls,
      fetcher,
      target: file,
      compare: info.chunks.compare,
      onProgress: (done) => onProgress(done, index.size),
      log,
      signal,
      ...(order.connections === undefined ? {} : { connections: order.connections }),
    });
    log(
      `${report.written} bytes written, ${report.alreadyThere} already there, ${report.zeros} zeros (${report.zerosWritten} cleared), ${report.fetched} bytes fetched`,
    );
    return index.size;
  }
  if (info.disk_format === 'qcow2') return writeQcow2(order.hardware, info, fetcher, file, signal);
  if (info.disk_format !== 'raw')
    throw imageFailure(
      `Image ${info.id} has disk_format ${info.disk_format}, and this agent writes raw, qcow2 and chunks.`,
    );
  return writeStream({ info, fetcher, file, onProgress, signal });
}

export async function writeImage(order: ImageWrite): Promise<WrittenImage> {
  const { hardware, disk, info, fetcher, log } = order;
  if (disk.logical_sectors !== 512)
    throw imageFailure(
      `disk ${disk.name} has sectors of ${disk.logical_sectors} bytes, and the image is made for 512: choose another disk.`,
    );
  // A bad config drive is found before the disk is touched.
  const given = order.configDrive ?? info.configdrive;
  const configDrive = given === undefined ? undefined : await decodeConfigDrive(given, fetcher);
  log(`writing image ${info.id} to ${disk.name} (${disk.size} bytes)`);
  const written = await onDisk(order, configDrive);
  await hardware.rereadPartitions(disk);
  return written;
}

async function onDisk(order: ImageWrite, configDrive: Buffer | undefined): Promise<WrittenImage> {
  const { hardware, disk, info, log } = order;
  const file = await openDisk(hardware, disk);
  try {
    const size = await writeBlocks(order, file);
    // What an earlier system left at the disk's end (backup GPT, md and ZFS labels) would be found by the next one.
    const tail = Math.max(size, disk.size - MIB);
    await file.clear(tail, disk.size - tail);
    const partition = await finishPartitions(file, configDrive).catch((cause: unknown) => {
      if (cause instanceof PartitionTableError) throw imageFailure(cause.message, cause);
      throw cause;
    });
    if (partition) log(`config drive in partition ${partition.number} of ${disk.name}`);
    await file.flush();
    const layout = await readLayout(file);
    const root = await volumeUuid(file, layout.root);
    const uuids: JsonObject = {
      'root uuid': root,
      'efi system partition uuid': await volumeUuid(file, layout.esp),
      'disk identifier': layout.identifier,
      disk: disk.name,
    };
    return { disk, uuids, summary: `image (${info.id}) written to device ${disk.name} root_uuid=${root}` };
  } finally {
    await file.close();
  }
}
