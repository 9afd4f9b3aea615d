import {
  closeSync,
  fstatSync,
  futimesSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** Compressed pieces of some ten images of 900 MB. */
const MOST_BYTES = 3 * 1024 ** 3;

/**
 * Pieces of disks in the form in which an output stores them, each under a key of its bytes and of how they were encoded. A layer that did not change gives the same pieces in the
 * same places (that is what the regions of the ext4 writer are for), and they need not be read and compressed again.
 */
export class PieceCache {
  #directory: string;
  #read: boolean;

  /** `read` false: a build from nothing leaves its pieces, and takes none. */
  constructor(directory: string, read: boolean) {
    this.#directory = directory;
    this.#read = read;
  }

  #place(key: string): string {
    return join(this.#directory, key.slice(0, 2), key);
  }

  /** Reads a piece into `room`; one that is larger is no piece of the caller's. */
  get(key: string, room: Buffer): Buffer | undefined {
    if (!this.#read) return undefined;
    const place = this.#place(key);
    let file: number;
    try {
      file = openSync(place, 'r');
    } catch {
      return undefined;
    }
    try {
      const { size } = fstatSync(file);
      if (size > room.length || readSync(file, room, 0, size, 0) !== size) return undefined;
      const now = new Date();
      futimesSync(file, now, now); // What was not used for longest goes first.
      return room.subarray(0, size);
    } finally {
      closeSync(file);
    }
  }

  put(key: string, bytes: Uint8Array): void {
    const place = this.#place(key);
    const partial = `${place}.${process.pid}`;
    mkdirSync(join(place, '..'), { recursive: true });
    try {
      writeFileSync(partial, bytes);
      renameSync(partial, place);
    } catch (error) {
      rmSync(partial, { force: true });
      throw error;
    }
  }

  /** Removes what was not used for longest until the rest fits. Returns the bytes that were removed. */
  async collect(most = MOST_BYTES): Promise<number> {
    const found: { path: string; size: number; used: number }[] = [];
    for (const name of await readdir(this.#directory).catch(() => [] as string[]))
      for (const entry of await readdir(join(this.#directory, name))) {
        const path = join(this.#directory, name, entry);
        const info = await stat(path).catch(() => undefined);
        if (info !== undefined) found.push({ path, size: info.size, used: info.mtimeMs });
      }
    let left = found.reduce((sum, { size }) => sum + size, 0);
    let removed = 0;
    for (const { path, size } of found.sort((a, b) => a.used - b.used)) {
      if (left <= most) break;
      await rm(path, { force: true });
      left -= size;
      removed += size;
    }
    return removed;
  }
}
