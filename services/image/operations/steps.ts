/** The steps that turn a stored stream into chunks, for a conversion by itself and at the end of an import. */
import { toFault } from '../../core/errors/index.ts';
import { done, minutes, type Step } from '../../core/operations/index.ts';
import { keys } from '../blobs/index.ts';
import type { Chunked } from '../chunked.ts';
import { convertible, cutIntoChunks } from '../conversion.ts';
import type { Ground } from '../ground.ts';
import * as store from '../store/images.ts';
import { vouch } from '../vouching.ts';

export function chunkSteps<Params>(ground: Ground, chunked: Chunked): Step<Params>[] {
  const { db } = ground.house;
  const imageOf = (id: string) => store.image(db, id);
  return [
    {
      name: 'convert',
      title: 'convert it to chunks of a raw disk',
      deadlineMs: minutes(360),
      async do(run) {
        const image = await imageOf(run.subject.id);
        if (!image || !convertible(image) || image.chunk_index_sha256 || image.disk_index_sha256) return done();
        const index = await cutIntoChunks(ground, chunked, image, {
          signal: run.signal,
          onProgress: (at, total) => run.progress(at, total, 'MiB'),
        });
        return done({ chunks: index.chunks.filter(Boolean).length }, async (tx) => {
          const { sha256, bytes } = await chunked.keepIndex(tx, image.id, index);
          // A raw disk is what its chunks say; any other format is kept beside them, because its own bytes have the checksum.
          const column = image.disk_format === 'raw' ? 'chunk_index_sha256' : 'disk_index_sha256';
          const kept = await store.updateImage(tx, image.id, { [column]: sha256 });
          if (kept) await vouch(tx, ground.signingKey, kept, bytes);
        });
      },
      undo: { none: 'what is stored and not named is collected' },
    },
    {
      name: 'drop-stream',
      title: 'drop the stream that its chunks replace',
      deadlineMs: minutes(60),
      async do(run) {
        const image = await imageOf(run.subject.id);
        if (image?.chunk_index_sha256) await ground.blobs.delete(keys.stream(image.id));
        return done();
      },
      undo: { none: 'its chunks have the same bytes' },
    },
  ];
}

/** Why an image was not converted, for the event and for whoever wants to deploy it. */
export const reasonOf = (error: unknown): string => toFault(error).sentence;
