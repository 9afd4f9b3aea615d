import { describe, expect, it } from 'vitest';
import { seeded } from './captured.fixture.ts';
import { FreeList, LARGEST_POOL } from './free-list.ts';

describe('free list', () => {
  it('gives in order, and what came back last', () => {
    const list = new FreeList([
      { from: 10, to: 11 },
      { from: 20, to: 21 },
    ]);
    expect([list.take(), list.take(), list.take()]).toEqual([10, 11, 20]);
    list.give(10);
    list.give(10);
    list.give(99);
    expect(list.free).toBe(2);
    expect([list.take(), list.take(), list.take()]).toEqual([21, 10, undefined]);
  });

  it('takes a certain address once', () => {
    const list = new FreeList([{ from: 10, to: 12 }]);
    expect([list.remove(11), list.remove(11), list.remove(9)]).toEqual([true, false, false]);
    expect([list.has(10), list.has(11), list.covers(11), list.covers(13)]).toEqual([true, false, true, false]);
    expect([list.take(), list.take(), list.take()]).toEqual([10, 12, undefined]);
  });

  it('agrees with a plain array through 20,000 random steps', () => {
    const random = seeded(7);
    const list = new FreeList([{ from: 0, to: 63 }]);
    let plain = Array.from({ length: 64 }, (_, i) => i);
    for (let step = 0; step < 20_000; step++) {
      const address = Math.floor(random() * 64);
      const what = random();
      if (what < 0.3) {
        expect(list.take()).toBe(plain.shift());
      } else if (what < 0.5) {
        expect(list.remove(address)).toBe(plain.includes(address));
        plain = plain.filter((other) => other !== address);
      } else {
        list.give(address);
        if (!plain.includes(address)) plain.push(address);
      }
      expect(list.free).toBe(plain.length);
    }
  });

  it('holds nothing, and refuses more than it can', () => {
    expect(new FreeList([]).take()).toBe(undefined);
    expect(() => new FreeList([{ from: 0, to: LARGEST_POOL }])).toThrow('cut the pool');
  });
});
