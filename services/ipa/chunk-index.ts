/**
 * The map of an image that travels in chunks: which verified piece of which object holds each MiB of the raw disk.
 * The builder writes it, the agent reads it. It comes over the network before anything is verified, so every figure
 * in it is checked here once and nobody after has to doubt one.
 */
import { hash } from 'node:crypto';

/** Tells of each frame its own sum besides its chunk's. Format 1 has the chunks' alone, and is read as well. */
export const CHUNK_FORMAT = 'undercloud.chunks/2';
const FORMATS = ['undercloud.chunks/1', CHUNK_FORMAT] as const;
/** Raw bytes of every chunk but the last: large enough for zstd's window, small enough that 16 of them fit a 512 MB machine. */
export const CHUNK_SIZE = 1_048_576;
/** Bytes of JSON: at some 155 bytes a chunk this maps over 400 GiB of data, and a 512 MB machine still parses it. */
export const CHUNK_INDEX_MAX_BYTES = 64 * 1_048_576;
/** Raw bytes: 16 TiB, beyond any boot disk, and far from the integers that JSON rounds. */
export const CHUNK_IMAGE_MAX_BYTES = 16 * 2 ** 40;

const SECTOR = 512;
/** ZSTD_COMPRESSBOUND(1 MiB) is 1 MiB + 4 KiB; a frame's header and checksum add 18 bytes at most (RFC 8878, 3.1.1). */
export const FRAME_MAX = CHUNK_SIZE + 8192;
/** The shortest frame: magic 4, descriptor 1, window or size 1, an RLE or raw block of 3 (RFC 8878, 3.1.1). */
const FRAME_MIN = 9;
const OBJECTS_MAX = 65_536;
/** S3's largest object. */
const OBJECT_MAX = 5 * 2 ** 40;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$/;
const SHA256 = /^[0-9a-f]{64}$/;

/** One packed object; `size` and `sha256` are of its stored (compressed) bytes. */
export interface ChunkObject {
  name: string;
  size: number;
  sha256: string;
}

/**
 * [index into objects, offset and length in bytes of an independent zstd frame, sha256 of the chunk's RAW bytes, `frameSum` of the
 * frame's own bytes]. The last is missing in format 1, and where whoever wrote the index has not packed the frame himself: a
 * frame that is lent by another image is known by what its chunk has to be.
 */
export type ChunkRef = [object: number, offset: number, length: number, sha256: string, frame?: string];

/**
 * Of a frame as it is stored, in hexadecimal: SHA-512/256 (FIPS 180-4, 5.3.6.2), with which it is refused before a decoder has seen it. It is as long and as strong as
 * sha256, and where the processor has no SHA extensions, as no Xeon had before Ice Lake, takes two thirds of its time (emulated: a quarter).
 */
export const frameSum = (frame: Uint8Array): string => hash('sha512-256', frame, 'hex');

/** `size`: raw bytes, a multiple of 512. `chunks`: one for each MiB begun; null is a chunk of zeros. */
export interface ChunkIndex {
  format: (typeof FORMATS)[number];
  size: number;
  chunkSize: typeof CHUNK_SIZE;
  objects: ChunkObject[];
  chunks: (null | ChunkRef)[];
}

/** The message is a sentence that names the field and the value at fault. */
export class ChunkIndexError extends Error {
  override name = 'ChunkIndexError';
}

function refuse(why: string): never {
  throw new ChunkIndexError(`The chunk index is refused: ${why}.`);
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

function record(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    refuse(`${what} is ${shown(value)}, not an object`);
  return value as Record<string, unknown>;
}

function count(value: unknown, low: number, high: number, what: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < low || value > high)
    refuse(`${what} is ${shown(value)}, not a whole number from ${low} to ${high}`);
  return value;
}

function objectsOf(value: unknown): ChunkObject[] {
  if (!Array.isArray(value)) refuse(`objects is ${shown(value)}, not a list`);
  if (value.length > OBJECTS_MAX) refuse(`it lists ${value.length} objects, more than ${OBJECTS_MAX}`);
  const names = new Set<string>();
  return value.map((entry, i) => {
    const { name, size, sha256 } = record(entry, `objects[${i}]`);
    // The name becomes a file name and an S3 key, so it may hold no path.
    if (typeof name !== 'string' || !NAME.test(name))
      refuse(`objects[${i}].name is ${shown(name)}, not a plain file name`);
    if (names.has(name)) refuse(`two objects are named ${name}`);
    names.add(name);
    const sum = sumOf(sha256, `objects[${i}].sha256`);
    return { name, size: count(size, FRAME_MIN, OBJECT_MAX, `objects[${i}].size`), sha256: sum };
  });
}

function sumOf(value: unknown, what: string): string {
  if (typeof value !== 'string' || !SHA256.test(value))
    refuse(`${what} is ${shown(value)}, not 64 lower-case hexadecimal digits`);
  return value;
}

function chunkOf(value: unknown, i: number, objects: ChunkObject[], most: number): null | ChunkRef {
  if (value === null) return null;
  if (!Array.isArray(value) || value.length < 4 || value.length > most)
    refuse(
      `chunks[${i}] is ${shown(value)}, neither null nor [object, offset, length, sha256${most > 4 ? ', frame' : ''}]`,
    );
  const object = count(value[0], 0, objects.length - 1, `chunks[${i}]'s object`);
  const offset = count(value[1], 0, OBJECT_MAX, `chunks[${i}]'s offset`);
  const length = count(value[2], FRAME_MIN, FRAME_MAX, `chunks[${i}]'s length`);
  const sha256 = sumOf(value[3], `chunks[${i}]'s sha256`);
  const holder = objects[object]!;
  if (offset + length > holder.size)
    refuse(`chunks[${i}] ends at byte ${offset + length} of object ${holder.name}, which has ${holder.size} bytes`);
  if (value.length === 4) return [object, offset, length, sha256];
  return [object, offset, length, sha256, sumOf(value[4], `chunks[${i}]'s frame`)];
}

/** Equal chunks may share one frame; any other overlap means that the packer lost count. */
function refuseOverlaps(chunks: (null | ChunkRef)[]): void {
  const order: number[] = [];
  for (let i = 0; i < chunks.length; i++) if (chunks[i]) order.push(i);
  order.sort((a, b) => {
    const x = chunks[a]!;
    const y = chunks[b]!;
    return x[0] - y[0] || x[1] - y[1] || x[2] - y[2] || a - b;
  });
  for (let k = 1; k < order.length; k++) {
    const i = order[k - 1]!;
    const j = order[k]!;
    const x = chunks[i]!;
    const y = chunks[j]!;
    if (x[0] !== y[0] || x[1] + x[2] <= y[1]) continue;
    if (x[1] !== y[1] || x[2] !== y[2]) refuse(`chunks[${i}] and chunks[${j}] overlap in object ${x[0]}`);
    if (x[3] !== y[3] || x[4] !== y[4])
      refuse(`chunks[${i}] and chunks[${j}] share one frame but have different checksums`);
  }
}

/** Checks a decoded index and returns a clean copy. Throws ChunkIndexError, with a sentence, on anything inconsistent. */
export function validateChunkIndex(value: unknown): ChunkIndex {
  const index = record(value, 'it');
  const format = FORMATS.find((known) => known === index.format);
  if (!format) refuse(`its format is ${shown(index.format)}, and this agent knows ${FORMATS.join(' and ')}`);
  if (index.chunkSize !== CHUNK_SIZE) refuse(`chunkSize is ${shown(index.chunkSize)}, not ${CHUNK_SIZE}`);
  const size = count(index.size, SECTOR, CHUNK_IMAGE_MAX_BYTES, 'size');
  if (size % SECTOR !== 0) refuse(`size is ${size}, not a multiple of ${SECTOR}`);
  const objects = objectsOf(index.objects);
  if (!Array.isArray(index.chunks)) refuse(`chunks is ${shown(index.chunks)}, not a list`);
  const wanted = Math.ceil(size / CHUNK_SIZE);
  if (index.chunks.length !== wanted)
    refuse(`it lists ${index.chunks.length} chunks, and ${size} bytes need ${wanted} of ${CHUNK_SIZE}`);
  const most = format === CHUNK_FORMAT ? 5 : 4;
  const chunks = index.chunks.map((chunk, i) => chunkOf(chunk, i, objects, most));
  refuseOverlaps(chunks);
  return { format, size, chunkSize: CHUNK_SIZE, objects, chunks };
}

/** Reads an index from its JSON text. Throws ChunkIndexError on text that is too long, no JSON, or inconsistent. */
export function parseChunkIndex(text: string | Uint8Array): ChunkIndex {
  if (text.length > CHUNK_INDEX_MAX_BYTES)
    refuse(`it has ${text.length} bytes, more than ${CHUNK_INDEX_MAX_BYTES}; pack the image into fewer chunks`);
  let value: unknown;
  try {
    value = JSON.parse(typeof text === 'string' ? text : new TextDecoder('utf-8', { fatal: true }).decode(text));
  } catch (cause) {
    refuse(`it is no JSON text (${cause instanceof Error ? cause.message : String(cause)})`);
  }
  return validateChunkIndex(value);
}

/** The one way to write an index down: the same index gives the same bytes, so that its sha256 can name it. */
export function encodeChunkIndex(index: ChunkIndex): string {
  const { format, size, objects, chunks } = validateChunkIndex(index);
  return `${JSON.stringify({ format, size, chunkSize: CHUNK_SIZE, objects, chunks })}\n`;
}

/** Raw bytes of chunk `i`: CHUNK_SIZE, or what is left for the last. */
export function chunkLength(index: Pick<ChunkIndex, 'size'>, i: number): number {
  return Math.min(CHUNK_SIZE, index.size - i * CHUNK_SIZE);
}
