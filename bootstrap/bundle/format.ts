/**
 * A bundle: one file with all that a machine without a network needs. Segments, one a part, each a packed tar, the program first; then the index,
 * which names every segment by place, length and sha256; then a trailer of fixed length with the Ed25519 signature (RFC 8032) over the
 * index. So it is written in one pass, and read in bounded memory: trailer, index, signature, then each segment's checksum, and
 * only then is anything unpacked.
 */
import { createHash, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';

export const HEAD = Buffer.from('undercloud-bundle\n');
const END = Buffer.from('undercloud-end/1');
const SPKI_BYTES = 44;
const SIGNATURE_BYTES = 64;
export const TRAILER_BYTES = 8 + 4 + SIGNATURE_BYTES + SPKI_BYTES + END.length;
/** Bytes; the parts take some 200 each. */
const INDEX_MAX = 1024 * 1024;

/** What a bundle may hold, in the order in which it is written and unpacked. */
export const bundleParts = {
  program: 'this program with its modules and its Node',
  boot: 'boot loaders and deploy ramdisks',
  images: 'built images with their manifests and signatures',
  packages: 'the builder’s package store',
  debian: 'Debian packages that bootstrap installs, with all they depend on',
  elements: 'elements from elsewhere',
} as const;
export type BundlePart = keyof typeof bundleParts;

export interface Segment {
  part: BundlePart;
  /** Bytes, of the packed tar. */
  offset: number;
  length: number;
  sha256: string;
  /** Default: zstd. The program comes by gzip: a bare Debian, where it has to be unpacked by hand, knows no other. */
  packing?: 'gzip' | 'zstd';
  files: number;
  /** Of the files, unpacked. */
  bytes: number;
}

export interface BundleIndex {
  format: 'undercloud.bundle/1';
  /** Seconds since 1970. */
  made: number;
  /** The program's commit, where it is known. */
  version: string | null;
  segments: Segment[];
}

/** The message says what is wrong with the file, without its name and without a full stop. */
export class BundleError extends Error {
  override name = 'BundleError';
}

/** sha256 of the public key's DER (SubjectPublicKeyInfo), 64 hexadecimal digits: what people compare. */
export function fingerprint(key: KeyObject): string {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  return createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex');
}

/** Index and trailer, for the end of a file whose segments end at `at`. */
export function sealed(index: BundleIndex, at: number, key: KeyObject): Buffer {
  const text = Buffer.from(JSON.stringify(index));
  const places = Buffer.alloc(12);
  places.writeBigUInt64BE(BigInt(at), 0);
  places.writeUInt32BE(text.length, 8);
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' });
  return Buffer.concat([text, places, sign(null, text, key), spki, END]);
}

export interface Trailer {
  indexAt: number;
  indexBytes: number;
  signature: Buffer;
  key: KeyObject;
}

/** @throws BundleError */
export function readTrailer(bytes: Buffer, fileBytes: number): Trailer {
  if (bytes.length !== TRAILER_BYTES || !bytes.subarray(-END.length).equals(END))
    throw new BundleError('it does not end as a bundle does: it was cut short, or it is none');
  const indexAt = Number(bytes.readBigUInt64BE(0));
  const indexBytes = bytes.readUInt32BE(8);
  if (indexBytes > INDEX_MAX || indexAt + indexBytes + TRAILER_BYTES !== fileBytes)
    throw new BundleError(
      `its trailer says ${indexAt + indexBytes + TRAILER_BYTES} bytes, and it has ${fileBytes}: something was cut out of it or added to it`,
    );
  try {
    const der = bytes.subarray(12 + SIGNATURE_BYTES, 12 + SIGNATURE_BYTES + SPKI_BYTES);
    const key = createPublicKey({ key: der, type: 'spki', format: 'der' });
    if (key.asymmetricKeyType !== 'ed25519') throw new Error('of another kind');
    return { indexAt, indexBytes, signature: bytes.subarray(12, 12 + SIGNATURE_BYTES), key };
  } catch (cause) {
    throw new BundleError('its trailer holds no Ed25519 key', { cause });
  }
}

/** @throws BundleError */
export function openIndex(text: Buffer, trailer: Trailer): BundleIndex {
  if (!verify(null, text, trailer.key, trailer.signature))
    throw new BundleError('its index does not fit its signature: it was changed after it was signed');
  let index: BundleIndex;
  try {
    index = JSON.parse(text.toString('utf8')) as BundleIndex;
  } catch (cause) {
    throw new BundleError('its index is no JSON', { cause });
  }
  // The same key signs manifests of images: one of those is no index.
  if (index.format !== 'undercloud.bundle/1' || !Array.isArray(index.segments))
    throw new BundleError(`its format is ${JSON.stringify(index.format)}, and this program knows undercloud.bundle/1`);
  let at = HEAD.length;
  for (const segment of index.segments) {
    const { packing = 'zstd' } = segment;
    const known =
      Object.hasOwn(bundleParts, segment.part) &&
      /^[0-9a-f]{64}$/.test(segment.sha256) &&
      ['gzip', 'zstd'].includes(packing);
    if (!known || segment.offset !== at || !Number.isSafeInteger(segment.length) || segment.length < 1)
      throw new BundleError(`its index names a segment ${JSON.stringify(segment.part)} that cannot be`);
    at += segment.length;
  }
  if (at !== trailer.indexAt)
    throw new BundleError(`its segments end at byte ${at}, and its index begins at ${trailer.indexAt}`);
  return index;
}
