/**
 * A long operation is a file: its parameters, its steps in order, each with do, undo (or a note why there is none), a
 * deadline and what it waits for. The runner (runner.ts) commits a step's result before the next step starts, so a
 * killed process loses at most the step it was in, and every step must bear being run twice.
 *
 * A step's `do` is a look, not a sleep: it does what can be done now and returns `done(...)`, or `waitFor(...)` to be
 * looked at again when something about the subject happens (`operations.wake(subject)`) or `recheckMs` passes.
 */
import type { Context } from '../context.ts';
import type { Tx } from '../database/index.ts';
import type { Fault } from '../errors/index.ts';
import type { EventKind, EventMap, Subject } from '../events/index.ts';

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };

export interface Wait {
  /** Completes the sentence "waits for …": `the agent’s first heartbeat`. */
  readonly on: string;
  /** What the operator can do if it takes too long. */
  readonly remedy: string;
  /** Look again after this long even if nothing is heard. */
  readonly recheckMs?: number;
}

export type Outcome =
  | { readonly kind: 'done'; readonly result: Json; readonly commit?: (tx: Tx) => Promise<void> }
  | { readonly kind: 'wait'; readonly wait: Wait };

/** The step is finished. `commit` writes rows of your own in the transaction that records the result. */
export const done = (result: Json = null, commit?: (tx: Tx) => Promise<void>): Outcome =>
  commit ? { kind: 'done', result, commit } : { kind: 'done', result };

export const waitFor = (wait: Wait): Outcome => ({ kind: 'wait', wait });

export interface Run<Params> {
  readonly id: string;
  readonly subject: Subject;
  readonly params: Params;
  readonly context: Context;
  /** Results of finished steps by step name. */
  readonly results: Readonly<Record<string, Json>>;
  /** Rises with every change of holder; hand it to whatever can refuse an older one (the agent). */
  readonly fence: number;
  /** When this step was first started (survives restarts), ms since the epoch. */
  readonly stepStartedAt: number;
  /** 1 on the first try of this step; higher after a retry. */
  readonly attempt: number;
  /** Aborted when the lease is lost, the process stops, or the operation is cancelled. */
  readonly signal: AbortSignal;
  /** Proves by the database that this process still holds the lease for at least `forMs`: call it before an effect
   *  that cannot be fenced (power, boot device). @throws Fault `lease-lost` */
  assertHeld(forMs: number): Promise<void>;
  /** A fenced transaction: it commits only while this process holds the lease. */
  transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T>;
  /** Sleeps until something about the subject happens, at most `ms`: for an `undo` that waits, as it cannot return `waitFor`. */
  pause(ms: number): Promise<void>;
  /** Shown with the operation (bytes, items); kept in the row at most once a second, never an event. */
  progress(done: number, total: number, unit: string): void;
  emit<K extends EventKind>(kind: K, data: EventMap[K]): void;
}

export interface Step<Params> {
  /** Stable: rows name it. Renaming one is a new definition version. */
  readonly name: string;
  /** What an operator reads: `power the node off`. */
  readonly title: string;
  /** ms; from the step's first start to its end, retries and waits included. */
  readonly deadlineMs: number | ((run: Run<Params>) => number);
  /** Left out when false (the result is then absent). */
  readonly when?: (run: Run<Params>) => boolean | Promise<boolean>;
  readonly do: (run: Run<Params>) => Promise<Outcome>;
  /** Takes the step back after a later step failed; must bear being run twice. A sentence says why there is none. */
  readonly undo: ((run: Run<Params>) => Promise<void>) | { readonly none: string };
  /** Tries after a failure before the operation fails; default 0. Only errors for which `retry.when` holds count. */
  readonly retry?: { readonly times: number; readonly delayMs: number; readonly when?: (error: Fault) => boolean };
}

export interface Operation<Params> {
  /** `baremetal.deploy`. */
  readonly kind: string;
  /** Raised whenever the meaning or order of steps changes; the registry keeps old versions until no row names them. */
  readonly definition: number;
  readonly title: string;
  readonly steps: readonly Step<Params>[];
  /** Runs in the transaction that ends the operation well. */
  readonly succeeded?: (run: Run<Params>, tx: Tx) => Promise<void>;
  /** Runs in the transaction that ends the operation badly, after the undos. */
  readonly failed?: (run: Run<Params>, error: Fault, tx: Tx) => Promise<void>;
}

export const defineOperation = <Params>(operation: Operation<Params>): Operation<Params> => operation;

export const minutes = (n: number): number => n * 60_000;
export const seconds = (n: number): number => n * 1000;
