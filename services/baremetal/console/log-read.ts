/** Reading and searching a console's log (log.ts) while somebody writes it: streamed, one segment's index in memory at a time. */
import { open, readFile } from 'node:fs/promises';
import { setImmediate as breathe } from 'node:timers/promises';
import { indexEntryBytes, type Segment, segmentsOf } from './log.ts';
import { plainText } from './milestones.ts';

export interface LogQuery {
  /** From this offset on, forwards. Without it: the newest lines. */
  readonly from?: number;
  /** Milliseconds since 1970. */
  readonly since?: number;
  readonly until?: number;
  /** Letters of either case; no expression, which a stranger could make endless. */
  readonly search?: string;
  /** Lines of one answer. */
  readonly limit: number;
}

export interface LogLine {
  readonly offset: number;
  /** When its first bytes were recorded, to a quarter of a second; null where the index is gone. */
  readonly at: number | null;
  /** Without control sequences. */
  readonly text: string;
}

export interface LogPage {
  readonly lines: readonly LogLine[];
  /** Offsets of the oldest byte that is kept and of the next that will be written. */
  readonly first: number;
  readonly end: number;
  /** Where to go on with `from`; null at the end. */
  readonly next: number | null;
}

const readBytes = 65_536;
const mostLineBytes = 4_096;

type Times = readonly (readonly [offset: number, at: number])[];

async function timesOf(segment: Segment): Promise<Times> {
  let bytes: Buffer;
  try {
    bytes = await readFile(segment.index);
  } catch {
    return [];
  }
  const times: [number, number][] = [];
  for (let at = 0; at + indexEntryBytes <= bytes.length; at += indexEntryBytes) {
    const entry: [number, number] = [bytes.readDoubleLE(at), bytes.readDoubleLE(at + 8)];
    // A damaged index costs times, never the text.
    if (entry[0] >= segment.start && entry[0] <= segment.start + segment.bytes && Number.isFinite(entry[1]))
      times.push(entry);
  }
  return times.sort((a, b) => a[0] - b[0]);
}

function timeAt(times: Times, offset: number): number | null {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle]![0] <= offset) low = middle + 1;
    else high = middle;
  }
  return times[low - 1]?.[1] ?? times[0]?.[1] ?? null;
}

/** Newest first where no `from` and no `since` is given, else from there on. An unknown directory is an empty log. */
export async function readLog(directory: string, query: LogQuery): Promise<LogPage> {
  const segments = segmentsOf(directory);
  const first = segments[0]?.start ?? 0;
  const last = segments.at(-1);
  const end = last ? last.start + last.bytes : 0;
  const forwards = query.from !== undefined || query.since !== undefined;
  const wanted = query.search?.toLowerCase();
  const lines: LogLine[] = [];
  let next: number | null = null;
  const from = Math.max(query.from ?? 0, first);
  for await (const line of linesFrom(segments, from)) {
    if (query.since !== undefined && line.at !== null && line.at < query.since) continue;
    if (query.until !== undefined && line.at !== null && line.at > query.until) break;
    if (wanted !== undefined && !line.text.toLowerCase().includes(wanted)) continue;
    if (forwards && lines.length === query.limit) {
      next = line.offset;
      break;
    }
    lines.push(line);
    if (lines.length > 2 * query.limit) lines.splice(0, lines.length - query.limit);
  }
  return { lines: lines.slice(-query.limit), first, end, next };
}

async function* linesFrom(segments: readonly Segment[], from: number): AsyncGenerator<LogLine> {
  let partial: Buffer[] = [];
  let partialBytes = 0;
  let partialAt = 0;
  let partialTime: number | null = null;
  const take = (): LogLine | null => {
    const text = plainText(Buffer.concat(partial).toString('utf8')).trimEnd();
    partial = [];
    partialBytes = 0;
    return text === '' ? null : { offset: partialAt, at: partialTime, text };
  };
  for (const segment of segments) {
    if (segment.start + segment.bytes <= from) continue;
    const times = await timesOf(segment);
    // Dropped between the listing and now: what is left is read.
    const file = await open(segment.log, 'r').catch(() => null);
    if (!file) continue;
    try {
      const buffer = Buffer.alloc(readBytes);
      let at = Math.max(0, from - segment.start);
      for (;;) {
        const { bytesRead } = await file.read(buffer, 0, readBytes, at);
        if (bytesRead === 0) break;
        let begin = 0;
        for (let place = 0; place < bytesRead; place++) {
          const byte = buffer[place]!;
          const full = partialBytes + (place - begin) >= mostLineBytes;
          if (byte !== 0x0a && byte !== 0x0d && !full) continue;
          if (partialBytes === 0) {
            partialAt = segment.start + at + begin;
            partialTime = timeAt(times, partialAt);
          }
          partial.push(Buffer.from(buffer.subarray(begin, place)));
          const line = take();
          if (line) yield line;
          begin = full && byte !== 0x0a && byte !== 0x0d ? place : place + 1;
        }
        if (begin < bytesRead) {
          if (partialBytes === 0) {
            partialAt = segment.start + at + begin;
            partialTime = timeAt(times, partialAt);
          }
          partial.push(Buffer.from(buffer.subarray(begin, bytesRead)));
          partialBytes += bytesRead - begin;
        }
        at += bytesRead;
        // A search of a whole log must not hold the loop.
        await breathe();
      }
    } finally {
      await file.close();
    }
  }
  // The line that is being written, such as a prompt.
  const line = partialBytes > 0 ? take() : null;
  if (line) yield line;
}

/** The newest bytes before `end` as they came, for somebody who opens a terminal on the line. */
export async function tailOf(directory: string, bytes: number, end: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let missing = bytes;
  for (const segment of segmentsOf(directory).reverse()) {
    if (missing <= 0) break;
    const file = await open(segment.log, 'r').catch(() => null);
    if (!file) continue;
    try {
      const until = Math.min(segment.bytes, end - segment.start);
      const from = Math.max(0, until - missing);
      const buffer = Buffer.alloc(Math.max(0, until - from));
      const { bytesRead } = await file.read(buffer, 0, buffer.length, from);
      parts.unshift(buffer.subarray(0, bytesRead));
      missing -= bytesRead;
    } finally {
      await file.close();
    }
  }
  return Buffer.concat(parts);
}
