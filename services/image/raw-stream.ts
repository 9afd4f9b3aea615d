/** An image that is kept as chunks, read as the plain raw disk that it describes. Each chunk is verified on its way. */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { zstdDecompress } from 'node:zlib';
import { fault } from '../core/errors/index.ts';
import { CHUNK_SIZE, type ChunkIndex, chunkLength } from '../ipa/index.ts';
import { type BlobRange, type BlobStore, keys } from './blobs/index.ts';

const decompress = promisify(zstdDecompress);
const zeros = Buffer.alloc(CHUNK_SIZE);

export function rawStream(
  store: BlobStore,
  index: ChunkIndex,
  range: BlobRange = { start: 0, end: index.size - 1 },
): Readable {
  return Readable.from(pieces(store, index, range), { objectMode: false, highWaterMark: CHUNK_SIZE });
}

async function* pieces(store: BlobStore, index: ChunkIndex, { start, end }: BlobRange): AsyncGenerator<Buffer> {
  for (let number = Math.floor(start / CHUNK_SIZE); number * CHUNK_SIZE <= end; number += 1) {
    const at = number * CHUNK_SIZE;
    const raw = await chunk(store, index, number);
    yield raw.subarray(Math.max(0, start - at), Math.min(raw.length, end + 1 - at));
  }
}

async function chunk(store: BlobStore, index: ChunkIndex, number: number): Promise<Buffer> {
  const length = chunkLength(index, number);
  const reference = index.chunks[number];
  if (!reference) return zeros.subarray(0, length);
  const [object, offset, packed, sha256] = reference;
  const key = keys.object(index.objects[object]?.sha256 ?? '');
  const frame = await buffer(await store.get(key, { start: offset, end: offset + packed - 1 }));
  const raw = await decompress(frame, { maxOutputLength: length });
  const actual = createHash('sha256').update(raw).digest('hex');
  if (actual !== sha256) throw fault('blob-store', { action: 'read', key, reason: `chunk ${number} is damaged.` });
  return raw;
}
