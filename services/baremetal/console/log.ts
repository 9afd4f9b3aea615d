/**
 * What one node said on its serial line, in files: segments of a megabyte named by the offset of their first byte (`.log`), each
 * with an index of times beside it (`.idx`: pairs of 8-byte doubles, offset and milliseconds since 1970, one for each write). An
 * offset counts from the first byte ever recorded of the node and stays true when old segments go, so that a timeline can point there.
 *
 * Bytes are gathered and written at most four times a second; what a killed process had not written yet is lost, a quarter of a second of it.
 */
import { mkdirSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs';
import { appendFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../core/clock.ts';

export interface Segment {
  /** Offset of its first byte. */
  readonly start: number;
  readonly bytes: number;
  readonly log: string;
  readonly index: string;
}

export interface ConsoleLogOptions {
  /** Of this node alone; made when there is something to write. */
  directory: string;
  /** Bytes kept; the oldest segment goes first. */
  mostBytes: number;
  clock: Clock;
  /** The disk refused; called at most once a minute. What could not be written is lost. */
  onError?: (error: Error) => void;
}

export const indexEntryBytes = 16;
const mostSegmentBytes = 1_048_576;
const gatherMs = 250;
/** A disk that hangs must not take the memory with it. */
const mostWaiting = 2_097_152;
const complainMs = 60_000;

/** Segments of a directory, oldest first; none where there is no directory. */
export function segmentsOf(directory: string): Segment[] {
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch {
    return [];
  }
  return names
    .filter((name) => /^\d{15}\.log$/.test(name))
    .sort()
    .map((name) => {
      const log = join(directory, name);
      return { start: Number(name.slice(0, 15)), bytes: statSync(log).size, log, index: log.replace(/log$/, 'idx') };
    });
}

interface Piece {
  readonly at: number;
  readonly data: Buffer;
}

export class ConsoleLog {
  readonly #options: ConsoleLogOptions;
  readonly #segmentBytes: number;
  #segments: { start: number; bytes: number; name: string }[] = [];
  #waiting: Piece[] = [];
  #waitingBytes = 0;
  #end: number;
  #cancel: (() => void) | null = null;
  #writing: Promise<void> = Promise.resolve();
  #complainedAt = Number.NEGATIVE_INFINITY;

  constructor(options: ConsoleLogOptions) {
    this.#options = options;
    this.#segmentBytes = Math.max(4_096, Math.min(mostSegmentBytes, Math.floor(options.mostBytes / 4)));
    for (const { start, bytes, log, index } of segmentsOf(options.directory)) {
      this.#segments.push({ start, bytes, name: log.slice(0, -4) });
      trimIndex(index);
    }
    const last = this.#segments.at(-1);
    this.#end = last ? last.start + last.bytes : 0;
  }

  /** Offset of the next byte. */
  get end(): number {
    return this.#end + this.#waitingBytes;
  }

  append(data: Buffer): void {
    if (this.#waitingBytes + data.length > mostWaiting) {
      this.#complain(new Error('the disk is too slow'));
      return;
    }
    this.#waiting.push({ at: this.#options.clock.now(), data: Buffer.from(data) });
    this.#waitingBytes += data.length;
    this.#cancel ??= this.#options.clock.after(gatherMs, () => void this.flush());
  }

  /** Resolves when all that was appended is in its file, or given up. */
  flush(): Promise<void> {
    this.#cancel?.();
    this.#cancel = null;
    this.#writing = this.#writing.then(() => this.#write());
    return this.#writing;
  }

  async #write(): Promise<void> {
    const pieces = this.#waiting;
    if (pieces.length === 0) return;
    const data = pieces.length === 1 ? pieces[0]!.data : Buffer.concat(pieces.map((piece) => piece.data));
    const { directory } = this.#options;
    try {
      let last = this.#segments.at(-1);
      if (!last || last.bytes >= this.#segmentBytes) {
        if (!last) mkdirSync(directory, { recursive: true, mode: 0o700 });
        last = { start: this.#end, bytes: 0, name: join(directory, String(this.#end).padStart(15, '0')) };
        this.#segments.push(last);
      }
      await appendFile(`${last.name}.log`, data, { mode: 0o600 });
      const entry = Buffer.alloc(indexEntryBytes);
      entry.writeDoubleLE(this.#end, 0);
      entry.writeDoubleLE(pieces[0]!.at, 8);
      last.bytes += data.length;
      this.#end += data.length;
      await appendFile(`${last.name}.idx`, entry, { mode: 0o600 });
      await this.#dropOld();
    } catch (error) {
      this.#complain(error as Error);
    }
    // What came meanwhile stays; what was tried is written or lost.
    this.#waiting = this.#waiting.slice(pieces.length);
    this.#waitingBytes = this.#waiting.reduce((sum, piece) => sum + piece.data.length, 0);
    if (this.#waiting.length > 0) this.#cancel ??= this.#options.clock.after(gatherMs, () => void this.flush());
  }

  async #dropOld(): Promise<void> {
    let total = this.#segments.reduce((sum, { bytes }) => sum + bytes, 0);
    while (total > this.#options.mostBytes && this.#segments.length > 1) {
      const oldest = this.#segments.shift()!;
      total -= oldest.bytes;
      await rm(`${oldest.name}.log`, { force: true });
      await rm(`${oldest.name}.idx`, { force: true });
    }
  }

  #complain(error: Error): void {
    const now = this.#options.clock.now();
    if (now - this.#complainedAt < complainMs) return;
    this.#complainedAt = now;
    this.#options.onError?.(error);
  }
}

/** A process that was killed amid its write leaves part of an entry. */
function trimIndex(index: string): void {
  try {
    const { size } = statSync(index);
    if (size % indexEntryBytes !== 0) truncateSync(index, size - (size % indexEntryBytes));
  } catch {
    // A log without its index has no times, and is read without.
  }
}

export function removeLog(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
}
