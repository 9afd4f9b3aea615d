/** Images' bytes as streams: uploaded at once, or staged for an import. */
import type { Readable } from 'node:stream';
import type { Context } from '../core/context.ts';
import { fault } from '../core/errors/index.ts';
import { keys } from './blobs/index.ts';
import { type Conversion, convertible } from './conversion.ts';
import { sampling } from './formats/sampling.ts';
import { type Ground, owned, subject } from './ground.ts';
import { hashing } from './hashing.ts';
import type { Image, ImageStatus } from './model.ts';
import { byteMeter } from './quota.ts';
import * as store from './store/images.ts';
import { vouch } from './vouching.ts';

export interface Data {
  /** Takes the image's bytes as a stream; it is active when they are durable, and its conversion to chunks begins. */
  upload(context: Context, id: string, bytes: Readable): Promise<Image>;
  /** Keeps bytes for an import (Glance's `stage`). */
  stage(context: Context, id: string, bytes: Readable): Promise<void>;
  /** As `upload`, of an image that is being imported. `from` is the state to return to when it fails. */
  receive(image: Image, bytes: Readable, from: ImageStatus): Promise<Image>;
}

export function createData(ground: Ground, conversion: Conversion): Data {
  const { db, recorder } = ground.house;
  const { blobs, uploading } = ground;

  async function open(context: Context, id: string, action: string, from: readonly ImageStatus[]): Promise<Image> {
    const image = await owned(ground, context, id);
    if (!from.includes(image.status)) throw fault('image-state-forbids', { id, status: image.status, action });
    if (!image.disk_format || !image.container_format)
      throw fault('image-invalid', {
        reason: 'disk_format and container_format have to be set before its data are uploaded.',
      });
    return image;
  }

  /** One upload of an image at a time. */
  async function alone<T>(image: Image, work: () => Promise<T>): Promise<T> {
    if (uploading.has(image.id))
      throw fault('image-state-forbids', { id: image.id, status: 'saving', action: 'uploading data' });
    uploading.add(image.id);
    try {
      return await work();
    } finally {
      uploading.delete(image.id);
    }
  }

  const receive: Data['receive'] = (image, bytes, from) =>
    alone(image, async () => {
      const { id } = image;
      const sample = sampling(image.disk_format ?? '');
      let size = 0;
      let virtualSize: number | null = null;
      try {
        const withinQuota = await byteMeter(ground, image.owner);
        const hashed = hashing(
          bytes,
          ['md5', 'sha512'],
          () => {
            virtualSize = sample.end();
          },
          (piece) => {
            size += piece.length;
            withinQuota(size);
            sample.take(piece);
          },
        );
        await store.updateImage(db, id, { status: from === 'importing' ? 'importing' : 'saving' });
        await blobs.put(keys.stream(id), hashed.stream);
        return await db.transaction(async (tx) => {
          const done = await store.updateImage(tx, id, {
            status: 'active',
            size,
            checksum: hashed.digest('md5'),
            os_hash_algo: 'sha512',
            os_hash_value: hashed.digest('sha512'),
            virtual_size: virtualSize,
          });
          if (!done) throw fault('image-not-found', { id });
          const signed = (await vouch(tx, ground.signingKey, done, null)) ?? done;
          await recorder.append(tx, 'image.active', subject(id), { name: image.name, size, chunks: null });
          if (from !== 'importing' && convertible(done)) await conversion.start(tx, done);
          return signed;
        });
      } catch (error) {
        // As before the upload: the client may send the data again. If the image was deleted meanwhile, so are its bytes.
        if (!(await store.updateImage(db, id, { status: from }))) await blobs.delete(keys.stream(id));
        throw error;
      }
    });

  return {
    receive,
    async upload(context, id, bytes) {
      return receive(await open(context, id, 'uploading data', ['queued', 'saving']), bytes, 'queued');
    },
    async stage(context, id, bytes) {
      const image = await open(context, id, 'staging data', ['queued', 'uploading']);
      await alone(image, async () => {
        const withinQuota = await byteMeter(ground, image.owner);
        const sample = sampling(image.disk_format ?? '');
        let size = 0;
        const hashed = hashing(
          bytes,
          [],
          () => sample.end(),
          (piece) => {
            size += piece.length;
            withinQuota(size);
            sample.take(piece);
          },
        );
        await blobs.put(keys.staged(id), hashed.stream);
        if (!(await store.updateImage(db, id, { status: 'uploading' }))) await blobs.delete(keys.staged(id));
      });
    },
  };
}
