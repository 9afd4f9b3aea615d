import type { Clock } from '../../services/core/clock.ts';

/**
 * Time that only the test moves. Timers fire in their order, each at its own time: with `pass` promises settle between two of them,
 * `leap` fires them all at once.
 */
export function handClock(now = 1_000_000) {
  let waiting: { at: number; fn: () => void }[] = [];
  const clock: Clock = {
    now: () => now,
    after(ms, fn) {
      const one = { at: now + ms, fn };
      waiting.push(one);
      return () => {
        waiting = waiting.filter((other) => other !== one);
      };
    },
  };
  function* fired(ms: number) {
    const until = now + ms;
    for (;;) {
      const next = waiting.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      waiting = waiting.filter((other) => other !== next);
      now = Math.max(now, next.at);
      next.fn();
      yield;
    }
    now = until;
  }
  const pass = async (ms: number) => {
    for (const _ of fired(ms)) await new Promise(setImmediate);
  };
  const leap = (ms: number) => {
    for (const _ of fired(ms));
  };
  return { clock, pass, leap };
}
