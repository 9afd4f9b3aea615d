/** A child process that is kept running: started again when it dies, slower each time it dies young. */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';

export interface ChildSpec {
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  readonly argv0?: string;
  readonly uid?: number;
  readonly gid?: number;
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly log: string;
  /** Says it on our own output instead of into its log. */
  readonly isShown?: boolean;
  /** Descriptors handed over as 3, 4, 5 … */
  readonly descriptors?: readonly number[];
  /** PostgreSQL's "fast" shutdown is SIGINT. */
  readonly stopSignal?: NodeJS.Signals;
  /** A text that the command line of this child, of this very undercloud, holds, and no other; ends with a NUL where it is a whole argument. */
  readonly sign: string;
  /** Runs around the fork: entering a network namespace. */
  readonly within?: <T>(start: () => T) => T;
  readonly onStart?: (pid: number) => void;
}

export interface Child {
  readonly spec: ChildSpec;
  readonly pid: number | undefined;
  readonly restarts: number;
  start(): void;
  /** Resolves when it has ended; killed outright after `graceMs`. */
  stop(graceMs?: number): Promise<void>;
}

/** A child that lived this long was well: the next restart is at once again. */
const healthyMs = 30_000;
const firstDelayMs = 200;
const longestDelayMs = 30_000;

export function keepRunning(spec: ChildSpec, say: (line: string) => void, onChange = () => {}): Child {
  let child: ChildProcess | null = null;
  let stopping = false;
  let restarts = 0;
  let delay = firstDelayMs;
  let startedAt = 0;
  let retry: NodeJS.Timeout | null = null;

  function start(): void {
    if (stopping || child) return;
    mkdirSync(dirname(spec.log), { recursive: true });
    const log = spec.isShown ? null : openSync(spec.log, 'a', 0o640);
    const stdio: StdioOptions = ['ignore', log ?? 1, log ?? 2, ...(spec.descriptors ?? [])];
    const { program, args, argv0, uid, gid, cwd, env } = spec;
    const options = {
      stdio,
      ...(argv0 && { argv0 }),
      ...(uid !== undefined && { uid }),
      ...(gid !== undefined && { gid }),
      ...(cwd && { cwd }),
      env: env ?? process.env,
      // A group of its own: Ctrl-C in a terminal is for the supervisor, which ends its children in their order.
      detached: true,
    };
    const fork = () => spawn(program, args, options);
    startedAt = Date.now();
    child = spec.within ? spec.within(fork) : fork();
    if (log !== null) closeSync(log);
    if (child.pid) spec.onStart?.(child.pid);
    onChange();
    child.once('error', (error) => ended(`could not start: ${error.message}`));
    child.once('exit', (code, signal) => ended(`ended with ${signal ?? code}`));
  }

  function ended(how: string): void {
    if (!child) return;
    child = null;
    if (stopping) return;
    if (Date.now() - startedAt > healthyMs) delay = firstDelayMs;
    restarts += 1;
    onChange();
    say(`${spec.name} ${how}; started again in ${delay} ms${spec.isShown ? '' : ` (its log: ${spec.log})`}`);
    retry = setTimeout(start, delay);
    delay = Math.min(delay * 2, longestDelayMs);
  }

  return {
    spec,
    get pid() {
      return child?.pid;
    },
    get restarts() {
      return restarts;
    },
    start,
    async stop(graceMs = 20_000) {
      stopping = true;
      if (retry) clearTimeout(retry);
      const running = child;
      if (!running) return;
      const gone = new Promise<void>((resolve) => running.once('exit', () => resolve()));
      running.kill(spec.stopSignal ?? 'SIGTERM');
      const kill = setTimeout(() => running.kill('SIGKILL'), graceMs);
      await gone;
      clearTimeout(kill);
    },
  };
}
