import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { MIB } from './disk.ts';
import { dataRanges } from './holes.ts';

/** A stretch of a disk that holds bytes of a file. */
export interface FileRange {
  /** Byte of the disk, and number of bytes. */
  at: number;
  length: number;
  source: string;
  /** Byte of the file. */
  position: number;
  /** sha256 of the whole file. */
  digest: string;
}

/** Which stretches of a disk are bytes of which files: most of a disk can be known, and even read, without being written. */
export class DiskMap {
  #ranges: FileRange[] = [];

  add(range: FileRange): void {
    this.#ranges.push(range);
  }

  /** The stretches by the MiB that they lie in, cut at its borders. */
  byMib(): Map<number, FileRange[]> {
    const found = new Map<number, FileRange[]>();
    for (const { at, length, position, ...file } of this.#ranges.sort((a, b) => a.at - b.at))
      for (let done = 0; done < length; ) {
        const index = Math.floor((at + done) / MIB);
        const part = Math.min(length - done, (index + 1) * MIB - at - done);
        const list = found.get(index) ?? [];
        list.push({ ...file, at: at + done, length: part, position: position + done });
        found.set(index, list);
        done += part;
      }
    return found;
  }
}

/** One MiB of a disk (or what is left at its end): bytes of the raw file, and over them bytes of files. */
export interface DiskPiece {
  /** Undefined where the raw file has a hole. */
  raw: string | undefined;
  at: number;
  length: number;
  ranges: readonly FileRange[];
}

function readWhole(file: number, into: Uint8Array, position: number, name: string): void {
  for (let done = 0; done < into.length; ) {
    const got = readSync(file, into, done, into.length - done, position + done);
    if (got === 0) throw new Error(`${name} became shorter while the image was written.`);
    done += got;
  }
}

function readAt(name: string, into: Uint8Array, position: number): void {
  const file = openSync(name, 'r');
  try {
    readWhole(file, into, position, name);
  } finally {
    closeSync(file);
  }
}

function covered(ranges: readonly FileRange[]): number {
  return ranges.reduce((sum, { length }) => sum + length, 0);
}

/** Reads a piece into memory that has its length. */
export function readPiece({ raw, at, length, ranges }: DiskPiece, into: Uint8Array): void {
  if (covered(ranges) < length) {
    if (raw === undefined) into.fill(0);
    else readAt(raw, into, at);
  }
  for (const range of ranges)
    readAt(range.source, into.subarray(range.at - at, range.at - at + range.length), range.position);
}

/**
 * A disk seen MiB by MiB: the raw file, and over it the files of the map, which need not have been written into it. The name of a MiB is made of the digests of what lies there, so that
 * it can be told that two are equal without reading either.
 */
export class MappedDisk {
  readonly size: number;
  #file: number;
  #raw: string;
  #ranges: Map<number, FileRange[]>;
  #ground: Buffer = Buffer.alloc(MIB);
  #zeros: Buffer = Buffer.alloc(MIB);

  /** The MiBs of the raw file that are not holes: reading a hole costs as much as reading zeros. */
  #written = new Set<number>();

  constructor(raw: string, map: DiskMap) {
    this.#raw = raw;
    this.#file = openSync(raw, 'r');
    this.size = fstatSync(this.#file).size;
    this.#ranges = map.byMib();
    for (const { from, to } of dataRanges(this.#file, this.size))
      for (let index = Math.floor(from / MIB); index * MIB < to; index++) this.#written.add(index);
  }

  get count(): number {
    return Math.ceil(this.size / MIB);
  }

  #length(index: number): number {
    return Math.min(MIB, this.size - index * MIB);
  }

  /** A name of the MiB's bytes; undefined when they are all zero. `salt` makes names of different uses differ. */
  name(index: number, salt: string): string | undefined {
    const ranges = this.#ranges.get(index) ?? [];
    const length = this.#length(index);
    const hash = createHash('sha256').update(`${salt}\n${length}\n`);
    if (!this.#written.has(index) && ranges.length === 0) return undefined;
    if (this.#written.has(index) && covered(ranges) < length) {
      const ground = this.#ground.subarray(0, length);
      readWhole(this.#file, ground, index * MIB, this.#raw);
      for (const range of ranges) ground.fill(0, range.at - index * MIB, range.at - index * MIB + range.length);
      const empty = ground.equals(this.#zeros.subarray(0, length));
      if (empty && ranges.length === 0) return undefined;
      if (!empty) hash.update(ground);
    }
    for (const { at, length: bytes, position, digest } of ranges)
      hash.update(`\n${at - index * MIB} ${bytes} ${position} ${digest}`);
    return hash.digest('hex');
  }

  /** What has to be read to have the MiB's bytes. */
  piece(index: number): DiskPiece {
    return {
      raw: this.#written.has(index) ? this.#raw : undefined,
      at: index * MIB,
      length: this.#length(index),
      ranges: this.#ranges.get(index) ?? [],
    };
  }

  close(): void {
    closeSync(this.#file);
  }
}
