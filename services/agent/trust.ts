/**
 * Whether an image is one that the undercloud vouches for, checked before the disk is touched. The key lies in the ramdisk beside
 * the CA, in the same archive: who can change the one can change the other, and whoever has neither cannot get an image onto
 * a disk, wherever its bytes come from. A ramdisk without the key (a stock undercloud's) trusts its conductor as IPA does.
 */
import { createPublicKey, hash, type KeyObject } from 'node:crypto';
import {
  CHUNK_INDEX_MAX_BYTES,
  type ChunkIndex,
  type DeliveryManifest,
  type ImageInfo,
  ManifestError,
  openManifest,
  parseChunkIndex,
} from '../ipa/index.ts';
import { AgentFailure, imageFailure, reasonOf } from './failure.ts';
import type { Fetcher } from './fetcher.ts';

/** Of /etc/undercloud/signing.pem. @throws Error with a sentence where it is no Ed25519 key */
export function imageKey(pem: string): KeyObject {
  try {
    const key = createPublicKey(pem);
    if (key.asymmetricKeyType === 'ed25519') return key;
  } catch {
    // Told below.
  }
  throw new Error(
    'The key for images that came with this ramdisk is no Ed25519 public key in PEM: boot the node again.',
  );
}

function refused(message: string, cause?: unknown): AgentFailure {
  return new AgentFailure('ImageSignatureError', message, { cause });
}

/** Undefined without a key. @throws AgentFailure where the image is not vouched for, or not as it is given */
export function vouchedFor(info: ImageInfo, key: KeyObject | undefined): DeliveryManifest | undefined {
  if (!key) return undefined;
  if (!info.manifest)
    throw refused(
      `Image ${info.id} comes without a signed manifest, and this ramdisk writes no image that its undercloud does not vouch for: register the image again.`,
    );
  let manifest: DeliveryManifest;
  try {
    manifest = openManifest(info.manifest, key, info.id);
  } catch (cause) {
    throw cause instanceof ManifestError ? refused(cause.message, cause) : cause;
  }
  if (info.chunks) {
    if (!manifest.index) throw refused(`The manifest of image ${info.id} names no chunk index, and one was given.`);
    if (manifest.index.sha256 !== info.chunks.index_sha256)
      throw refused(
        `Image ${info.id} was given with the chunk index ${info.chunks.index_sha256}, and its manifest names ${manifest.index.sha256}: the indexes were swapped.`,
      );
    return manifest;
  }
  const { stream } = manifest;
  if (!stream)
    throw refused(`The manifest of image ${info.id} vouches for no plain stream, and nothing else was given.`);
  if (
    stream.diskFormat !== info.disk_format ||
    stream.algorithm !== info.hash?.algorithm ||
    stream.value !== info.hash.value
  )
    throw refused(
      `Image ${info.id} was given as ${info.disk_format} with ${info.hash ? `${info.hash.algorithm} ${info.hash.value}` : 'no checksum'}, and its manifest says ${stream.diskFormat} with ${stream.algorithm} ${stream.value}.`,
    );
  return manifest;
}

/** The index, fetched and verified, with the URL of each of its objects. */
export async function fetchIndex(
  info: ImageInfo,
  manifest: DeliveryManifest | undefined,
  fetcher: Fetcher,
  signal: AbortSignal,
): Promise<{ index: ChunkIndex; urls: string[] }> {
  const chunks = info.chunks!;
  const bytes = manifest?.index?.bytes;
  const text = await fetcher.bytes(chunks.index_url, { most: CHUNK_INDEX_MAX_BYTES }, signal);
  if (bytes !== undefined && text.length < bytes)
    throw new AgentFailure(
      'ImageChecksumError',
      `The chunk index of image ${info.id} is truncated: it has ${text.length} bytes, and its manifest says ${bytes}.`,
    );
  const sum = hash('sha256', text, 'hex');
  if (sum !== chunks.index_sha256)
    throw new AgentFailure(
      'ImageChecksumError',
      `wrong checksum of the chunk index of image ${info.id}: sha256 is ${sum}, expected ${chunks.index_sha256}.`,
    );
  let index: ChunkIndex;
  try {
    index = parseChunkIndex(text);
  } catch (cause) {
    throw imageFailure(reasonOf(cause), cause);
  }
  const urls = index.objects.map(({ name }) => {
    const url = chunks.objects[name];
    if (url === undefined)
      throw imageFailure(`The chunk index of image ${info.id} names object ${name}, and no URL was given for it.`);
    return url;
  });
  return { index, urls };
}
