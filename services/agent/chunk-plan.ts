/** What has to be done to bring a chunked image to a disk: which frames to fetch together, which stretches to make zero. Pure. */
import { CHUNK_SIZE, type ChunkIndex, type ChunkRef, chunkLength } from '../ipa/index.ts';

/** One compressed frame and every chunk of the image that it holds (equal chunks may share it). */
export interface Frame {
  object: number;
  offset: number;
  length: number;
  /** Of the raw bytes. */
  sha256: string;
  /** `frameSum` of the stored ones, where the index has it. */
  sum?: string | undefined;
  /** Raw bytes. */
  size: number;
  chunks: number[];
}

/** Frames that lie one behind the other in one object: one request. */
export type Span = Frame[];

export interface ZeroRange {
  offset: number;
  length: number;
}

/** Bytes of one request: long enough that its overhead vanishes, short enough that several connections share the work evenly. */
const SPAN_MAX = 8 * 1_048_576;

/** Splits frames (in any order) into spans. */
export function spansOf(frames: Frame[]): Span[] {
  const ordered = frames.toSorted((a, b) => a.object - b.object || a.offset - b.offset);
  const spans: Span[] = [];
  let bytes = 0;
  for (const frame of ordered) {
    const span = spans.at(-1);
    const before = span?.at(-1);
    const follows =
      before !== undefined && before.object === frame.object && before.offset + before.length === frame.offset;
    if (span && follows && bytes + frame.length <= SPAN_MAX) {
      span.push(frame);
      bytes += frame.length;
    } else {
      spans.push([frame]);
      bytes = frame.length;
    }
  }
  return spans;
}

export function frameOf([object, offset, length, sha256, sum]: ChunkRef, chunk: number, size: number): Frame {
  return { object, offset, length, sha256, sum, size, chunks: [chunk] };
}

/** All but chunk 0, which the writer keeps for the end. Zero stretches are joined. */
export function planChunks(index: ChunkIndex): { frames: Frame[]; zeros: ZeroRange[] } {
  const frames = new Map<string, Frame>();
  const zeros: ZeroRange[] = [];
  index.chunks.forEach((chunk, i) => {
    if (i === 0) return;
    const size = chunkLength(index, i);
    if (chunk === null) {
      const range = zeros.at(-1);
      if (range && range.offset + range.length === i * CHUNK_SIZE) range.length += size;
      else zeros.push({ offset: i * CHUNK_SIZE, length: size });
      return;
    }
    const key = `${chunk[0]}:${chunk[1]}`;
    const frame = frames.get(key);
    if (frame) frame.chunks.push(i);
    else frames.set(key, frameOf(chunk, i, size));
  });
  return { frames: [...frames.values()], zeros };
}

/** Up to `most` frames, evenly spread, to find out whether a disk holds an earlier state of this image. */
export function sampleFrames(frames: Frame[], most = 16): Frame[] {
  if (frames.length <= most) return frames;
  return Array.from({ length: most }, (_, i) => frames[Math.floor((i * frames.length) / most)]!);
}
