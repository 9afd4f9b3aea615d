/**
 * Long operations: leases, fencing, the step runner, the sweep, deadlines and what-is-waited-for. The one engine behind
 * every deploy, clean, stack and build. Front door of the room; definitions are written with `defineOperation`.
 */
import { randomUUID } from 'node:crypto';
import { type Clock, systemClock } from '../clock.ts';
import type { Context } from '../context.ts';
import type { Database, Tx } from '../database/index.ts';
import { fault, toFault } from '../errors/index.ts';
import type { Recorder, Subject } from '../events/index.ts';
import type { Json, Operation } from './definition.ts';
import { createLeases } from './leases.ts';
import { createRegistry } from './registry.ts';
import { type Drive, drive, Killed, type Moment } from './runner.ts';
import * as store from './store.ts';

export * from './definition.ts';
export { leaseColumns, leaseHeld } from './leases.ts';
export { Killed, type Moment } from './runner.ts';
export type { OperationRow, Progress, StoredWait } from './store.ts';

/** What an operator is told about a subject that is being worked on. */
export interface Activity {
  readonly operation: string;
  readonly kind: string;
  readonly step: string | null;
  readonly title: string;
  readonly state: store.OperationRow['state'];
  readonly waiting: store.StoredWait | null;
  readonly progress: store.Progress | null;
  readonly stepStartedAt: Date | null;
  readonly startedAt: Date;
  readonly error: store.OperationRow['error'];
}

export interface Operations {
  register<Params>(operation: Operation<Params>): void;
  /** Starts within the caller's transaction; the first step runs after its commit. @throws Fault `subject-busy` */
  start<Params extends Json>(
    tx: Tx,
    operation: Operation<Params>,
    start: { subject: Subject; params: Params; context: Context },
  ): Promise<string>;
  /** Something about the subject happened: whoever works on it looks again. Cheap when nobody does. */
  wake(subject: Subject): void;
  /** A wake that came from another process (queue.ts). */
  wakeOperation(id: string): void;
  /** Ends the subject's operation at the next look, with its undos. False when none is running. */
  cancel(subject: Subject, reason: string): Promise<boolean>;
  activity(subject: Subject): Promise<Activity | null>;
  /** By subject id, for lists: one query. */
  activities(type: string, ids: readonly string[]): Promise<Map<string, Activity>>;
  /** The newest operation, ended or not. */
  last(subject: Subject): Promise<store.OperationRow | null>;
  /** Resolves with the row when the operation has ended. */
  ended(id: string): Promise<store.OperationRow>;
  /** Takes up what is not at rest, then sweeps every 5 s. `sole` says that no other process bears this owner name. */
  run(options?: { sole?: boolean }): Promise<void>;
  /** Lets go of everything; the rows say where to go on. */
  stop(): Promise<void>;
  readonly owner: string;
}

export interface OperationsOptions {
  db: Database;
  recorder: Recorder;
  /** Names this process among its peers; stable over restarts, so that a restarted process takes its own work up at once. */
  owner: string;
  clock?: Clock;
  /** Carries a wake to the process that holds the subject (queue.ts); without it only this process is woken. */
  tell?: (owner: string, operation: string) => void;
  probe?: (moment: Moment) => void;
}

const sweepMs = 5_000;
const sweepLimit = 1_000;

export function createOperations(options: OperationsOptions): Operations {
  const { db, recorder, owner, clock = systemClock } = options;
  const registry = createRegistry();
  const leases = createLeases(db, owner, clock);
  const drives = new Map<string, Drive>();
  const bySubject = new Map<string, Drive>();
  const opening = new Set<string>();
  const watchers = new Map<string, ((row: store.OperationRow) => void)[]>();
  let running = false;
  let cancelSweep = () => {};
  const key = (subject: Subject) => `${subject.type}/${subject.id}`;

  async function take(id: string): Promise<void> {
    if (!running || drives.has(id) || opening.has(id)) return;
    opening.add(id);
    try {
      const row = await store.loadOperation(db, id);
      if (!row || (row.state !== 'running' && row.state !== 'undoing')) return;
      registry.find(row);
      const subject = { type: row.subject_type, id: row.subject_id };
      const lost = new AbortController();
      const lease = await leases.acquire(subject, () =>
        lost.abort(fault('lease-lost', { subject: key(subject), step: row.step })),
      );
      if (!lease) return;
      // The row may have ended between the first look and the lease.
      const fresh = await store.loadOperation(db, id);
      if (!running || !fresh || (fresh.state !== 'running' && fresh.state !== 'undoing'))
        return await leases.release(lease);
      if (fresh.step_started_at) {
        const data = { operation: id, kind: row.kind, step: fresh.step ?? '', owner };
        recorder.emit('operation.resumed', subject, data);
      }
      const started = drive(
        { db, recorder, registry, leases, clock, owner, ...(options.probe && { probe: options.probe }) },
        fresh,
        lease,
        lost,
      );
      drives.set(id, started);
      bySubject.set(key(subject), started);
      started.ended
        .catch((error) => {
          // A kill leaves the lease standing, as a dead process would; anything else lets it go for the sweep.
          if (!(error instanceof Killed)) return leases.release(lease).catch(() => leases.forget(lease));
        })
        .finally(() => {
          drives.delete(id);
          if (bySubject.get(key(subject)) === started) bySubject.delete(key(subject));
          return tellWatchers(id);
        });
    } finally {
      opening.delete(id);
    }
  }

  async function tellWatchers(id: string): Promise<void> {
    if (!watchers.has(id)) return;
    const row = await store.loadOperation(db, id).catch(() => null);
    if (!row || row.state === 'running' || row.state === 'undoing') return;
    for (const resolve of watchers.get(id) ?? []) resolve(row);
    watchers.delete(id);
  }

  async function sweep(): Promise<void> {
    for (const { id } of await store.orphans(db, sweepLimit)) {
      await take(id).catch((error) =>
        recorder.emit(
          'operation.failed',
          { type: 'operation', id },
          {
            operation: id,
            kind: 'unknown',
            step: 'taking it up',
            reason: toFault(error).sentence,
            remedy: toFault(error).remedy,
          },
        ),
      );
    }
    for (const id of watchers.keys()) await tellWatchers(id);
  }

  function scheduleSweep(): void {
    cancelSweep = clock.after(sweepMs, () => {
      sweep()
        .catch(() => {})
        .finally(() => {
          if (running) scheduleSweep();
        });
    });
  }

  function activityOf(row: store.OperationRow): Activity {
    let title = row.step ?? '';
    try {
      title = registry.find(row).steps.find((step) => step.name === row.step)?.title ?? title;
    } catch {
      // A row of another release still has a name to show.
    }
    return {
      operation: row.id,
      kind: row.kind,
      step: row.step,
      title,
      state: row.state,
      waiting: row.waiting,
      progress: row.progress,
      stepStartedAt: row.step_started_at,
      startedAt: row.created_at,
      error: row.error,
    };
  }

  return {
    owner,
    register: (operation) => registry.add(operation),
    async start(tx, operation, { subject, params, context }) {
      const busy = await store.activeOperation(tx, subject);
      if (busy) {
        const activity = activityOf(busy);
        throw fault('subject-busy', {
          subject: `${subject.type} ${subject.id}`,
          operation: busy.kind,
          step: activity.title,
          waiting: busy.waiting?.on ?? 'its own work to finish',
        });
      }
      const first = operation.steps[0];
      if (!first) throw new Error(`operation ${operation.kind} has no steps`);
      const id = randomUUID();
      await store.insertOperation(tx, {
        id,
        kind: operation.kind,
        definition: operation.definition,
        subject,
        params,
        context,
        step: first.name,
      });
      await recorder.append(
        tx,
        'operation.started',
        subject,
        { operation: id, kind: operation.kind },
        { requestId: context.requestId },
      );
      tx.afterCommit(() => {
        take(id).catch(() => {});
      });
      return id;
    },
    wake(subject) {
      const own = bySubject.get(key(subject));
      if (own) return own.wake();
      const tell = options.tell;
      if (!tell) return;
      Promise.all([store.ownerOf(db, subject), store.activeOperation(db, subject)])
        .then(([holder, active]) => {
          if (holder && active && holder !== owner) tell(holder, active.id);
        })
        .catch(() => {});
    },
    wakeOperation(id) {
      const own = drives.get(id);
      if (!own) return void take(id).catch(() => {});
      own.wake();
      // The other process may have asked for an end: the row says so.
      store
        .loadOperation(db, id)
        .then((row) => row?.cancel_reason && own.cancel(row.cancel_reason))
        .catch(() => {});
    },
    async cancel(subject, reason) {
      const active = await store.activeOperation(db, subject);
      if (!active || !(await store.requestCancel(db, active.id, reason))) return false;
      const own = drives.get(active.id);
      if (own) own.cancel(reason);
      else if (options.tell) {
        const holder = await store.ownerOf(db, subject);
        if (holder && holder !== owner) options.tell(holder, active.id);
      }
      return true;
    },
    async activity(subject) {
      const row = await store.activeOperation(db, subject);
      return row ? activityOf(row) : null;
    },
    async activities(type, ids) {
      const rows = await store.activeOperations(db, type, ids);
      return new Map([...rows].map(([id, row]) => [id, activityOf(row)]));
    },
    last: (subject) => store.lastOperation(db, subject),
    async ended(id) {
      const promise = new Promise<store.OperationRow>((resolve) => {
        watchers.set(id, [...(watchers.get(id) ?? []), resolve]);
      });
      await tellWatchers(id);
      return promise;
    },
    async run({ sole = false } = {}) {
      running = true;
      if (sole) await leases.reclaim();
      leases.start();
      await sweep();
      scheduleSweep();
    },
    async stop() {
      running = false;
      cancelSweep();
      const open = [...drives.values()];
      for (const one of open) one.abandon(fault('lease-lost', { subject: key(one.subject), step: 'stopping' }));
      await Promise.allSettled(open.map((one) => one.ended));
      leases.stop();
    },
  };
}
