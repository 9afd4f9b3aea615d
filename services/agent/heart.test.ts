import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createHeart } from './heart.ts';
import { UndercloudError } from './undercloud-client.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

function beating(faults: (Error | undefined)[] = []) {
  const beats: number[] = [];
  const start = performance.now();
  const heart = createHeart({
    heartbeatTimeout: 300,
    gapMs: 5000,
    random: () => 0.5,
    log: () => {},
    send: async () => {
      beats.push(Math.round((performance.now() - start) / 100) / 10);
      const fault = faults.shift();
      if (fault) throw fault;
    },
  });
  return { beats, heart };
}

describe('the heart', () => {
  it('beats at once, then every 0.3 to 0.6 of the time-out', async () => {
    const { beats, heart } = beating();
    await vi.advanceTimersByTimeAsync(300_000);
    expect(beats).toEqual([0, 135, 270]);
    heart.stop();
    await vi.advanceTimersByTimeAsync(300_000);
    expect(beats).toHaveLength(3);
  });

  it('beats soon when asked, but never twice within the gap, and many asks are one', async () => {
    const { beats, heart } = beating();
    await vi.advanceTimersByTimeAsync(1000);
    heart.soon();
    heart.soon();
    await vi.advanceTimersByTimeAsync(20_000);
    expect(beats).toEqual([0, 5]);
    heart.soon();
    await vi.advanceTimersByTimeAsync(20_000);
    expect(beats).toEqual([0, 5, 21]);
    heart.stop();
  });

  it('tries again soon after a refusal, and is not hurried by one', async () => {
    const { beats, heart } = beating([new UndercloudError('locked', 409), new UndercloudError('gone', 0)]);
    await vi.advanceTimersByTimeAsync(40_000);
    expect(beats).toEqual([0, 7.5, 27.5]);
    await heart.first;
    heart.stop();
  });
});
