/** A disk, opened: exact reads and writes at any byte position. Works alike on a block device and on a file that stands for one. */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { openDirectWrites } from './direct-writes.ts';
import { AgentFailure, reasonOf } from './failure.ts';
import type { Disk, Hardware } from './hardware.ts';

const BLOCK = 1_048_576;
const ZERO = Buffer.alloc(BLOCK);

export interface DiskFile {
  readonly disk: Disk;
  read(buffer: Buffer, position: number): Promise<void>;
  write(buffer: Buffer, position: number): Promise<void>;
  zero(offset: number, length: number): Promise<boolean>;
  /** Makes a stretch zero by any means. */
  clear(offset: number, length: number): Promise<void>;
  /** The first `length` bytes, or all of a smaller disk. */
  head(length: number): Promise<Buffer>;
  flush(): Promise<void>;
  close(): Promise<void>;
}

function broken(disk: Disk, doing: string, position: number, cause: unknown): AgentFailure {
  return new AgentFailure(
    'ImageWriteError',
    `${disk.name} cannot be ${doing} at byte ${position}: ${reasonOf(cause)}. The disk may be failing.`,
    { cause },
  );
}

/** Opens a disk for reading and writing. On a block device O_EXCL is refused while anything of it is mounted (open(2)). */
export async function openDisk(hardware: Hardware, disk: Disk): Promise<DiskFile> {
  let file: FileHandle;
  try {
    file = await open(
      disk.name,
      disk.name.startsWith('/dev/') ? constants.O_RDWR | constants.O_EXCL : constants.O_RDWR,
    );
  } catch (cause) {
    throw new AgentFailure('BlockDeviceError', `${disk.name} cannot be opened: ${reasonOf(cause)}.`, { cause });
  }
  async function read(buffer: Buffer, position: number) {
    for (let got = 0; got < buffer.length; ) {
      const { bytesRead } = await file
        .read(buffer, got, buffer.length - got, position + got)
        .catch((cause: unknown) => {
          throw broken(disk, 'read', position + got, cause);
        });
      if (bytesRead === 0) throw broken(disk, 'read', position + got, new Error('it ends there'));
      got += bytesRead;
    }
  }
  // A second time, and not exclusively: the first has the disk already, and what is small is better read and written through the cache.
  const direct = disk.name.startsWith('/dev/') ? await openDirectWrites(disk.name) : undefined;
  async function write(buffer: Buffer, position: number) {
    const failed = (cause: unknown): never => {
      throw broken(disk, 'written', position, cause);
    };
    if (await direct?.write(buffer, position).catch(failed)) return;
    for (let put = 0; put < buffer.length; ) {
      const { bytesWritten } = await file
        .write(buffer, put, buffer.length - put, position + put)
        .catch((cause: unknown) => {
          throw broken(disk, 'written', position + put, cause);
        });
      put += bytesWritten;
    }
  }
  return {
    disk,
    read,
    write,
    zero: (offset, length) => hardware.zero(disk, offset, length),
    async clear(offset, length) {
      const end = Math.min(disk.size, offset + length);
      for (let at = Math.max(0, offset); at < end; at += BLOCK)
        await write(ZERO.subarray(0, Math.min(BLOCK, end - at)), at);
    },
    async head(length) {
      const buffer = Buffer.alloc(Math.min(length, disk.size));
      await read(buffer, 0);
      return buffer;
    },
    async flush() {
      await file.datasync().catch((cause: unknown) => {
        throw broken(disk, 'flushed', 0, cause);
      });
    },
    async close() {
      await direct?.close();
      await file.close();
    },
  };
}
