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

/**
 * By the file's name: JSON strictly, YAML otherwise. `repeats`: of a key that is given twice the last counts, as PyYAML and so
 * Heat have it. @throws Fault `file-malformed` with line and column
 */
export function parseInput(text: string, place: string, { repeats = false } = {}): unknown {
  if (/\.json$/i.test(place)) return parseJson(text, place);
  const document = parseDocument(text, { prettyErrors: false, uniqueKeys: !repeats, logLevel: 'silent' });
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

function parseJson(text: string, place: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const offset = faultOf(text);
    const { line, column } = positionOf(text, offset);
    const found = offset < text.length ? `unexpected ${JSON.stringify(text[offset])}` : 'it ends too early';
    throw fault('file-malformed', { place: `${place}:${line}:${column}`, reason: `this is no JSON: ${found}.` }, error);
  }
}

/** V8 tells the place of some faults only; of all it tells whether a beginning of the text could still become JSON. */
function faultOf(text: string): number {
  const viable = (length: number): boolean => {
    try {
      JSON.parse(text.slice(0, length));
      return true;
    } catch (error) {
      const { message } = error as Error;
      const at = message.match(/at position (\d+)/)?.[1];
      return /end of JSON input|^Unterminated/.test(message) || Number(at ?? -1) >= length;
    }
  };
  let [good, bad] = [0, text.length + 1];
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    if (middle <= text.length && viable(middle)) good = middle;
    else bad = middle;
  }
  return good;
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
