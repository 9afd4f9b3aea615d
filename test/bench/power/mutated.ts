/** A million broken packets through the codec, in this process: nothing may be thrown, and nothing may be kept. */
import { capturedPackets, decodeEverything, mutate } from '../../../services/ipmi/mutated.fixture.ts';
import { seeded } from '../../../services/ipmi/simulated-network.ts';

export interface MutatedCost {
  readonly packets: number;
  readonly mutatedPerS: number;
  readonly truePerS: number;
  /** Heap after, less before; both after a collection where this process may ask for one. */
  readonly grownMb: number;
}

export function mutatedPackets(count: number): MutatedCost {
  const captured = capturedPackets();
  const random = seeded(11);
  const collect = () => (globalThis as { gc?: () => void }).gc?.();
  for (let i = 0; i < 20_000; i++) decodeEverything(mutate(captured[i % captured.length]!, random), i);
  collect();
  const before = process.memoryUsage().heapUsed;
  const since = performance.now();
  for (let i = 0; i < count; i++) decodeEverything(mutate(captured[i % captured.length]!, random), i);
  const mutatedPerS = (1_000 * count) / (performance.now() - since);
  collect();
  const grownMb = (process.memoryUsage().heapUsed - before) / 1_048_576;
  const again = performance.now();
  const fewer = count / 10;
  for (let i = 0; i < fewer; i++) decodeEverything(captured[i % captured.length]!, i);
  return { packets: count, mutatedPerS, truePerS: (1_000 * fewer) / (performance.now() - again), grownMb };
}
