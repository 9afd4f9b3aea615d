/**
 * Exchanges of machines that are no node's, when there are many: a few a second are told one by one, the others as one event a second
 * for each outcome. A rack of laptops, or a flood, then costs the database no more than a handful of rows.
 */
import type { DhcpEvent } from '../dhcp/index.ts';

type Exchange = Extract<DhcpEvent, { type: 'exchange' }>;

export interface CrowdDeps {
  /** So many a second are told by themselves. */
  readonly perSecond?: number;
  readonly one: (event: Exchange) => void;
  /** For each second and outcome in which more came. */
  readonly many: (outcome: Exchange['outcome'], count: number) => void;
  /** Calls back once after so many milliseconds. */
  readonly after: (ms: number, then: () => void) => () => void;
}

export interface Crowd {
  /** To be called with each exchange that is nobody's. */
  add(event: Exchange): void;
  /** Tells what is counted so far. */
  stop(): void;
}

export function createCrowd({ perSecond = 20, one, many, after }: CrowdDeps): Crowd {
  const counts = new Map<Exchange['outcome'], number>();
  let left = perSecond;
  let cancel: (() => void) | undefined;

  function tell(): void {
    cancel = undefined;
    left = perSecond;
    for (const [outcome, count] of counts) many(outcome, count);
    counts.clear();
  }

  return {
    add(event) {
      cancel ??= after(1000, tell);
      if (left > 0) {
        left--;
        one(event);
      } else counts.set(event.outcome, (counts.get(event.outcome) ?? 0) + event.count);
    },
    stop() {
      cancel?.();
      tell();
    },
  };
}
