/** Time as a port, so that tests move it. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Calls `fn` once after `ms`; the returned function cancels it. Does not keep the process alive. */
  after(ms: number, fn: () => void): () => void;
}

/** setTimeout overflows to 1 ms above 2^31-1 ms (24.8 days), so longer waits are cut and re-armed by whoever looks again. */
const longestTimer = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, fn) {
    const timer = setTimeout(fn, Math.min(Math.max(0, ms), longestTimer));
    timer.unref();
    return () => clearTimeout(timer);
  },
};
