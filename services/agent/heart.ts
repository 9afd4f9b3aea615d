/** When to beat: rarely at rest, at once when something ended, but never twice within the gap (Ironic locks the node for each). */
import { reasonOf } from './failure.ts';
import { UndercloudError } from './undercloud-client.ts';

export interface HeartOptions {
  send(): Promise<void>;
  /** Seconds after which the conductor gives the agent up. */
  heartbeatTimeout: number;
  /** Shortest time between two beats. */
  gapMs: number;
  random(): number;
  log(line: string): void;
}

export interface Heart {
  /** Resolves with the first beat that was taken. */
  first: Promise<void>;
  /** Beats as soon as the gap allows. */
  soon(): void;
  stop(): void;
}

export function createHeart({ send, heartbeatTimeout, gapMs, random, log }: HeartOptions): Heart {
  let timer: NodeJS.Timeout | undefined;
  let due = 0;
  let last = Number.NEGATIVE_INFINITY;
  let beating = false;
  let again = false;
  let stopped = false;
  let taken = () => {};
  const first = new Promise<void>((resolve) => {
    taken = resolve;
  });

  function at(when: number) {
    if (stopped) return;
    clearTimeout(timer);
    due = when;
    timer = setTimeout(beat, Math.max(0, when - performance.now()));
  }

  async function beat() {
    beating = true;
    again = false;
    last = performance.now();
    let pause: number;
    try {
      await send();
      taken();
      pause = heartbeatTimeout * 1000 * (0.3 + 0.3 * random());
    } catch (error) {
      if (!stopped) log(`heartbeat: ${reasonOf(error)}`);
      // 409: the node is locked by its conductor, and the stock agent's pause is 5 to 10 s.
      const busy = error instanceof UndercloudError && error.status === 409;
      pause = gapMs * (busy ? 1 + random() : 2 + 4 * random());
    }
    beating = false;
    at(again ? last + gapMs : performance.now() + pause);
  }

  at(0);
  return {
    first,
    soon() {
      if (beating) again = true;
      else if (due > last + gapMs) at(Math.max(performance.now(), last + gapMs));
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
