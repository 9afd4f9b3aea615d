import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { fault } from '../core/errors/index.ts';
import { writeWhole } from './description.ts';
import { toolEnvironment } from './tools.ts';

/** Processes as /proc shows them. A pid alone proves nothing after a while: a record carries the command's name and its start time too. */

export interface ProcessRecord {
  pid: number;
  /** /proc/PID/comm, at most 15 characters. */
  comm: string;
  /** Field 22 of /proc/PID/stat: clock ticks since boot; with the pid it names one process for ever. */
  started: string;
}

export interface ProcessUse {
  /** User and system time of all threads, in seconds. */
  cpuSeconds: number;
  /** Resident memory in MiB. */
  rssMb: number;
}

// The kernel reports times in USER_HZ, which is 100 on every Linux architecture that Node runs on, and memory in pages of 4 KiB on x86_64.
const ticksPerSecond = 100;
const pagesPerMb = 256;

interface Stat {
  comm: string;
  state: string;
  fields: string[];
}

function stat(pid: number): Stat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // The name may contain blanks and brackets: the last bracket ends it (proc(5)).
  const open = text.indexOf('(');
  const close = text.lastIndexOf(')');
  const fields = text.slice(close + 2).split(' ');
  return { comm: text.slice(open + 1, close), state: fields[0] ?? '?', fields };
}

/** A record of a running process, or undefined when it is gone (a zombie is gone). */
export function identify(pid: number): ProcessRecord | undefined {
  const found = stat(pid);
  if (!found || found.state === 'Z' || found.state === 'X') return undefined;
  return { pid, comm: found.comm, started: found.fields[19] ?? '' };
}

/** Is the recorded process still the one that runs under its pid? Its name may have changed since (exec), its start time cannot. */
export function isAlive(record: ProcessRecord | undefined): boolean {
  if (!record) return false;
  const found = identify(record.pid);
  return found !== undefined && found.started === record.started;
}

export function processUse(pid: number): ProcessUse {
  const fields = stat(pid)?.fields;
  if (!fields) return { cpuSeconds: 0, rssMb: 0 };
  return {
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / ticksPerSecond,
    rssMb: Math.round(Number(fields[21]) / pagesPerMb),
  };
}

export function writeRecord(path: string, record: ProcessRecord): void {
  writeWhole(path, JSON.stringify(record));
}

/** The record in that file, or undefined when there is none or it is damaged (a damaged one is as good as none: `strays` finds the process). */
export function readRecord(path: string): ProcessRecord | undefined {
  try {
    const parsed: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (typeof parsed !== 'object' || parsed === null) return undefined;
    const { pid, comm, started } = parsed as Partial<ProcessRecord>;
    if (typeof pid !== 'number' || !(pid > 1) || typeof comm !== 'string' || typeof started !== 'string')
      return undefined;
    return { pid, comm, started };
  } catch {
    return undefined;
  }
}

export function removeRecord(path: string): void {
  rmSync(path, { force: true });
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // Gone in the meantime, which is what was wanted.
  }
}

/** Ends a recorded process: SIGTERM, after `patience` milliseconds SIGKILL. Does nothing when the pid now belongs to somebody else. */
export async function end(record: ProcessRecord | undefined, patience: number): Promise<void> {
  if (!record || !isAlive(record)) return;
  signal(record.pid, 'SIGTERM');
  if (await gone(record, patience)) return;
  signal(record.pid, 'SIGKILL');
  if (await gone(record, 5_000)) return;
  throw fault('lab-process-stuck', { pid: record.pid, comm: record.comm });
}

/** Waits until a process that is not ours to wait for has ended. */
export async function gone(record: ProcessRecord, milliseconds: number): Promise<boolean> {
  const until = performance.now() + milliseconds;
  while (isAlive(record)) {
    if (performance.now() >= until) return false;
    await wait(10);
  }
  return true;
}

/**
 * Processes whose command line names a path below `directory` and whose command is one of `comms`: what an interrupted start left without
 * a record. The directory is this lab's own run directory, so nobody else's process can carry it as QEMU's or ipmi_sim's argument by chance.
 */
export function strays(directory: string, comms: readonly string[]): ProcessRecord[] {
  const found: ProcessRecord[] = [];
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const record = identify(Number(entry));
    if (!record || record.pid === process.pid || !comms.includes(record.comm)) continue;
    let line: string;
    try {
      line = readFileSync(`/proc/${entry}/cmdline`, 'utf8');
    } catch {
      continue;
    }
    if (line.includes(`${directory}/`)) found.push(record);
  }
  return found;
}

/** Runs a short command to its end. Throws a sentence with the command's own words when it fails. */
export function run(step: string, argv: readonly [string, ...string[]], input?: string): string {
  const [program, ...rest] = argv;
  const done = spawnSync(program, rest, { encoding: 'utf8', input, timeout: 60_000, env: toolEnvironment });
  if (done.error) throw fault('lab-command', { step, command: argv.join(' '), fault: done.error.message });
  if (done.status !== 0)
    throw fault('lab-command', {
      step,
      command: argv.join(' '),
      fault: done.stderr.trim() || `exit code ${done.status}`,
    });
  return done.stdout;
}
