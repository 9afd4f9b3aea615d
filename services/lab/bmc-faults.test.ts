import { describe, expect, it } from 'vitest';
import { changedFaults, faultless, faultRows, faultsOfSeed, faultWords } from './bmc-faults.ts';

describe('faults of a lab BMC', () => {
  it('come out of a seed, the same each time, and every kind in some node', () => {
    expect(faultsOfSeed(7, 1)).toEqual(faultsOfSeed(7, 1));
    expect(faultsOfSeed(7, 1)).not.toEqual(faultsOfSeed(7, 2));
    expect(faultsOfSeed(8, 1)).not.toEqual(faultsOfSeed(7, 1));
    const seen = new Set(Array.from({ length: 100 }, (_, index) => faultWords(faultsOfSeed(1, index + 1))).flat());
    const names = new Set([...seen].map((word) => word.split('=')[0]));
    for (const [name, { seeded }] of Object.entries(faultRows)) if (seeded) expect(names).toContain(name);
    expect([...seen]).toEqual(expect.arrayContaining(['boot=forgets', 'boot=ignores']));
    for (const index of [1, 2, 3]) {
      const faults = faultsOfSeed(42, index);
      // As it is told, it can be typed.
      expect(changedFaults('n', faultless, faultWords(faults))).toEqual(faults);
    }
  });

  it('are changed by words, and taken away', () => {
    const faults = changedFaults('n', faultless, ['loss=0.25', 'deaf=on', 'boot=ignores', 'stallMs=500']);
    expect(faultWords(faults)).toEqual(['loss=0.25', 'stallMs=500', 'deaf=on', 'boot=ignores']);
    expect(faultWords(changedFaults('n', faults, ['none', 'noise=1']))).toEqual(['noise=1']);
  });

  it.each([
    'loss',
    'loss=',
    'loss=2',
    'loss=-0.1',
    'loss=a',
    'deaf=yes',
    'boot=sometimes',
    'toString=1',
    '__proto__=1',
    'stallMs=1e9',
  ])('refuses %s', (word) => {
    expect(() => changedFaults('node-1', faultless, [word])).toThrow(/The BMC of lab node node-1 has no fault/);
  });
});
