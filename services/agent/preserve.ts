/**
 * Partitions that outlive the write of an image: a data partition beyond the image's end, asked for by its GPT name. They are looked
 * up before anything is written, and entered again into the table that the image brings.
 *
 * At every instant one of the disk's two tables names them: while the image is written, the old backup at the disk's end is left
 * alone, and the new table's backup is written before its primary. So a write that was cut off can be asked for again.
 */
import type { PreservedPartitions } from '../ipa/index.ts';
import type { DiskFile } from './disk-file.ts';
import { AgentFailure } from './failure.ts';
import {
  type Gpt,
  gptPartitions,
  type Partition,
  PartitionTableError,
  readBackupGpt,
  readGpt,
  SECTOR,
  TABLE_BYTES,
} from './partition-table.ts';

export interface KeptPartition extends Partition {
  /** Its entry as it was, attributes included; `entrySize` bytes of the table it was in. */
  entry: Buffer;
}

function refused(why: string, cause?: unknown): AgentFailure {
  return new AgentFailure('ImageWriteError', `Nothing was written, because partitions are to be preserved: ${why}.`, {
    cause,
  });
}

async function tables(file: DiskFile): Promise<Gpt[]> {
  const found: Gpt[] = [];
  let broken: unknown;
  const tail = Buffer.alloc(Math.min(TABLE_BYTES, file.disk.size));
  await file.read(tail, file.disk.size - tail.length);
  const head = await file.head(TABLE_BYTES);
  for (const look of [() => readGpt(head), () => readBackupGpt(tail, file.disk.size)]) {
    try {
      const gpt = look();
      if (gpt) found.push(gpt);
    } catch (cause) {
      if (!(cause instanceof PartitionTableError)) throw cause;
      broken = cause;
    }
  }
  if (found.length === 0) throw refused(`disk ${file.disk.name} has no partition table (GPT) that can be read`, broken);
  return found;
}

/**
 * The partitions by those names, none of which the image reaches.
 * @throws AgentFailure where one is missing, is there twice, or begins before `imageBytes`
 */
export async function partitionsToKeep(
  file: DiskFile,
  wanted: PreservedPartitions,
  imageBytes: number,
): Promise<KeptPartition[]> {
  let there: Gpt[];
  try {
    there = await tables(file);
  } catch (cause) {
    if (!wanted.required && cause instanceof AgentFailure && cause.type === 'ImageWriteError') return [];
    throw cause;
  }
  const kept: KeptPartition[] = [];
  for (const name of wanted.names) {
    // A write that was cut off leaves the image's own table in front and the old one behind.
    const holder = there.find((gpt) => gptPartitions(gpt).some((partition) => partition.name === name));
    if (!holder) {
      if (!wanted.required) continue;
      const names = [...new Set(there.flatMap((gpt) => gptPartitions(gpt).map((partition) => partition.name)))];
      throw refused(
        `disk ${file.disk.name} has no partition named ${JSON.stringify(name)}; its partitions are ${names.map((one) => JSON.stringify(one)).join(', ') || 'none'}`,
      );
    }
    const named = gptPartitions(holder).filter((partition) => partition.name === name);
    const [partition] = named;
    if (!partition || named.length > 1)
      throw refused(`disk ${file.disk.name} has ${named.length} partitions named ${JSON.stringify(name)}`);
    const start = partition.firstLba * SECTOR;
    if (start < imageBytes)
      throw refused(
        `the image has ${imageBytes} bytes, and partition ${partition.number} (${name}) of ${file.disk.name} begins at byte ${start}; take a smaller image`,
      );
    const at = (partition.number - 1) * holder.entrySize;
    kept.push({ ...partition, entry: Buffer.from(holder.entries.subarray(at, at + holder.entrySize)) });
  }
  return kept;
}
