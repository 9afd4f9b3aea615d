/** CPU time of processes, their threads and children, those already ended included. */
import { readdirSync, readFileSync } from 'node:fs';

/** USER_HZ; the same on every Linux that Debian builds for. */
const ticksPerSecond = 100;

interface Fields {
  readonly parent: number;
  readonly ticks: number;
}

/** Seconds of CPU that the process and its descendants have used since they began. */
export function cpuSeconds(pid: number): number {
  const all = new Map<number, Fields>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const fields = fieldsOf(Number(name));
    if (fields) all.set(Number(name), fields);
  }
  let ticks = 0;
  for (const [one, fields] of all) if (isWithin(one, pid, all)) ticks += fields.ticks;
  return ticks / ticksPerSecond;
}

function isWithin(pid: number, root: number, all: ReadonlyMap<number, Fields>): boolean {
  for (let at: number | undefined = pid; at; at = all.get(at)?.parent) if (at === root) return true;
  return false;
}

/** proc(5): behind the name in parentheses, the parent is field 4, and utime, stime, cutime, cstime are 14 to 17. */
function fieldsOf(pid: number): Fields | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = text
      .slice(text.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    return { parent: fields[1] ?? 0, ticks: [11, 12, 13, 14].reduce((sum, at) => sum + (fields[at] ?? 0), 0) };
  } catch {
    // It has ended since.
    return undefined;
  }
}
