/** The signature under every image: made when its bytes have come to rest, kept with its record, checked by the agent. */
import type { KeyObject } from 'node:crypto';
import type { Database, Tx } from '../core/database/index.ts';
import { DELIVERY_FORMAT, type DeliveryManifest, keyIdOf, type SignedManifest, signManifest } from '../ipa/index.ts';
import type { Ground } from './ground.ts';
import type { Image } from './model.ts';
import { imagesToSign, updateImage } from './store/images.ts';

/** Of an image whose checksums and index are those of its bytes; nothing is asked of the store. */
function deliveryOf(image: Image, indexBytes: number | null): DeliveryManifest {
  const index = image.chunk_index_sha256 ?? image.disk_index_sha256;
  return {
    format: DELIVERY_FORMAT,
    image: image.id,
    name: image.name ?? '',
    size: image.virtual_size ?? image.size ?? 0,
    ...(index && indexBytes !== null && { index: { sha256: index, bytes: indexBytes } }),
    ...(image.os_hash_algo &&
      image.os_hash_value && {
        stream: {
          diskFormat: image.disk_format ?? 'raw',
          algorithm: image.os_hash_algo,
          value: image.os_hash_value.toLowerCase(),
        },
      }),
  };
}

/** Signs what the record says now, in the transaction that wrote it. `indexBytes`: of the index's text; null without one. */
export async function vouch(where: Database | Tx, key: KeyObject, image: Image, indexBytes: number | null) {
  const signed = signManifest(deliveryOf(image, indexBytes), key);
  return updateImage(where, image.id, {
    delivery_manifest: signed.text,
    delivery_signature: signed.signature,
    delivery_key_id: signed.key_id,
  });
}

export function signedManifest(image: Image): SignedManifest | null {
  const { delivery_manifest: text, delivery_signature: signature, delivery_key_id: key } = image;
  return text && signature && key ? { text, signature, key_id: key } : null;
}

/**
 * Signs images that an earlier release left unsigned, or that were signed by a key which has been replaced: its old signatures
 * would be refused by every agent. An index is read and checked first. Returns how many were signed.
 */
export async function vouchForOlder(ground: Ground): Promise<number> {
  const { house, signingKey } = ground;
  let signed = 0;
  for (const image of await imagesToSign(house.db, keyIdOf(signingKey))) {
    const index = image.chunk_index_sha256 ?? image.disk_index_sha256;
    const bytes = index ? await ground.indexBytes(index) : null;
    if (await vouch(house.db, signingKey, image, bytes)) signed += 1;
  }
  return signed;
}
