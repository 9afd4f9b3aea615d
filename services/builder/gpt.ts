import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

/** Partition types of the images that are built here (UEFI 2.10 table 5.7, and the Discoverable Partitions Specification for the root of amd64). */
export const PARTITION_TYPES = {
  biosBoot: '21686148-6449-6e6f-744e-656564454649',
  efiSystem: 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b',
  rootAmd64: '4f68bce3-e8cd-4db1-96e7-fbcaf984b709',
} as const;

/** A partition in sectors: `first` and `count`, both of 512 bytes. */
export interface Partition {
  name: string;
  type: string;
  id: string;
  first: number;
  count: number;
}

export interface Gpt {
  diskId: string;
  /** Sectors of the whole disk. */
  sectors: number;
  partitions: Partition[];
}

export const SECTOR = 512;
const ENTRIES = 128;
const ENTRY_SIZE = 128;
const ENTRY_SECTORS = (ENTRIES * ENTRY_SIZE) / SECTOR;

/** A GUID as GPT stores it: the first three groups little-endian, the others as written (UEFI 2.10 appendix A). */
export function guidBytes(guid: string): Buffer {
  const hex = guid.replaceAll('-', '');
  if (!/^[0-9a-fA-F]{32}$/.test(hex)) throw new Error(`"${guid}" is not a GUID.`);
  const bytes = Buffer.from(hex, 'hex');
  return Buffer.concat([
    bytes.subarray(0, 4).reverse(),
    bytes.subarray(4, 6).reverse(),
    bytes.subarray(6, 8).reverse(),
    bytes.subarray(8, 16),
  ]);
}

/** An id that depends on nothing but the words given, in the form of a random (version 4) UUID. */
export function stableId(...words: string[]): string {
  const hash = createHash('sha256').update(words.join('/')).digest('hex');
  const group = [
    hash.slice(0, 8),
    hash.slice(8, 12),
    `4${hash.slice(13, 16)}`,
    `8${hash.slice(17, 20)}`,
    hash.slice(20, 32),
  ];
  return group.join('-');
}

function entryArray(partitions: readonly Partition[]): Buffer {
  const entries = Buffer.alloc(ENTRIES * ENTRY_SIZE);
  partitions.forEach((partition, index) => {
    const at = index * ENTRY_SIZE;
    guidBytes(partition.type).copy(entries, at);
    guidBytes(partition.id).copy(entries, at + 16);
    entries.writeBigUInt64LE(BigInt(partition.first), at + 32);
    entries.writeBigUInt64LE(BigInt(partition.first + partition.count - 1), at + 40);
    entries.write(partition.name.slice(0, 36), at + 56, 'utf16le');
  });
  return entries;
}

function header(gpt: Gpt, entries: Buffer, own: number, other: number, entriesAt: number): Buffer {
  const sector = Buffer.alloc(SECTOR);
  sector.write('EFI PART', 0, 'latin1');
  sector.writeUInt32LE(0x00010000, 8);
  sector.writeUInt32LE(92, 12);
  sector.writeBigUInt64LE(BigInt(own), 24);
  sector.writeBigUInt64LE(BigInt(other), 32);
  sector.writeBigUInt64LE(BigInt(2 + ENTRY_SECTORS), 40);
  sector.writeBigUInt64LE(BigInt(gpt.sectors - ENTRY_SECTORS - 2), 48);
  guidBytes(gpt.diskId).copy(sector, 56);
  sector.writeBigUInt64LE(BigInt(entriesAt), 72);
  sector.writeUInt32LE(ENTRIES, 80);
  sector.writeUInt32LE(ENTRY_SIZE, 84);
  sector.writeUInt32LE(crc32(entries), 88);
  sector.writeUInt32LE(crc32(sector.subarray(0, 92)), 16);
  return sector;
}

/** The one partition of the protective MBR (UEFI 2.10, 5.2.3). `boot` is the code for its first 440 bytes. */
function protectiveMbr(sectors: number, boot?: Uint8Array): Buffer {
  const mbr = Buffer.alloc(SECTOR);
  if (boot !== undefined) mbr.set(boot.subarray(0, 440), 0);
  mbr.set([0x00, 0x00, 0x02, 0x00, 0xee, 0xff, 0xff, 0xff], 446);
  mbr.writeUInt32LE(1, 454);
  mbr.writeUInt32LE(Math.min(sectors - 1, 0xffffffff), 458);
  mbr.set([0x55, 0xaa], 510);
  return mbr;
}

function check({ sectors, partitions }: Gpt): void {
  const first = 2 + ENTRY_SECTORS;
  const last = sectors - ENTRY_SECTORS - 2;
  if (partitions.length > ENTRIES) throw new Error(`A GPT holds ${ENTRIES} partitions, not ${partitions.length}.`);
  const sorted = [...partitions].sort((a, b) => a.first - b.first);
  sorted.forEach((partition, index) => {
    const end = partition.first + partition.count - 1;
    if (partition.count < 1 || partition.first < first || end > last) {
      throw new Error(
        `Partition "${partition.name}" (sectors ${partition.first} to ${end}) is outside ${first} to ${last}.`,
      );
    }
    const next = sorted[index + 1];
    if (next !== undefined && next.first <= end) {
      throw new Error(`Partitions "${partition.name}" and "${next.name}" overlap at sector ${next.first}.`);
    }
  });
}

/** A disk's partition table as pieces to be written at byte offsets: protective MBR with primary GPT, and the backup at the disk's end. */
export function encodeGpt(gpt: Gpt, boot?: Uint8Array): { offset: number; bytes: Buffer }[] {
  check(gpt);
  const entries = entryArray(gpt.partitions);
  const last = gpt.sectors - 1;
  const primary = header(gpt, entries, 1, last, 2);
  const backup = header(gpt, entries, last, 1, last - ENTRY_SECTORS);
  return [
    { offset: 0, bytes: Buffer.concat([protectiveMbr(gpt.sectors, boot), primary, entries]) },
    { offset: (last - ENTRY_SECTORS) * SECTOR, bytes: Buffer.concat([entries, backup]) },
  ];
}
