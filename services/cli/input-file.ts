/** Files that the user hands to a command: read whole, within limits, faults with their place. */
import { readFileSync, statSync } from 'node:fs';
import { parseDocument } from 'yaml';
import { type Fault, fault } from '../core/errors/index.ts';

/** The undercloud takes 16 MB of JSON; a file beyond that is the wrong one. */
export const inputLimit = 16 * 1024 * 1024;

/** @throws Fault `file-unreadable` */
export function readInput(file: string): Buffer {
  try {
    const { size } = statSync(file);
    if (size > inputLimit) throw new Error(`it has ${size} bytes, more than the ${inputLimit} that are taken`);
    return readFileSync(file);
  } catch (error) {
    throw fault('file-unreadable', { file, reason: plainReason(error) }, error);
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'it may not be read by this user',
  EISDIR: 'it is a directory',
};

export function plainReason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return reasons[code ?? ''] ?? message;
}

/** YAML, of which JSON is a part. @throws Fault `file-malformed` with line and column */
export function parseInput(text: string, place: string): unknown {
  const document = parseDocument(text, { prettyErrors: false, uniqueKeys: true, logLevel: 'silent' });
  const [first] = document.errors;
  if (first) {
    const { line, column } = positionOf(text, first.pos[0]);
    throw fault('file-malformed', {
      place: `${place}:${line}:${column}`,
      reason: `${first.message.replace(/\.$/, '')}.`,
    });
  }
  try {
    // Few aliases: a small file must not become gigabytes.
    return document.toJS({ maxAliasCount: 1000 });
  } catch (error) {
    throw fault('file-malformed', { place, reason: `${(error as Error).message}.` }, error);
  }
}

export function positionOf(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset).split('\n');
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}

/** What the undercloud refuses of a file is a fault of the file: exit code 2, nothing done. */
export async function asInput<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const { code, status, message } = error as Fault;
    if (code === 'cloud-refused' && (status === 400 || status === 413 || status === 422))
      throw fault('input-refused', { message }, error);
    throw error;
  }
}
