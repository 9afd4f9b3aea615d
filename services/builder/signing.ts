import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { BuildError } from './progress.ts';

/** A detached signature: `FILE.sig` beside FILE. */
export interface Signature {
  format: 'undercloud.signature/1';
  algorithm: 'ed25519';
  /** First 16 hexadecimal digits of the sha256 of the public key's DER (SubjectPublicKeyInfo). */
  keyId: string;
  /** Of the file's bytes, base64. */
  signature: string;
}

/** The public half of either half. */
function publicHalf(key: KeyObject): KeyObject {
  return key.type === 'public' ? key : createPublicKey(key);
}

export function keyId(key: KeyObject): string {
  const der = publicHalf(key).export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(der).digest('hex').slice(0, 16);
}

/** Reads an Ed25519 private key in PEM, or makes one when there is none at the path: a builder without an undercloud signs with a key of its own. */
export async function signingKey(path: string): Promise<KeyObject> {
  const pem = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw new BuildError(`The signing key ${path} cannot be read: ${error.message}`);
  });
  if (pem !== undefined) {
    try {
      const key = createPrivateKey(pem);
      if (key.asymmetricKeyType === 'ed25519') return key;
    } catch {
      // Told below.
    }
    throw new BuildError(`${path} is not an Ed25519 private key in PEM: images are signed with one.`);
  }
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  await writeFile(`${path}.pub`, publicKey.export({ type: 'spki', format: 'pem' }));
  return privateKey;
}

export function signBytes(key: KeyObject, bytes: Uint8Array): Signature {
  return {
    format: 'undercloud.signature/1',
    algorithm: 'ed25519',
    keyId: keyId(key),
    signature: sign(null, bytes, key).toString('base64'),
  };
}

/** Whether a signature is one of these bytes by this key. */
export function checkSignature(key: KeyObject, bytes: Uint8Array, signature: Signature): boolean {
  if (signature.format !== 'undercloud.signature/1' || signature.algorithm !== 'ed25519') return false;
  return verify(null, bytes, publicHalf(key), Buffer.from(signature.signature, 'base64'));
}
