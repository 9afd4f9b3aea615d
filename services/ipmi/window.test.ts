import { describe, expect, it } from 'vitest';
import { RoundTripClock } from './rtt.ts';
import { encodeCipherSuites, parseCipherSuites } from './suites.ts';
import { SequenceWindow } from './window.ts';

describe('sequence window', () => {
  it('takes each number once, in any order within 16', () => {
    const window = new SequenceWindow(16);
    expect([3, 1, 2, 3, 1, 16, 2].map((n) => window.accept(n))).toEqual([true, true, true, false, false, true, false]);
    expect(window.accept(0)).toBe(false);
    expect(window.accept(4)).toBe(true);
    expect(window.accept(4)).toBe(false);
  });

  it('forgets nothing it could believe twice', () => {
    const window = new SequenceWindow(0x7fffffff);
    expect(window.accept(1)).toBe(true);
    expect(window.accept(1_000)).toBe(true);
    expect(window.accept(1)).toBe(false);
    expect(window.accept(983)).toBe(false);
    expect(window.accept(984)).toBe(true);
    expect(window.accept(984)).toBe(false);
  });

  it('refuses leaps beyond its reach, as a BMC must', () => {
    const window = new SequenceWindow(16);
    expect(window.accept(17)).toBe(false);
    expect(window.accept(16)).toBe(true);
    expect(window.accept(33)).toBe(false);
    expect(window.accept(32)).toBe(true);
  });

  it('goes on past 2^32', () => {
    const window = new SequenceWindow(0x7fffffff);
    for (const n of [0x7fffffff, 0xfffffff0, 0xffffffff, 1, 2]) expect(window.accept(n)).toBe(true);
    expect(window.accept(0xffffffff)).toBe(false);
  });
});

describe('round trips', () => {
  it('waits a second at first, then as long as this BMC needs, doubling', () => {
    const clock = new RoundTripClock();
    expect([clock.wait(0), clock.wait(1), clock.wait(2), clock.wait(9)]).toEqual([1_000, 2_000, 4_000, 4_000]);
    for (let i = 0; i < 50; i++) clock.measured(2);
    expect(clock.wait(0)).toBe(250);
    for (let i = 0; i < 50; i++) clock.measured(1_500);
    expect(clock.wait(0)).toBeGreaterThanOrEqual(1_500);
  });
});

describe('cipher suite records', () => {
  it('are read as they are written, those of vendors included', () => {
    expect(parseCipherSuites(encodeCipherSuites([3, 17]))).toEqual([3, 17]);
    expect(parseCipherSuites(Buffer.from('c00301418100', 'hex'))).toEqual([3]);
    expect(parseCipherSuites(Buffer.from('c1800a0b0c014181c011034481', 'hex'))).toEqual([0x80, 17]);
    expect(parseCipherSuites(Buffer.from('c0', 'hex'))).toEqual([]);
  });
});
