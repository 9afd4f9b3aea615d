import type { Clock } from '../../services/core/clock.ts';

/** Time that only the test moves; promises settle between two timers. */
export function handClock() {
  let now = 1_000_000;
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
  const pass = async (ms: number) => {
    const until = now + ms;
    for (;;) {
      const next = waiting.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      waiting = waiting.filter((other) => other !== next);
      now = Math.max(now, next.at);
      next.fn();
      await new Promise(setImmediate);
    }
    now = until;
  };
  return { clock, pass };
}
