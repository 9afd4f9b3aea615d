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
  reading: for await (const some of linesFrom(segments, from)) {
    for (const line of some) {
      if (query.since !== undefined && line.at !== null && line.at < query.since) continue;
      if (query.until !== undefined && line.at !== null && line.at > query.until) break reading;
      if (wanted !== undefined && !line.text.toLowerCase().includes(wanted)) continue;
      if (forwards && lines.length === query.limit) {
        next = line.offset;
        break reading;
      }
      lines.push(line);
    }
    // Of the newest only so many are wanted.
    if (!forwards && lines.length > query.limit) lines.splice(0, lines.length - query.limit);
  }
  return { lines: lines.slice(-query.limit), first, end, next };
}

/** The lines of a piece at a time: a wait for each line would cost more than the line. */
async function* linesFrom(segments: readonly Segment[], from: number): AsyncGenerator<LogLine[]> {
  /** The beginning of a line that goes on in the next piece. */
  let begun: Buffer = empty;
  let begunAt = 0;
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
        const piece =
          begun.length > 0 ? Buffer.concat([begun, buffer.subarray(0, bytesRead)]) : buffer.subarray(0, bytesRead);
        const pieceAt = begun.length > 0 ? begunAt : segment.start + at;
        let begin = 0;
        const lines: LogLine[] = [];
        for (;;) {
          let end = piece.indexOf(0x0a, begin);
          const full = (end < 0 ? piece.length : end) - begin > mostLineBytes;
          if (full) end = begin + mostLineBytes;
          if (end < 0) break;
          takeLines(lines, piece.subarray(begin, end), pieceAt + begin, times);
          begin = full ? end : end + 1;
        }
        if (lines.length > 0) yield lines;
        begun = Buffer.from(piece.subarray(begin));
        begunAt = pieceAt + begin;
        at += bytesRead;
        // A search of a whole log must not hold the loop.
        await breathe();
      }
    } finally {
      await file.close();
    }
    // What is left in it is told with the time of this segment, and goes on in the next one.
    if (segment === segments.at(-1) && begun.length > 0) {
      const lines: LogLine[] = [];
      takeLines(lines, begun, begunAt, times);
      yield lines;
    }
  }
}

const empty = Buffer.alloc(0);

/** A carriage return alone ends a line too: that is how progress is shown. Empty ones are nothing. */
function takeLines(into: LogLine[], bytes: Buffer, offset: number, times: Times): void {
  let begin = 0;
  for (;;) {
    const found = bytes.indexOf(0x0d, begin);
    const end = found < 0 ? bytes.length : found;
    if (end > begin) {
      const raw = bytes.toString('utf8', begin, end);
      const text = (control.test(raw) ? plainText(raw) : raw).trimEnd();
      if (text !== '') into.push({ offset: offset + begin, at: timeAt(times, offset + begin), text });
    }
    if (found < 0) return;
    begin = end + 1;
  }
}

const control = /[\u0000-\u001f\u007f-\u009f]/;

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
