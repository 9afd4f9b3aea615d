import { createHash } from 'node:crypto';
import { lstat, readdir, readFile, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheKey } from './cache.ts';
import { digestPaths, type HookTree } from './hooks.ts';
import { PHASES } from './phases.ts';
import { getAttribute } from './xattr.ts';

/** What a cached step depends on, in parts, so that a miss can say which of them changed. */
export interface StepParts {
  /** Key of the step before. */
  parent: string;
  script: string;
  /** Files of the hook tree that the script may read. */
  data: string;
  programs: string;
  environment: string;
  rest: string;
}

export function stepKey(name: string, parts: StepParts): string {
  return cacheKey('step/2', name, JSON.stringify(parts));
}

/** Words for the part that differs first. */
export function explainMiss(before: StepParts | undefined, now: StepParts): string {
  if (before === undefined) return 'it has not been built before';
  const reasons: [keyof StepParts, string][] = [
    ['script', 'the script changed'],
    ['data', 'files that the script reads changed'],
    ['programs', 'a program in bin/ changed'],
    ['environment', 'the environment changed'],
    ['rest', 'what it is to do changed'],
    ['parent', 'a layer below it changed'],
  ];
  const found = reasons.find(([part]) => before[part] !== now[part]);
  return found?.[1] ?? 'its layer is no longer in the cache';
}

const NOT_DATA = new Set([...Object.keys(PHASES), 'environment.d', 'bin', 'static', 'dib-run-parts']);
/** A script that walks the hook tree without naming what it wants may read all of it. */
const WALKS = /in_target\.d\/?(["'*\s$]|$)|TMP_HOOKS_PATH/m;

/**
 * The digest of the hook tree's data that a script may read: what its own element brought, what it names by its first directory, and everything when it walks the tree. A change in
 * the files of an element that a script has nothing to do with leaves its layer valid.
 */
export async function dataDigest(tree: HookTree, element: string, text: string, isText: boolean): Promise<string> {
  const tops = (await readdir(tree.path)).sort();
  const all = !isText || WALKS.test(text);
  const own = new Set([...tree.owners].filter(([, owner]) => owner === element).map(([path]) => path.split('/')[0]!));
  const chosen = tops.filter((top) => {
    if (top === 'static') return text.includes('static') || own.has('static') === all;
    if (NOT_DATA.has(top)) return false;
    return all || own.has(top) || text.includes(top);
  });
  return digestPaths(chosen.map((top) => join(tree.path, top)));
}

/** Reads a script; a binary one counts as unreadable for the purpose of guessing what it reads. */
export async function readScript(path: string): Promise<{ text: string; isText: boolean; digest: string }> {
  const bytes = await readFile(path);
  const digest = createHash('sha256').update(bytes).digest('hex');
  const isText = !bytes.subarray(0, 8192).includes(0);
  return {
    text: isText ? bytes.toString('utf8') : '',
    isText,
    digest: `${digest}:${((await stat(path)).mode & 0o777).toString(8)}`,
  };
}

/** The digest of a layer's contents: names, modes, owners, bytes and attributes; times are left out, since a rerun changes nothing else. */
export async function digestLayer(path: string): Promise<string> {
  const hash = createHash('sha256');
  const visit = async (directory: string, relative: string): Promise<void> => {
    for (const name of (await readdir(directory)).sort()) {
      const place = join(directory, name);
      const info = await lstat(place);
      hash.update(`${relative}/${name}\0${info.mode.toString(8)} ${info.uid} ${info.gid} ${info.rdev}\0`);
      const capability = getAttribute(place, 'security.capability');
      if (capability !== undefined) hash.update(capability);
      if (info.isDirectory()) {
        hash.update(getAttribute(place, 'trusted.overlay.opaque') ?? '');
        await visit(place, `${relative}/${name}`);
      } else if (info.isSymbolicLink()) hash.update(await readlink(place));
      else if (info.isFile()) hash.update(`${info.size}\0`).update(await readFile(place));
    }
  };
  await visit(path, '');
  return hash.digest('hex').slice(0, 40);
}
