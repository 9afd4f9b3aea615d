/**
 * Reading templates off the event loop: a few threads, each with a bounded heap and bounded time for one ask. A template
 * that eats either ends its thread and is refused; the next ask gets a new one. Threads are started when they are first
 * needed and go when nobody has asked for a while, so that an appliance without stacks pays nothing.
 */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { type ErrorCode, type Fault, fault } from '../../core/errors/index.ts';
import type { AskKind, Asks } from './ask.ts';
import type { Message, Reply } from './worker.ts';

export interface Reader {
  /** @throws Fault as the work itself does; `template-too-costly` where it took too long or too much memory */
  ask<Kind extends AskKind>(kind: Kind, ask: Asks[Kind]['ask']): Promise<Asks[Kind]['answer']>;
  /** Ends the threads; what is under way is refused. */
  close(): Promise<void>;
}

export interface ReaderLimits {
  readonly threads: number;
  readonly heapMib: number;
  readonly deadlineMs: number;
  readonly idleMs: number;
}

const defaults: ReaderLimits = {
  // One stays free for everybody else while somebody reads something enormous.
  threads: Math.max(2, Math.min(4, availableParallelism() - 1)),
  heapMib: 512,
  deadlineMs: 20_000,
  idleMs: 120_000,
};

interface Job {
  readonly message: Message;
  resolve(answer: unknown): void;
  reject(error: Fault): void;
}

interface Thread {
  readonly worker: Worker;
  job: Job | null;
  timer: NodeJS.Timeout | null;
}

export function createReader(options: Partial<ReaderLimits> = {}): Reader {
  const limits = { ...defaults, ...options };
  const waiting: Job[] = [];
  const threads = new Set<Thread>();
  let number = 0;

  const costly = (reason: string): Fault => fault('template-too-costly', { reason });

  function start(): Thread {
    const worker = new Worker(new URL('./worker.ts', import.meta.url), {
      resourceLimits: { maxOldGenerationSizeMb: limits.heapMib, maxYoungGenerationSizeMb: 32, stackSizeMb: 8 },
      execArgv: ['--disable-warning=ExperimentalWarning'],
    });
    const thread: Thread = { worker, job: null, timer: null };
    threads.add(thread);
    worker.on('message', (reply: Reply) => finish(thread, reply));
    worker.on('error', (error: Error & { code?: string }) => {
      const memory = error.code === 'ERR_WORKER_OUT_OF_MEMORY';
      end(
        thread,
        memory
          ? costly(`its reading needs more than ${limits.heapMib} MiB of memory`)
          : fault('internal', { text: error.message }, error),
      );
    });
    worker.on('exit', () => end(thread, fault('internal', { text: 'the thread that read the template ended' })));
    return thread;
  }

  function end(thread: Thread, error: Fault): void {
    threads.delete(thread);
    if (thread.timer) clearTimeout(thread.timer);
    thread.job?.reject(error);
    thread.job = null;
    void thread.worker.terminate();
    next();
  }

  function finish(thread: Thread, reply: Reply): void {
    const { job } = thread;
    if (!job || job.message.id !== reply.id) return;
    if (thread.timer) clearTimeout(thread.timer);
    thread.job = null;
    if ('failure' in reply) {
      const { code, details } = reply.failure;
      job.reject(fault(code as ErrorCode, details));
    } else job.resolve(reply.answer);
    rest(thread);
    next();
  }

  /** An idle thread keeps no process alive, and does not stay for ever. */
  function rest(thread: Thread): void {
    thread.worker.unref();
    thread.timer = setTimeout(() => end(thread, fault('internal', { text: 'idle' })), limits.idleMs).unref();
  }

  function next(): void {
    const job = waiting[0];
    if (!job) return;
    const free = [...threads].find((thread) => thread.job === null);
    if (!free && threads.size >= limits.threads) return;
    waiting.shift();
    const thread = free ?? start();
    if (thread.timer) clearTimeout(thread.timer);
    thread.worker.ref();
    thread.job = job;
    thread.timer = setTimeout(
      () => end(thread, costly(`its reading takes longer than ${limits.deadlineMs / 1000} s`)),
      limits.deadlineMs,
    );
    try {
      thread.worker.postMessage(job.message);
    } catch {
      // What cannot be copied is nested deeper than the copier can follow.
      end(thread, costly('it is nested too deeply'));
    }
  }

  return {
    ask(kind, ask) {
      return new Promise((resolve, reject) => {
        number += 1;
        waiting.push({ message: { id: number, kind, ask }, resolve: resolve as (answer: unknown) => void, reject });
        next();
      });
    },
    async close() {
      const error = fault('internal', { text: 'the undercloud is stopping' });
      for (const job of waiting.splice(0)) job.reject(error);
      const open = [...threads];
      for (const thread of open) end(thread, error);
      await Promise.all(open.map(({ worker }) => worker.terminate()));
    },
  };
}

let shared: Reader | null = null;

/** The process's own threads. */
export const sharedReader = (): Reader => {
  shared ??= createReader();
  return shared;
};
