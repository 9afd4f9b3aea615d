import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CHUNK_SIZE, validateChunkIndex } from './chunk-index.ts';
import { chunkImage, type KeptChunks } from './chunk-packer.ts';
import type { ChunkDone } from './chunk-worker.ts';

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'chunks-'));
});

afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

async function rebuild(index: Awaited<ReturnType<typeof chunkImage>>['index']): Promise<Buffer> {
  const objects = await Promise.all(index.objects.map(({ name }) => readFile(join(root, 'objects', name))));
  const image = Buffer.alloc(index.size);
  index.chunks.forEach((chunk, at) => {
    if (chunk === null) return;
    const [object, offset, length, digest, sum] = chunk;
    const frame = objects[object]!.subarray(offset, offset + length);
    expect(createHash('sha512-256').update(frame).digest('hex')).toBe(sum);
    // Content_Checksum_flag (RFC 8878, 3.1.1.1.1).
    expect(frame[4]! & 4).toBe(4);
    const raw = zstdDecompressSync(frame);
    expect(sha256(raw)).toBe(digest);
    raw.copy(image, at * CHUNK_SIZE);
  });
  return image;
}

describe('the chunker', () => {
  it('gives the same index and objects from kept chunks, all of them, some or none', async () => {
    const image = Buffer.concat(
      Array.from({ length: 16 }, (_, index) =>
        index % 4 === 3 ? Buffer.alloc(CHUNK_SIZE) : Buffer.concat([randomBytes(1000)], CHUNK_SIZE),
      ),
    );
    const raw = join(root, 'image.raw');
    await writeFile(raw, image);
    const memory = new Map<number, ChunkDone>();
    const put = (done: ChunkDone): void => void memory.set(done.index, done);
    const cut = (name: string, kept?: KeptChunks) =>
      chunkImage({ raw, objects: join(root, name), threads: 2, ...(kept && { kept }) });
    const none = await cut('none', { get: () => undefined, put });
    expect([...memory.keys()].sort((a, b) => a - b)).toEqual(Array.from({ length: 16 }, (_, index) => index));
    const made: number[] = [];
    const some = await cut('some', {
      get: (index) => (index % 3 === 0 ? undefined : memory.get(index)),
      put: ({ index }) => made.push(index),
    });
    expect(made.every((index) => index % 3 === 0)).toBe(true);
    const all = await cut('all', { get: (index) => memory.get(index), put: () => expect.unreachable() });
    const plain = await cut('plain');
    for (const each of [some, all, plain]) expect(each).toEqual(none);
    for (const { name } of plain.index.objects)
      expect((await readFile(join(root, 'all', name))).equals(await readFile(join(root, 'plain', name)))).toBe(true);
  });

  it('gives up when what keeps its chunks does', async () => {
    const raw = join(root, 'image.raw');
    await writeFile(raw, randomBytes(3 * CHUNK_SIZE));
    const full = () => {
      throw new Error('no room');
    };
    await expect(
      chunkImage({ raw, objects: join(root, 'a'), kept: { get: () => undefined, put: full } }),
    ).rejects.toThrow('no room');
    await expect(chunkImage({ raw, objects: join(root, 'b'), kept: { get: full, put: () => {} } })).rejects.toThrow(
      'no room',
    );
  });

  it('gives back every byte, leaves zeros out, packs equal chunks once, and splits objects', async () => {
    const noise = [randomBytes(CHUNK_SIZE), randomBytes(CHUNK_SIZE), randomBytes(CHUNK_SIZE)] as const;
    const zero = Buffer.alloc(CHUNK_SIZE);
    const text = Buffer.alloc(CHUNK_SIZE, 'undercloud ');
    const last = Buffer.alloc(5 * 512, 7);
    const image = Buffer.concat([noise[0], zero, noise[1], text, noise[0], zero, zero, noise[2], text, last]);
    const raw = join(root, 'image.raw');
    await writeFile(raw, image);
    const seen: number[] = [];
    const result = await chunkImage({
      raw,
      objects: join(root, 'objects'),
      objectMinimum: 1_500_000,
      threads: 2,
      onProgress: (done) => seen.push(done),
    });
    const { index } = result;
    expect(validateChunkIndex(index)).toEqual(index);
    expect(result.sha256).toBe(sha256(image));
    expect(result.sha512).toBe(createHash('sha512').update(image).digest('hex'));
    expect(index.size).toBe(image.length);
    expect(index.chunks.map((chunk) => chunk === null)).toEqual([
      false,
      true,
      false,
      false,
      false,
      true,
      true,
      false,
      false,
      false,
    ]);
    expect(index.chunks[4]).toEqual(index.chunks[0]);
    expect(index.chunks[8]).toEqual(index.chunks[3]);
    expect(index.objects.length).toBe(2);
    expect((await readdir(join(root, 'objects'))).sort()).toEqual(index.objects.map(({ name }) => name).sort());
    for (const { name, size, sha256: digest } of index.objects) {
      const bytes = await readFile(join(root, 'objects', name));
      expect([bytes.length, sha256(bytes)]).toEqual([size, digest]);
    }
    expect((await rebuild(index)).equals(image)).toBe(true);
    expect(seen.at(-1)).toBe(10);
  });

  it('says nothing of the bytes of a frame that another image lends', async () => {
    const raw = join(root, 'image.raw');
    const [lent, own] = [Buffer.alloc(CHUNK_SIZE, 'lent'), Buffer.alloc(CHUNK_SIZE, 'own')];
    await writeFile(raw, Buffer.concat([lent, own]));
    const object = { name: 'a'.repeat(64), size: 1000, sha256: 'a'.repeat(64) };
    const known = async () => new Map([[sha256(lent), { object, offset: 9, length: 90 }]]);
    const { index } = await chunkImage({ raw, objects: join(root, 'objects'), known });
    expect(index.chunks[0]).toEqual([1, 9, 90, sha256(lent)]);
    expect(index.chunks[1]).toEqual([
      0,
      0,
      index.objects[0]!.size,
      sha256(own),
      expect.stringMatching(/^[0-9a-f]{64}$/),
    ]);
    expect(validateChunkIndex(index)).toEqual(index);
  });

  it('makes no object of an image of zeros', async () => {
    const raw = join(root, 'zeros.raw');
    const file = await open(raw, 'w');
    await file.truncate(20 * CHUNK_SIZE);
    await file.close();
    const { index } = await chunkImage({ raw, objects: join(root, 'objects') });
    expect(index.objects).toEqual([]);
    expect(index.chunks).toEqual(new Array(20).fill(null));
    expect(await readdir(join(root, 'objects'))).toEqual([]);
  });

  it('makes equal bytes from equal images whatever the number of threads', async () => {
    const raw = join(root, 'image.raw');
    await writeFile(raw, Buffer.concat(Array.from({ length: 12 }, (_, i) => Buffer.alloc(CHUNK_SIZE, `chunk ${i} `))));
    const one = await chunkImage({ raw, objects: join(root, 'objects'), threads: 1 });
    const four = await chunkImage({ raw, objects: join(root, 'other'), threads: 4 });
    expect(four).toEqual(one);
  });

  it('stops when told to and leaves no half object', async () => {
    const raw = join(root, 'image.raw');
    await writeFile(raw, randomBytes(8 * CHUNK_SIZE));
    const abort = new AbortController();
    abort.abort();
    await expect(chunkImage({ raw, objects: join(root, 'objects'), signal: abort.signal })).rejects.toThrow(
      'interrupted',
    );
    expect(await readdir(join(root, 'objects'))).toEqual([]);
  });

  it('fails when the image cannot be read', async () => {
    await expect(chunkImage({ raw: join(root, 'none'), objects: join(root, 'objects') })).rejects.toThrow('ENOENT');
  });
});
