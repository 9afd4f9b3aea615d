/** The image store's front door: records as Glance v2 shows them, blobs on disk or in S3, and what a deploy needs of an image. */
import { createHash, randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { Context } from '../core/context.ts';
import { isAdmin } from '../core/context.ts';
import { fault } from '../core/errors/index.ts';
import type { House } from '../core/house.ts';
import type { Authenticate, Routes } from '../core/http/index.ts';
import { type ChunkIndex, encodeChunkIndex, parseChunkIndex } from '../ipa/index.ts';
import { type BlobStore, keys } from './blobs/index.ts';
import { deliveryRoutes } from './delivery.ts';
import { hashing } from './hashing.ts';
import { createLinks } from './links.ts';
import type { Image, Registration } from './model.ts';
import { imageRoutes } from './routes.ts';
import * as store from './store.ts';

export { diskBlobs } from './blobs/disk.ts';
export type { BlobRange, BlobStore } from './blobs/index.ts';
export { type S3Options, s3Blobs } from './blobs/s3.ts';
export type { Image, ImageManifest, Registration } from './model.ts';

/** What a deploy is told of an image. */
export interface DeployInfo {
  readonly name: string;
  /** Bytes of the raw disk. */
  readonly size: number;
  readonly disk_format: string;
  readonly os_hash_algo: string;
  readonly os_hash_value: string;
  readonly index_url?: string;
  readonly index_sha256?: string;
  /** URL of each packed object by its name in the index. */
  readonly objects?: Readonly<Record<string, string>>;
  /** The whole image in its disk format. */
  readonly stream_url: string;
  readonly kexec?: { readonly kernel: string; readonly initrd: string; readonly cmdline: string };
}

export interface ImageDeps {
  readonly blobs: BlobStore;
  /** Signs links; any secret of this undercloud. */
  readonly linkKey: Buffer;
  /** Where nodes fetch: `http://192.0.2.1:8088`. Without a provisioning network there is none. */
  readonly deliveryUrl: string | null;
  readonly authenticate: Authenticate;
  readonly publicUrl?: string;
  /** Says who uses an image, so that it is not deleted under them. */
  readonly users?: (imageId: string) => Promise<string[]>;
}

export interface Images {
  readonly routes: Routes;
  /** For the plain listener of the provisioning network: signed links only. */
  readonly deliveryRoutes: Routes;
  /** By id or name; of several with one name the caller's own, else it is ambiguous. @throws Fault `image-not-found`, `image-ambiguous` */
  find(context: Context, idOrName: string): Promise<Image>;
  list(context: Context, filters?: Partial<Omit<store.ImageFilters, 'projectId'>>): Promise<Image[]>;
  create(context: Context, fields: Partial<store.NewImage>): Promise<Image>;
  /** Takes the image's bytes as a stream; it is active when they are durable. */
  upload(context: Context, id: string, bytes: Readable): Promise<Image>;
  /** Takes one packed object; what is there already is not read again. */
  putObject(context: Context, sha256: string, bytes: Readable): Promise<{ size: number }>;
  hasObject(sha256: string): Promise<boolean>;
  /** Makes a queued image of chunks active, once all its objects are there. */
  register(context: Context, id: string, registration: Registration): Promise<Image>;
  update(context: Context, id: string, changes: Partial<store.NewImage>): Promise<Image>;
  delete(context: Context, id: string): Promise<void>;
  /** The image's bytes in its disk format. */
  open(image: Image): Promise<{ index: ChunkIndex | null; size: number }>;
  deployInfo(imageId: string, options: { ttl: number }): Promise<DeployInfo>;
}

export interface ImageDesk extends ImageDeps {
  readonly images: Images;
  readonly links: ReturnType<typeof createLinks>;
  index(sha256: string): Promise<ChunkIndex>;
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
/** A parsed index of a 10 GB image is some 2 MB; a few deploys at once use the same one. */
const cachedIndexes = 8;
/** A 100 GB image has some 1,500 objects, and an object store answers each question in milliseconds. */
const parallelLooks = 16;

export function createImages(house: House, deps: ImageDeps): Images {
  const { db, recorder, clock } = house;
  const { blobs } = deps;
  const links = createLinks(deps.linkKey, clock);
  const indexes = new Map<string, ChunkIndex>();
  /** Images whose bytes come in now; one that says it is saving and is not here lost its upload to a restart. */
  const uploading = new Set<string>();
  const subject = (id: string) => ({ type: 'image', id });
  const mine = (context: Context, image: Image) => isAdmin(context) || image.owner === context.projectId;
  const sees = (context: Context, image: Image) =>
    mine(context, image) || image.visibility === 'public' || image.visibility === 'community';

  async function index(sha256: string): Promise<ChunkIndex> {
    const known = indexes.get(sha256);
    if (known) return known;
    const text = await buffer(await blobs.get(keys.index(sha256)));
    const actual = createHash('sha256').update(text).digest('hex');
    if (actual !== sha256)
      throw fault('blob-store', { action: 'read', key: keys.index(sha256), reason: 'it is damaged.' });
    const parsed = parseChunkIndex(text.toString('utf8'));
    const oldest = indexes.keys().next().value;
    if (indexes.size >= cachedIndexes && oldest) indexes.delete(oldest);
    indexes.set(sha256, parsed);
    return parsed;
  }

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

  async function owned(context: Context, id: string): Promise<Image> {
    const image = await images.find(context, id);
    if (!mine(context, image)) throw fault('forbidden', { action: 'modify_image', roles: 'admin' });
    return image;
  }

  /** Glance's policies publicize_image and, with an owner, modify_image. */
  function refuseUnlessAdmin(context: Context, fields: Partial<store.NewImage>, keepsOwner = true): void {
    if (isAdmin(context)) return;
    if (fields.visibility === 'public') throw fault('forbidden', { action: 'publicize_image', roles: 'admin' });
    if (!keepsOwner) throw fault('forbidden', { action: 'modify_image', roles: 'admin' });
  }

  const images: Images = {
    routes: (api) => imageRoutes(desk)(api),
    deliveryRoutes: (api) => deliveryRoutes(desk)(api),
    async find(context, key) {
      const byId = uuid.test(key) ? await store.image(db, key) : undefined;
      if (byId && sees(context, byId)) return byId;
      // PostgreSQL takes no NUL, so nothing is named by one.
      const named = (key.includes('\0') ? [] : await store.imagesNamed(db, key)).filter((image) =>
        sees(context, image),
      );
      const own = named.filter((image) => image.owner === context.projectId);
      const best = own.length > 0 ? own : named;
      if (best.length > 1) throw fault('image-ambiguous', { name: key });
      if (!best[0]) throw fault('image-not-found', { id: key });
      return best[0];
    },
    list: (context, filters = {}) =>
      store.images(db, {
        equal: {},
        properties: {},
        tags: [],
        sort: [],
        limit: 1000,
        ...filters,
        projectId: isAdmin(context) ? null : context.projectId,
      }),
    async create(context, fields) {
      refuseUnlessAdmin(context, fields);
      const id = fields.id ?? randomUUID();
      const row: store.NewImage = {
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
        manifest: null,
        visibility: 'shared',
        ...fields,
        id,
        owner: (isAdmin(context) && fields.owner) || (context.projectId ?? ''),
        status: 'queued',
      };
      return db.transaction(async (tx) => {
        const made = await store.insertImage(tx, row).catch((error: { code?: string }) => {
          throw error.code === '23505' ? fault('image-invalid', { reason: `there is already an image ${id}.` }) : error;
        });
        await recorder.append(tx, 'image.created', subject(id), { name: made.name }, { requestId: context.requestId });
        return made;
      });
    },
    async upload(context, id, bytes) {
      const image = await owned(context, id);
      if (image.status !== 'queued' && image.status !== 'saving')
        throw fault('image-state-forbids', { id, status: image.status, action: 'uploading data' });
      if (!image.disk_format || !image.container_format)
        throw fault('image-invalid', {
          reason: 'disk_format and container_format have to be set before its data are uploaded.',
        });
      if (uploading.has(image.id))
        throw fault('image-state-forbids', { id, status: 'saving', action: 'uploading data' });
      uploading.add(image.id);
      const hashed = hashing(bytes, ['md5', 'sha512']);
      try {
        await store.updateImage(db, id, { status: 'saving' });
        const { size } = await blobs.put(keys.stream(id), hashed.stream);
        return await db.transaction(async (tx) => {
          const done = await store.updateImage(tx, id, {
            status: 'active',
            size,
            checksum: hashed.digest('md5'),
            os_hash_algo: 'sha512',
            os_hash_value: hashed.digest('sha512'),
            ...(image.disk_format === 'raw' && { virtual_size: size }),
          });
          if (!done) throw fault('image-not-found', { id });
          await recorder.append(tx, 'image.active', subject(id), { name: image.name, size, chunks: null });
          return done;
        });
      } catch (error) {
        // As before the upload: the client may send the data again. If the image was deleted meanwhile, so are its bytes.
        if (!(await store.updateImage(db, id, { status: 'queued' }))) await blobs.delete(keys.stream(id));
        throw error;
      } finally {
        uploading.delete(image.id);
      }
    },
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
    async register(context, id, { manifest, index: wanted }) {
      const image = await owned(context, id);
      if (image.status !== 'queued')
        throw fault('image-state-forbids', { id, status: image.status, action: 'registering chunks' });
      if (manifest.size !== wanted.size)
        throw fault('image-invalid', {
          reason: `its manifest says ${manifest.size} bytes and its index ${wanted.size}.`,
        });
      const text = encodeChunkIndex(wanted);
      const sha256 = createHash('sha256').update(text).digest('hex');
      return db.transaction(async (tx) => {
        // No image that is deleted now may take an object along that this one counts on.
        await store.lockObjects(tx);
        await checkObjects(id, wanted.objects);
        await blobs.put(keys.index(sha256), Readable.from([Buffer.from(text)]));
        await store.setObjects(tx, id, wanted.objects);
        const done = await store.updateImage(tx, id, {
          status: 'active',
          size: wanted.size,
          virtual_size: wanted.size,
          disk_format: 'raw',
          container_format: 'bare',
          os_hash_algo: 'sha512',
          os_hash_value: manifest.sha512,
          chunk_index_sha256: sha256,
          manifest,
        });
        await recorder.append(tx, 'image.active', subject(id), {
          name: image.name,
          size: wanted.size,
          chunks: wanted.chunks.filter(Boolean).length,
        });
        return done as Image;
      });
    },
    async update(context, id, changes) {
      const image = await owned(context, id);
      refuseUnlessAdmin(context, changes, changes.owner === undefined || changes.owner === image.owner);
      for (const name of ['disk_format', 'container_format'] as const)
        if (image.status !== 'queued' && changes[name] !== undefined && changes[name] !== image[name])
          throw fault('image-state-forbids', { id, status: image.status, action: `changing its ${name}` });
      const done = await store.updateImage(db, image.id, changes);
      if (!done) throw fault('image-not-found', { id });
      return done;
    },
    async delete(context, id) {
      const image = await owned(context, id);
      if (image.protected) throw fault('image-protected', { id: image.id });
      const users = (await deps.users?.(image.id)) ?? [];
      if (users.length > 0) throw fault('image-in-use', { id: image.id, by: users.join(', ') });
      const lone = await db.transaction(async (tx) => {
        const objects = await store.loneObjects(tx, image.id);
        await store.deleteImage(tx, image.id);
        await recorder.append(tx, 'image.deleted', subject(image.id), { name: image.name });
        return objects;
      });
      // After the record: a crash in between leaves bytes that nobody names, never a name without bytes.
      await db.transaction(async (tx) => {
        await store.lockObjects(tx);
        for (const sha256 of await store.unusedObjects(tx, lone)) await blobs.delete(keys.object(sha256));
        const sha256 = image.chunk_index_sha256;
        if (sha256 && !(await store.indexInUse(tx, sha256))) await blobs.delete(keys.index(sha256));
      });
      await blobs.delete(keys.stream(image.id));
    },
    async open(image) {
      if (image.status !== 'active') throw fault('image-without-data', { id: image.id });
      return { index: image.chunk_index_sha256 ? await index(image.chunk_index_sha256) : null, size: image.size ?? 0 };
    },
    async deployInfo(imageId, { ttl }) {
      const image = await images.find(
        { requestId: 'req-deploy', userId: null, projectId: null, domainId: null, roles: ['admin'] },
        imageId,
      );
      const { index: chunks } = await images.open(image);
      const link = async (key: string) =>
        (await blobs.url(key, ttl)) ?? `${deps.deliveryUrl ?? ''}${links.sign(`/images/blobs/${key}`, ttl)}`;
      // Chunks as one stream exist nowhere but here.
      const stored = chunks ? null : await blobs.url(keys.stream(image.id), ttl);
      const streamed = stored ?? `${deps.deliveryUrl ?? ''}${links.sign(`/images/streams/${image.id}`, ttl)}`;
      const plain = {
        name: image.name ?? image.id,
        size: image.virtual_size ?? image.size ?? 0,
        disk_format: image.disk_format ?? 'raw',
        os_hash_algo: image.os_hash_algo ?? 'sha512',
        os_hash_value: image.os_hash_value ?? '',
        stream_url: streamed,
      };
      if (!chunks || !image.chunk_index_sha256) return plain;
      const objects: Record<string, string> = {};
      for (const object of chunks.objects) objects[object.name] = await link(keys.object(object.sha256));
      const boot = image.manifest?.boot;
      return {
        ...plain,
        index_url: await link(keys.index(image.chunk_index_sha256)),
        index_sha256: image.chunk_index_sha256,
        objects,
        ...(boot && { kexec: { kernel: boot.kernelPath, initrd: boot.initrdPath, cmdline: boot.commandLine } }),
      };
    },
  };
  const desk: ImageDesk = { ...deps, images, links, index };
  return images;
}
