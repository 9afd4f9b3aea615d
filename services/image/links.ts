/** Links by which a node fetches an image's bytes without credentials: they name one blob, expire, and are signed. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../core/clock.ts';
import { fault } from '../core/errors/index.ts';

export interface Links {
  /** `path?expires=…&signature=…` */
  sign(path: string, seconds: number): string;
  /** @throws Fault `image-link-refused` */
  check(path: string, query: { expires?: string; signature?: string }): void;
}

export function createLinks(key: Buffer, clock: Clock): Links {
  const signature = (path: string, expires: number) =>
    createHmac('sha256', key).update(`${path}\n${expires}`).digest('base64url');
  return {
    sign(path, seconds) {
      const expires = Math.floor(clock.now() / 1000) + seconds;
      return `${path}?expires=${expires}&signature=${signature(path, expires)}`;
    },
    check(path, query) {
      const expires = Number(query.expires);
      const given = Buffer.from(query.signature ?? '', 'base64url');
      const expected = Buffer.from(signature(path, expires), 'base64url');
      if (!Number.isInteger(expires) || given.length !== expected.length || !timingSafeEqual(given, expected)) {
        throw fault('image-link-refused', { what: path, reason: 'its signature is wrong' });
      }
      if (expires * 1000 < clock.now()) throw fault('image-link-refused', { what: path, reason: 'it has expired' });
    },
  };
}
