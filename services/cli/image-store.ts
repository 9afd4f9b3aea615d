/** Putting a built image into the undercloud's store: only what is missing travels, and a name never stands for half an image. */
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ImageManifest } from '../builder/index.ts';
import { type Fault, fault } from '../core/errors/index.ts';
import type { Client } from './client.ts';
import { bytes } from './output.ts';
import { inParallel } from './watch.ts';

export interface StoredImage {
  id: string;
  name: string | null;
  status: string;
  visibility: string;
  disk_format: string | null;
  size: number | null;
  virtual_size: number | null;
  min_disk: number;
  os_hash_value: string | null;
  os_hidden: boolean;
  created_at: string;
  updated_at: string;
  /** Ours: names the inputs of the build. */
  build_key?: string;
  [property: string]: unknown;
}

/** As far as sending needs it; the store reads every figure of it. */
interface ChunkIndex {
  readonly objects: readonly { readonly name: string; readonly size: number; readonly sha256: string }[];
}

export interface Registered {
  readonly id: string;
  /** False: the store had this image already. */
  readonly registered: boolean;
  /** Bytes that had to travel. */
  readonly sent: number;
  /** The image that had the name before. */
  readonly replaced: { readonly id: string; readonly kept: string | null } | null;
}

const parallelUploads = 2;
const patchType = 'application/openstack-images-v2.1-json-patch';
const gib = 1024 ** 3;

export const patchImage = (cloud: Client, id: string, changes: Readonly<Record<string, unknown>>) =>
  cloud.request<StoredImage>('PATCH', 'image', `/v2/images/${id}`, {
    headers: { 'content-type': patchType },
    body: Object.entries(changes).map(([name, value]) => ({ op: 'replace', path: `/${name}`, value })),
    repeatable: true,
  });

/** By id or name. @throws Fault `image-not-found`, `ambiguous-name` */
export async function findImage(cloud: Client, idOrName: string): Promise<StoredImage> {
  if (/^[0-9a-f-]{36}$/i.test(idOrName)) {
    const found = await cloud.find<StoredImage>('image', `/v2/images/${idOrName}`);
    if (found) return found;
  }
  const named = await imagesNamed(cloud, idOrName);
  if (named.length > 1)
    throw fault('ambiguous-name', {
      count: named.length,
      what: 'images',
      name: idOrName,
      ids: named.map(({ id }) => id).join(', '),
    });
  if (!named[0]) throw fault('image-not-found', { id: idOrName });
  return named[0];
}

export const imagesNamed = (cloud: Client, name: string): Promise<StoredImage[]> =>
  cloud.list<StoredImage>('image', `/v2/images?name=${encodeURIComponent(name)}&limit=100`, 'images');

export interface RegisterOptions {
  readonly directory: string;
  readonly manifest: ImageManifest;
  /** Bytes on their way, of all that are missing. */
  readonly onBytes: (done: number, total: number) => void;
}

export async function registerImage(cloud: Client, options: RegisterOptions): Promise<Registered> {
  const { directory, manifest } = options;
  const before = (await imagesNamed(cloud, manifest.name)).filter((image) => image.status === 'active');
  // The same bytes are the same image, whatever the builder calls its inputs.
  const same = before.find((image) => image.os_hash_value === manifest.sha512);
  if (same) {
    if (same.build_key !== manifest.key) await patchImage(cloud, same.id, { build_key: manifest.key });
    return { id: same.id, registered: false, sent: 0, replaced: null };
  }
  const index = JSON.parse(await readFile(join(directory, 'index.json'), 'utf8')) as ChunkIndex;
  const sent = await sendObjects(cloud, directory, index, options.onBytes);

  // Under a name of its own until it is whole: nobody finds half an image, and the name is never ambiguous.
  const { body: fresh } = await cloud.request<StoredImage>('POST', 'image', '/v2/images', {
    body: {
      name: `${manifest.name}.${manifest.sha512.slice(0, 12)}`,
      visibility: 'public',
      disk_format: 'raw',
      container_format: 'bare',
      min_disk: Math.ceil(manifest.size / gib),
      build_key: manifest.key,
      os_distro: 'debian',
      os_version: manifest.release,
      architecture: manifest.architecture,
    },
  });
  try {
    await cloud.request('PUT', 'image', `/v2/images/${fresh.id}/chunks`, { body: { manifest, index } });
    let replaced: Registered['replaced'] = null;
    for (const old of before) replaced = await retire(cloud, old);
    await patchImage(cloud, fresh.id, { name: manifest.name });
    for (const old of before) replaced = await remove(cloud, old, replaced);
    return { id: fresh.id, registered: true, sent, replaced };
  } catch (error) {
    await cloud.request('DELETE', 'image', `/v2/images/${fresh.id}`, { signal: null }).catch(() => {});
    for (const old of before)
      await patchImage(cloud, old.id, { name: old.name, os_hidden: old.os_hidden }).catch(() => {});
    throw error;
  }
}

async function sendObjects(
  cloud: Client,
  directory: string,
  index: ChunkIndex,
  onBytes: RegisterOptions['onBytes'],
): Promise<number> {
  const path = (sha256: string): string => `/v2/objects/${sha256}`;
  const there = await inParallel(index.objects, 4, async ({ sha256 }) => isThere(cloud, path(sha256)));
  const missing = index.objects.filter((_, at) => !there[at]);
  const total = missing.reduce((sum, { size }) => sum + size, 0);
  const done = new Map<string, number>();
  const tell = () =>
    onBytes(
      [...done.values()].reduce((sum, size) => sum + size, 0),
      total,
    );
  tell();
  await inParallel(missing, parallelUploads, async ({ name, size, sha256 }) => {
    const file = join(directory, 'objects', name);
    const actual = (await stat(file)).size;
    if (actual !== size)
      throw fault('build-failed', {
        message: `${file} has ${actual} bytes and its index says ${size}: build the image again with --no-cache.`,
      });
    await cloud.request('PUT', 'image', path(sha256), {
      repeatable: true,
      upload: {
        size,
        open() {
          done.set(sha256, 0);
          const stream = createReadStream(file, { highWaterMark: 1024 * 1024 });
          stream.on('data', (piece) => {
            done.set(sha256, (done.get(sha256) ?? 0) + piece.length);
            tell();
          });
          return stream;
        },
      },
    });
  });
  return total;
}

async function isThere(cloud: Client, path: string): Promise<boolean> {
  try {
    await cloud.request('HEAD', 'image', path);
    return true;
  } catch (error) {
    if ((error as Fault).status === 404) return false;
    throw error;
  }
}

/** Takes the name from the old image; what uses it knows it by its id. */
async function retire(cloud: Client, old: StoredImage): Promise<Registered['replaced']> {
  await patchImage(cloud, old.id, {
    name: `${old.name}.${(old.os_hash_value ?? old.id).slice(0, 12)}`,
    os_hidden: true,
  });
  return { id: old.id, kept: null };
}

async function remove(
  cloud: Client,
  old: StoredImage,
  replaced: Registered['replaced'],
): Promise<Registered['replaced']> {
  try {
    await cloud.request('DELETE', 'image', `/v2/images/${old.id}`);
    return replaced;
  } catch (error) {
    // Servers run on it: it stays, hidden, until they are gone.
    if ((error as Fault).status !== 409 && (error as Fault).status !== 403) throw error;
    return { id: old.id, kept: (error as Fault).message };
  }
}

export const imageSize = (image: StoredImage): string | null => {
  const size = image.virtual_size ?? image.size;
  return size === null ? null : bytes(size);
};
