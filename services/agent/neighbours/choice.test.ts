import { describe, expect, it } from 'vitest';
import type { Frame } from '../chunk-plan.ts';
import { type Choice, createChoice, FROM_NEIGHBOURS } from './choice.ts';

const MIB = 1_048_576;
const frames = (count: number, packed = MIB / 2): Frame[] =>
  Array.from({ length: count }, (_, i) => ({
    ...{ object: 0, offset: i * packed, length: packed, sha256: `${i}`, size: MIB, chunks: [i + 1] },
  }));
/** Numbers that are by no means random, and the same each time. */
function drawn() {
  let state = 1;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}
const choiceOf = (count: number, shared = true): Choice =>
  createChoice(frames(count), { shared, connections: 4, random: drawn() });
const have = (...chunks: number[]): Uint8Array => {
  const map = new Uint8Array(8);
  for (const chunk of chunks) map[chunk >> 3]! |= 1 << (chunk & 7);
  return map;
};
const chunksOf = (span: Frame[] | undefined) => span?.map((frame) => frame.chunks[0]);

describe('what is asked for next', () => {
  it('is, without others, the next 8 MiB in the order of the store', () => {
    const choice = choiceOf(20, false);
    expect(chunksOf(choice.fromStore(0))).toEqual(Array.from({ length: 16 }, (_, i) => i + 1));
    expect(chunksOf(choice.fromStore(0))).toEqual([17, 18, 19, 20]);
    expect(choice.fromStore(0)).toBeUndefined();
    expect(choice.over()).toBe(true);
  });

  it('is, with others, every piece once, in short spans and an order by chance', () => {
    const choice = choiceOf(40);
    const got: number[] = [];
    for (let span = choice.fromStore(0); span; span = choice.fromStore(0)) {
      expect(span.reduce((sum, { length }) => sum + length, 0)).toBeLessThanOrEqual(2 * MIB);
      got.push(...chunksOf(span)!.map(Number));
    }
    expect(got).not.toEqual(got.toSorted((a, b) => a - b));
    expect(got.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
  });

  it('leaves to neighbours what they have, and asks the store for the rest', () => {
    const choice = choiceOf(6);
    choice.heard('n', have(1, 2, 3));
    expect(chunksOf(choice.fromStore(0))?.every((chunk) => Number(chunk) > 3)).toBe(true);
    while (choice.fromStore(0));
    const jobs = [choice.fromNeighbour(0), choice.fromNeighbour(0), choice.fromNeighbour(0)];
    // One neighbour gives two at one time; then the store may help with the third.
    expect(jobs.map((job) => job?.neighbour)).toEqual(['n', 'n', undefined]);
    expect(choice.fromStore(0)).toHaveLength(1);
    expect(choice.over()).toBe(false);
    choice.ended('n');
    choice.ended('n');
    expect(choice.over()).toBe(true);
  });

  it('asks elsewhere for what a neighbour did not give', () => {
    const choice = choiceOf(1);
    choice.heard('n', have(1));
    const job = choice.fromNeighbour(0)!;
    choice.forget('n');
    expect(choice.over()).toBe(false);
    choice.ended('n', job.frame);
    expect(choice.fromNeighbour(0)).toBeUndefined();
    expect(chunksOf(choice.fromStore(0))).toEqual([1]);
  });

  it('wants again only those chunks of a frame that are missing', () => {
    const [shared] = frames(1);
    const choice = createChoice([{ ...shared!, chunks: [1, 5] }], { shared: true, connections: 4, random: drawn() });
    choice.heard('n', have(1, 5));
    const job = choice.fromNeighbour(0)!;
    choice.ended('n', { ...job.frame, chunks: [5] });
    expect(choice.fromNeighbour(0)?.frame.chunks).toEqual([5]);
  });

  it('waits for nobody who says that he is busy', () => {
    const choice = choiceOf(1);
    choice.heard('n', have(1));
    choice.busy('n', 1000);
    expect(choice.fromNeighbour(999)).toBeUndefined();
    expect(chunksOf(choice.fromStore(999))).toEqual([1]);
  });

  it('has a bound of transfers, and fewer connections to the store the more neighbours there are', () => {
    const choice = choiceOf(40);
    expect(choice.storeConnections()).toBe(4);
    for (const name of ['a', 'b', 'c', 'd', 'e']) choice.heard(name, new Uint8Array(8).fill(255));
    expect(choice.storeConnections()).toBe(1);
    const jobs = Array.from({ length: 10 }, () => choice.fromNeighbour(0)).filter(Boolean);
    expect(jobs).toHaveLength(FROM_NEIGHBOURS);
    expect(choice.fromStore(0)).toBeUndefined();
  });

  it('reads a map that is too short as one that ends with nothing', () => {
    const choice = choiceOf(40);
    choice.heard('n', new Uint8Array(0));
    expect(choice.fromNeighbour(0)).toBeUndefined();
  });
});
