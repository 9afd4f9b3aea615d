/** Telling one's own processes from strangers that got the same pid later. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';

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

/** Resolves true when the process has gone within `ms`. */
export async function gone(file: string, ms: number): Promise<boolean> {
  const until = Date.now() + ms;
  while (livingPid(file) !== null) {
    if (Date.now() > until) return false;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return true;
}
