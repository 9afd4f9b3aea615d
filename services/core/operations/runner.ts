/**
 * The step runner: one drive for each operation that this process holds.
 *
 *   running --step done--> running (next step) --last step--> succeeded
 *   running --error, deadline, cancel--> undoing --undo of each begun step, newest first--> failed
 *
 * Each arrow is one fenced transaction. A drive ends without writing anything when its lease is lost or the process
 * stops; whoever takes the lease next goes on from the row.
 */
import type { Clock } from '../clock.ts';
import type { Context } from '../context.ts';
import type { Database, Tx } from '../database/index.ts';
import { type Fault, fault, toFault } from '../errors/index.ts';
import type { Recorder, Subject } from '../events/index.ts';
import type { Json, Operation, Outcome, Run, Step, Wait } from './definition.ts';
import type { Lease, Leases } from './leases.ts';
import type { Registry } from './registry.ts';
import { type OperationRow, patchOperation, recordStep, type StoredWait, undoneSteps, usualSeconds } from './store.ts';

/** Where a test may make the process die: see conformance.ts. */
export interface Moment {
  readonly operation: string;
  readonly step: string;
  readonly at: 'before-do' | 'after-do' | 'after-commit' | 'before-undo' | 'after-undo' | 'before-end';
}

/** Thrown by a probe: the runner behaves as if the process had been killed there and writes nothing more. */
export class Killed extends Error {}

export interface DriveEnvironment {
  readonly db: Database;
  readonly recorder: Recorder;
  readonly registry: Registry;
  readonly leases: Leases;
  readonly clock: Clock;
  readonly owner: string;
  readonly probe?: (moment: Moment) => void;
}

export interface Drive {
  readonly id: string;
  readonly subject: Subject;
  readonly ended: Promise<void>;
  /** Look again: something about the subject happened. */
  wake(): void;
  cancel(reason: string): void;
  /** Leaves everything as it stands in the database; resolves when nothing of it runs any more. */
  abandon(reason: Fault): void;
}

const undoTries = 5;
const undoDelayMs = 2_000;
/** How long a `do` may ignore its abort signal before the runner goes on without it. */
const abortGraceMs = 2_000;
const progressEveryMs = 1_000;

export function drive(env: DriveEnvironment, row: OperationRow, lease: Lease, lost: AbortController): Drive {
  const { db, recorder, clock } = env;
  const subject: Subject = { type: row.subject_type, id: row.subject_id };
  const cause = `operation ${row.kind} ${row.id}`;
  let woken = false;
  let ring: (() => void) | null = null;
  let cancelReason = row.cancel_reason;
  let results: Record<string, Json> = row.results;
  let progressDue = 0;

  const probe = (at: Moment['at'], step: string) => env.probe?.({ operation: row.id, step, at });

  async function fenced<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    return db.transaction(async (tx) => {
      if (!(await env.leases.check(tx, lease))) throw lostFault();
      return work(tx);
    });
  }

  const lostFault = () => fault('lease-lost', { subject: `${subject.type} ${subject.id}`, step: row.step });

  /** Sleeps until woken, `ms` passed, or the lease is gone. A wake that came during the look counts. */
  function park(ms: number): Promise<void> {
    if (woken || lost.signal.aborted) {
      woken = false;
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      const cancel = clock.after(ms, finish);
      function finish() {
        cancel();
        lost.signal.removeEventListener('abort', finish);
        ring = null;
        woken = false;
        resolve();
      }
      ring = finish;
      lost.signal.addEventListener('abort', finish);
    });
  }

  function runOf(startedAt: number, attempt: number, signal: AbortSignal): Run<unknown> {
    return {
      id: row.id,
      subject,
      params: row.params,
      context: row.context as Context,
      results,
      fence: lease.fence,
      stepStartedAt: startedAt,
      attempt,
      signal,
      async assertHeld(forMs) {
        if (!(await env.leases.holds(lease, forMs))) {
          lost.abort(lostFault());
          throw lostFault();
        }
      },
      transaction: fenced,
      pause: park,
      progress(done, total, unit) {
        if (clock.now() < progressDue) return;
        progressDue = clock.now() + progressEveryMs;
        patchOperation(db, row.id, { progress: { done, total, unit } }).catch(() => {});
      },
      emit: (kind, data) => recorder.emit(kind, subject, data, { cause }),
    };
  }

  async function setWaiting(step: Step<unknown>, wait: Wait): Promise<void> {
    if (row.waiting?.on === wait.on) return;
    const usual = await usualSeconds(db, row.kind, step.name);
    const waiting: StoredWait = {
      on: wait.on,
      remedy: wait.remedy,
      since: new Date(clock.now()).toISOString(),
      usualSeconds: usual,
    };
    await fenced(async (tx) => {
      await patchOperation(tx, row.id, { waiting });
      await recorder.append(
        tx,
        'operation.waiting',
        subject,
        { operation: row.id, kind: row.kind, step: step.name, on: wait.on, usualSeconds: usual },
        { cause },
      );
    });
    row.waiting = waiting;
  }

  /** Runs one step to its end. Throws the Fault that ends the operation. */
  async function runStep(operation: Operation<unknown>, step: Step<unknown>): Promise<void> {
    let startedAt = row.step === step.name && row.step_started_at ? row.step_started_at.getTime() : 0;
    if (!startedAt) {
      startedAt = clock.now();
      row.step_started_at = new Date(startedAt);
      row.attempt = 0;
      row.waiting = null;
      await fenced((tx) =>
        patchOperation(tx, row.id, {
          step: step.name,
          step_started_at: new Date(startedAt),
          attempt: 0,
          waiting: null,
          progress: null,
        }),
      );
      row.step = step.name;
    }
    const plain = runOf(startedAt, row.attempt + 1, lost.signal);
    if (step.when && !(await step.when(plain))) return advance(operation, step, startedAt, null);
    const deadlineMs = typeof step.deadlineMs === 'function' ? step.deadlineMs(plain) : step.deadlineMs;
    const deadline = startedAt + deadlineMs;
    const late = () =>
      fault('step-deadline', {
        subject: `${subject.type} ${subject.id}`,
        step: step.title,
        seconds: Math.round(deadlineMs / 1000),
        waiting: row.waiting?.on ?? 'its own work to finish',
        remedy: row.waiting?.remedy ?? 'Look at the timeline, then try again.',
      });
    for (;;) {
      throwIfCancelled(step);
      if (lost.signal.aborted) throw lost.signal.reason;
      if (clock.now() >= deadline) throw late();
      woken = false;
      probe('before-do', step.name);
      let outcome: Outcome;
      try {
        outcome = await look(step, startedAt, deadline - clock.now(), late);
        probe('after-do', step.name);
      } catch (error) {
        if (error instanceof Killed || lost.signal.aborted) throw error;
        const failure = toFault(error);
        throwIfCancelled(step);
        const retry = step.retry;
        if (!retry || row.attempt >= retry.times || !(retry.when?.(failure) ?? true) || clock.now() >= deadline)
          throw failure;
        row.attempt += 1;
        await fenced(async (tx) => {
          await patchOperation(tx, row.id, { attempt: row.attempt });
          const data = {
            operation: row.id,
            kind: row.kind,
            step: step.name,
            attempt: row.attempt,
            reason: failure.sentence,
          };
          await recorder.append(tx, 'operation.retry', subject, data, { cause });
        });
        await park(Math.min(retry.delayMs, deadline - clock.now()));
        continue;
      }
      if (outcome.kind === 'done') {
        await advance(operation, step, startedAt, outcome);
        probe('after-commit', step.name);
        return;
      }
      await setWaiting(step, outcome.wait);
      await park(Math.min(outcome.wait.recheckMs ?? 60_000, deadline - clock.now()));
    }
  }

  function throwIfCancelled(step: Step<unknown>): void {
    if (cancelReason === null) return;
    throw fault('operation-cancelled', {
      subject: `${subject.type} ${subject.id}`,
      operation: row.kind,
      step: step.title,
    });
  }

  /** One call of the step's `do`, bounded by the deadline even when it ignores its signal. */
  async function look(step: Step<unknown>, startedAt: number, ms: number, late: () => Fault): Promise<Outcome> {
    const abort = new AbortController();
    const onLost = () => abort.abort(lost.signal.reason);
    lost.signal.addEventListener('abort', onLost);
    let cancelTimer = () => {};
    const overdue = new Promise<never>((_, reject) => {
      const give = () => {
        cancelTimer = clock.after(abortGraceMs, () => reject(abort.signal.reason));
      };
      abort.signal.addEventListener('abort', give);
      cancelTimer = clock.after(ms, () => abort.abort(late()));
    });
    overdue.catch(() => {});
    try {
      return await Promise.race([step.do(runOf(startedAt, row.attempt + 1, abort.signal)), overdue]);
    } catch (error) {
      // A `do` that noticed its abort throws some AbortError; the reason for the abort is the better sentence.
      throw abort.signal.aborted && !(error instanceof Killed) ? abort.signal.reason : error;
    } finally {
      cancelTimer();
      lost.signal.removeEventListener('abort', onLost);
    }
  }

  /** Commits the step's end and names the next step in the same transaction. */
  async function advance(
    operation: Operation<unknown>,
    step: Step<unknown>,
    startedAt: number,
    outcome: Extract<Outcome, { kind: 'done' }> | null,
  ): Promise<void> {
    const next = operation.steps[operation.steps.indexOf(step) + 1];
    const elapsed = clock.now() - startedAt;
    const merged = outcome ? { ...results, [step.name]: outcome.result } : results;
    const nextStart = next ? new Date(clock.now()) : null;
    await fenced(async (tx) => {
      await outcome?.commit?.(tx);
      if (outcome) {
        const record = {
          operation: row.id,
          kind: row.kind,
          step: step.name,
          startedAt: new Date(startedAt),
          seconds: elapsed / 1000,
        };
        await recordStep(tx, { ...record, direction: 'do' });
        const data = { operation: row.id, kind: row.kind, step: step.name, title: step.title };
        await recorder.append(tx, 'operation.step', subject, data, { cause, durationMs: elapsed });
      }
      const place = next ? { step: next.name, step_started_at: nextStart, attempt: 0 } : {};
      await patchOperation(tx, row.id, { results: merged, waiting: null, progress: null, ...place });
      if (!next) await end(tx, operation, null);
    });
    results = merged;
    row.waiting = null;
    if (next) Object.assign(row, { step: next.name, step_started_at: nextStart, attempt: 0 });
    else row.state = 'succeeded';
  }

  async function end(tx: Tx, operation: Operation<unknown>, failure: Fault | null): Promise<void> {
    const step = operation.steps.find((s) => s.name === row.step) ?? operation.steps[0];
    if (!step) throw new Error(`operation ${operation.kind} has no steps`);
    probe('before-end', step.name);
    const run = runOf(row.step_started_at?.getTime() ?? clock.now(), row.attempt + 1, lost.signal);
    if (failure) await operation.failed?.(run, failure, tx);
    else await operation.succeeded?.(run, tx);
    await patchOperation(tx, row.id, { state: failure ? 'failed' : 'succeeded', waiting: null, finished: true });
    const durationMs = clock.now() - row.created_at.getTime();
    if (failure) {
      const data = {
        operation: row.id,
        kind: row.kind,
        step: step.name,
        reason: failure.sentence,
        remedy: failure.remedy,
      };
      await recorder.append(tx, 'operation.failed', subject, data, { cause, durationMs });
    } else {
      await recorder.append(
        tx,
        'operation.succeeded',
        subject,
        { operation: row.id, kind: row.kind },
        { cause, durationMs },
      );
    }
    await env.leases.releaseIn(tx, lease);
  }

  /** Takes the begun steps back, newest first; an undo that will not work is told in the failure and left. */
  async function unwind(operation: Operation<unknown>, failure: Fault): Promise<void> {
    const finished = await undoneSteps(db, row.id);
    const from = operation.steps.findIndex((step) => step.name === row.step);
    const left: string[] = [];
    for (const step of operation.steps.slice(0, from + 1).reverse()) {
      const undo = step.undo;
      if (typeof undo !== 'function' || finished.has(step.name)) continue;
      if (step.when && step.name !== row.step && !(step.name in results)) continue;
      const startedAt = clock.now();
      for (let attempt = 1; ; attempt += 1) {
        if (lost.signal.aborted) throw lost.signal.reason;
        probe('before-undo', step.name);
        try {
          await undo(runOf(startedAt, attempt, lost.signal));
          probe('after-undo', step.name);
          break;
        } catch (error) {
          if (error instanceof Killed || lost.signal.aborted) throw error;
          if (attempt >= undoTries) {
            left.push(`“${step.title}” could not be taken back: ${toFault(error).sentence}`);
            break;
          }
          await park(undoDelayMs * attempt);
        }
      }
      await fenced(async (tx) => {
        const seconds = (clock.now() - startedAt) / 1000;
        const record = { operation: row.id, kind: row.kind, step: step.name, startedAt: new Date(startedAt), seconds };
        await recordStep(tx, { ...record, direction: 'undo' });
        await recorder.append(
          tx,
          'operation.undone',
          subject,
          { operation: row.id, kind: row.kind, step: step.name },
          { cause },
        );
      });
    }
    const told = left.length > 0 ? fault('internal', { text: [failure.sentence, ...left].join(' ') }) : failure;
    await fenced((tx) => end(tx, operation, told));
    row.state = 'failed';
  }

  async function go(): Promise<void> {
    const operation = env.registry.find(row);
    while (row.state === 'running') {
      const step = operation.steps.find((s) => s.name === row.step) ?? operation.steps[0];
      if (!step) throw new Error(`operation ${operation.kind} has no steps`);
      try {
        await runStep(operation, step);
      } catch (error) {
        if (error instanceof Killed || lost.signal.aborted) throw error;
        const failure = toFault(error);
        if (failure.code === 'lease-lost') throw failure;
        await fenced((tx) => patchOperation(tx, row.id, { state: 'undoing', error: failure.toJSON(), waiting: null }));
        row.state = 'undoing';
        row.error = failure.toJSON();
      }
    }
    if (row.state === 'undoing') {
      const stored = row.error;
      const failure = stored ? restore(stored) : fault('internal', { text: 'the failure was not recorded' });
      await unwind(operation, failure);
    }
  }

  const ended = go();
  return {
    id: row.id,
    subject,
    ended,
    wake() {
      woken = true;
      ring?.();
    },
    cancel(reason) {
      cancelReason = reason;
      woken = true;
      ring?.();
    },
    abandon: (reason) => lost.abort(reason),
  };
}

/** A stored failure, as the Fault it was. */
function restore(stored: { code: string; message: string; sentence: string; remedy: string }): Fault {
  const failure = fault('internal', { text: stored.sentence });
  return Object.assign(failure, {
    code: stored.code,
    sentence: stored.sentence,
    remedy: stored.remedy,
    message: stored.message,
  });
}
