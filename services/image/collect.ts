/**
 * Removes bytes that no record names: what a crash left between a record's end and its bytes', an upload that was never
 * registered. Young ones are left alone, because objects come before the image that names them.
 */
import type { ListedBlob } from './blobs/index.ts';
import { type Ground, subject } from './ground.ts';
import { deleteChunksOf, lockObjects, unknownImages, unusedIndexes, unusedObjects } from './store/objects.ts';

export interface Collected {
  readonly blobs: number;
  readonly bytes: number;
}

/** An object is uploaded at most so long before its image is registered. */
export const graceMs = 24 * 3600 * 1000;
/** Blobs looked up and removed in one transaction. */
const batch = 500;

const ours = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const lastPart = (key: string): string => key.slice(key.lastIndexOf('/') + 1);

/** @param dryRun counts and removes nothing */
export async function collect(ground: Ground, options: { dryRun: boolean; olderThanMs?: number }): Promise<Collected> {
  const { dryRun, olderThanMs = graceMs } = options;
  const { blobs, house } = ground;
  const before = house.clock.now() - olderThanMs;
  let found = 0;
  let bytes = 0;

  async function sweep(old: readonly ListedBlob[], sort: Sort): Promise<void> {
    const byName = new Map(old.map((blob) => [lastPart(blob.key).replace(/\.json$/, ''), blob]));
    await house.db.transaction(async (tx) => {
      await lockObjects(tx);
      const unused = await sort.unused(tx, [...byName.keys()]);
      if (sort.objects && !dryRun) await deleteChunksOf(tx, unused);
      for (const name of unused) {
        const blob = byName.get(name);
        if (!blob) continue;
        found += 1;
        bytes += blob.size;
        if (!dryRun) await blobs.delete(blob.key);
      }
    });
  }

  for (const sort of sorts) {
    let old: ListedBlob[] = [];
    for await (const blob of blobs.list(sort.prefix)) {
      if (blob.modified >= before || !sort.named.test(lastPart(blob.key))) continue;
      old.push(blob);
      if (old.length < batch) continue;
      await sweep(old, sort);
      old = [];
    }
    if (old.length > 0) await sweep(old, sort);
  }
  if (!dryRun) {
    await blobs.dropAbandoned(olderThanMs);
    if (found > 0) house.recorder.emit('image.collected', subject('all'), { blobs: found, bytes });
  }
  return { blobs: found, bytes };
}

export interface Sort {
  readonly prefix: string;
  /** What the last part of a key looks like; anything else is not ours to remove. */
  readonly named: RegExp;
  readonly unused: typeof unusedObjects;
  readonly objects?: true;
}

/** Every prefix of the blob store (tested). */
export const sorts: readonly Sort[] = [
  { prefix: 'objects/', named: /^[0-9a-f]{64}$/, unused: unusedObjects, objects: true },
  { prefix: 'indexes/', named: /^[0-9a-f]{64}\.json$/, unused: unusedIndexes },
  { prefix: 'streams/', named: ours, unused: unknownImages },
  { prefix: 'staged/', named: ours, unused: unknownImages },
];
