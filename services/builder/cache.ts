import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from './command.ts';

/** A digest that names cached work by everything it depends on. */
export function cacheKey(...parts: string[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${part.length}\0`).update(part);
  return hash.digest('hex').slice(0, 40);
}

export async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}

/** Moves finished work to its place in the cache in one step; another build that was quicker wins. */
export async function publish(work: string, place: string): Promise<void> {
  await mkdir(join(place, '..'), { recursive: true });
  try {
    await rename(work, place);
  } catch (error) {
    if (!(await exists(place))) throw error;
    await removeTree(work);
  }
}

/** Start time of a process in clock ticks since boot: with the pid it names one process for ever (proc(5), field 22). */
async function startTime(pid: string): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return text?.slice(text.lastIndexOf(')') + 2).split(' ')[19];
}

/** A directory for one build, named after this process so that a later build can tell whether its owner still lives. */
export async function openWork(cache: string): Promise<string> {
  const work = join(cache, 'work', `${process.pid}.${await startTime(String(process.pid))}.${Date.now().toString(36)}`);
  await mkdir(work, { recursive: true });
  return work;
}

/** `rm -rf --one-file-system`: whatever a hook left mounted below is never deleted through. */
export async function removeTree(path: string): Promise<void> {
  await runCommand('rm', ['-rf', '--one-file-system', path]);
}

/** Removes what builds left behind whose process was killed. Their mounts ended with their namespaces. */
export async function sweepWork(cache: string): Promise<string[]> {
  const directory = join(cache, 'work');
  const swept: string[] = [];
  for (const entry of await readdir(directory).catch(() => [] as string[])) {
    const [pid = '', started] = entry.split('.');
    if (!/^\d+$/.test(pid) || (await startTime(pid)) === started) continue;
    await removeTree(join(directory, entry));
    swept.push(entry);
  }
  return swept;
}
