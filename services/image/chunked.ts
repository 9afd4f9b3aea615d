/** Images that come as packed objects of chunks, from our builder: objects first, then the index that makes them an image. */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { Context } from '../core/context.ts';
import type { Tx } from '../core/database/index.ts';
import { fault } from '../core/errors/index.ts';
import { type ChunkIndex, encodeChunkIndex } from '../ipa/index.ts';
import { keys } from './blobs/index.ts';
import { type Ground, owned, subject } from './ground.ts';
import { hashing } from './hashing.ts';
import type { Image, Registration } from './model.ts';
import * as store from './store/images.ts';
import { insertChunks, lockObjects, setObjects } from './store/objects.ts';
import { vouch } from './vouching.ts';

export interface Chunked {
  /** Takes one packed object; what is there already is not read again. */
  putObject(context: Context, sha256: string, bytes: Readable): Promise<{ size: number }>;
  hasObject(sha256: string): Promise<boolean>;
  /** Makes a queued image of chunks active, once all its objects are there. */
  register(context: Context, id: string, registration: Registration): Promise<Image>;
  /** Keeps an index and says which image uses which object, in the caller's transaction. `bytes`: of its text. */
  keepIndex(tx: Tx, id: string, index: ChunkIndex): Promise<{ sha256: string; bytes: number }>;
}

/** A 100 GB image has some 1,500 objects, and an object store answers each question in milliseconds. */
const parallelLooks = 16;

export function createChunked(ground: Ground): Chunked {
  const { db, recorder } = ground.house;
  const { blobs } = ground;

  /** @throws Fault `image-incomplete` */
  async function checkObjects(id: string, objects: ChunkIndex['objects']): Promise<void> {
    const left = [...objects];
    const worker = async () => {
      for (let object = left.pop(); object; object = left.pop()) {
        const there = await blobs.stat(keys.object(object.sha256));
        if (there?.size !== object.size) throw fault('image-incomplete', { id, object: object.sha256 });
      }
    };
    await Promise.all(Array.from({ length: parallelLooks }, worker));
  }

  const chunked: Chunked = {
    hasObject: async (sha256) => (await blobs.stat(keys.object(sha256))) !== null,
    async putObject(_context, sha256, bytes) {
      const known = await blobs.stat(keys.object(sha256));
      if (known) {
        bytes.resume();
        return known;
      }
      // Checked before the store shows it: a damaged copy can neither be read nor take the place of a good one.
      const { stream } = hashing(bytes, ['sha256'], (digest) => {
        const actual = digest('sha256');
        if (actual !== sha256) throw fault('image-checksum', { what: `object ${sha256}`, actual, expected: sha256 });
      });
      return blobs.put(keys.object(sha256), stream);
    },
    async register(context, id, { manifest, index }) {
      const image = await owned(ground, context, id);
      if (image.status !== 'queued')
        throw fault('image-state-forbids', { id, status: image.status, action: 'registering chunks' });
      if (manifest.size !== index.size)
        throw fault('image-invalid', {
          reason: `its manifest says ${manifest.size} bytes and its index ${index.size}.`,
        });
      return db.transaction(async (tx) => {
        const { sha256, bytes } = await chunked.keepIndex(tx, id, index);
        const done = await store.updateImage(tx, id, {
          status: 'active',
          size: index.size,
          virtual_size: index.size,
          disk_format: 'raw',
          container_format: 'bare',
          os_hash_algo: 'sha512',
          os_hash_value: manifest.sha512,
          chunk_index_sha256: sha256,
          manifest,
        });
        const signed = await vouch(tx, ground.signingKey, done as Image, bytes);
        await recorder.append(tx, 'image.active', subject(id), {
          name: image.name,
          size: index.size,
          chunks: index.chunks.filter(Boolean).length,
        });
        return signed as Image;
      });
    },
    async keepIndex(tx, id, index) {
      const text = encodeChunkIndex(index);
      const sha256 = createHash('sha256').update(text).digest('hex');
      // No image that is deleted now may take an object along that this one counts on.
      await lockObjects(tx);
      await checkObjects(id, index.objects);
      await blobs.put(keys.index(sha256), Readable.from([Buffer.from(text)]));
      await setObjects(tx, id, index.objects);
      await insertChunks(tx, places(index));
      return { sha256, bytes: Buffer.byteLength(text) };
    },
  };
  return chunked;
}

/** Each chunk once: the map that the next conversion looks chunks up in. */
function places(index: ChunkIndex): { sha256: string; object: string; place: number; length: number }[] {
  const found = new Map<string, { sha256: string; object: string; place: number; length: number }>();
  for (const reference of index.chunks) {
    if (!reference) continue;
    const [object, place, length, sha256] = reference;
    found.set(sha256, { sha256, object: index.objects[object]?.sha256 ?? '', place, length });
  }
  return [...found.values()];
}
