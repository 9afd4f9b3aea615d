import { closeSync, openSync, readSync } from 'node:fs';
import { digestOf } from '../digests.ts';
import { sortedNames, type TreeNode } from '../layers.ts';
import type { DiskMap } from '../mapped-disk.ts';
import { attributeBytes, encodeAttributeBlock } from './attributes.ts';
import { type DirectoryEntry, encodeDirectory, FILE_TYPES } from './directory.ts';
import { BLOCK, Ext4Geometry, type Run } from './geometry.ts';
import { bodyRoom, type Extent, encodeInode, encodeLeaf, type InodeContent, LEAF_EXTENTS, leafCount } from './inode.ts';
import { inodeSpan, type LayerPlan, planLayers, regionBlocks } from './plan.ts';
import { dataStartMib, makeSkeleton, type SkeletonOptions } from './skeleton.ts';

export interface Ext4Options extends SkeletonOptions {
  root: TreeNode;
  /** Number of layers: each gets a region of its own. */
  layers: number;
  /** Learns where on the disk the bytes of each file lie; holes aside. */
  map?: DiskMap | undefined;
  /** Whether those bytes are written too; without them the image is whole with the map only. */
  writeFiles: boolean;
}

/** First inode that belongs to nobody; 11 is lost+found, which mke2fs makes. */
const FIRST_INODE = 12;
const ROOT_INODE = 2;
const LOST_FOUND = 11;
/** 1 MiB: regions begin where chunks do. */
const REGION = 256;
/** What is read goes out again while the processor still has it: with 4 MiB the same bytes cost half as much again. */
const BUFFER = 256 * 1024;

/** Writes blocks in the order in which they lie, in large pieces. */
class BlockStream {
  #geometry: Ext4Geometry;
  #buffer = Buffer.alloc(BUFFER);
  #first = 0;
  #used = 0;

  constructor(geometry: Ext4Geometry) {
    this.#geometry = geometry;
  }

  /** Room for one run's bytes, at most BUFFER, that the caller fills; it is zero. */
  room(block: number, blocks: number): Buffer {
    const bytes = blocks * BLOCK;
    if (this.#used > 0 && (this.#first + this.#used / BLOCK !== block || this.#used + bytes > BUFFER)) this.flush();
    if (this.#used === 0) this.#first = block;
    const room = this.#buffer.subarray(this.#used, this.#used + bytes);
    room.fill(0);
    this.#used += bytes;
    return room;
  }

  write(runs: readonly Run[], bytes: Buffer): void {
    let done = 0;
    for (const { first, count } of runs) {
      for (let at = 0; at < count; at += BUFFER / BLOCK) {
        const blocks = Math.min(count - at, BUFFER / BLOCK);
        bytes.copy(this.room(first + at, blocks), 0, done, done + blocks * BLOCK);
        done += blocks * BLOCK;
      }
    }
  }

  flush(): void {
    if (this.#used > 0) this.#geometry.writeBlocks(this.#first, this.#buffer.subarray(0, this.#used));
    this.#used = 0;
  }
}

function extentsOf(runs: readonly Run[], logical = 0): Extent[] {
  let at = logical;
  return runs.map((run) => {
    const extent = { ...run, logical: at };
    at += run.count;
    return extent;
  });
}

const TYPE_OF = {
  file: FILE_TYPES.file,
  directory: FILE_TYPES.directory,
  symlink: FILE_TYPES.symlink,
  character: FILE_TYPES.character,
  block: FILE_TYPES.block,
  fifo: FILE_TYPES.fifo,
  socket: FILE_TYPES.socket,
} as const;

class Ext4Writer {
  #geometry: Ext4Geometry;
  #stream: BlockStream;
  #options: Ext4Options;
  #plan: LayerPlan;
  #numbers = new Map<TreeNode | string, number>();
  #cursor = 0;
  #zero: Buffer = Buffer.alloc(BLOCK);
  #tables = new Map<number, Buffer>();

  constructor(fd: number, options: Ext4Options) {
    this.#geometry = new Ext4Geometry(fd, options.offset);
    this.#stream = new BlockStream(this.#geometry);
    this.#options = options;
    this.#plan = planLayers(options.root, options.layers);
    this.#cursor = dataStartMib(options) * REGION;
  }

  run(): void {
    const { root, layers } = this.#options;
    this.#numberInodes();
    this.#freeOldRoot();
    for (let layer = 0; layer < layers; layer++) this.#writeLayer(layer, root);
    this.#stream.flush();
    for (const [block, bytes] of this.#tables) if (!bytes.equals(this.#zero)) this.#geometry.writeBlocks(block, bytes);
    this.#geometry.save();
  }

  /** mke2fs gave the root directory a block of its own choice. */
  #freeOldRoot(): void {
    const inode = this.#inodeBytes(ROOT_INODE);
    const extents = inode.readUInt16LE(0x2a);
    for (let i = 0; i < extents; i++) {
      const at = 0x28 + 12 * (i + 1);
      for (let k = 0; k < inode.readUInt16LE(at + 4); k++) this.#geometry.free(inode.readUInt32LE(at + 8) + k);
    }
    inode.fill(0);
  }

  #numberInodes(): void {
    this.#numbers.set(this.#options.root, ROOT_INODE);
    let next = FIRST_INODE;
    for (const { inodes } of this.#plan.layers) {
      let at = next;
      for (const node of inodes) {
        this.#numbers.set(node.identity === '' ? node : node.identity, at);
        this.#geometry.takeInode(at, node.kind === 'directory');
        at += 1;
      }
      if (at - 1 > this.#geometry.inodes)
        throw new Error(
          `The file system has ${this.#geometry.inodes} inodes and the tree needs more: give it more space.`,
        );
      next += inodeSpan(inodes.length);
    }
  }

  #number(node: TreeNode): number {
    return this.#numbers.get(node.identity === '' ? node : node.identity)!;
  }

  /** The place of an inode in its table; blocks of tables are kept and written at the end. */
  #inodeBytes(inode: number): Buffer {
    const { inodesPerGroup, inodeSize } = this.#geometry;
    const index = inode - 1;
    const within = (index % inodesPerGroup) * inodeSize;
    const block = this.#geometry.inodeTable(Math.floor(index / inodesPerGroup)) + Math.floor(within / BLOCK);
    let bytes = this.#tables.get(block);
    if (bytes === undefined) {
      bytes = Buffer.alloc(BLOCK);
      // Only the first block of all holds inodes of mke2fs; the others are holes.
      if (index < BLOCK / inodeSize) this.#geometry.readBlocks(block, bytes);
      this.#tables.set(block, bytes);
    }
    return bytes.subarray(within % BLOCK, (within % BLOCK) + inodeSize);
  }

  #take(count: number): Run[] {
    // A disk of a size that the user gave may be full behind the last region and have room before the first.
    const runs = this.#geometry.take(this.#cursor, count) ?? this.#geometry.take(0, count);
    if (runs === undefined)
      throw new Error(`The file system of ${this.#options.mib} MiB is too small for the tree: ask for a larger image.`);
    const last = runs.at(-1);
    if (last !== undefined) this.#cursor = last.first + last.count;
    return runs;
  }

  /** A layer's region: the blocks of the directories whose names it changed, then its files, each in the order of its path. */
  #writeLayer(layer: number, root: TreeNode): void {
    const plan = this.#plan.layers[layer]!;
    if (plan.directories.length + plan.inodes.length === 0) return;
    const spare = plan.blocks > REGION / 4;
    if (spare) this.#cursor = Math.ceil(this.#cursor / REGION) * REGION;
    const start = this.#cursor;
    for (const { node, parent } of plan.directories) this.#writeDirectory(node, parent, node === root);
    for (const node of plan.inodes) if (node.kind !== 'directory') this.#writeOther(node);
    // The next layer begins where it would if this one were a little larger or smaller.
    const end = start + regionBlocks(plan.blocks);
    if (spare && end < this.#geometry.blocks - this.#plan.slack(layer)) this.#cursor = Math.max(this.#cursor, end);
  }

  #writeDirectory(node: TreeNode, parent: TreeNode, isRoot: boolean): void {
    const own = this.#number(node);
    const entries: DirectoryEntry[] = isRoot
      ? [{ name: Buffer.from('lost+found'), inode: LOST_FOUND, type: FILE_TYPES.directory }]
      : [];
    let subdirectories = isRoot ? 1 : 0;
    for (const name of sortedNames(node)) {
      const child = node.children.get(name)!;
      if (isRoot && name === 'lost+found') continue;
      if (child.kind === 'directory') subdirectories += 1;
      entries.push({ name: Buffer.from(name), inode: this.#number(child), type: TYPE_OF[child.kind] });
    }
    const bytes = encodeDirectory(own, this.#number(parent), entries, this.#geometry.seed);
    const runs = this.#take(bytes.length / BLOCK);
    this.#stream.write(runs, bytes);
    this.#finish(node, own, extentsOf(runs), { size: bytes.length, links: 2 + subdirectories });
  }

  #writeOther(node: TreeNode): void {
    const own = this.#number(node);
    if (node.kind === 'file') this.#writeFile(node, own);
    else if (node.kind === 'symlink') this.#writeSymlink(node, own);
    else this.#writeSpecial(node, own);
  }

  #writeSymlink(node: TreeNode, own: number): void {
    const target = Buffer.from(node.target);
    if (target.length < 60) {
      this.#finish(node, own, [], { size: target.length }, { kind: 'inline', bytes: target });
      return;
    }
    const runs = this.#take(1);
    const block = Buffer.alloc(BLOCK);
    target.copy(block);
    this.#stream.write(runs, block);
    this.#finish(node, own, extentsOf(runs), { size: target.length });
  }

  #writeSpecial(node: TreeNode, own: number): void {
    const { major, minor } = node.device;
    const content: InodeContent =
      node.kind === 'character' || node.kind === 'block'
        ? { kind: 'device', major, minor }
        : { kind: 'inline', bytes: Buffer.alloc(0) };
    this.#finish(node, own, [], { size: 0 }, content);
  }

  #writeFile(node: TreeNode, own: number): void {
    const extents = node.sparse ? [] : this.#placeDense(node);
    if (node.size > 0 && (node.sparse || this.#options.writeFiles)) {
      const file = openSync(node.source, 'r');
      try {
        if (node.sparse) this.#writeSparse(file, node, extents);
        else this.#writeDense(file, node, extents);
      } finally {
        closeSync(file);
      }
    }
    this.#finish(node, own, extents, { size: node.size });
  }

  #placeDense(node: TreeNode): Extent[] {
    const extents = extentsOf(this.#take(Math.ceil(node.size / BLOCK)));
    const { map, offset } = this.#options;
    if (map === undefined) return extents;
    for (const { first, count, logical } of extents) {
      const position = logical * BLOCK;
      const length = Math.min(count * BLOCK, node.size - position);
      map.add({ at: offset + first * BLOCK, length, source: node.source, position, digest: digestOf(node) });
    }
    return extents;
  }

  #writeDense(file: number, node: TreeNode, runs: readonly Run[]): void {
    let done = 0;
    for (const { first, count } of runs) {
      for (let at = 0; at < count; at += BUFFER / BLOCK) {
        const blocks = Math.min(count - at, BUFFER / BLOCK);
        const length = Math.min(blocks * BLOCK, node.size - done);
        readWhole(file, this.#stream.room(first + at, blocks), length, done, node.source);
        done += length;
      }
    }
  }

  /** A file with holes: blocks of zeros are not stored. */
  #writeSparse(file: number, node: TreeNode, extents: Extent[]): void {
    const total = Math.ceil(node.size / BLOCK);
    const block = Buffer.alloc(BLOCK);
    for (let logical = 0; logical < total; logical++) {
      block.fill(0);
      readWhole(file, block, Math.min(BLOCK, node.size - logical * BLOCK), logical * BLOCK, node.source);
      if (block.equals(this.#zero)) continue;
      const runs = this.#take(1);
      this.#stream.write(runs, block);
      const [run] = runs as [Run];
      const last = extents.at(-1);
      const joins =
        last && last.first + last.count === run.first && last.logical + last.count === logical && last.count < 32_768;
      if (last && joins) last.count += 1;
      else extents.push({ ...run, logical });
    }
  }

  /** Writes the inode, and before it the blocks that hold its extents and attributes where the inode is too small for them. */
  #finish(
    node: TreeNode,
    own: number,
    extents: Extent[],
    what: { size: number; links?: number },
    inline?: InodeContent,
  ): void {
    const { seed, inodeSize } = this.#geometry;
    let blocks = extents.reduce((sum, { count }) => sum + count, 0);
    let content: InodeContent = inline ?? { kind: 'extents', extents };
    const leaves = leafCount(extents.length);
    if (leaves > 4)
      throw new Error(
        `${node.source} lies in ${extents.length} pieces, more than an inode's tree of extents holds here: ask for a larger image.`,
      );
    if (leaves > 0) {
      const taken = this.#take(leaves).flatMap(({ first, count }) =>
        Array.from({ length: count }, (_, i) => first + i),
      );
      content = {
        kind: 'leaves',
        leaves: taken.map((block, index) => ({ block, logical: extents[index * LEAF_EXTENTS]!.logical })),
      };
      taken.forEach((block, index) => {
        const part = extents.slice(index * LEAF_EXTENTS, (index + 1) * LEAF_EXTENTS);
        this.#stream.write([{ first: block, count: 1 }], encodeLeaf(part, seed, own));
      });
      blocks += leaves;
    }
    let attributeBlock = 0;
    if (node.attributes.length > 0 && attributeBytes(node.attributes) + 4 > bodyRoom(inodeSize)) {
      const needed = attributeBytes(node.attributes) + 32;
      if (needed > BLOCK)
        throw new Error(`${node.source} has ${needed} bytes of extended attributes; ext4 holds ${BLOCK}.`);
      const runs = this.#take(1);
      attributeBlock = runs[0]!.first;
      this.#stream.write(runs, encodeAttributeBlock(node.attributes, seed, attributeBlock));
      blocks += 1;
    }
    const { mode, uid, gid, attributes } = node;
    const time = Math.min(node.time, this.#options.epoch);
    const links = what.links ?? this.#plan.links.get(node.identity) ?? 1;
    const fields = { mode, uid, gid, size: what.size, time, links, blocks, attributeBlock, attributes };
    encodeInode(this.#inodeBytes(own), own, seed, fields, content);
  }
}

function readWhole(file: number, into: Buffer, length: number, position: number, source: string): void {
  for (let done = 0; done < length; ) {
    const got = readSync(file, into, done, length - done, position + done);
    if (got === 0) throw new Error(`${source} became shorter while the image was written.`);
    done += got;
  }
}

/**
 * Writes a tree of layers into an image as an ext4 file system: mke2fs lays out the empty one, everything else is placed here. Each layer lies in a region of its own that
 * begins on a chunk, with its inodes in a range of their own, so that a changed layer changes its own chunks and few others. Equal input gives equal bytes: times are
 * clamped to the epoch, names are in the order of their bytes.
 */
export async function writeExt4(options: Ext4Options): Promise<void> {
  await makeSkeleton(options);
  const file = openSync(options.image, 'r+');
  try {
    new Ext4Writer(file, options).run();
  } finally {
    closeSync(file);
  }
}
