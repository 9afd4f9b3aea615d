/** Images' records: made, changed, withheld and deleted. Their bytes are in data.ts and chunked.ts. */
import { randomUUID } from 'node:crypto';
import { type Context, isAdmin } from '../core/context.ts';
import { fault } from '../core/errors/index.ts';
import { keys } from './blobs/index.ts';
import { find, type Ground, owned, subject } from './ground.ts';
import type { Image } from './model.ts';
import { checkCount } from './quota.ts';
import * as store from './store/images.ts';
import { deleteChunksOf, lockObjects, loneObjects, unusedIndexes, unusedObjects } from './store/objects.ts';

export interface Records {
  /** By id or name; of several with one name the caller's own, else it is ambiguous. @throws Fault `image-not-found`, `image-ambiguous` */
  find(context: Context, idOrName: string): Promise<Image>;
  list(context: Context, filters?: Partial<Omit<store.ImageFilters, 'projectId'>>): Promise<Image[]>;
  /** @throws Fault `image-invalid`, `image-quota`, `forbidden` */
  create(context: Context, fields: Partial<store.NewImage>): Promise<Image>;
  update(context: Context, id: string, changes: Partial<store.NewImage>): Promise<Image>;
  /** Withholds an active image's bytes, or gives them back (Glance's admin actions). */
  setActive(context: Context, id: string, active: boolean): Promise<void>;
  delete(context: Context, id: string): Promise<void>;
}

const fresh: Omit<store.NewImage, 'id' | 'owner' | 'status'> = {
  name: null,
  disk_format: null,
  container_format: null,
  size: null,
  virtual_size: null,
  checksum: null,
  os_hash_algo: null,
  os_hash_value: null,
  min_disk: 0,
  min_ram: 0,
  protected: false,
  os_hidden: false,
  tags: [],
  properties: {},
  chunk_index_sha256: null,
  disk_index_sha256: null,
  manifest: null,
  delivery_manifest: null,
  delivery_signature: null,
  delivery_key_id: null,
  visibility: 'shared',
};

export function createRecords(ground: Ground): Records {
  const { db, recorder, operations } = ground.house;

  /** Glance's policies publicize_image and, with an owner, modify_image. */
  function refuseUnlessAdmin(context: Context, fields: Partial<store.NewImage>, keepsOwner = true): void {
    if (isAdmin(context)) return;
    if (fields.visibility === 'public') throw fault('forbidden', { action: 'publicize_image', roles: 'admin' });
    if (!keepsOwner) throw fault('forbidden', { action: 'modify_image', roles: 'admin' });
  }

  return {
    find: (context, key) => find(ground, context, key),
    list: (context, filters = {}) =>
      store.images(db, {
        where: [],
        properties: {},
        tags: [],
        visibility: null,
        memberStatus: 'accepted',
        sort: [],
        limit: 1000,
        ...filters,
        projectId: isAdmin(context) ? null : (context.projectId ?? ''),
      }),
    async create(context, fields) {
      refuseUnlessAdmin(context, fields);
      const owner = (isAdmin(context) && fields.owner) || (context.projectId ?? '');
      await checkCount(ground, owner);
      const id = fields.id ?? randomUUID();
      const row: store.NewImage = { ...fresh, ...fields, id, owner, status: 'queued' };
      return db.transaction(async (tx) => {
        const made = await store.insertImage(tx, row).catch((error: { code?: string }) => {
          throw error.code === '23505' ? fault('image-invalid', { reason: `there is already an image ${id}.` }) : error;
        });
        await recorder.append(tx, 'image.created', subject(id), { name: made.name }, { requestId: context.requestId });
        return made;
      });
    },
    async update(context, id, changes) {
      const image = await owned(ground, context, id);
      refuseUnlessAdmin(context, changes, changes.owner === undefined || changes.owner === image.owner);
      for (const name of ['disk_format', 'container_format'] as const)
        if (image.status !== 'queued' && changes[name] !== undefined && changes[name] !== image[name])
          throw fault('image-state-forbids', { id, status: image.status, action: `changing its ${name}` });
      const done = await store.updateImage(db, image.id, changes);
      if (!done) throw fault('image-not-found', { id });
      return done;
    },
    async setActive(context, id, active) {
      const image = await find(ground, context, id);
      const action = active ? 'reactivating it' : 'deactivating it';
      if (!isAdmin(context)) throw fault('forbidden', { action: active ? 'reactivate' : 'deactivate', roles: 'admin' });
      if (image.status !== 'active' && image.status !== 'deactivated')
        throw fault('image-state-forbids', { id, status: image.status, action });
      await store.updateImage(db, image.id, { status: active ? 'active' : 'deactivated' });
    },
    async delete(context, id) {
      const image = await owned(ground, context, id);
      if (image.protected) throw fault('image-protected', { id: image.id });
      const users = (await ground.users?.(image)) ?? [];
      if (users.length > 0) throw fault('image-in-use', { id: image.id, by: users.join(', ') });
      await operations.cancel(subject(image.id), 'the image was deleted');
      const lone = await db.transaction(async (tx) => {
        const objects = await loneObjects(tx, image.id);
        await store.deleteImage(tx, image.id);
        await recorder.append(tx, 'image.deleted', subject(image.id), { name: image.name });
        return objects;
      });
      await dropBytes(ground, image, lone);
    },
  };
}

/** After the record: a crash in between leaves bytes that nobody names (collect.ts finds them), never a name without bytes. */
async function dropBytes({ house, blobs }: Ground, image: Image, lone: readonly string[]): Promise<void> {
  const indexes = [image.chunk_index_sha256, image.disk_index_sha256].filter((sha256) => sha256 !== null);
  await house.db.transaction(async (tx) => {
    await lockObjects(tx);
    const unused = await unusedObjects(tx, lone);
    await deleteChunksOf(tx, unused);
    for (const sha256 of unused) await blobs.delete(keys.object(sha256));
    for (const sha256 of await unusedIndexes(tx, indexes)) await blobs.delete(keys.index(sha256));
  });
  await blobs.delete(keys.stream(image.id));
  await blobs.delete(keys.staged(image.id));
}
