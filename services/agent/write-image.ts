/** deploy.write_image: from image_info to a disk that boots. */
import type { KeyObject } from 'node:crypto';
import type { DeliveryManifest, ImageBytes, ImageInfo, JsonObject } from '../ipa/index.ts';
import { type ChunkReport, writeChunks } from './chunk-writer.ts';
import { decodeConfigDrive, finishPartitions } from './config-drive.ts';
import { type DiskFile, openDisk } from './disk-file.ts';
import { readLayout, volumeUuid } from './disk-layout.ts';
import { type AgentFailure, imageFailure } from './failure.ts';
import type { Fetcher } from './fetcher.ts';
import type { Disk, Hardware } from './hardware.ts';
import { joinNeighbours, type NeighbourOptions, type Neighbours } from './neighbours/index.ts';
import { PartitionTableError } from './partition-table.ts';
import { type KeptPartition, partitionsToKeep } from './preserve.ts';
import { writeQcow2 } from './qcow2.ts';
import { writeStream } from './stream-writer.ts';
import { fetchIndex, vouchedFor } from './trust.ts';

const MIB = 1_048_576;

export interface ImageWrite {
  hardware: Hardware;
  disk: Disk;
  info: ImageInfo;
  /** Beside image_info.configdrive, the step's own argument. */
  configDrive?: string | undefined;
  fetcher: Fetcher;
  /** The undercloud's, by which images are signed; without it every image is taken. */
  key?: KeyObject | undefined;
  onProgress(done: number, total: number, bytes?: ImageBytes): void;
  log(line: string): void;
  signal: AbortSignal;
  connections?: number;
  /** How this node deals with others that write the image; without it the store alone is asked. */
  neighbours?: NeighbourOptions | undefined;
}

/** What standby.get_partition_uuids answers; the keys with blanks are IPA's. */
export interface WrittenImage {
  disk: Disk;
  uuids: JsonObject;
  /** For people. */
  summary: string;
  /** Of an image that came in chunks. */
  bytes?: ImageBytes;
  /** Gives the image's chunks on; for whoever ends it. */
  neighbours?: Neighbours | undefined;
}

const bytesOf = (report: ChunkReport): ImageBytes => ({
  written: report.written + report.zerosWritten,
  skipped: report.alreadyThere + report.zeros - report.zerosWritten,
  fetched: report.fetched,
  ...(report.neighbours > 0 && { neighbours: report.neighbours }),
});

interface Blocks {
  /** Raw bytes of the image, now on the disk. */
  size: number;
  kept: KeptPartition[];
  bytes?: ImageBytes;
  neighbours?: Neighbours | undefined;
}

function tooSmall(disk: Disk, needed: number): AgentFailure {
  return imageFailure(`disk ${disk.name} has ${disk.size} bytes, the image needs ${needed}.`);
}

async function writeBlocks(order: ImageWrite, file: DiskFile, manifest?: DeliveryManifest): Promise<Blocks> {
  const { info, fetcher, disk, log, signal, onProgress } = order;
  if (info.chunks) {
    const { index, urls } = await fetchIndex(info, manifest, fetcher, signal);
    if (index.size > disk.size) throw tooSmall(disk, index.size);
    const kept = info.preserve ? await partitionsToKeep(file, info.preserve, index.size) : [];
    for (const { name, firstLba } of kept) log(`partition ${name} at sector ${firstLba} of ${disk.name} is preserved`);
    const { neighbours_url: url, index_sha256: indexSha256 } = info.chunks;
    const neighbours =
      order.neighbours && url !== undefined
        ? await joinNeighbours({ ...order.neighbours, url, index, indexSha256, disk: disk.name, log })
        : undefined;
    const { resumed } = fetcher;
    const report = await writeChunks({
      index,
      urls,
      fetcher,
      target: file,
      compare: info.chunks.compare,
      onProgress: (done, report) => onProgress(done, index.size, bytesOf(report)),
      log,
      signal,
      neighbours,
      ...(order.connections === undefined ? {} : { connections: order.connections }),
    }).catch(async (error: unknown) => {
      await neighbours?.close();
      throw error;
    });
    log(
      `${report.written} bytes written, ${report.alreadyThere} already there, ${report.zeros} zeros (${report.zerosWritten} cleared), ${report.fetched} bytes fetched`,
    );
    if (neighbours) log(`${report.neighbours} bytes came from neighbours, ${neighbours.given()} were given to them`);
    const again = fetcher.resumed - resumed;
    const bytes = { ...bytesOf(report), ...(again > 0 && { resumed: again }) };
    return { size: index.size, kept, bytes, neighbours };
  }
  if (info.preserve)
    throw imageFailure(
      `Image ${info.id} comes as a plain stream, whose size is not known before it is written: partitions can be preserved only by an image in chunks. Register it in chunks.`,
    );
  if (info.disk_format === 'qcow2')
    return { size: await writeQcow2(order.hardware, info, fetcher, file, signal), kept: [] };
  if (info.disk_format !== 'raw')
    throw imageFailure(
      `Image ${info.id} has disk_format ${info.disk_format}, and this agent writes raw, qcow2 and chunks.`,
    );
  return { size: await writeStream({ info, fetcher, file, onProgress, signal }), kept: [] };
}

export async function writeImage(order: ImageWrite): Promise<WrittenImage> {
  const { hardware, disk, info, fetcher, log } = order;
  if (disk.logical_sectors !== 512)
    throw imageFailure(
      `disk ${disk.name} has sectors of ${disk.logical_sectors} bytes, and the image is made for 512: choose another disk.`,
    );
  const manifest = vouchedFor(info, order.key);
  // A bad config drive is found before the disk is touched.
  const given = order.configDrive ?? info.configdrive;
  const configDrive = given === undefined ? undefined : await decodeConfigDrive(given, fetcher);
  log(`writing image ${info.id} to ${disk.name} (${disk.size} bytes)`);
  const written = await onDisk(order, configDrive, manifest);
  await hardware.rereadPartitions(disk);
  return written;
}

async function onDisk(
  order: ImageWrite,
  configDrive: Buffer | undefined,
  manifest: DeliveryManifest | undefined,
): Promise<WrittenImage> {
  const { hardware, disk, info, log } = order;
  const file = await openDisk(hardware, disk);
  try {
    const { size, kept, bytes, neighbours } = await writeBlocks(order, file, manifest);
    // What an earlier system left at the disk's end (backup GPT, md and ZFS labels) would be found by the next one.
    // With partitions to keep it is the one table that names them, until the new one is written over it.
    const tail = Math.max(size, disk.size - MIB);
    if (kept.length === 0) await file.clear(tail, disk.size - tail);
    const partition = await finishPartitions(file, configDrive, kept).catch((cause: unknown) => {
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
    const summary = `image (${info.id}) written to device ${disk.name} root_uuid=${root}`;
    return { disk, uuids, summary, neighbours, ...(bytes && { bytes }) };
  } finally {
    await file.close();
  }
}
