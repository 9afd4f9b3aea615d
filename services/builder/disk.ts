import { open } from 'node:fs/promises';
import { encodeGpt, PARTITION_TYPES, SECTOR, stableId } from './gpt.ts';
import type { Layout, LayoutPartition } from './layout.ts';
import { encodeMbr } from './mbr.ts';
import { BuildError } from './progress.ts';

export const MIB = 1024 * 1024;
export const SECTORS_PER_MIB = MIB / SECTOR;

/** A partition with its place on the disk, in MiB. */
export interface PlacedPartition {
  partition: LayoutPartition;
  firstMib: number;
  mib: number;
}

export interface PlacedDisk {
  mib: number;
  partitions: PlacedPartition[];
}

const UNITS: Record<string, number> = {
  '': 1 / MIB,
  b: 1 / MIB,
  k: 1000 / MIB,
  kb: 1000 / MIB,
  kib: 1024 / MIB,
  m: 1e6 / MIB,
  mb: 1e6 / MIB,
  mib: 1,
  g: 1e9 / MIB,
  gb: 1e9 / MIB,
  gib: 1024,
  t: 1e12 / MIB,
  tb: 1e12 / MIB,
  tib: 1024 * 1024,
};

/** A size as the configuration writes it, in MiB (rounded up): 8MiB, 40G, 550MiB, or a percentage of `whole`. */
export function sizeInMib(text: string, whole: number): number {
  const match = /^\s*(\d+(?:\.\d+)?)\s*(%|[kmgt]?i?b?)\s*$/i.exec(text);
  if (match === null) throw new BuildError(`"${text}" is no size: write it like 8MiB, 40GiB or 100%.`);
  const unit = match[2]!.toLowerCase();
  if (unit === '%') return Math.floor((whole * Number(match[1])) / 100);
  return Math.ceil(Number(match[1]) * UNITS[unit]!);
}

/** Puts partitions one after the other, each on a whole MiB. `rootMib` is what the one that takes the rest needs; `diskMib` is given when the user gave the size of the image. */
export function placePartitions(layout: Layout, rootMib: number, diskMib?: number): PlacedDisk {
  const before = layout.table === 'none' ? 0 : 1;
  // The GPT's second table lies at the end; a whole MiB keeps the disk's size one.
  const behind = layout.table === 'gpt' ? 1 : 0;
  const fixed = layout.partitions
    .filter(({ size }) => !size.includes('%'))
    .reduce((sum, { size }) => sum + sizeInMib(size, 0), 0);
  const rest = diskMib === undefined ? rootMib : diskMib - before - behind - fixed;
  const partitions: PlacedPartition[] = [];
  let at = before;
  for (const partition of layout.partitions) {
    const mib = partition.size.includes('%') ? sizeInMib(partition.size, rest) : sizeInMib(partition.size, 0);
    if (mib < 1)
      throw new BuildError(
        `Partition "${partition.name}" of image "${layout.name}" would have ${mib} MiB: the image size is too small.`,
      );
    partitions.push({ partition, firstMib: at, mib });
    at += mib;
  }
  return { mib: Math.max(at + behind, diskMib ?? 0), partitions };
}

const GPT_TYPES: Record<string, string> = {
  ef00: PARTITION_TYPES.efiSystem,
  ef02: PARTITION_TYPES.biosBoot,
  root: PARTITION_TYPES.rootAmd64,
  '8300': '0fc63daf-8483-4772-8e79-3d69d8477de4',
  '8200': '0657fd6d-a4ab-43c4-84e5-0933c84b4f4f',
  '8e00': 'e6d6d379-f507-44c2-a23c-238f2a3df928',
  fd00: 'a19d880f-05fc-4d3b-a006-743f0f84911e',
  '8301': '8da63339-0007-60c0-c436-083ac8230908',
  '8302': '933ac7e1-2eb4-4f13-b844-0e14e2aef915',
  '0700': 'ebd0a0a2-b9e5-4433-87c0-68b6b72699c7',
};

/** A partition type as sgdisk's four digits, or a GUID. */
function gptType(partition: LayoutPartition): string {
  const word = partition.type.toLowerCase().replace(/^0x/, '');
  if (/^[0-9a-f]{8}-/.test(word)) return word;
  const found = GPT_TYPES[word] ?? (word === '83' ? GPT_TYPES['8300'] : undefined);
  if (found === undefined)
    throw new BuildError(
      `Partition "${partition.name}" has the type "${partition.type}", which is not known: use a code of sgdisk or a GUID.`,
    );
  return found;
}

/** Writes the partition table (and the boot sector's code) into an image that it makes, a hole of the disk's size. */
export async function writeTable(image: string, layout: Layout, disk: PlacedDisk, boot?: Uint8Array): Promise<void> {
  const file = await open(image, 'w');
  try {
    await file.truncate(disk.mib * MIB);
    const id = (word: string): string => stableId(`undercloud/${layout.name}`, word);
    if (layout.table === 'gpt') {
      const partitions = disk.partitions.map(({ partition, firstMib, mib }) => ({
        name: partition.name,
        type: gptType(partition),
        id: id(`partition/${partition.name}`),
        first: firstMib * SECTORS_PER_MIB,
        count: mib * SECTORS_PER_MIB,
      }));
      for (const { offset, bytes } of encodeGpt(
        { diskId: id('disk'), sectors: disk.mib * SECTORS_PER_MIB, partitions },
        boot,
      ))
        await file.write(bytes, 0, bytes.length, offset);
    } else if (layout.table === 'mbr') {
      const partitions = disk.partitions.map(({ partition, firstMib, mib }) => ({
        type: Number.parseInt(partition.type.replace(/^0x/i, ''), 16) & 0xff || 0x83,
        active: partition.flags.includes('boot'),
        first: firstMib * SECTORS_PER_MIB,
        count: mib * SECTORS_PER_MIB,
      }));
      const sector = encodeMbr(Number.parseInt(id('disk').slice(0, 8), 16), partitions, boot);
      await file.write(sector, 0, sector.length, 0);
    }
  } finally {
    await file.close();
  }
}
