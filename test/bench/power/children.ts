/** Processes of the bench: our own, told by messages, and strangers, of whom we want the CPU time and the memory. */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface Child<Ready> {
  readonly ready: Ready;
  /** Sends, and resolves with the next message. */
  ask<Answer>(order: object): Promise<Answer>;
  end(): void;
}

const nextMessage = (child: ChildProcess, file: string) =>
  new Promise<never>((resolve, reject) => {
    const ended = (code: number | null) => reject(new Error(`${file} ended with code ${code} before it answered`));
    child.once('exit', ended);
    child.once('message', (message) => {
      child.off('exit', ended);
      resolve(message as never);
    });
  });

export async function start<Ready>(file: string, args: readonly string[]): Promise<Child<Ready>> {
  const path = new URL(file, import.meta.url).pathname;
  const execArgv = ['--expose-gc', '--disable-warning=ExperimentalWarning'];
  const child = fork(path, args, { execArgv, stdio: ['ignore', 2, 2, 'ipc'] });
  const ready: Ready = await nextMessage(child, file);
  return {
    ready,
    async ask<Answer>(order: object): Promise<Answer> {
      const answer = nextMessage(child, file);
      child.send(order);
      return answer;
    },
    end: () => void child.kill(),
  };
}

export interface Stranger {
  /** User and system time of the process, in ms. */
  readonly cpuMs: number;
  readonly wallMs: number;
  /** The most memory that was seen resident, in MB; NaN when it was too quick to be seen. */
  readonly mostMb: number;
  readonly output: string;
}

/** Runs a program to its end; bash tells its CPU time from getrusage, to the millisecond. */
export function measure(program: string, args: readonly string[], times = 1): Promise<Stranger> {
  const script =
    'TIMEFORMAT="%U %S"; n=$1; shift; time { for ((i = 0; i < n; i++)); do "$@" </dev/null 2>/dev/null; done; }';
  const startedAt = performance.now();
  const child = spawn('bash', ['-c', script, 'bash', String(times), program, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let told = '';
  let mostMb = Number.NaN;
  child.stdout.on('data', (data) => {
    output += data;
  });
  child.stderr.on('data', (data) => {
    told += data;
  });
  const watch = setInterval(() => {
    mostMb = Math.max(Number.isNaN(mostMb) ? 0 : mostMb, mostResident(child.pid));
  }, 20);
  return new Promise((resolve, reject) => {
    child.on('close', () => {
      clearInterval(watch);
      const [user = Number.NaN, system = Number.NaN] = told.trim().split(/\s+/).slice(-2).map(Number);
      const cpuMs = (user + system) * 1_000;
      if (Number.isNaN(cpuMs)) reject(new Error(`${program} did not run: ${told}`));
      else resolve({ cpuMs, wallMs: performance.now() - startedAt, mostMb, output });
    });
  });
}

/** VmHWM of the shell's child, in MB. */
function mostResident(shell: number | undefined): number {
  try {
    const [child] = readFileSync(`/proc/${shell}/task/${shell}/children`, 'utf8').trim().split(' ');
    const status = readFileSync(`/proc/${child}/status`, 'utf8');
    return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1_024;
  } catch {
    // It has ended since.
    return 0;
  }
}
