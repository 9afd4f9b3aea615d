/**
 * One holder's work on one stack: its tree in memory, and the batch through which every transition goes. The rows are the
 * truth; a session that is lost with its process is read from them again.
 */
import { createCommitBatch } from '../../core/database/batch.ts';
import type { Tx } from '../../core/database/index.ts';
import { fault } from '../../core/errors/index.ts';
import type { AppendedEvent } from '../../core/events/index.ts';
import { Killed, leaseColumns, type Run } from '../../core/operations/index.ts';
import type { Desk } from '../desk.ts';
import type { Plain } from '../model.ts';
import * as resourceStore from '../store/resources.ts';
import * as stackStore from '../store/stacks.ts';
import { commitTurn } from '../store/transitions.ts';
import type { Signal, Wait } from './handler.ts';
import type { Cleared } from './hooks.ts';
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
  /** Hooks that were cleared, by resource id. */
  readonly cleared: Map<string, Cleared[]>;
  /** The number of the newest signal that this session knows. */
  readonly lastSignal: number;
  /** Group-committed and fenced; resolves when it is durable. Several are one: all of them, or none. */
  write(...transitions: readonly Transition[]): Promise<void>;
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

/** The hook that a signal clears; null for a signal to the resource itself. */
export const unsetHook = (body: Plain): string | null =>
  typeof body === 'object' && body !== null && !Array.isArray(body) && typeof body.unset_hook === 'string'
    ? body.unset_hook
    : null;

function push<T>(into: Map<string, T[]>, key: string, item: T): void {
  const list = into.get(key);
  if (list) list.push(item);
  else into.set(key, [item]);
}

/** Rows as they are now: a resource that moved twice within one flush is written once. */
function rowsOf(desk: Desk, all: readonly Transition[], removed: readonly string[]): resourceStore.ResourceRow[] {
  const rows = new Map(all.flatMap((one) => one.rows ?? []).map((live) => [live.row.id, live]));
  for (const id of removed) rows.delete(id);
  // Retired ones first, so that a name is free before its next bearer takes it.
  const ordered = [...rows.values()].sort((a, b) => Number(a.row.current) - Number(b.row.current));
  return ordered.map((live) => sealState(desk.house.secrets, live));
}

/** Stacks within the stack come and go, or a duration is kept: rarer, and several statements. */
const isWide = (one: Transition): boolean =>
  (one.newStacks ?? one.stacks ?? one.goneStacks ?? one.durations) !== undefined;

async function flushWide(desk: Desk, tx: Tx, all: readonly Transition[]): Promise<void> {
  const { recorder } = desk.house;
  await stackStore.insertStacks(
    tx,
    all.flatMap((one) => one.newStacks ?? []).map(({ row }) => row),
  );
  const removed = all.flatMap((one) => one.removed ?? []);
  await resourceStore.writeResources(tx, rowsOf(desk, all, removed));
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

/** Rows of one flush: more would hold the event loop for longer than a request should wait. */
const mostAtOnce = 100;

function committer(desk: Desk, run: Run<unknown>): (all: readonly (readonly Transition[])[]) => Promise<void> {
  const lease = leaseColumns(run, desk.house.operations.owner);
  return async (groups) => {
    const all = groups.flat();
    if (all.some(isWide)) return run.transaction((tx) => flushWide(desk, tx, all));
    const removed = all.flatMap((one) => one.removed ?? []);
    const events = all.flatMap((one) => one.events ?? []);
    const held = await commitTurn(desk.house.db, lease, { rows: rowsOf(desk, all, removed), removed, events });
    if (!held) throw fault('lease-lost', { subject: `stack ${run.subject.id}`, step: 'its resources' });
    desk.house.recorder.announce(events);
  };
}

export async function openSession(desk: Desk, run: Run<unknown>): Promise<Session> {
  const root = await loadTree(desk, desk.house.db, run.subject.id);
  if (!root) throw fault('stack-not-found', { stack: run.subject.id });
  const { transaction } = run;
  let dead: Error | null = null;
  const commit = committer(desk, run);
  const batch = createCommitBatch<readonly Transition[], void>(
    async (groups) => {
      if (dead) throw dead;
      await commit(groups);
      return groups.map(() => undefined);
    },
    { maxRows: mostAtOnce },
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
  const cleared = new Map<string, Cleared[]>();
  return {
    root,
    cleared,
    get lastSignal() {
      return lastSignal;
    },
    waits: [],
    failed: false,
    tries: new Map(),
    usual: new Map(),
    signals,
    async write(...transitions) {
      for (const one of transitions) probe(one, 'before');
      await batch.add(transitions);
      for (const one of transitions) probe(one, 'after');
    },
    async commit(work) {
      if (dead) throw dead;
      return transaction(work);
    },
    async refreshSignals() {
      for (const row of await resourceStore.signalsOfTree(desk.house.db, root.row.id, lastSignal)) {
        lastSignal = row.id;
        const heard = openSignal(desk, row);
        const hook = unsetHook(heard.body);
        if (hook === null) push(signals, row.resource_id, heard);
        else push(cleared, row.resource_id, { id: row.id, hook });
      }
    },
  };
}
