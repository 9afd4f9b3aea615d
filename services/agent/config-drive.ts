/** The config drive: what comes as base64 of a gzip becomes a partition named config-2 at the disk's end, as IPA makes it. */
import { randomUUID } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import type { DiskFile } from './disk-file.ts';
import { AgentFailure, imageFailure, reasonOf } from './failure.ts';
import type { Fetcher } from './fetcher.ts';
import { addMbrPartitionAtEnd, readMbr } from './master-boot-record.ts';
import {
  addPartitionAtEnd,
  encodeGpt,
  enterPartitions,
  gptPartitions,
  moveGptToEnd,
  PARTITION_TYPE,
  type Partition,
  readGpt,
  SECTOR,
  TABLE_BYTES,
} from './partition-table.ts';
import type { KeptPartition } from './preserve.ts';

/** Ironic's own limit for a config drive. */
const CONFIG_DRIVE_MAX = 64 * 1_048_576;

function refused(why: string, cause?: unknown): AgentFailure {
  return new AgentFailure('InvalidCommandParamsError', `The config drive is refused: ${why}.`, { code: 400, cause });
}

/** `given`: base64 of a gzip of the volume, or a URL of such text. Returns the volume: an ISO 9660 or FAT image. */
export async function decodeConfigDrive(given: string, fetcher: Fetcher): Promise<Buffer> {
  const text = /^https?:\/\//.test(given)
    ? (await fetcher.bytes(given, { most: 96 * 1_048_576 })).toString('latin1')
    : given;
  if (!/^[A-Za-z0-9+/\s]+={0,2}\s*$/.test(text)) throw refused('it is not base64');
  const packed = Buffer.from(text, 'base64');
  if (packed[0] !== 0x1f || packed[1] !== 0x8b) throw refused('it is not a gzip in base64');
  let volume: Buffer;
  try {
    volume = gunzipSync(packed, { maxOutputLength: CONFIG_DRIVE_MAX });
  } catch (cause) {
    throw refused(`it cannot be unpacked into ${CONFIG_DRIVE_MAX} bytes (${reasonOf(cause)})`, cause);
  }
  const iso = volume.length > 32_774 && volume.toString('latin1', 32_769, 32_774) === 'CD001';
  const fat = volume.length > 512 && volume.readUInt16LE(510) === 0xaa55;
  if (!iso && !fat) throw refused('it holds neither an ISO 9660 nor a FAT volume');
  return volume;
}

/** Clears the backup table that the image brought: at the image's end, it now lies in free space and would mislead repair tools. */
async function clearOldBackup(file: DiskFile, oldSectors: number, tableBytes: number, partitions: Partition[]) {
  const from = oldSectors * SECTOR - tableBytes - SECTOR;
  const inside = partitions.some(({ lastLba }) => lastLba * SECTOR >= from);
  if (from > 0 && !inside) await file.clear(from, tableBytes + SECTOR);
}

/**
 * Fits the written image's partition table to the disk and, if there is a config drive, adds its partition and writes it there.
 * `kept` are partitions of the disk's former table, which the new one names again.
 * An image that has a config-2 partition already gets it filled. Throws where a config drive has no place to go.
 */
export async function finishPartitions(
  file: DiskFile,
  configDrive: Buffer | undefined,
  kept: readonly KeptPartition[] = [],
): Promise<Partition | undefined> {
  const head = await file.head(TABLE_BYTES);
  const old = readGpt(head);
  if (!old) {
    if (kept.length > 0)
      throw imageFailure(
        `the image has no GPT in which ${kept.map(({ name }) => name).join(', ')} could be entered again; the old table's backup is left at the disk's end.`,
      );
    if (!configDrive) return undefined;
    if (!readMbr(head)) throw refused('the image has no partition table, so there is no place for it');
    const { write, partition } = addMbrPartitionAtEnd(head, file.disk.size, configDrive.length);
    await file.write(configDrive, partition.firstLba * SECTOR);
    await file.write(write.data, write.offset);
    return partition;
  }
  let gpt = enterPartitions(moveGptToEnd(old, file.disk.size), kept);
  let partition: Partition | undefined;
  if (configDrive) {
    partition = gptPartitions(gpt).find(({ name }) => name === 'config-2');
    const room = partition ? (partition.lastLba - partition.firstLba + 1) * SECTOR : 0;
    if (partition && room < configDrive.length)
      throw refused(`it has ${configDrive.length} bytes, and the image's own config-2 partition has ${room}`);
    if (!partition) {
      const wanted = { bytes: configDrive.length, type: PARTITION_TYPE.linux, guid: randomUUID(), name: 'config-2' };
      ({ gpt, partition } = addPartitionAtEnd(gpt, wanted));
    }
  }
  if (gpt.sectors !== old.sectors)
    await clearOldBackup(file, old.sectors, old.entryCount * old.entrySize, gptPartitions(old));
  if (configDrive && partition) await file.write(configDrive, partition.firstLba * SECTOR);
  for (const { offset, data } of encodeGpt(gpt)) await file.write(data, offset);
  return partition;
}
