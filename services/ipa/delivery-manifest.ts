/**
 * What the undercloud vouches for when it gives an image to a node: which image this is, how large it is, and by which
 * checksums its index (and through it every chunk) or its plain stream is known. Signed with Ed25519 (RFC 8032) when the image is
 * registered; the agent checks it with a key that came with its ramdisk. It names the image's id, which no builder knows, so
 * a good manifest of another image is refused as well.
 *
 * The text is kept and sent as it was signed: nobody has to write JSON the same way twice.
 */
import { createHash, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { object, optional, ProtocolError, sha256, shown, text, whole } from './field.ts';

/** Names what the signature is about: the same key signs the builder's manifests (undercloud.image/1) and bundles. */
export const DELIVERY_FORMAT = 'undercloud.delivery/1';
/** Bytes; the fields take some 600. */
export const DELIVERY_MAX = 16_384;

export interface DeliveryManifest {
  format: typeof DELIVERY_FORMAT;
  /** The image's id in the store. */
  image: string;
  name: string;
  /** Bytes of the raw disk; 0 where a stream is not inspected. */
  size: number;
  index?: { sha256: string; bytes: number };
  /** The plain stream, of its bytes as they are downloaded. */
  stream?: { diskFormat: string; algorithm: string; value: string };
}

/** As it travels. */
export interface SignedManifest {
  /** The manifest's JSON, exactly as it was signed. */
  text: string;
  /** Ed25519 over the text's UTF-8 bytes, base64. */
  signature: string;
  /** Which key: see `keyIdOf`. */
  key_id: string;
}

/** First 16 hexadecimal digits of the sha256 of the public key's DER (SubjectPublicKeyInfo), for people and logs. */
export function keyIdOf(key: KeyObject): string {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  return createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex')
    .slice(0, 16);
}

export function signManifest(manifest: DeliveryManifest, key: KeyObject): SignedManifest {
  const written = JSON.stringify(manifest);
  return { text: written, signature: sign(null, Buffer.from(written), key).toString('base64'), key_id: keyIdOf(key) };
}

export function readSignedManifest(value: unknown, what: string): SignedManifest {
  const signed = object(value, what);
  return {
    text: text(signed.text, `${what}.text`, DELIVERY_MAX),
    signature: text(signed.signature, `${what}.signature`, 128),
    key_id: text(signed.key_id, `${what}.key_id`, 64),
  };
}

export class ManifestError extends Error {
  override name = 'ManifestError';
}

/**
 * The manifest of image `id`, when it is one that `key` signed.
 * @throws ManifestError with a sentence: signed by another key, changed since, of another image, no manifest at all
 */
export function openManifest(signed: SignedManifest, key: KeyObject, id: string): DeliveryManifest {
  const trusted = keyIdOf(key);
  if (signed.key_id !== trusted)
    throw new ManifestError(
      `The manifest of image ${id} is signed by key ${signed.key_id}, and this ramdisk trusts ${trusted} alone: it was signed by somebody else, or the undercloud's key was changed after this node booted. Boot the node again; if that does not help, register the image again.`,
    );
  const signature = Buffer.from(signed.signature, 'base64');
  if (signature.length !== 64 || !verify(null, Buffer.from(signed.text), key, signature))
    throw new ManifestError(
      `The manifest of image ${id} does not fit its signature by key ${trusted}: it was changed after it was signed. Register the image again.`,
    );
  const manifest = read(signed.text, id);
  if (manifest.image !== id)
    throw new ManifestError(
      `The manifest given for image ${id} is that of image ${manifest.image} (${manifest.name}): manifests were swapped.`,
    );
  return manifest;
}

function read(written: string, id: string): DeliveryManifest {
  try {
    const given = object(JSON.parse(written), 'the manifest');
    if (given.format !== DELIVERY_FORMAT)
      throw new ProtocolError(`its format is ${shown(given.format)}, and this agent knows ${DELIVERY_FORMAT}.`);
    const index = optional(given.index, 'index', (value, what) => {
      const { sha256: sum, bytes } = object(value, what);
      return { sha256: sha256(sum, `${what}.sha256`), bytes: whole(bytes, `${what}.bytes`, 1) };
    });
    const stream = optional(given.stream, 'stream', (value, what) => {
      const { diskFormat, algorithm, value: sum } = object(value, what);
      return {
        diskFormat: text(diskFormat, `${what}.diskFormat`, 32),
        algorithm: text(algorithm, `${what}.algorithm`, 16),
        value: text(sum, `${what}.value`, 128).toLowerCase(),
      };
    });
    return {
      format: DELIVERY_FORMAT,
      image: text(given.image, 'image', 1024),
      name: text(given.name, 'name', 1024),
      size: whole(given.size, 'size'),
      ...(index && { index }),
      ...(stream && { stream }),
    };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.replace(/\.$/, '') : String(cause);
    throw new ManifestError(`The manifest of image ${id} is well signed and cannot be used: ${why}.`, { cause });
  }
}
