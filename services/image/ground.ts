/** What every part of the image store stands on: the house, where bytes lie, and the rules of who may do what. */
import { createHash, type KeyObject } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { type Context, isAdmin } from '../core/context.ts';
import { fault } from '../core/errors/index.ts';
import type { House } from '../core/house.ts';
import type { Authenticate } from '../core/http/index.ts';
import { isUuid } from '../core/uuid.ts';
import { type ChunkIndex, parseChunkIndex } from '../ipa/index.ts';
import { type BlobStore, keys } from './blobs/index.ts';
import { createLinks, type Links } from './links.ts';
import type { Image } from './model.ts';
import * as store from './store/images.ts';
import { member } from './store/members.ts';

/** Bytes and counts; what is absent is not limited. */
export interface ImageLimits {
  /** Bytes of all images of a project. */
  readonly projectBytes?: number;
  readonly projectImages?: number;
  /** Host names (`mirror.example.org`) that `web-download` may fetch from; none by default: the fetch comes from this machine. */
  readonly importHosts?: readonly string[];
}

export interface ImageDeps {
  readonly blobs: BlobStore;
  /** A directory of this store alone, for uploads that are converted; made when it is needed. */
  readonly workDir: string;
  /** Signs links; any secret of this undercloud. */
  readonly linkKey: Buffer;
  /** The state's Ed25519 key: what it has signed, agents write. */
  readonly signingKey: KeyObject;
  /** Where nodes fetch: `http://192.0.2.1:8088`. Without a provisioning network there is none. */
  readonly deliveryUrl: string | null;
  readonly authenticate: Authenticate;
  readonly publicUrl?: string;
  /** Says who uses an image, so that it is not deleted under them. */
  readonly users?: (image: Pick<Image, 'id' | 'name'>) => Promise<string[]>;
  readonly limits?: ImageLimits;
}

export interface Ground extends ImageDeps {
  readonly house: House;
  readonly links: Links;
  /** The index of that name, read once and kept. @throws Fault `blob-store` when it is damaged */
  index(sha256: string): Promise<ChunkIndex>;
  /** Bytes of that index's text. */
  indexBytes(sha256: string): Promise<number>;
  /** Images whose bytes come in now; one that says it is saving and is not here lost its upload to a restart. */
  readonly uploading: Set<string>;
}

export const subject = (id: string) => ({ type: 'image', id });

/** A parsed index of a 10 GB image is some 2 MB; a few deploys at once use the same one. */
const cachedIndexes = 8;

export function createGround(house: House, deps: ImageDeps): Ground {
  const indexes = new Map<string, ChunkIndex>();
  return {
    ...deps,
    house,
    links: createLinks(deps.linkKey, house.clock),
    uploading: new Set(),
    async indexBytes(sha256) {
      const { size } = (await deps.blobs.stat(keys.index(sha256))) ?? { size: 0 };
      return size;
    },
    async index(sha256) {
      const known = indexes.get(sha256);
      if (known) return known;
      const text = await buffer(await deps.blobs.get(keys.index(sha256)));
      const actual = createHash('sha256').update(text).digest('hex');
      if (actual !== sha256)
        throw fault('blob-store', { action: 'read', key: keys.index(sha256), reason: 'it is damaged.' });
      const parsed = parseChunkIndex(text.toString('utf8'));
      const oldest = indexes.keys().next().value;
      if (indexes.size >= cachedIndexes && oldest) indexes.delete(oldest);
      indexes.set(sha256, parsed);
      return parsed;
    },
  };
}

export const owns = (context: Context, image: Image): boolean => isAdmin(context) || image.owner === context.projectId;

/** A shared image is seen by its members whatever they answered; a rejected one is only not listed. */
export async function sees(ground: Ground, context: Context, image: Image): Promise<boolean> {
  if (owns(context, image) || image.visibility === 'public' || image.visibility === 'community') return true;
  if (image.visibility !== 'shared' || !context.projectId) return false;
  return (await member(ground.house.db, image.id, context.projectId)) !== undefined;
}

/** By id or name; of several with one name the caller's own, else it is ambiguous. @throws Fault `image-not-found`, `image-ambiguous` */
export async function find(ground: Ground, context: Context, key: string): Promise<Image> {
  const { db } = ground.house;
  const byId = isUuid(key) ? await store.image(db, key) : undefined;
  if (byId && (await sees(ground, context, byId))) return byId;
  const named: Image[] = [];
  // PostgreSQL takes no NUL, so nothing is named by one.
  for (const image of key.includes('\0') ? [] : await store.imagesNamed(db, key))
    if (await sees(ground, context, image)) named.push(image);
  const own = named.filter((image) => image.owner === context.projectId);
  const best = own.length > 0 ? own : named;
  if (best.length > 1) throw fault('image-ambiguous', { name: key });
  if (!best[0]) throw fault('image-not-found', { id: key });
  return best[0];
}

/** @throws Fault `image-not-found`, `forbidden` */
export async function owned(ground: Ground, context: Context, id: string): Promise<Image> {
  const image = await find(ground, context, id);
  if (!owns(context, image)) throw fault('forbidden', { action: 'modify_image', roles: 'admin' });
  return image;
}
