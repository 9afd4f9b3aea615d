/**
 * Power states of all nodes, looked at again and again over kept sessions. Each BMC has its own turn and its own troubles: a look
 * is a promise of its own, so one that stalls holds up nobody. Turns are spread over the period by chance and stay spread, so a
 * thousand BMCs are a trickle, never a burst. Who fails is asked less often (a circuit breaker for each), who answers again is
 * back at once, and who has been silent for long is told of once, with the reason.
 */
import { type Clock, systemClock } from '../core/clock.ts';
import { Fault } from '../core/errors/index.ts';
import type { PowerState } from './bmc.ts';

export interface FleetSettings {
  /** Milliseconds between two looks at a healthy BMC. Default 9,000: with the tick and the answer, a change is seen within 10 s. */
  everyMs: number;
  /** Part of `everyMs` by which a look may come earlier. Default 0.1. */
  jitter: number;
  /** Milliseconds without an answer after which `onSilent` is told. Default 300,000. */
  silenceMs: number;
}

const standard: FleetSettings = { everyMs: 9_000, jitter: 0.1, silenceMs: 300_000 };

export interface BreakerRow {
  /** Failures one after the other at which a BMC is asked less often. */
  readonly opensAfter: number;
  /** First pause; each failure after it doubles the pause up to `mostMs`. */
  readonly pauseMs: number;
  readonly mostMs: number;
}

const lockOut: BreakerRow = { opensAfter: 1, pauseMs: 60_000, mostMs: 900_000 };

/** By the code of the Fault. A wrong password is not tried at the period's pace: many BMCs lock the user out. */
export const breakerRows: Readonly<Record<string, BreakerRow>> = {
  'bmc-credentials': lockOut,
  'bmc-user': lockOut,
  'bmc-privilege': lockOut,
  'bmc-key': lockOut,
  'bmc-suites': lockOut,
  other: { opensAfter: 2, pauseMs: 15_000, mostMs: 120_000 },
};

export interface FleetReason {
  /** Of the Fault: `bmc-unreachable`, `bmc-credentials` and the like. */
  readonly code: string;
  /** Names BMC and node, and says what to do. */
  readonly sentence: string;
}

export interface FleetHooks {
  /**
   * A state differs from what was known (`from` null: nothing was). When it rejects, the old state stays known and the next look
   * tells again; the node's next look waits for it.
   */
  onState(key: string, to: PowerState, from: PowerState | null): unknown;
  /** No answer for `silenceMs`: told once, until the BMC has answered again. */
  onSilent?(key: string, silence: { silentMs: number; failures: number; reason: FleetReason }): unknown;
  /** An answer after `onSilent`. */
  onReturn?(key: string, silentMs: number): unknown;
}

export interface FleetView {
  readonly power: PowerState | null;
  /** `open`: asked less often after failures. */
  readonly breaker: 'closed' | 'open';
  readonly failures: number;
  /** Of the last failure; null after an answer. */
  readonly reason: FleetReason | null;
  /** Milliseconds since the last answer, or since the watch began. */
  readonly silentMs: number;
}

export interface Fleet {
  /**
   * Looks at the node from now on; one that is watched already only learns what is known. `silent`: somebody before us has told
   * of its silence already, so that an answer is a return.
   */
  watch(key: string, known?: PowerState | null, silent?: boolean): void;
  /** Whoever switched a node says so, that it is no news. */
  know(key: string, power: PowerState): void;
  /** The next look is now, whatever the breaker says: somebody corrected the access. */
  hurry(key: string): void;
  unwatch(key: string): void;
  view(key: string): FleetView | null;
  /** Of all that is watched. */
  keys(): Iterable<string>;
  counts(): { watched: number; open: number; silent: number; looking: number; looks: number; failures: number };
  /** Looks at all nodes once, now, whatever their turns; the number of changed states that were told. */
  sweep(): Promise<number>;
  start(): void;
  /** No look begins and no hook is called after it. */
  stop(): void;
}

interface Watched {
  readonly key: string;
  power: PowerState | null;
  failures: number;
  reason: FleetReason | null;
  heardAt: number;
  told: boolean;
  looking: boolean;
  /** Hurried while a look was under way, whose answer is of the past. */
  again: boolean;
  /** Tick of the next look; 0 while none is due. */
  turn: number;
}

export interface FleetSource {
  /** Null: the node is gone. */
  power(key: string): Promise<PowerState> | null;
  clock?: Clock;
  random?: () => number;
}

/** One timer serves all nodes; turns fall into ticks of this length. */
const tickMs = 200;

export function createFleet(source: FleetSource, hooks: FleetHooks, wanted: Partial<FleetSettings> = {}): Fleet {
  const { clock = systemClock, random = Math.random } = source;
  const { everyMs, jitter, silenceMs } = { ...standard, ...wanted };
  const watched = new Map<string, Watched>();
  const turns = new Map<number, Set<Watched>>();
  let running = false;
  let cancel = () => {};
  let tick = 0;
  let looking = 0;
  let looks = 0;
  let failed = 0;
  let changes = 0;

  const now = () => clock.now();
  const tickAt = (ms: number) => Math.ceil(ms / tickMs);

  function take(it: Watched): void {
    const turn = turns.get(it.turn);
    turn?.delete(it);
    if (turn?.size === 0) turns.delete(it.turn);
    it.turn = 0;
  }

  function place(it: Watched, atMs: number): void {
    take(it);
    it.turn = Math.max(tick + 1, tickAt(atMs));
    const turn = turns.get(it.turn);
    if (turn) turn.add(it);
    else turns.set(it.turn, new Set([it]));
  }

  function pause(it: Watched): number {
    const row = breakerRows[it.reason?.code ?? ''] ?? breakerRows.other!;
    const beyond = it.failures - row.opensAfter;
    if (beyond < 0) return everyMs * (1 - jitter * random());
    // Not all BMCs of a switch that failed come back in the same moment.
    const whole = Math.max(everyMs, Math.min(row.mostMs, row.pauseMs * 2 ** Math.min(beyond, 20)));
    return whole * (1 - 0.2 * random());
  }

  const isOpen = (it: Watched): boolean =>
    it.reason !== null && it.failures >= (breakerRows[it.reason.code] ?? breakerRows.other!).opensAfter;

  const isHere = (it: Watched): boolean => running && watched.get(it.key) === it;

  async function answered(it: Watched, power: PowerState): Promise<void> {
    const silentMs = now() - it.heardAt;
    Object.assign(it, { failures: 0, reason: null, heardAt: now() });
    if (it.told) await hooks.onReturn?.(it.key, silentMs);
    it.told = false;
    const from = it.power;
    if (power === from) return;
    await hooks.onState(it.key, power, from);
    changes += 1;
    // While the hook wrote, whoever switched the node may have said so: that is newer.
    if (it.power === from) it.power = power;
  }

  async function refused(it: Watched, error: unknown): Promise<void> {
    failed += 1;
    it.failures += 1;
    it.reason =
      error instanceof Fault
        ? { code: error.code, sentence: error.message }
        : { code: 'internal', sentence: error instanceof Error ? error.message : String(error) };
    const silentMs = now() - it.heardAt;
    if (it.told || silentMs < silenceMs) return;
    await hooks.onSilent?.(it.key, { silentMs, failures: it.failures, reason: it.reason });
    it.told = true;
  }

  async function look(it: Watched): Promise<void> {
    const asked = source.power(it.key);
    if (!asked) {
      watched.delete(it.key);
      return;
    }
    const startedAt = now();
    it.looking = true;
    looking += 1;
    looks += 1;
    const outcome = await asked.then(
      (power) => ({ power }),
      (error: unknown) => ({ error }),
    );
    try {
      if (isHere(it)) await ('power' in outcome ? answered(it, outcome.power) : refused(it, outcome.error));
    } catch {
      // A hook that failed is no failure of the BMC: it is called again at the next look.
    } finally {
      it.looking = false;
      looking -= 1;
      if (isHere(it)) {
        // From the start of the look, so that a slow answer does not stretch the period.
        let next = startedAt + pause(it);
        const silentAt = it.heardAt + silenceMs;
        if (it.failures > 0 && !it.told && silentAt > now()) next = Math.min(next, silentAt);
        if (it.again) {
          it.failures = 0;
          next = now();
        }
        it.again = false;
        place(it, next);
      }
    }
  }

  function arm(): void {
    cancel = clock.after(tickMs, () => {
      if (!running) return;
      const until = Math.floor(now() / tickMs);
      // A clock that leapt (a suspended machine) is caught up by the turns that there are, not by every tick in between.
      const due =
        until - tick > turns.size ? [...turns.keys()].filter((turn) => turn <= until) : range(tick + 1, until);
      tick = Math.max(tick, until);
      for (const turn of due)
        for (const it of turns.get(turn) ?? []) {
          take(it);
          void look(it);
        }
      arm();
    });
  }

  return {
    watch(key, known = null, silent = false) {
      const found = watched.get(key);
      if (found) {
        if (known !== null) found.power = known;
        // Whoever puts a silent node back into use gives it the whole time again.
        if (found.told && !silent) found.heardAt = now();
        found.told = silent;
        return;
      }
      const it: Watched = {
        ...{ key, power: known, failures: 0, reason: null, heardAt: now() },
        ...{ told: silent, looking: false, again: false, turn: 0 },
      };
      watched.set(key, it);
      if (running) place(it, now() + everyMs * random());
    },
    know(key, power) {
      const it = watched.get(key);
      if (it) it.power = power;
    },
    hurry(key) {
      const it = watched.get(key);
      if (!it || !running) return;
      if (it.looking) {
        it.again = true;
        return;
      }
      it.failures = 0;
      place(it, now());
    },
    unwatch(key) {
      const it = watched.get(key);
      if (it) take(it);
      watched.delete(key);
    },
    view(key) {
      const it = watched.get(key);
      if (!it) return null;
      const { power, failures, reason, heardAt } = it;
      return { power, failures, reason, breaker: isOpen(it) ? 'open' : 'closed', silentMs: now() - heardAt };
    },
    keys: () => watched.keys(),
    counts() {
      let [open, silent] = [0, 0];
      for (const it of watched.values()) {
        if (isOpen(it)) open += 1;
        if (it.told) silent += 1;
      }
      return { watched: watched.size, open, silent, looking, looks, failures: failed };
    },
    async sweep() {
      const before = changes;
      const idle = [...watched.values()].filter((it) => running && !it.looking);
      for (const it of idle) take(it);
      await Promise.all(idle.map(look));
      return changes - before;
    },
    start() {
      if (running) return;
      running = true;
      tick = Math.floor(now() / tickMs);
      for (const it of watched.values()) {
        // Silence counts from here: nobody listened before.
        it.heardAt = now();
        place(it, now() + everyMs * random());
      }
      arm();
    },
    stop() {
      running = false;
      cancel();
      turns.clear();
      for (const it of watched.values()) it.turn = 0;
    },
  };
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: Math.max(0, to - from + 1) }, (_, place) => from + place);
