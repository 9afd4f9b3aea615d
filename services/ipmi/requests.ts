// The queue of one BMC: one job at a time (most BMCs have one buffer), each with a deadline and an abort signal, and inside a job
// one question at a time, repeated until it is answered.

import { IpmiError } from './errors.ts';
import { RESEND } from './open.ts';
import type { Packet } from './rmcp.ts';
import { RoundTripClock } from './rtt.ts';

/** Time as the links use it; injected, so that tests own it. Milliseconds, monotonic. */
export interface Timers {
  now(): number;
  set(call: () => void, ms: number): unknown;
  clear(handle: unknown): void;
}

/** How long a call may take and who may call it off. */
export interface CallOptions {
  /** Milliseconds from now until the call rejects with `timeout`. Default 10,000. */
  deadline?: number;
  signal?: AbortSignal;
}

/** One row of the flight recorder. Never holds a password, key or command data. */
export interface Exchange {
  /** `host:port` as given to `session`. */
  bmc: string;
  command: string;
  /** Datagrams sent for it; 1 is the healthy number. */
  attempts: number;
  /** From leaving the queue to the answer. */
  ms: number;
  error?: IpmiError;
}

export interface Job {
  name: string;
  deadlineAt: number;
  deadline: number;
  signal: AbortSignal | undefined;
  attempts: number;
  startedAt: number;
  settled: boolean;
  abort: ((error: IpmiError) => void) | undefined;
  work: (job: Job) => Promise<unknown>;
  resolve: (value: never) => void;
  reject: (error: IpmiError) => void;
}

const DEFAULT_DEADLINE = 10_000;

export interface RequestOptions {
  name: string;
  timers: Timers;
  send: (packet: Buffer) => void;
  onExchange: ((exchange: Exchange) => void) | undefined;
}

export class RequestQueue {
  readonly #options: RequestOptions;
  readonly #rtt = new RoundTripClock();
  readonly #queue: Job[] = [];
  #running: Job | undefined;
  #judge: ((packet: Packet) => void) | undefined;
  #closed = false;
  /** Packets since the job began that came from the BMC for another session, or that were not proven: they explain a silence. */
  foreign = 0;
  unproven = 0;
  /** Code of the last datagram that the kernel refused since the job began, such as ENETUNREACH. */
  unsent: string | undefined;

  constructor(options: RequestOptions) {
    this.#options = options;
  }

  get idle(): boolean {
    return this.#running === undefined && this.#queue.length === 0;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** A packet for the question that is open, if one is. */
  take(packet: Packet): void {
    this.#judge?.(packet);
  }

  /** Rejects all that runs and waits, and everything that comes after. */
  shut(because: () => IpmiError): void {
    this.#closed = true;
    if (this.idle) return;
    const why = because();
    for (const job of this.#queue.splice(0)) this.#settle(job, why);
    const running = this.#running;
    if (!running) return;
    this.#settle(running, why);
    running.abort?.(why);
  }

  /** Sends and waits for the running job; see Wire. */
  ask<T>(
    step: string,
    build: () => Buffer,
    judge: (packet: Packet) => T | undefined | typeof RESEND,
    tries: number,
    /** Datagrams that were sent for the same question before: the wait grows from there. */
    before = 0,
  ): Promise<T | undefined> {
    const job = this.#running;
    if (!job || job.settled) return Promise.reject(new IpmiError('aborted', 'called off by the caller', { step }));
    const { timers, send } = this.#options;
    return new Promise<T | undefined>((resolve, reject) => {
      let sent = 0;
      let sentAt = 0;
      let most = tries;
      let timer: unknown;
      const end = () => {
        timers.clear(timer);
        this.#judge = undefined;
        job.abort = undefined;
      };
      const fail = (error: unknown) => {
        end();
        reject(error);
      };
      const attempt = () => {
        const now = timers.now();
        const left = job.deadlineAt - now;
        if (left <= 0) return fail(this.#tooLate(job, step));
        if (sent >= most) {
          end();
          return resolve(undefined);
        }
        sentAt = now;
        job.attempts += 1;
        timer = timers.set(attempt, Math.min(left, this.#rtt.wait(before + sent)));
        sent += 1;
        try {
          send(build());
        } catch (error) {
          fail(error);
        }
      };
      job.abort = fail;
      this.#judge = (packet) => {
        try {
          const verdict = judge(packet);
          if (verdict === undefined) return;
          if (verdict === RESEND) {
            // Doubt is cleared up by the next answer or not at all: one more datagram, whatever went before.
            timers.clear(timer);
            most = sent + 1;
            return attempt();
          }
          // Karn: an answer to a repeated question does not say which of them it answers.
          if (sent === 1 && before === 0) this.#rtt.measured(timers.now() - sentAt);
          end();
          resolve(verdict);
        } catch (error) {
          fail(error);
        }
      };
      attempt();
    });
  }

  /** Puts work behind what waits; `last` lets it pass a closed queue. */
  enqueue<T>(name: string, options: CallOptions, work: (job: Job) => Promise<T>, last = false): Promise<T> {
    const { signal, deadline = DEFAULT_DEADLINE } = options;
    if (this.#closed && !last)
      return Promise.reject(new IpmiError('closed', 'the session was closed').at(this.#options.name, name));
    if (signal?.aborted)
      return Promise.reject(new IpmiError('aborted', 'called off before it began').at(this.#options.name, name));
    return new Promise<T>((resolve, reject) => {
      const job: Job = {
        name,
        deadline,
        deadlineAt: this.#options.timers.now() + deadline,
        signal,
        attempts: 0,
        startedAt: 0,
        settled: false,
        abort: undefined,
        work,
        resolve,
        reject,
      };
      if (signal) this.#watch(job, signal);
      this.#queue.push(job);
      if (!this.#running) this.#next();
    });
  }

  #watch(job: Job, signal: AbortSignal): void {
    const onAbort = () => {
      const error = new IpmiError('aborted', 'called off by the caller').at(this.#options.name, job.name);
      const place = this.#queue.indexOf(job);
      if (place >= 0) {
        this.#queue.splice(place, 1);
        this.#settle(job, error);
      } else {
        this.#settle(job, error);
        job.abort?.(error);
      }
    };
    signal.addEventListener('abort', onAbort, { once: true });
    const forget = () => signal.removeEventListener('abort', onAbort);
    const { resolve, reject } = job;
    job.resolve = (value) => {
      forget();
      resolve(value);
    };
    job.reject = (error) => {
      forget();
      reject(error);
    };
  }

  #next(): void {
    const job = this.#queue.shift();
    this.#running = job;
    if (!job) return;
    job.startedAt = this.#options.timers.now();
    this.foreign = 0;
    this.unproven = 0;
    this.unsent = undefined;
    job.work(job).then(
      (value) => this.#finish(job, undefined, value),
      (error) => this.#finish(job, this.#asIpmi(error).at(this.#options.name, job.name), undefined),
    );
  }

  #finish(job: Job, error: IpmiError | undefined, value: unknown): void {
    this.#judge = undefined;
    const { onExchange, timers, name: bmc } = this.#options;
    const ms = timers.now() - job.startedAt;
    this.#settle(job, error, value);
    this.#next();
    // Last, so that a recorder that throws cannot stop the queue.
    if (!onExchange) return;
    const row = { bmc, command: job.name, attempts: job.attempts, ms };
    onExchange(error ? { ...row, error } : row);
  }

  #settle(job: Job, error: IpmiError | undefined, value?: unknown): void {
    if (job.settled) return;
    job.settled = true;
    if (error) job.reject(error);
    else job.resolve(value as never);
  }

  #asIpmi(error: unknown): IpmiError {
    if (error instanceof IpmiError) return error;
    return new IpmiError('network', error instanceof Error ? error.message : 'unknown fault');
  }

  #tooLate(job: Job, step: string): IpmiError {
    const times = job.attempts === 1 ? '1 datagram' : `${job.attempts} datagrams`;
    if (this.foreign > 0) {
      return new IpmiError(
        'wrong-session',
        `${times} in ${job.deadline} ms, and ${this.foreign} answers for a session that is not ours`,
        { step },
      );
    }
    if (this.unproven > 0) {
      const what = 'answers whose integrity code or sequence number is wrong';
      return new IpmiError('bad-response', `${times} in ${job.deadline} ms, and ${this.unproven} ${what}`, { step });
    }
    if (this.unsent)
      return new IpmiError('network', `${times} in ${job.deadline} ms, refused with ${this.unsent}`, { step });
    return new IpmiError('timeout', `no answer in ${job.deadline} ms to ${times}`, { step });
  }

  /** Waits for something that has no end of its own, such as a name look-up, as long as the job may last. */
  within<T>(job: Job, step: string, work: Promise<T>): Promise<T> {
    const { timers } = this.#options;
    return new Promise<T>((resolve, reject) => {
      const end = () => {
        timers.clear(timer);
        job.abort = undefined;
      };
      const fail = (error: unknown) => {
        end();
        reject(error);
      };
      const late = () => fail(new IpmiError('timeout', `nothing in ${job.deadline} ms`, { step }));
      const timer = timers.set(late, Math.max(0, job.deadlineAt - timers.now()));
      job.abort = fail;
      work.then((value) => {
        end();
        resolve(value);
      }, fail);
    });
  }

  /** Waits inside a job; ends early when it is called off. */
  pause(job: Job, ms: number): Promise<void> {
    const { timers } = this.#options;
    return new Promise((resolve, reject) => {
      const timer = timers.set(() => {
        job.abort = undefined;
        resolve();
      }, ms);
      job.abort = (error) => {
        timers.clear(timer);
        job.abort = undefined;
        reject(error);
      };
    });
  }
}
