/**
 * Password hashes: scrypt, in libuv's thread pool behind a bounded queue of its own, so that a flood of log-ins neither
 * blocks the event loop nor takes every pool thread from disk work.
 */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { fault } from '../core/errors/index.ts';

/** OWASP's scrypt parameters for interactive log-in; `light` is for generated 256-bit secrets, which need no stretching. */
const costs = { human: { N: 2 ** 15, r: 8, p: 1 }, light: { N: 2 ** 10, r: 8, p: 1 } } as const;
const keyBytes = 32;
const atOnce = 2;
const queueLimit = 200;

let running = 0;
const waiting: (() => void)[] = [];

async function derive(password: string, salt: Buffer, N: number, r: number, p: number): Promise<Buffer> {
  if (waiting.length >= queueLimit) throw fault('too-many-logins', { waiting: waiting.length });
  if (running >= atOnce) await new Promise<void>((resolve) => waiting.push(resolve));
  running += 1;
  try {
    return await new Promise((resolve, reject) => {
      const maxmem = 256 * N * r;
      scrypt(password, salt, keyBytes, { N, r, p, maxmem }, (error, key) => (error ? reject(error) : resolve(key)));
    });
  } finally {
    running -= 1;
    waiting.shift()?.();
  }
}

export async function hashPassword(password: string, cost: keyof typeof costs = 'human'): Promise<string> {
  const { N, r, p } = costs[cost];
  const salt = randomBytes(16);
  const key = await derive(password, salt, N, r, p);
  return ['scrypt', N, r, p, salt.toString('base64'), key.toString('base64')].join('$');
}

/** False also for a user without a password; takes as long as for one with. */
export async function verifyPassword(password: string, stored: string | null): Promise<boolean> {
  const [, N, r, p, salt, key] = (stored ?? decoy).split('$');
  const expected = Buffer.from(key ?? '', 'base64');
  const actual = await derive(password, Buffer.from(salt ?? '', 'base64'), Number(N), Number(r), Number(p));
  return stored !== null && expected.length === actual.length && timingSafeEqual(expected, actual);
}

/** What an unknown user's password is compared with, so that the answer's time does not tell who exists. */
const decoy = [
  'scrypt',
  costs.human.N,
  costs.human.r,
  costs.human.p,
  Buffer.alloc(16).toString('base64'),
  Buffer.alloc(keyBytes).toString('base64'),
].join('$');
