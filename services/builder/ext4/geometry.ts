import { readSync, writeSync } from 'node:fs';
import { crc32c, crc32cNumber } from './crc32c.ts';

export const BLOCK = 4096;
const SUPERBLOCK_AT = 1024;
const INODE_UNINIT = 1;
const BLOCK_UNINIT = 2;
const INODE_ZEROED = 4;
const INCOMPAT_64BIT = 0x80;
/** filetype, extents, 64bit, flex_bg: what the writer understands (Documentation/filesystems/ext4, feature flags). */
const INCOMPAT_KNOWN = 0x2 | 0x40 | INCOMPAT_64BIT | 0x200;
const RO_METADATA_CSUM = 0x400;

/** A run of blocks. */
export interface Run {
  first: number;
  count: number;
}

function isPower(value: number, base: number): boolean {
  let power = base;
  while (power < value) power *= base;
  return power === value;
}

/** Groups that hold a copy of the superblock and the group descriptors (sparse_super: 0, 1 and powers of 3, 5 and 7). */
export function hasBackup(group: number): boolean {
  return group <= 1 || isPower(group, 3) || isPower(group, 5) || isPower(group, 7);
}

/**
 * The skeleton of a file system that mke2fs laid out: superblock, group descriptors and bitmaps, read from an image and written back. Blocks and inodes are taken
 * from it in memory; `save` writes counts, bitmaps and checksums, and every backup.
 */
export class Ext4Geometry {
  readonly groups: number;
  readonly blocks: number;
  readonly inodes: number;
  readonly blocksPerGroup: number;
  readonly inodesPerGroup: number;
  readonly inodeSize: number;
  /** crc32c of the UUID: the start of every checksum. */
  readonly seed: number;
  #fd: number;
  #offset: number;
  #super: Buffer;
  #descriptors: Buffer;
  #descriptorSize: number;
  #reservedGdt: number;
  #blockBitmaps: Buffer[] = [];
  #inodeBitmaps: Buffer[] = [];
  #directories: number[];

  constructor(fd: number, offset: number) {
    this.#fd = fd;
    this.#offset = offset;
    const sb = Buffer.alloc(1024);
    readSync(fd, sb, 0, 1024, offset + SUPERBLOCK_AT);
    this.#super = sb;
    if (sb.readUInt16LE(0x38) !== 0xef53)
      throw new Error('There is no ext4 file system where the image should have one.');
    const incompat = sb.readUInt32LE(0x60);
    if ((incompat & ~INCOMPAT_KNOWN) !== 0 || (incompat & 0x42) !== 0x42 || 1024 << sb.readUInt32LE(0x18) !== BLOCK)
      throw new Error(
        `The ext4 writer needs 4 KiB blocks with extents and knows the features 0x${INCOMPAT_KNOWN.toString(16)}; mke2fs made 0x${incompat.toString(16)}: leave out the mkfs options that ask for more.`,
      );
    if ((sb.readUInt32LE(0x64) & RO_METADATA_CSUM) === 0)
      throw new Error('The ext4 writer needs metadata_csum: leave out the mkfs option that takes it away.');
    this.blocks = sb.readUInt32LE(0x4) + sb.readUInt32LE(0x150) * 2 ** 32;
    this.inodes = sb.readUInt32LE(0);
    this.blocksPerGroup = sb.readUInt32LE(0x20);
    this.inodesPerGroup = sb.readUInt32LE(0x28);
    this.inodeSize = sb.readUInt16LE(0x58);
    this.#reservedGdt = sb.readUInt16LE(0xce);
    this.#descriptorSize = incompat & INCOMPAT_64BIT ? sb.readUInt16LE(0xfe) : 32;
    this.groups = Math.ceil(this.blocks / this.blocksPerGroup);
    this.seed = crc32c(0xffffffff, sb.subarray(0x68, 0x78));
    this.#descriptors = Buffer.alloc(this.#descriptorBlocks() * BLOCK);
    this.readBlocks(1, this.#descriptors);
    this.#directories = new Array<number>(this.groups).fill(0);
    for (let group = 0; group < this.groups; group++) this.#readBitmaps(group);
  }

  #descriptorBlocks(): number {
    return Math.ceil((this.groups * this.#descriptorSize) / BLOCK);
  }

  #descriptor(group: number): Buffer {
    return this.#descriptors.subarray(group * this.#descriptorSize, (group + 1) * this.#descriptorSize);
  }

  #location(group: number, low: number, high: number): number {
    const descriptor = this.#descriptor(group);
    return descriptor.readUInt32LE(low) + (this.#descriptorSize >= 64 ? descriptor.readUInt32LE(high) * 2 ** 32 : 0);
  }

  /** First block of a group's inode table. */
  inodeTable(group: number): number {
    return this.#location(group, 0x8, 0x28);
  }

  #readBitmaps(group: number): void {
    const flags = this.#descriptor(group).readUInt16LE(0x12);
    const blocks = Buffer.alloc(BLOCK);
    const first = group * this.blocksPerGroup;
    const end = Math.min(this.blocksPerGroup, this.blocks - first);
    if ((flags & BLOCK_UNINIT) === 0) this.readBlocks(this.#location(group, 0x0, 0x20), blocks);
    else {
      const used = hasBackup(group) ? 1 + this.#descriptorBlocks() + this.#reservedGdt : 0;
      for (let bit = 0; bit < used; bit++) blocks[bit >> 3]! |= 1 << (bit & 7);
    }
    for (let bit = end; bit < BLOCK * 8; bit++) blocks[bit >> 3]! |= 1 << (bit & 7);
    const inodes = Buffer.alloc(BLOCK);
    if ((flags & INODE_UNINIT) === 0) this.readBlocks(this.#location(group, 0x4, 0x24), inodes);
    for (let bit = this.inodesPerGroup; bit < BLOCK * 8; bit++) inodes[bit >> 3]! |= 1 << (bit & 7);
    this.#blockBitmaps.push(blocks);
    this.#inodeBitmaps.push(inodes);
  }

  readBlocks(block: number, into: Buffer): void {
    readSync(this.#fd, into, 0, into.length, this.#offset + block * BLOCK);
  }

  writeBlocks(block: number, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; )
      done += writeSync(this.#fd, bytes, done, bytes.length - done, this.#offset + block * BLOCK + done);
  }

  isUsed(block: number): boolean {
    const bit = block % this.blocksPerGroup;
    return (this.#blockBitmaps[(block - bit) / this.blocksPerGroup]![bit >> 3]! & (1 << (bit & 7))) !== 0;
  }

  #mark(block: number, used: boolean): void {
    const bit = block % this.blocksPerGroup;
    const bitmap = this.#blockBitmaps[(block - bit) / this.blocksPerGroup]!;
    if (used) bitmap[bit >> 3]! |= 1 << (bit & 7);
    else bitmap[bit >> 3]! &= ~(1 << (bit & 7));
  }

  free(block: number): void {
    this.#mark(block, false);
  }

  /** Takes `count` free blocks at or after `from`; undefined when the file system is full. */
  take(from: number, count: number): Run[] | undefined {
    const runs: Run[] = [];
    let at = from;
    for (let left = count; left > 0; ) {
      while (at < this.blocks && this.isUsed(at)) at += 1;
      if (at >= this.blocks) return undefined;
      const first = at;
      // An extent is at most 32768 blocks long; one more bit says "unwritten" (ext4 disk layout, struct ext4_extent).
      while (at < this.blocks && left > 0 && at - first < 32_768 && !this.isUsed(at)) {
        at += 1;
        left -= 1;
      }
      runs.push({ first, count: at - first });
    }
    for (const run of runs) for (let i = 0; i < run.count; i++) this.#mark(run.first + i, true);
    return runs;
  }

  takeInode(inode: number, directory: boolean): void {
    const index = inode - 1;
    const group = Math.floor(index / this.inodesPerGroup);
    const bit = index % this.inodesPerGroup;
    this.#inodeBitmaps[group]![bit >> 3]! |= 1 << (bit & 7);
    if (directory) this.#directories[group]! += 1;
  }

  /** Writes bitmaps, descriptors and superblocks. Inode tables are zero where nothing was written: the image began as a hole. */
  save(): void {
    let freeBlocks = 0;
    let freeInodes = 0;
    for (let group = 0; group < this.groups; group++) {
      const blocks = this.#blockBitmaps[group]!;
      const inodes = this.#inodeBitmaps[group]!;
      const free = { blocks: clearBits(blocks, BLOCK * 8), inodes: clearBits(inodes, this.inodesPerGroup) };
      freeBlocks += free.blocks;
      freeInodes += free.inodes;
      let last = this.inodesPerGroup;
      while (last > 0 && (inodes[(last - 1) >> 3]! & (1 << ((last - 1) & 7))) === 0) last -= 1;
      this.writeBlocks(this.#location(group, 0x0, 0x20), blocks);
      this.writeBlocks(this.#location(group, 0x4, 0x24), inodes);
      this.#describe(group, free, this.inodesPerGroup - last);
    }
    const sb = this.#super;
    sb.writeUInt32LE(freeBlocks % 2 ** 32, 0xc);
    sb.writeUInt32LE(Math.floor(freeBlocks / 2 ** 32), 0x158);
    sb.writeUInt32LE(freeInodes, 0x10);
    for (let group = 0; group < this.groups; group++) {
      if (!hasBackup(group)) continue;
      sb.writeUInt16LE(group, 0x5a); // s_block_group_nr: which copy this is.
      sb.writeUInt32LE(crc32c(0xffffffff, sb, 0, 0x3fc), 0x3fc);
      const first = group * this.blocksPerGroup;
      for (let done = 0; done < sb.length; )
        done += writeSync(
          this.#fd,
          sb,
          done,
          sb.length - done,
          this.#offset + (group === 0 ? SUPERBLOCK_AT : first * BLOCK) + done,
        );
      this.writeBlocks(first + 1, this.#descriptors);
    }
  }

  #describe(group: number, free: { blocks: number; inodes: number }, unused: number): void {
    const descriptor = this.#descriptor(group);
    const wide = this.#descriptorSize >= 64;
    const put = (value: number, low: number, high: number): void => {
      descriptor.writeUInt16LE(value & 0xffff, low);
      if (wide) descriptor.writeUInt16LE(value >>> 16, high);
    };
    put(free.blocks, 0xc, 0x2c);
    put(free.inodes, 0xe, 0x2e);
    put(descriptor.readUInt16LE(0x10) + this.#directories[group]!, 0x10, 0x30);
    put(unused, 0x1c, 0x32);
    descriptor.writeUInt16LE(INODE_ZEROED, 0x12);
    put(crc32c(this.seed, this.#blockBitmaps[group]!, 0, this.blocksPerGroup / 8), 0x18, 0x38);
    put(crc32c(this.seed, this.#inodeBitmaps[group]!, 0, this.inodesPerGroup / 8), 0x1a, 0x3a);
    descriptor.writeUInt16LE(0, 0x1e);
    descriptor.writeUInt16LE(crc32c(crc32cNumber(this.seed, group), descriptor) & 0xffff, 0x1e);
  }
}

function clearBits(bitmap: Uint8Array, bits: number): number {
  let clear = 0;
  for (let at = 0; at < bits >> 3; at++) {
    let byte = ~bitmap[at]! & 0xff;
    for (; byte !== 0; byte &= byte - 1) clear += 1;
  }
  return clear;
}
