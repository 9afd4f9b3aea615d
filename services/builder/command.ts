import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface CommandOptions {
  env?: Record<string, string>;
  cwd?: string;
  signal?: AbortSignal;
  /** Every line of stdout and stderr as it comes, without its line end. */
  onLine?: (line: string) => void;
  /** Text for the command's stdin; without it stdin is empty. */
  input?: string;
  /** Keep stdout whole instead of feeding it to `onLine` (for commands whose output is data). */
  capture?: boolean;
}

/** A command that ended badly. `tail` holds its last lines (at most 40), newest last. */
export class CommandFailed extends Error {
  command: string;
  code: number | null;
  tail: string[];
  constructor(command: string, code: number | null, reason: string, tail: string[]) {
    super(`${command} ${reason}${tail.length > 0 ? `: ${tail.slice(-8).join(' | ')}` : ''}`);
    this.name = 'CommandFailed';
    this.command = command;
    this.code = code;
    this.tail = tail;
  }
}

const TAIL_LINES = 40;
/** How long after a command's end its output may still come through pipes that others hold open. */
const PIPE_GRACE_MS = 1000;
/** A script that prints megabytes without a newline must not grow our memory with it. */
const LONGEST_LINE = 16 * 1024;

function lineSplitter(emit: (line: string) => void): { push: (text: string) => void; end: () => void } {
  let rest = '';
  return {
    push(text) {
      rest += text;
      const lines = rest.split(/\r\n|\n|\r/);
      rest = lines.pop() ?? '';
      for (const line of lines) emit(line);
      if (rest.length > LONGEST_LINE) {
        emit(rest);
        rest = '';
      }
    },
    end() {
      if (rest !== '') emit(rest);
    },
  };
}

/** Ends a child and everything it started: it leads its own process group. */
export function endGroup(child: ChildProcess, signal: NodeJS.Signals = 'SIGKILL'): void {
  if (child.pid === undefined || child.exitCode !== null) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // The group has already gone: nothing to end.
  }
}

/**
 * Runs a command to its end and returns its stdout when `capture` is set (else an empty string).
 * Fails with CommandFailed on a non-zero exit, on a signal, when the program is missing, and when `signal` aborts (the whole process group is killed).
 */
export function runCommand(file: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  const { env, cwd, signal, onLine, input, capture = false } = options;
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(new CommandFailed(file, null, 'was not started: the build was interrupted', []));
    const child = spawn(file, [...args], {
      env: env ?? process.env,
      cwd,
      detached: true,
      // A pipe of Node's is a socket, and bash takes a socket for rshd's and reads ~/.bashrc (bash(1), INVOCATION).
      stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    });
    const tail: string[] = [];
    const captured: Buffer[] = [];
    const line = (text: string): void => {
      tail.push(text);
      if (tail.length > TAIL_LINES) tail.shift();
      onLine?.(text);
    };
    const out = lineSplitter(line);
    const err = lineSplitter(line);
    child.stdout?.on('data', (data: Buffer) => (capture ? captured.push(data) : out.push(data.toString())));
    child.stderr?.on('data', (data: Buffer) => err.push(data.toString()));
    const abort = (): void => endGroup(child);
    signal?.addEventListener('abort', abort, { once: true });
    child.stdin?.on('error', () => {}); // A command that ignores its input closes the pipe early: its exit code decides.
    child.stdin?.end(input);
    child.on('error', (error: NodeJS.ErrnoException) => {
      signal?.removeEventListener('abort', abort);
      const why =
        error.code === 'ENOENT' ? 'is not installed on this machine' : `could not be started (${error.message})`;
      reject(new CommandFailed(file, null, why, tail));
    });
    // A daemon that a script left behind holds its pipes open; what the script itself wrote is in them by now.
    let grace: NodeJS.Timeout | undefined;
    child.on('exit', () => {
      grace = setTimeout(() => {
        child.stdout?.destroy();
        child.stderr?.destroy();
      }, PIPE_GRACE_MS);
    });
    child.on('close', (code, killedBy) => {
      clearTimeout(grace);
      signal?.removeEventListener('abort', abort);
      out.end();
      err.end();
      if (signal?.aborted) reject(new CommandFailed(file, code, 'was stopped: the build was interrupted', tail));
      else if (code === 0) resolve(Buffer.concat(captured).toString());
      else
        reject(
          new CommandFailed(file, code, killedBy ? `was killed by ${killedBy}` : `ended with exit code ${code}`, tail),
        );
    });
  });
}

/**
 * CPU seconds spent so far by this process and by every child that has been waited for. Node offers RUSAGE_SELF only; the children's share is cutime and cstime of
 * /proc/self/stat (proc(5), fields 16 and 17, in clock ticks of 10 ms on every Linux architecture that Node supports).
 */
export function cpuSeconds(): number {
  const own = process.cpuUsage();
  const stat = readFileSync('/proc/self/stat', 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (own.user + own.system) / 1e6 + (Number(fields[13]) + Number(fields[14])) / 100;
}
