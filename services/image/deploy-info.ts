/** What a deploy is told of an image: where its verified chunks are, and the same disk as a plain stream for a stock agent. */
import { systemContext } from '../core/context.ts';
import { fault } from '../core/errors/index.ts';
import type { SignedManifest } from '../ipa/index.ts';
import { keys } from './blobs/index.ts';
import { find, type Ground, subject } from './ground.ts';
import type { Image } from './model.ts';
import { signedManifest } from './vouching.ts';

export interface DeployInfo {
  /** The image's id, which its manifest names. */
  readonly id: string;
  readonly name: string;
  /** What this undercloud vouches for, signed. */
  readonly manifest: SignedManifest;
  /** Bytes of the raw disk. */
  readonly size: number;
  readonly disk_format: string;
  readonly os_hash_algo: string;
  readonly os_hash_value: string;
  readonly index_url?: string;
  readonly index_sha256?: string;
  /** URL of each packed object by its name in the index. */
  readonly objects?: Readonly<Record<string, string>>;
  /** Where agents that write this image learn of each other. */
  readonly neighbours_url?: string;
  /** The whole image in its disk format. */
  readonly stream_url: string;
  readonly kexec?: { readonly kernel: string; readonly initrd: string; readonly cmdline: string };
}

/** @throws Fault `image-without-data`, `image-converting`, `image-not-converted` */
export async function deployInfo(ground: Ground, imageId: string, ttl: number): Promise<DeployInfo> {
  const { blobs, links } = ground;
  const image = await find(ground, systemContext('req-deploy'), imageId);
  if (image.status !== 'active') throw fault('image-without-data', { id: image.id });
  const chunks = image.chunk_index_sha256 ?? image.disk_index_sha256;
  if (!chunks) await refuseUnconverted(ground, image);
  const at = (path: string) => `${ground.deliveryUrl ?? ''}${links.sign(path, ttl)}`;
  const link = async (key: string) => (await blobs.url(key, ttl)) ?? at(`/images/blobs/${key}`);
  // Chunks as one stream exist nowhere but here.
  const stored = image.chunk_index_sha256 ? null : await blobs.url(keys.stream(image.id), ttl);
  const manifest = signedManifest(image);
  if (!manifest) throw fault('image-unsigned', { id: image.id });
  const plain = {
    id: image.id,
    manifest,
    name: image.name ?? image.id,
    size: image.virtual_size ?? image.size ?? 0,
    disk_format: image.disk_format ?? 'raw',
    os_hash_algo: image.os_hash_algo ?? 'sha512',
    os_hash_value: image.os_hash_value ?? '',
    stream_url: stored ?? at(`/images/streams/${image.id}`),
  };
  if (!chunks) return plain;
  const index = await ground.index(chunks);
  const objects: Record<string, string> = {};
  for (const object of index.objects) objects[object.name] = await link(keys.object(object.sha256));
  const boot = image.manifest?.boot;
  return {
    ...plain,
    index_url: await link(keys.index(chunks)),
    index_sha256: chunks,
    objects,
    neighbours_url: at(`/images/neighbours/${chunks}`),
    ...(boot && { kexec: { kernel: boot.kernelPath, initrd: boot.initrdPath, cmdline: boot.commandLine } }),
  };
}

/** A raw stream can be written as it comes; any other format has to be a raw disk first. */
async function refuseUnconverted({ house }: Ground, image: Image): Promise<void> {
  if (await house.operations.activity(subject(image.id))) throw fault('image-converting', { id: image.id });
  if (image.disk_format === 'raw') return;
  const last = await house.operations.last(subject(image.id));
  const reason = last?.error?.sentence ?? `it is ${image.disk_format} in a container ${image.container_format}.`;
  throw fault('image-not-converted', { id: image.id, reason });
}
