import { type ExtendedAttribute, encodeBody } from './attributes.ts';
import { crc32c, crc32cNumber } from './crc32c.ts';
import { BLOCK, type Run } from './geometry.ts';

const FLAG_EXTENTS = 0x80000;
const EXTENT_MAGIC = 0xf30a;
const INLINE_EXTENTS = 4;
/** A leaf block: header of 12 bytes, 340 entries of 12, a checksum. */
export const LEAF_EXTENTS = 340;
const EXTRA_SIZE = 32;

/** An extent: `logical` is the block's number in the file. */
export interface Extent extends Run {
  logical: number;
}

/** What an inode says. Times are seconds since 1970. */
export interface InodeFields {
  mode: number;
  uid: number;
  gid: number;
  size: number;
  time: number;
  links: number;
  /** Blocks of data, of extent leaves and of the attribute block. */
  blocks: number;
  attributeBlock: number;
  attributes: readonly ExtendedAttribute[];
}

/** What i_block holds: extents or the numbers of leaf blocks, a short symlink's target, or a device's number. */
export type InodeContent =
  | { kind: 'extents'; extents: readonly Extent[] }
  | { kind: 'leaves'; leaves: readonly { logical: number; block: number }[] }
  | { kind: 'inline'; bytes: Uint8Array }
  | { kind: 'device'; major: number; minor: number };

/** How many leaf blocks a file's extents need. */
export function leafCount(extents: number): number {
  return extents <= INLINE_EXTENTS ? 0 : Math.ceil(extents / LEAF_EXTENTS);
}

function header(into: Buffer, at: number, entries: number, most: number, depth: number): void {
  into.writeUInt16LE(EXTENT_MAGIC, at);
  into.writeUInt16LE(entries, at + 2);
  into.writeUInt16LE(most, at + 4);
  into.writeUInt16LE(depth, at + 6);
}

function putExtents(into: Buffer, at: number, extents: readonly Extent[]): void {
  extents.forEach((extent, index) => {
    const place = at + 12 * (index + 1);
    into.writeUInt32LE(extent.logical, place);
    into.writeUInt16LE(extent.count, place + 4);
    into.writeUInt16LE(Math.floor(extent.first / 2 ** 32), place + 6);
    into.writeUInt32LE(extent.first % 2 ** 32, place + 8);
  });
}

/** Start of the checksums of one inode's blocks: file system, inode number, generation (always 0 here). */
export function inodeSeed(seed: number, inode: number): number {
  return crc32cNumber(crc32cNumber(seed, inode), 0);
}

/** One leaf of an extent tree, with its checksum. */
export function encodeLeaf(extents: readonly Extent[], seed: number, inode: number): Buffer {
  const block = Buffer.alloc(BLOCK);
  header(block, 0, extents.length, LEAF_EXTENTS, 0);
  putExtents(block, 0, extents);
  block.writeUInt32LE(crc32c(inodeSeed(seed, inode), block, 0, 12 + 12 * LEAF_EXTENTS), BLOCK - 4);
  return block;
}

/** Writes an inode with its checksum into `into` (inodeSize bytes of zeros). */
export function encodeInode(
  into: Buffer,
  inode: number,
  seed: number,
  fields: InodeFields,
  content: InodeContent,
): void {
  into.writeUInt16LE(fields.mode, 0);
  into.writeUInt16LE(fields.uid & 0xffff, 2);
  into.writeUInt32LE(fields.size % 2 ** 32, 4);
  for (const at of [0x8, 0xc, 0x10, 0x90]) into.writeUInt32LE(fields.time, at); // atime, ctime, mtime, crtime
  into.writeUInt16LE(fields.gid & 0xffff, 0x18);
  into.writeUInt16LE(fields.links > 65_000 ? 1 : fields.links, 0x1a);
  const sectors = fields.blocks * (BLOCK / 512);
  into.writeUInt32LE(sectors % 2 ** 32, 0x1c);
  into.writeUInt16LE(Math.floor(sectors / 2 ** 32), 0x74);
  into.writeUInt32LE(content.kind === 'extents' || content.kind === 'leaves' ? FLAG_EXTENTS : 0, 0x20);
  if (content.kind === 'extents') {
    header(into, 0x28, content.extents.length, INLINE_EXTENTS, 0);
    putExtents(into, 0x28, content.extents);
  } else if (content.kind === 'leaves') {
    header(into, 0x28, content.leaves.length, INLINE_EXTENTS, 1);
    content.leaves.forEach(({ logical, block }, index) => {
      const place = 0x28 + 12 * (index + 1);
      into.writeUInt32LE(logical, place);
      into.writeUInt32LE(block % 2 ** 32, place + 4);
      into.writeUInt16LE(Math.floor(block / 2 ** 32), place + 8);
    });
  } else if (content.kind === 'inline') into.set(content.bytes, 0x28);
  else {
    const { major, minor } = content;
    // Small numbers in the old 16-bit form, others in the new one, each in a word of its own (old_encode_dev, new_encode_dev).
    if (major < 256 && minor < 256) into.writeUInt32LE((major << 8) | minor, 0x28);
    else into.writeUInt32LE(((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0, 0x2c);
  }
  into.writeUInt32LE(fields.attributeBlock % 2 ** 32, 0x68);
  into.writeUInt16LE(Math.floor(fields.attributeBlock / 2 ** 32), 0x76);
  into.writeUInt32LE(Math.floor(fields.size / 2 ** 32), 0x6c);
  into.writeUInt16LE(fields.uid >>> 16, 0x78);
  into.writeUInt16LE(fields.gid >>> 16, 0x7a);
  into.writeUInt16LE(EXTRA_SIZE, 0x80);
  if (fields.attributeBlock === 0) encodeBody(into.subarray(128 + EXTRA_SIZE), fields.attributes);
  const checksum = crc32c(inodeSeed(seed, inode), into);
  into.writeUInt16LE(checksum & 0xffff, 0x7c);
  into.writeUInt16LE(checksum >>> 16, 0x82);
}

/** Bytes of an inode that attributes may take. */
export function bodyRoom(inodeSize: number): number {
  return inodeSize - 128 - EXTRA_SIZE;
}
