/**
 * Which rung of the ladder of loaders a machine stands on. Every loader that is given is an attempt: a script, or GRUB's
 * configuration, fetched after it makes it a success; the same firmware asking again without one makes it a failure.
 * Outcomes are kept by model in PostgreSQL, so a rack of one kind learns from its first machine, once for all. Loops end
 * here too: who was given loaders time and again and comes to nothing is given none for a while.
 */
import type { Database } from '../core/database/index.ts';
import { decide, ladderOf } from './decision.ts';
import type { ClientKind, Platform, Wish } from './model.ts';
import { addOutcome, readOutcomes } from './store/outcomes.ts';

export interface Asker {
  readonly client: ClientKind;
  readonly platform: Platform;
}

export interface Ladder {
  load(): Promise<void>;
  /** The rung for this machine now. `begins`: it has sent a DISCOVER, so what it was given before has come to nothing. */
  rung(wish: Wish, asker: Asker, begins: boolean): number;
  /** A loader was given, for good (an ACK): an attempt begins. */
  given(wish: Wish, asker: Asker, rung: string): void;
  /** The machine got as far as its script or GRUB's configuration: its loader works. */
  arrived(mac: string): void;
  /** The agent spoke, or the operator began anew: nothing is held against this machine any more. */
  cleared(mac: string): void;
  /** Why this machine is given nothing for now; null: it may go on. `counts`: it is being given this for good (an ACK). */
  loop(wish: Wish, what: string, counts: boolean): string | null;
}

/** Failures in a row of one machine, or of a model on which the rung never worked. */
const machineFailures = 2;
/** Of a model on which the rung has worked: one machine with a bad cable must not lift all the others. */
const modelFailures = 6;
/** Firmware is updated: after this long a failed rung is tried again. */
const forgottenMs = 30 * 24 * 3600_000;
/** A loop is so many answers that came to nothing … */
const loopCount = 8;
/** … within this time; and this is how long the machine is then left alone. */
const loopMs = 10 * 60_000;
const mostRemembered = 20_000;

interface Attempt {
  readonly model: string;
  readonly asker: string;
  readonly rung: string;
}

interface Standing {
  successes: number;
  failuresInARow: number;
  lastAt: number;
}

interface Machine {
  attempt: Attempt | null;
  /** Failures in a row by asker and rung. */
  readonly failures: Map<string, number>;
  token: string | undefined;
  /** When answers were given since the machine last came further. */
  given: number[];
  heldUntil: number;
}

const askerName = ({ platform, client }: Asker): string => `${platform} ${client}`;

export function createLadder(db: Database, now: () => number, onTrouble: (text: string) => void): Ladder {
  const models = new Map<string, Standing>();
  const machines = new Map<string, Machine>();
  const keyOf = (model: string, asker: string, rung: string) => `${model}\n${asker}\n${rung}`;

  function machineOf(wish: Wish): Machine {
    const known = machines.get(wish.mac);
    if (known) {
      // Another power cycle of ours: what looped before may have been mended.
      if (known.token !== wish.token) Object.assign(known, { token: wish.token, given: [], heldUntil: 0 });
      return known;
    }
    if (machines.size >= mostRemembered) machines.clear();
    const made: Machine = { attempt: null, failures: new Map(), token: wish.token, given: [], heldUntil: 0 };
    machines.set(wish.mac, made);
    return made;
  }

  function count(machine: Machine, attempt: Attempt, worked: boolean): void {
    const { model, asker, rung } = attempt;
    const own = `${asker}\n${rung}`;
    machine.failures.set(own, worked ? 0 : (machine.failures.get(own) ?? 0) + 1);
    const key = keyOf(model, asker, rung);
    const standing = models.get(key) ?? { successes: 0, failuresInARow: 0, lastAt: 0 };
    models.set(key, {
      successes: standing.successes + (worked ? 1 : 0),
      failuresInARow: worked ? 0 : standing.failuresInARow + 1,
      lastAt: now(),
    });
    addOutcome(db, { model, asker, rung }, worked).catch((error: Error) =>
      onTrouble(`what came of ${rung} on ${model} could not be kept: ${error.message}`),
    );
  }

  function hasFailed(machine: Machine, model: string, asker: string, rung: string): boolean {
    if ((machine.failures.get(`${asker}\n${rung}`) ?? 0) >= machineFailures) return true;
    const standing = models.get(keyOf(model, asker, rung));
    if (!standing || now() - standing.lastAt > forgottenMs) return false;
    return standing.failuresInARow >= (standing.successes === 0 ? machineFailures : modelFailures);
  }

  return {
    async load() {
      for (const row of await readOutcomes(db))
        models.set(keyOf(row.model, row.asker, row.rung), {
          successes: row.successes,
          failuresInARow: row.failuresInARow,
          lastAt: row.lastAt.getTime(),
        });
    },

    rung(wish, asker, begins) {
      const machine = machineOf(wish);
      const name = askerName(asker);
      const { attempt } = machine;
      if (begins && attempt?.asker === name) {
        machine.attempt = null;
        count(machine, attempt, false);
      }
      const rungs = ladderOf({ intent: wish.intent, secureBoot: wish.secureBoot, ...asker });
      const works = rungs.findIndex((rung) => !hasFailed(machine, wish.model, name, rung));
      if (works >= 0) return works;
      // Beyond the last rung there may be a row without a loader (go on to HTTP boot); else the last one is tried again.
      const beyond = { intent: wish.intent, secureBoot: wish.secureBoot, ...asker, rung: rungs.length };
      return decide(beyond).answer.kind === 'loader' ? Math.max(0, rungs.length - 1) : rungs.length;
    },

    given(wish, asker, rung) {
      machineOf(wish).attempt = { model: wish.model, asker: askerName(asker), rung };
    },

    arrived(mac) {
      const machine = machines.get(mac);
      if (!machine?.attempt) return;
      const { attempt } = machine;
      machine.attempt = null;
      count(machine, attempt, true);
    },

    cleared(mac) {
      const machine = machines.get(mac);
      if (machine) Object.assign(machine, { given: [], heldUntil: 0, attempt: null });
    },

    loop(wish, what, counts) {
      const machine = machineOf(wish);
      const at = now();
      const words = () =>
        `${wish.name} goes round in a loop: ${what} and what leads to it were given ${loopCount} times within ${loopMs / 60_000} minutes, and no agent came of it. It is given nothing until ${new Date(machine.heldUntil).toISOString().slice(11, 19)} UTC`;
      if (at < machine.heldUntil) return words();
      if (!counts) return null;
      machine.given = [...machine.given.filter((one) => at - one < loopMs), at];
      if (machine.given.length <= loopCount) return null;
      machine.given = [];
      machine.heldUntil = at + loopMs;
      return words();
    },
  };
}
