/**
 * Secrets at rest: AES-256-GCM under a key that the database does not hold (keys/secrets.key in the state directory).
 * The owner's name is bound in as associated data, so that a sealed value moved to another row does not open.
 */
import { createCipheriv, createDecipheriv, createSecretKey, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fault } from './errors/index.ts';

export interface Secrets {
  seal(plain: string, owner: string): string;
  /** @throws Fault `secret-unreadable` */
  open(sealed: string, owner: string): string;
}

export const secretKeyBytes = 32;

export function readSecrets(keyFile: string): Secrets {
  return createSecrets(Buffer.from(readFileSync(keyFile, 'utf8').trim(), 'base64'));
}

export function createSecrets(key: Buffer): Secrets {
  if (key.length !== secretKeyBytes)
    throw fault('secret-unreadable', { owner: 'everything (the key file is damaged)' });
  const secret = createSecretKey(key);
  // Random bytes by the thousand: one call of the system's generator for each seal costs as much as the sealing.
  let pool = Buffer.alloc(0);
  let used = 0;
  const nonce = (): Buffer => {
    if (used + 12 > pool.length) {
      pool = randomBytes(12 * 512);
      used = 0;
    }
    used += 12;
    return pool.subarray(used - 12, used);
  };
  return {
    seal(plain, owner) {
      const iv = nonce();
      const cipher = createCipheriv('aes-256-gcm', secret, iv).setAAD(Buffer.from(owner));
      const body = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()]);
      return `v1:${Buffer.concat([iv, cipher.getAuthTag(), body]).toString('base64')}`;
    },
    open(sealed, owner) {
      const bytes = Buffer.from(sealed.startsWith('v1:') ? sealed.slice(3) : '', 'base64');
      if (bytes.length < 28) throw fault('secret-unreadable', { owner });
      try {
        const decipher = createDecipheriv('aes-256-gcm', secret, bytes.subarray(0, 12)).setAAD(Buffer.from(owner));
        decipher.setAuthTag(bytes.subarray(12, 28));
        return decipher.update(bytes.subarray(28), undefined, 'utf8') + decipher.final('utf8');
      } catch (error) {
        throw fault('secret-unreadable', { owner }, error);
      }
    },
  };
}
