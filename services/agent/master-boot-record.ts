/** The older partition table, for images that have no GPT: four primary entries in the first sector. Pure. */
import { type DiskWrite, type Partition, PartitionTableError, SECTOR } from './partition-table.ts';

const FIRST = 446;
const SIZE = 16;
const ALIGN = 2048;

/** Null where the first sector is no partition table; a FAT volume's boot sector ends in 55 AA too, but has no sane entries. */
export function readMbr(head: Buffer): Partition[] | null {
  if (head.length < SECTOR || head.readUInt16LE(510) !== 0xaa55) return null;
  const found: Partition[] = [];
  for (let i = 0; i < 4; i++) {
    const entry = head.subarray(FIRST + i * SIZE, FIRST + (i + 1) * SIZE);
    if ((entry[0]! & 0x7f) !== 0) return null;
    if (entry[4] === 0) continue;
    const firstLba = entry.readUInt32LE(8);
    const count = entry.readUInt32LE(12);
    const guid = `${head.readUInt32LE(440).toString(16).padStart(8, '0')}-${String(i + 1).padStart(2, '0')}`;
    found.push({
      number: i + 1,
      type: entry[4]!.toString(16),
      guid,
      firstLba,
      lastLba: firstLba + count - 1,
      name: '',
    });
  }
  return found.length > 0 ? found : null;
}

/** Adds a Linux partition at the disk's end (or below 2 TiB, where the table ends). Throws where no entry or room is left. */
export function addMbrPartitionAtEnd(
  head: Buffer,
  diskBytes: number,
  bytes: number,
): { write: DiskWrite; partition: Partition } {
  const present = readMbr(head) ?? [];
  const slot = [0, 1, 2, 3].find((i) => !present.some(({ number }) => number === i + 1));
  if (slot === undefined)
    throw new PartitionTableError(
      "The image's partition table is an MBR whose four entries are taken: no room for a config drive; use a GPT image.",
    );
  const sectors = Math.min(Math.floor(diskBytes / SECTOR), 0xffffffff);
  const count = Math.ceil(bytes / (ALIGN * SECTOR)) * ALIGN;
  const firstLba = Math.floor((sectors - count) / ALIGN) * ALIGN;
  const end = present.reduce((high, partition) => Math.max(high, partition.lastLba), 0);
  if (firstLba <= end)
    throw new PartitionTableError(
      `A config drive of ${count * SECTOR} bytes does not fit behind sector ${end} of a disk of ${diskBytes} bytes.`,
    );
  const data = Buffer.from(head.subarray(0, SECTOR));
  const entry = data.subarray(FIRST + slot * SIZE, FIRST + (slot + 1) * SIZE).fill(0);
  // Cylinder, head and sector "beyond CHS", as every partitioner writes for LBA disks.
  Buffer.from([0x00, 0xfe, 0xff, 0xff, 0x83, 0xfe, 0xff, 0xff]).copy(entry);
  entry.writeUInt32LE(firstLba, 8);
  entry.writeUInt32LE(count, 12);
  const partition = {
    number: slot + 1,
    type: '83',
    guid: '',
    firstLba,
    lastLba: firstLba + count - 1,
    name: 'config-2',
  };
  return { write: { offset: 0, data }, partition };
}
