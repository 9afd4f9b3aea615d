import { describe, expect, it } from 'vitest';
import { bytesContent, PacketCache } from './content.ts';

describe('packet cache', () => {
  it('holds packets while somebody uses their content, and nothing after', async () => {
    const cache = new PacketCache();
    const [one, other] = [bytesContent(new Uint8Array(300_000)), bytesContent(new Uint8Array(10))];
    cache.join(one);
    cache.join(one);
    cache.join(other);
    const span = await cache.span(one, 1468, 1);
    expect([span.firstBlock, span.lastBlock, span.length(1)]).toEqual([1, 128, 1472]);
    expect(cache.span(one, 1468, 128)).toBe(span);
    const last = await cache.span(one, 1468, 205);
    expect([last.lastBlock, last.length(205)]).toEqual([205, 300_000 - 204 * 1468 + 4]);
    await cache.span(other, 512, 1);
    cache.leave(one);
    expect(cache.used).toBe(span.bytes.length + last.bytes.length + 14);
    cache.leave(one);
    expect(cache.used).toBe(14);
    cache.leave(other);
    expect(cache.used).toBe(0);
  });

  it('keeps to its budget, the least used going first', async () => {
    const content = bytesContent(new Uint8Array(1_000_000));
    const size = 128 * (1000 + 4);
    const cache = new PacketCache(2 * size);
    cache.join(content);
    const first = await cache.span(content, 1000, 1);
    await cache.span(content, 1000, 129);
    expect(cache.span(content, 1000, 1)).toBe(first);
    await cache.span(content, 1000, 257);
    expect(cache.used).toBe(2 * size);
    expect(cache.span(content, 1000, 1)).toBe(first);
    expect(cache.span(content, 1000, 129)).toBeInstanceOf(Promise);
  });

  it('forgets what could not be read, so that the next may try again', async () => {
    let works = false;
    const content = {
      ...bytesContent(new Uint8Array(100)),
      read: async (buffer: Uint8Array) => (works ? buffer.length : 0),
    };
    const cache = new PacketCache();
    cache.join(content);
    await expect(cache.span(content, 512, 1)).rejects.toThrow('ends at byte 0');
    expect(cache.used).toBe(0);
    works = true;
    expect((await cache.span(content, 512, 1)).lastBlock).toBe(1);
  });
});
