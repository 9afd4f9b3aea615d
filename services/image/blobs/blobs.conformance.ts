/** What every blob store must do. */
import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import type { BlobStore } from './index.ts';

export function blobStoreConformance(name: string, open: () => Promise<BlobStore>): void {
  describe(`${name}: what holds for every blob store`, () => {
    const sha = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
    const key = () => `objects/${randomBytes(8).toString('hex')}`;

    it('gives back what was put, whole and in ranges', async () => {
      const store = await open();
      const bytes = randomBytes(300_000);
      const at = key();
      expect(await store.put(at, Readable.from([bytes.subarray(0, 1000), bytes.subarray(1000)]))).toEqual({
        size: bytes.length,
      });
      expect(await store.stat(at)).toEqual({ size: bytes.length });
      expect(sha(await buffer(await store.get(at)))).toBe(sha(bytes));
      expect(await buffer(await store.get(at, { start: 999, end: 1003 }))).toEqual(bytes.subarray(999, 1004));
    });

    it('takes more than one part in bounded pieces', async () => {
      const store = await open();
      const piece = randomBytes(1024 * 1024);
      const at = key();
      const pieces = 33;
      await store.put(at, Readable.from(Array.from({ length: pieces }, () => piece)));
      expect((await store.stat(at))?.size).toBe(pieces * piece.length);
      const last = await buffer(await store.get(at, { start: 32 * piece.length, end: 33 * piece.length - 1 }));
      expect(last.equals(piece)).toBe(true);
    });

    it('keeps an empty blob', async () => {
      const store = await open();
      const at = key();
      await store.put(at, Readable.from([]));
      expect(await store.stat(at)).toEqual({ size: 0 });
    });

    it('leaves nothing of a put that failed, and the former blob as it was', async () => {
      const store = await open();
      const at = key();
      async function* broken() {
        yield randomBytes(1000);
        throw new Error('the client went away');
      }
      await expect(store.put(at, Readable.from(broken()))).rejects.toThrow(/went away/);
      expect(await store.stat(at)).toBeNull();
      await store.put(at, Readable.from([Buffer.from('first')]));
      await expect(store.put(at, Readable.from(broken()))).rejects.toThrow();
      expect((await buffer(await store.get(at))).toString()).toBe('first');
    });

    it('asks no more of a source that it cannot store, and takes one that is broken already', async () => {
      const store = await open();
      const at = key();
      const source = new Readable({ read() {} });
      source.on('error', () => {});
      source.destroy(new Error('the client went away'));
      await expect(store.put(at, source)).rejects.toThrow(/went away/);
      expect(await store.stat(at)).toBeNull();
      async function* late() {
        for (let piece = 0; piece < 20; piece += 1) yield Buffer.alloc(1024 * 1024, piece);
        throw new Error('the client went away');
      }
      await expect(store.put(at, Readable.from(late()))).rejects.toThrow(/went away/);
      expect(await store.stat(at)).toBeNull();
    });

    it('shows a blob to nobody before it is whole', async () => {
      const store = await open();
      const at = key();
      const seen: unknown[] = [];
      async function* looking() {
        for (let piece = 0; piece < 3; piece += 1) {
          yield randomBytes(9 * 1024 * 1024);
          seen.push(await store.stat(at));
        }
      }
      expect(await store.put(at, Readable.from(looking()))).toEqual({ size: 27 * 1024 * 1024 });
      expect(seen).toEqual([null, null, null]);
    });

    it('takes no folder for a blob', async () => {
      const store = await open();
      await store.put('objects/ab/cd', Readable.from([Buffer.from('x')]));
      expect(await store.stat('objects/ab')).toBeNull();
      await expect(store.get('objects/ab')).rejects.toThrow(/there is none/);
    });

    it('overwrites, deletes, deletes again, and says what is not there', async () => {
      const store = await open();
      const at = key();
      await store.put(at, Readable.from([Buffer.from('one')]));
      await store.put(at, Readable.from([Buffer.from('second')]));
      expect((await buffer(await store.get(at))).toString()).toBe('second');
      await store.delete(at);
      await store.delete(at);
      expect(await store.stat(at)).toBeNull();
      await expect(store.get(at)).rejects.toThrow(/there is none/);
    });

    it('lists what lies below a prefix, and nothing beside it', async () => {
      const store = await open();
      const id = randomBytes(8).toString('hex');
      const sizes = Array.from({ length: 3 }, (_, number) => number + 1);
      for (const size of sizes) await store.put(`objects/${id}/${size}`, Readable.from([Buffer.alloc(size)]));
      await store.put(`indexes/${id}`, Readable.from([Buffer.from('x')]));
      const listed: { key: string; size: number }[] = [];
      for await (const { key, size, modified } of store.list(`objects/${id}/`)) {
        expect(Math.abs(Date.now() - modified)).toBeLessThan(600_000);
        listed.push({ key, size });
      }
      expect(listed.sort((a, b) => a.size - b.size)).toEqual(
        sizes.map((size) => ({ key: `objects/${id}/${size}`, size })),
      );
      for await (const { key } of store.list('staged/none/')) expect.unreachable(key);
      await store.dropAbandoned(0);
      expect(await store.stat(`objects/${id}/1`)).toEqual({ size: 1 });
    });

    it('refuses keys that could leave its place', async () => {
      const store = await open();
      for (const bad of ['../x', '/etc/passwd', 'a//b', 'objects/..', 'a\\b', '']) {
        await expect(store.put(bad, Readable.from([Buffer.from('x')])), bad).rejects.toThrow(/no proper key/);
      }
    });
  });
}
