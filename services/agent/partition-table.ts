/**
 * GPT on a disk that is larger than the image: reads the table, moves its backup to the disk's end, adds a partition there.
 * Pure: buffers in, writes out. UEFI specification 2.10, section 5.3. Only 512-byte sectors: that is what images are made for.
 */
import { crc32 } from 'node:zlib';

export const SECTOR = 512;
/** What must be read from the disk's beginning to see the table: header and entries, however odd their place. */
export const TABLE_BYTES = 1_048_576;
const ALIGN = 2048;
const SIGNATURE = 'EFI PART';
const GUID_NONE = '00000000-0000-0000-0000-000000000000';

export const PARTITION_TYPE = {
  esp: 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b',
  biosBoot: '21686148-6449-6e6f-744e-656564454649',
  linux: '0fc63daf-8483-4772-8e79-3d69d8477de4',
  rootX64: '4f68bce3-e8cd-4db1-96e7-fbcaf984b709',
  rootArm64: 'b921b045-1df0-41c3-af44-4c6f280d3fae',
} as const;

export class PartitionTableError extends Error {
  override name = 'PartitionTableError';
}

export interface Partition {
  /** From 1. */
  number: number;
  type: string;
  guid: string;
  firstLba: number;
  lastLba: number;
  name: string;
}

export interface Gpt {
  diskGuid: string;
  /** Sectors; the backup header is in the last of them. */
  sectors: number;
  firstUsableLba: number;
  lastUsableLba: number;
  entriesLba: number;
  entryCount: number;
  entrySize: number;
  /** The whole array as on the disk, so that attributes and unknown tails survive. */
  entries: Buffer;
  /** The first sector, boot code and protective entry included. */
  mbr: Buffer;
  revision: number;
}

export interface DiskWrite {
  offset: number;
  data: Buffer;
}

/** The first three fields are little-endian, the last two as they are written (UEFI 2.10, appendix A). */
export function readGuid(bytes: Buffer, at: number): string {
  const hex = (from: number, to: number) => bytes.toString('hex', at + from, at + to);
  const swapped = (from: number, to: number) =>
    Buffer.from(bytes.subarray(at + from, at + to))
      .reverse()
      .toString('hex');
  return `${swapped(0, 4)}-${swapped(4, 6)}-${swapped(6, 8)}-${hex(8, 10)}-${hex(10, 16)}`;
}

export function writeGuid(bytes: Buffer, at: number, guid: string): void {
  const [a, b, c, d, e] = guid.split('-').map((part) => Buffer.from(part, 'hex'));
  Buffer.concat([a!.reverse(), b!.reverse(), c!.reverse(), d!, e!]).copy(bytes, at);
}

function lba(bytes: Buffer, at: number, what: string): number {
  const value = bytes.readBigUInt64LE(at);
  if (value > 2n ** 44n) throw new PartitionTableError(`The partition table is broken: ${what} is sector ${value}.`);
  return Number(value);
}

/** `head`: the disk's first TABLE_BYTES (or all of a smaller one). Null where there is no GPT; throws where it is broken. */
export function readGpt(head: Buffer): Gpt | null {
  const gpt = parseGpt(head, SECTOR, 0);
  return gpt && { ...gpt, sectors: gpt.otherLba + 1, mbr: Buffer.from(head.subarray(0, SECTOR)) };
}

/** The second copy, from the disk's last bytes; its `mbr` is empty. Null where there is none; throws where it is broken. */
export function readBackupGpt(tail: Buffer, diskBytes: number): Gpt | null {
  const gpt = parseGpt(tail, tail.length - SECTOR, diskBytes - tail.length);
  return gpt && { ...gpt, sectors: Math.floor(diskBytes / SECTOR), mbr: Buffer.alloc(SECTOR) };
}

/** `at`: the header's place in `bytes`; `from`: the place of `bytes` on the disk. */
function parseGpt(
  bytes: Buffer,
  at: number,
  from: number,
): (Omit<Gpt, 'sectors' | 'mbr'> & { otherLba: number }) | null {
  if (bytes.length < 2 * SECTOR || bytes.toString('latin1', at, at + 8) !== SIGNATURE) return null;
  const header = Buffer.from(bytes.subarray(at, at + SECTOR));
  const size = header.readUInt32LE(12);
  if (size < 92 || size > SECTOR)
    throw new PartitionTableError(`The partition table is broken: its header has ${size} bytes.`);
  const sum = header.readUInt32LE(16);
  header.writeUInt32LE(0, 16);
  if (crc32(header.subarray(0, size)) !== sum)
    throw new PartitionTableError("The partition table is broken: its header's checksum is wrong.");
  const entriesLba = lba(header, 72, 'its entries');
  const entryCount = header.readUInt32LE(80);
  const entrySize = header.readUInt32LE(84);
  if (entrySize < 128 || entrySize > 4096 || entryCount < 1 || entryCount > 1024)
    throw new PartitionTableError(`The partition table is broken: it has ${entryCount} entries of ${entrySize} bytes.`);
  const end = entriesLba * SECTOR + entryCount * entrySize;
  if (entriesLba < 2 || entriesLba * SECTOR < from || end > from + bytes.length)
    throw new PartitionTableError(`The partition table is broken: its entries end at byte ${end}.`);
  const entries = Buffer.from(bytes.subarray(entriesLba * SECTOR - from, end - from));
  if (crc32(entries) !== header.readUInt32LE(88))
    throw new PartitionTableError("The partition table is broken: its entries' checksum is wrong.");
  return {
    diskGuid: readGuid(header, 56),
    otherLba: lba(header, 32, 'its backup'),
    firstUsableLba: lba(header, 40, 'the first usable sector'),
    lastUsableLba: lba(header, 48, 'the last usable sector'),
    entriesLba,
    entryCount,
    entrySize,
    entries,
    revision: header.readUInt32LE(8),
  };
}

export function gptPartitions(gpt: Gpt): Partition[] {
  const found: Partition[] = [];
  for (let i = 0; i < gpt.entryCount; i++) {
    const entry = gpt.entries.subarray(i * gpt.entrySize, (i + 1) * gpt.entrySize);
    const type = readGuid(entry, 0);
    if (type === GUID_NONE) continue;
    found.push({
      number: i + 1,
      type,
      guid: readGuid(entry, 16),
      firstLba: lba(entry, 32, `the start of partition ${i + 1}`),
      lastLba: lba(entry, 40, `the end of partition ${i + 1}`),
      name: entry.toString('utf16le', 56, 128).replace(/\0.*$/s, ''),
    });
  }
  return found;
}

const tableSectors = (gpt: Gpt) => Math.ceil((gpt.entryCount * gpt.entrySize) / SECTOR);

/** The same table for a disk of `diskBytes`: the backup at its very end, all that lies before it usable. */
export function moveGptToEnd(gpt: Gpt, diskBytes: number): Gpt {
  const sectors = Math.floor(diskBytes / SECTOR);
  const lastUsableLba = sectors - tableSectors(gpt) - 2;
  const beyond = gptPartitions(gpt).find((partition) => partition.lastLba > lastUsableLba);
  if (beyond)
    throw new PartitionTableError(
      `Partition ${beyond.number} ends at sector ${beyond.lastLba}, and a disk of ${diskBytes} bytes has usable sectors up to ${lastUsableLba}: the disk is too small.`,
    );
  const mbr = Buffer.from(gpt.mbr);
  // A lone protective entry covers the disk (UEFI 2.10, table 5.4); a hybrid table made on purpose is left alone.
  const protective = mbr[446 + 4] === 0xee && mbr.subarray(462, 510).every((byte) => byte === 0);
  if (protective) mbr.writeUInt32LE(Math.min(sectors - 1, 0xffffffff), 446 + 12);
  return { ...gpt, sectors, lastUsableLba, mbr };
}

const freeSlot = (gpt: Gpt, present: Partition[]) =>
  Array.from({ length: gpt.entryCount }, (_, i) => i).find((i) => !present.some(({ number }) => number === i + 1));

const noSlot = (gpt: Gpt) => new PartitionTableError(`All ${gpt.entryCount} entries of the partition table are taken.`);

/** Enters partitions as they were in an earlier table; under their own number where it is free. Throws where one overlaps another. */
export function enterPartitions(gpt: Gpt, kept: readonly (Partition & { entry: Buffer })[]): Gpt {
  let next = gpt;
  for (const one of kept) {
    const present = gptPartitions(next);
    const other = present.find(({ firstLba, lastLba }) => firstLba <= one.lastLba && one.firstLba <= lastLba);
    if (other)
      throw new PartitionTableError(`Partition ${one.name} and the image's partition ${other.number} overlap.`);
    if (one.lastLba > next.lastUsableLba)
      throw new PartitionTableError(
        `Partition ${one.name} ends at sector ${one.lastLba}, and the last usable one is ${next.lastUsableLba}.`,
      );
    const own = present.some(({ number }) => number === one.number) || one.number > next.entryCount;
    const slot = own ? freeSlot(next, present) : one.number - 1;
    if (slot === undefined) throw noSlot(next);
    const entries = Buffer.from(next.entries);
    const entry = entries.subarray(slot * next.entrySize, (slot + 1) * next.entrySize).fill(0);
    one.entry.copy(entry, 0, 0, Math.min(one.entry.length, entry.length));
    next = { ...next, entries };
  }
  return next;
}

/** The highest first sector of a stretch of `length` that no partition uses, behind the image's own; on a MiB boundary. */
function lastGap(gpt: Gpt, present: Partition[], length: number): number | undefined {
  let end = gpt.lastUsableLba;
  for (const { firstLba, lastLba } of present.toSorted((a, b) => b.lastLba - a.lastLba)) {
    const first = Math.floor((end + 1 - length) / ALIGN) * ALIGN;
    if (first > lastLba) return first;
    end = Math.min(end, firstLba - 1);
  }
  const first = Math.floor((end + 1 - length) / ALIGN) * ALIGN;
  return first >= gpt.firstUsableLba && present.length === 0 ? first : undefined;
}

/** Adds a partition of at least `bytes` as near to the end of the usable space as there is room, both ends on MiB boundaries. Throws where none is left. */
export function addPartitionAtEnd(
  gpt: Gpt,
  wanted: { bytes: number; type: string; guid: string; name: string },
): { gpt: Gpt; partition: Partition } {
  const present = gptPartitions(gpt);
  const slot = freeSlot(gpt, present);
  if (slot === undefined) throw noSlot(gpt);
  const length = Math.ceil(wanted.bytes / (ALIGN * SECTOR)) * ALIGN;
  const firstLba = lastGap(gpt, present, length);
  const end = present.reduce((high, partition) => Math.max(high, partition.lastLba), gpt.firstUsableLba - 1);
  if (firstLba === undefined)
    throw new PartitionTableError(
      `A partition of ${length * SECTOR} bytes for ${wanted.name} does not fit: partitions end at sector ${end}, and the last usable one is ${gpt.lastUsableLba}.`,
    );
  const lastLba = firstLba + length - 1;
  const entries = Buffer.from(gpt.entries);
  const entry = entries.subarray(slot * gpt.entrySize, (slot + 1) * gpt.entrySize).fill(0);
  writeGuid(entry, 0, wanted.type);
  writeGuid(entry, 16, wanted.guid);
  entry.writeBigUInt64LE(BigInt(firstLba), 32);
  entry.writeBigUInt64LE(BigInt(lastLba), 40);
  entry.write(wanted.name.slice(0, 36), 56, 'utf16le');
  const partition = { number: slot + 1, type: wanted.type, guid: wanted.guid, firstLba, lastLba, name: wanted.name };
  return { gpt: { ...gpt, entries }, partition };
}

function encodeHeader(gpt: Gpt, at: { own: number; other: number; entries: number }): Buffer {
  const header = Buffer.alloc(SECTOR);
  header.write(SIGNATURE, 0, 'latin1');
  header.writeUInt32LE(gpt.revision, 8);
  header.writeUInt32LE(92, 12);
  header.writeBigUInt64LE(BigInt(at.own), 24);
  header.writeBigUInt64LE(BigInt(at.other), 32);
  header.writeBigUInt64LE(BigInt(gpt.firstUsableLba), 40);
  header.writeBigUInt64LE(BigInt(gpt.lastUsableLba), 48);
  writeGuid(header, 56, gpt.diskGuid);
  header.writeBigUInt64LE(BigInt(at.entries), 72);
  header.writeUInt32LE(gpt.entryCount, 80);
  header.writeUInt32LE(gpt.entrySize, 84);
  header.writeUInt32LE(crc32(gpt.entries), 88);
  header.writeUInt32LE(crc32(header.subarray(0, 92)), 16);
  return header;
}

/** Both copies of the table, the backup first: a cut between the writes leaves a primary that is whole. */
export function encodeGpt(gpt: Gpt): DiskWrite[] {
  const last = gpt.sectors - 1;
  const backupEntries = last - tableSectors(gpt);
  const padded = Buffer.alloc(tableSectors(gpt) * SECTOR);
  gpt.entries.copy(padded);
  return [
    { offset: backupEntries * SECTOR, data: padded },
    { offset: last * SECTOR, data: encodeHeader(gpt, { own: last, other: 1, entries: backupEntries }) },
    { offset: gpt.entriesLba * SECTOR, data: padded },
    { offset: SECTOR, data: encodeHeader(gpt, { own: 1, other: last, entries: gpt.entriesLba }) },
    { offset: 0, data: gpt.mbr },
  ];
}
