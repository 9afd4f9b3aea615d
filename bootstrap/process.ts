/** Telling one's own processes from strangers that got the same pid later. */
import { linkSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';

export interface ProcessRecord {
  pid: number;
  /** Field 22 of /proc/PID/stat, clock ticks since boot: together with the pid unique for this boot. */
  started: string;
}

export function startOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? null : (fields[19] ?? null);
  } catch {
    return null;
  }
}

export function writeRecord(file: string, pid: number = process.pid): void {
  writeFileSync(file, JSON.stringify({ pid, started: startOf(pid) } satisfies Record<string, unknown>));
}

/**
 * Writes this process's record where no living process has one. Returns null, or the pid of the one that has. A hard link
 * is made or refused as a whole, so of two that start at once one gets it.
 */
export function claimRecord(file: string): number | null {
  const mine = `${file}.${process.pid}`;
  writeRecord(mine);
  try {
    for (;;) {
      try {
        linkSync(mine, file);
        return null;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      const holder = livingPid(file);
      if (holder !== null) return holder;
      rmSync(file, { force: true });
    }
  } finally {
    rmSync(mine, { force: true });
  }
}

/**
 * Processes of a user whose command line holds a text; arguments in it end with a NUL (proc(5), /proc/PID/cmdline). Finds what
 * a killed parent left behind, however short it lived after the fork: there is no record to be late with.
 */
export function findProcesses(uid: number, text: string): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => {
      try {
        return (
          statSync(`/proc/${pid}`).uid === uid &&
          readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(text) &&
          startOf(pid) !== null
        );
      } catch {
        return false;
      }
    });
}

/** The pid, if the process of the record is still there. */
export function livingPid(file: string): number | null {
  try {
    const record = JSON.parse(readFileSync(file, 'utf8')) as ProcessRecord;
    return record.started !== null && startOf(record.pid) === record.started ? record.pid : null;
  } catch {
    return null;
  }
}

export const forgetRecord = (file: string): void => rmSync(file, { force: true });

const lookMs = 20;

/** Resolves true when the process has gone within `ms`. */
export async function gone(file: string, ms: number): Promise<boolean> {
  return until(() => livingPid(file) === null, ms);
}

/** Asks a process that is not our child to end, and kills it when it has not within `graceMs`. */
export async function endProcess(pid: number, signal: NodeJS.Signals, graceMs: number): Promise<void> {
  const started = startOf(pid);
  const ended = () => started === null || startOf(pid) !== started;
  if (ended()) return;
  send(pid, signal);
  if (await until(ended, graceMs)) return;
  send(pid, 'SIGKILL');
  await until(ended, graceMs);
}

async function until(done: () => boolean, ms: number): Promise<boolean> {
  const end = Date.now() + ms;
  while (!done()) {
    if (Date.now() > end) return false;
    await new Promise((resolve) => setTimeout(resolve, lookMs));
  }
  return true;
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
