/**
 * One holder's work on one stack: its tree in memory, and the batch through which every transition goes. The rows are the
 * truth; a session that is lost with its process is read from them again.
 */
import { createBatch } from '../../core/database/batch.ts';
import type { Tx } from '../../core/database/index.ts';
import { fault } from '../../core/errors/index.ts';
import type { AppendedEvent } from '../../core/events/index.ts';
import { Killed, type Run } from '../../core/operations/index.ts';
import type { Desk } from '../desk.ts';
import type { Plain } from '../model.ts';
import * as resourceStore from '../store/resources.ts';
import * as stackStore from '../store/stacks.ts';
import type { Signal, Wait } from './handler.ts';
import { type Live, sealState } from './state.ts';
import { loadTree, type StackNode } from './tree.ts';

/** A transition that is about to be written, or just was: tests kill the process there. */
export interface TransitionMoment {
  readonly stack: string;
  readonly resource: string;
  readonly transition: string;
  readonly at: 'before' | 'after';
}
export type Probe = (moment: TransitionMoment) => void;

/** What goes into the database together. */
export interface Transition {
  readonly rows?: readonly Live[];
  readonly removed?: readonly string[];
  readonly newStacks?: readonly StackNode[];
  readonly stacks?: readonly { readonly id: string; readonly patch: stackStore.StackPatch }[];
  readonly goneStacks?: readonly string[];
  readonly events?: readonly AppendedEvent[];
  readonly durations?: readonly { type: string; action: string; seconds: number }[];
  /** For the probe. */
  readonly named?: { readonly stack: string; readonly resource: string; readonly transition: string };
}

export interface Session {
  readonly root: StackNode;
  readonly waits: { readonly path: string; readonly wait: Wait; readonly since: number }[];
  /** Set by the first failure of an action that goes forward: nothing new is begun. */
  failed: boolean;
  /** Failed tries to delete, by resource id. */
  readonly tries: Map<string, number>;
  readonly usual: Map<string, Promise<number | null>>;
  readonly signals: Map<string, Signal[]>;
  /** Group-committed and fenced; resolves when it is durable. */
  write(transition: Transition): Promise<void>;
  /** One fenced transaction of its own, for an effect and its trace. */
  commit<T>(work: (tx: Tx) => Promise<T>): Promise<T>;
  refreshSignals(): Promise<void>;
}

const signalOwner = (resourceId: string): string => `resource ${resourceId} signal`;

export const sealSignal = (desk: Desk, resourceId: string, body: Plain): string =>
  desk.house.secrets.seal(JSON.stringify(body), signalOwner(resourceId));

export const openSignal = (desk: Desk, row: resourceStore.SignalRow): Signal => ({
  id: row.id,
  at: row.at,
  body: JSON.parse(desk.house.secrets.open(row.body, signalOwner(row.resource_id))) as Plain,
});

async function flush(desk: Desk, tx: Tx, all: readonly Transition[]): Promise<void> {
  const { secrets, recorder } = desk.house;
  await stackStore.insertStacks(
    tx,
    all.flatMap((one) => one.newStacks ?? []).map(({ row }) => row),
  );
  // A resource that moved twice within one flush is written once, as it is now; retired ones first, so that a name is
  // free before its next bearer takes it.
  const rows = new Map(all.flatMap((one) => one.rows ?? []).map((live) => [live.row.id, live]));
  const removed = all.flatMap((one) => one.removed ?? []);
  for (const id of removed) rows.delete(id);
  const ordered = [...rows.values()].sort((a, b) => Number(a.row.current) - Number(b.row.current));
  await resourceStore.writeResources(
    tx,
    ordered.map((live) => sealState(secrets, live)),
  );
  await resourceStore.removeResources(tx, removed);
  for (const { id, patch } of all.flatMap((one) => one.stacks ?? [])) await stackStore.patchStack(tx, id, patch);
  await stackStore.removeStacks(
    tx,
    all.flatMap((one) => one.goneStacks ?? []),
  );
  await resourceStore.recordDurations(
    tx,
    all.flatMap((one) => one.durations ?? []),
  );
  await recorder.appendAll(
    tx,
    all.flatMap((one) => one.events ?? []),
  );
}

export async function openSession(desk: Desk, run: Run<unknown>): Promise<Session> {
  const root = await loadTree(desk, desk.house.db, run.subject.id);
  if (!root) throw fault('stack-not-found', { stack: run.subject.id });
  const { transaction } = run;
  let dead: Error | null = null;
  const batch = createBatch<Transition, void>(
    { ...desk.house.db, transaction },
    {
      async flush(tx, all) {
        if (dead) throw dead;
        await flush(desk, tx, all);
        return all.map(() => undefined);
      },
    },
  );
  const probe = (transition: Transition, at: 'before' | 'after') => {
    if (dead) throw dead;
    if (!desk.probe || !transition.named) return;
    try {
      desk.probe({ ...transition.named, at });
    } catch (error) {
      // A dead process writes nothing more, whatever else it had in hand.
      if (error instanceof Killed) dead = error;
      throw error;
    }
  };
  let lastSignal = 0;
  const signals = new Map<string, Signal[]>();
  return {
    root,
    waits: [],
    failed: false,
    tries: new Map(),
    usual: new Map(),
    signals,
    async write(transition) {
      probe(transition, 'before');
      await batch.add(transition);
      probe(transition, 'after');
    },
    async commit(work) {
      if (dead) throw dead;
      return transaction(work);
    },
    async refreshSignals() {
      for (const row of await resourceStore.signalsOfTree(desk.house.db, root.row.id, lastSignal)) {
        lastSignal = row.id;
        const of = signals.get(row.resource_id);
        if (of) of.push(openSignal(desk, row));
        else signals.set(row.resource_id, [openSignal(desk, row)]);
      }
    },
  };
}
