/** Key pairs of users: the public half is kept, and a private one that is made here is shown once and never kept. */
import { createHash, generateKeyPair } from 'node:crypto';
import { promisify } from 'node:util';
import type { Database, Tx } from '../core/database/index.ts';
import { fault } from '../core/errors/index.ts';
import * as store from './store.ts';

export type Keypair = store.Keypair;

export interface MadeKeypair extends Omit<Keypair, 'created_at'> {
  /** PEM (PKCS #1), only of a pair that was made here. */
  readonly private_key?: string;
}

export interface Keypairs {
  list(userId: string): Promise<Keypair[]>;
  /** @throws Fault `keypair-not-found` */
  find(userId: string, name: string): Promise<Keypair>;
  /** Without a public key a pair is made. @throws Fault `keypair-invalid`, `keypair-exists` */
  create(userId: string, wanted: { name: string; publicKey?: string | undefined }, tx?: Tx): Promise<MadeKeypair>;
  /** False when there is none. */
  delete(userId: string, name: string, tx?: Tx): Promise<boolean>;
}

/** RSA, because that is what clients of Nova expect of a pair that it makes. */
const modulusLength = 3072;
const generate = promisify(generateKeyPair);

export function createKeypairs(db: Database): Keypairs {
  return {
    list: (userId) => store.keypairs(db, userId),
    async find(userId, name) {
      const found = (await store.keypairs(db, userId)).find((one) => one.name === name);
      if (!found) throw fault('keypair-not-found', { name });
      return found;
    },
    async create(userId, { name, publicKey }, tx) {
      const pair = publicKey ? { public_key: publicKey.trim() } : await makePair();
      const [kind, data] = pair.public_key.split(/\s+/);
      if (!kind || !data || !/^(ssh-|ecdsa-|sk-)/.test(kind))
        throw fault('keypair-invalid', { reason: 'it is no OpenSSH public key.' });
      const digest = createHash('md5').update(Buffer.from(data, 'base64')).digest('hex');
      const row = {
        user_id: userId,
        name,
        public_key: pair.public_key,
        fingerprint: (digest.match(/../g) ?? []).join(':'),
        type: 'ssh',
      };
      await store.insertKeypair(tx ?? db, row).catch((error: { code?: string }) => {
        throw error.code === '23505' ? fault('keypair-exists', { name }) : error;
      });
      return { ...row, ...('private_key' in pair && { private_key: pair.private_key }) };
    },
    delete: (userId, name, tx) => store.deleteKeypair(tx ?? db, userId, name),
  };
}

async function makePair(): Promise<{ public_key: string; private_key: string }> {
  const { publicKey, privateKey } = await generate('rsa', { modulusLength });
  const { n = '', e = '' } = publicKey.export({ format: 'jwk' });
  // RFC 4253, 6.6: "ssh-rsa", the exponent, the modulus.
  const blob = Buffer.concat([
    lengthBefore(Buffer.from('ssh-rsa')),
    lengthBefore(positive(Buffer.from(e, 'base64url'))),
    lengthBefore(positive(Buffer.from(n, 'base64url'))),
  ]);
  return {
    public_key: `ssh-rsa ${blob.toString('base64')} generated`,
    private_key: privateKey.export({ type: 'pkcs1', format: 'pem' }) as string,
  };
}

function lengthBefore(bytes: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** RFC 4251, 5: an mpint whose first bit is set gets a zero before it, or it would be negative. */
const positive = (bytes: Buffer): Buffer => ((bytes[0] ?? 0) & 0x80 ? Buffer.concat([Buffer.alloc(1), bytes]) : bytes);
