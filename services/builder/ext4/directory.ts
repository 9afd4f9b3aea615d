import { crc32c } from './crc32c.ts';
import { BLOCK } from './geometry.ts';
import { inodeSeed } from './inode.ts';

/** ext4's file types in directory entries. */
export const FILE_TYPES = { file: 1, directory: 2, character: 3, block: 4, fifo: 5, socket: 6, symlink: 7 } as const;

export interface DirectoryEntry {
  name: Buffer;
  inode: number;
  type: number;
}

/** Every block ends in an entry of 12 bytes that carries its checksum (struct ext4_dir_entry_tail). */
const USABLE = BLOCK - 12;
const size = (name: number): number => (8 + name + 3) & ~3;

/** How many blocks entries with names of these lengths need, `.` and `..` included. */
export function directoryBlocks(names: readonly number[]): number {
  let blocks = 1;
  let used = size(1) + size(2);
  for (const name of names) {
    if (used + size(name) > USABLE) {
      blocks += 1;
      used = 0;
    }
    used += size(name);
  }
  return blocks;
}

/** The blocks of a directory: linear, as mke2fs makes them; the kernel indexes a directory when it first grows. */
export function encodeDirectory(own: number, parent: number, entries: readonly DirectoryEntry[], seed: number): Buffer {
  const all: DirectoryEntry[] = [
    { name: Buffer.from('.'), inode: own, type: FILE_TYPES.directory },
    { name: Buffer.from('..'), inode: parent, type: FILE_TYPES.directory },
    ...entries,
  ];
  const blocks: Buffer[] = [];
  let block = Buffer.alloc(BLOCK);
  let used = 0;
  let last = 0;
  const finish = (): void => {
    block.writeUInt16LE(USABLE - last, last + 4);
    block.writeUInt16LE(12, USABLE + 4);
    block[USABLE + 7] = 0xde;
    block.writeUInt32LE(crc32c(inodeSeed(seed, own), block, 0, USABLE), USABLE + 8);
    blocks.push(block);
  };
  for (const { name, inode, type } of all) {
    if (used + size(name.length) > USABLE) {
      finish();
      block = Buffer.alloc(BLOCK);
      used = 0;
    }
    block.writeUInt32LE(inode, used);
    block.writeUInt16LE(size(name.length), used + 4);
    block[used + 6] = name.length;
    block[used + 7] = type;
    name.copy(block, used + 8);
    last = used;
    used += size(name.length);
  }
  finish();
  return Buffer.concat(blocks);
}
