/** What is on a written disk: its partitions and the UUIDs of the file systems that boot it. */
import type { DiskFile } from './disk-file.ts';
import { readMbr } from './master-boot-record.ts';
import { gptPartitions, PARTITION_TYPE, type Partition, readGpt, SECTOR, TABLE_BYTES } from './partition-table.ts';

export interface DiskLayout {
  /** GPT disk GUID, or the MBR's signature as 0x12345678; null where there is no table. */
  identifier: string | null;
  partitions: Partition[];
  root: Partition | undefined;
  esp: Partition | undefined;
}

/** A root file system's type, else the largest Linux one. */
function rootOf(partitions: Partition[]): Partition | undefined {
  const roots: string[] = [PARTITION_TYPE.rootX64, PARTITION_TYPE.rootArm64];
  const typed = partitions.find(({ type }) => roots.includes(type));
  if (typed) return typed;
  const linux = partitions.filter(
    ({ type, name }) => (type === PARTITION_TYPE.linux || type === '83') && name !== 'config-2',
  );
  return linux.toSorted((a, b) => b.lastLba - b.firstLba - (a.lastLba - a.firstLba))[0];
}

export async function readLayout(file: DiskFile): Promise<DiskLayout> {
  const head = await file.head(TABLE_BYTES);
  const gpt = readGpt(head);
  if (gpt) {
    const partitions = gptPartitions(gpt);
    return {
      identifier: gpt.diskGuid,
      partitions,
      root: rootOf(partitions),
      esp: partitions.find(({ type }) => type === PARTITION_TYPE.esp),
    };
  }
  const partitions = readMbr(head);
  if (!partitions) return { identifier: null, partitions: [], root: undefined, esp: undefined };
  const identifier = `0x${head.readUInt32LE(440).toString(16).padStart(8, '0')}`;
  return { identifier, partitions, root: rootOf(partitions), esp: partitions.find(({ type }) => type === 'ef') };
}

function dashed(bytes: Buffer): string {
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

function serial(bytes: Buffer, at: number): string {
  const number = bytes.readUInt32LE(at).toString(16).toUpperCase().padStart(8, '0');
  return `${number.slice(0, 4)}-${number.slice(4)}`;
}

/** Offsets of the superblocks: ext2..4 at 1,024; XFS at 0; btrfs at 65,536; FAT's boot sector at 0. `head`: first 68 kB of the volume. */
export function fileSystemUuid(head: Buffer): string | null {
  if (head.length < 65_536 + 4096) return null;
  if (head.readUInt16LE(1024 + 56) === 0xef53) return dashed(head.subarray(1024 + 104, 1024 + 120));
  if (head.toString('latin1', 0, 4) === 'XFSB') return dashed(head.subarray(32, 48));
  if (head.toString('latin1', 65_536 + 64, 65_536 + 72) === '_BHRfS_M')
    return dashed(head.subarray(65_536 + 32, 65_536 + 48));
  if (head.readUInt16LE(510) !== 0xaa55) return null;
  if (head.toString('latin1', 82, 87) === 'FAT32') return serial(head, 67);
  return head.toString('latin1', 54, 57) === 'FAT' ? serial(head, 39) : null;
}

export async function volumeUuid(file: DiskFile, partition: Partition | undefined): Promise<string | null> {
  if (!partition) return null;
  const length = Math.min(65_536 + 4096, (partition.lastLba - partition.firstLba + 1) * SECTOR);
  const head = Buffer.alloc(length);
  await file.read(head, partition.firstLba * SECTOR);
  return fileSystemUuid(head);
}
