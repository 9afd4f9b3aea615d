/**
 * One process of all that serve a database looks at the BMCs: whoever holds the lease. A second one, with sessions of its own, would use
 * up what few a BMC has, and tell each change twice. Whoever stops gives the lease back; one that dies lets it run out.
 */
import type { Clock } from '../core/clock.ts';
import type { Database } from '../core/database/index.ts';
import { leaveFleet, takeFleet } from './store/power.ts';

/** ms that the lease holds, by the database's clock, and between two renewals. */
const fleetLeaseMs = 20_000;
const renewMs = 10_000;

export interface FleetHolder {
  /** Resolves after the first try. */
  start(): Promise<void>;
  /** Gives the lease back; nothing is called any more. */
  stop(): Promise<void>;
}

export function createFleetHolder(deps: {
  readonly db: Database;
  readonly clock: Clock;
  /** Names this process, and no other. */
  readonly owner: string;
  readonly onHeld: () => Promise<void>;
  readonly onLost: () => void;
}): FleetHolder {
  const { db, clock, owner, onHeld, onLost } = deps;
  let running = false;
  let held = false;
  let cancel = () => {};

  async function tryOnce(): Promise<void> {
    const has = await takeFleet(db, owner, fleetLeaseMs);
    if (!running) return;
    if (held && !has) {
      held = false;
      onLost();
    } else if (has && !held) {
      held = true;
      await onHeld().catch((error) => {
        held = false;
        onLost();
        throw error;
      });
    }
  }

  function later(): void {
    cancel = clock.after(renewMs, () => {
      // Without a database nothing could be written either; it says who holds the lease when it is back.
      tryOnce()
        .catch(() => {})
        .finally(() => running && later());
    });
  }

  return {
    async start() {
      running = true;
      await tryOnce();
      if (running) later();
    },
    async stop() {
      running = false;
      cancel();
      if (!held) return;
      held = false;
      onLost();
      await leaveFleet(db, owner).catch(() => {});
    },
  };
}
