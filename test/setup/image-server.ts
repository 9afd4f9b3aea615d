/** The image store behind its APIs on one listener, its blobs on a disk of its own or wherever a test says. */
import { createHash, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { createApi, listen } from '../../services/core/http/index.ts';
import { createIdentity } from '../../services/identity/index.ts';
import {
  type BlobStore,
  createImages,
  diskBlobs,
  type ImageLimits,
  type ImageManifest,
  type Images,
} from '../../services/image/index.ts';
import { CHUNK_SIZE, type ChunkIndex } from '../../services/ipa/index.ts';
import { createWorld, type World } from './world.ts';

export const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
export const MiB = 1024 * 1024;

/** A raw disk of three chunks, the middle one zero, as the builder packs it. */
export function chunkedImage() {
  const first = randomBytes(MiB);
  const last = Buffer.alloc(512, 7);
  const raw = Buffer.concat([first, Buffer.alloc(MiB), last]);
  const frames = [zstdCompressSync(first), zstdCompressSync(last)] as const;
  const packed = Buffer.concat(frames);
  const index: ChunkIndex = {
    format: 'undercloud.chunks/1',
    size: raw.length,
    chunkSize: CHUNK_SIZE,
    objects: [{ name: sha256(packed), size: packed.length, sha256: sha256(packed) }],
    chunks: [[0, 0, frames[0].length, sha256(first)], null, [0, frames[0].length, frames[1].length, sha256(last)]],
  };
  const manifest: ImageManifest = {
    format: 'undercloud.image/1',
    name: 'lab',
    key: 'k1',
    size: raw.length,
    sha512: createHash('sha512').update(raw).digest('hex'),
    boot: { kernelPath: '/vmlinuz', initrdPath: '/initrd.img', commandLine: 'root=UUID=1 ro' },
  };
  return { raw, packed, index, manifest };
}

export interface ImageServer {
  readonly world: World;
  /** Scratch, with the blobs below it. */
  readonly dir: string;
  readonly images: Images;
  readonly blobs: BlobStore;
  /** `http://127.0.0.1:PORT`; the APIs lie below /identity and /image. */
  readonly url: string;
  /** Who uses every image; a test fills it. */
  readonly used: string[];
  /** By which the store signs what nodes may write. */
  readonly imageKey: KeyObject;
  /** An administrator's, for X-Auth-Token. */
  readonly token: string;
  close(): Promise<void>;
}

export async function imageServer(
  options: { blobs?: BlobStore; databaseUrl?: string; limits?: ImageLimits } = {},
): Promise<ImageServer> {
  const { databaseUrl } = options;
  const world = await createWorld({ keep: true, ...(databaseUrl && { databaseUrl }) });
  const dir = mkdtempSync(join(tmpdir(), 'uc-images-'));
  const identity = createIdentity(world, { region: 'RegionOne' });
  await identity.ensureAdmin('swordfish');
  const blobs = options.blobs ?? diskBlobs(join(dir, 'blobs'));
  const used: string[] = [];
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const images = createImages(world, {
    blobs,
    workDir: join(dir, 'work'),
    ...(options.limits && { limits: options.limits }),
    signingKey: privateKey,
    linkKey: Buffer.from('key'),
    deliveryUrl: '',
    authenticate: (token, id) => identity.authenticate(token, id),
    users: async () => used,
  });
  const api = createApi();
  api.register(identity.routes, { prefix: '/identity' });
  api.register(images.routes, { prefix: '/image' });
  api.register(images.deliveryRoutes);
  const listener = await listen(api, { host: '127.0.0.1', port: 0 });
  const url = `http://127.0.0.1:${(listener.address as AddressInfo).port}`;
  return {
    world,
    dir,
    images,
    blobs,
    url,
    used,
    imageKey: publicKey,
    token: await adminToken(url),
    async close() {
      await listener.close();
      await api.close();
      await world.close();
      rmSync(dir, { recursive: true });
    },
  };
}

async function adminToken(url: string): Promise<string> {
  const domain = { id: 'default' };
  const password = { user: { name: 'admin', domain, password: 'swordfish' } };
  const auth = { identity: { methods: ['password'], password }, scope: { project: { name: 'admin', domain } } };
  const answer = await fetch(`${url}/identity/v3/auth/tokens`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ auth }),
  });
  return answer.headers.get('x-subject-token') ?? '';
}
