import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { BuildError } from './progress.ts';

/** One element: a directory of hook scripts and data (diskimage-builder's format). */
export interface Element {
  name: string;
  path: string;
  dependencies: string[];
  provides: string[];
}

/** Reads `element-deps` or `element-provides`: one name a line, blank lines and comments ignored; a missing file is empty. */
async function readNames(path: string): Promise<string[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  const names = text.split('\n').map((line) => line.replace(/#.*/, '').trim());
  return [...new Set(names.filter((name) => name !== ''))];
}

/**
 * Every element below the directories of `path`. The leftmost directory wins, as with ELEMENTS_PATH of diskimage-builder; an element's name is that of the directory
 * a symlink leads to. A directory of the path that does not exist is an error.
 */
export async function findElements(path: readonly string[]): Promise<Map<string, Element>> {
  const found = new Map<string, Element>();
  for (const directory of [...path].reverse()) {
    let entries: string[];
    try {
      entries = (await readdir(directory)).sort();
    } catch {
      throw new BuildError(
        `The element path names ${directory}, which is not a readable directory: correct ELEMENTS_PATH.`,
      );
    }
    await Promise.all(
      entries.map(async (entry) => {
        const real = await realpath(join(directory, entry)).catch(() => undefined);
        if (real === undefined || !(await stat(real)).isDirectory()) return;
        const [dependencies, provides] = await Promise.all([
          readNames(join(real, 'element-deps')),
          readNames(join(real, 'element-provides')),
        ]);
        found.set(basename(real), { name: basename(real), path: real, dependencies, provides });
      }),
    );
  }
  return found;
}

/**
 * The elements an image is made of: those requested and whatever they depend on, breadth first, without those that another one provides.
 * Refused: an unknown name, two providers of one name, a requested element that another one provides, and a list in which nobody provides `operating-system`.
 */
export function resolveElements(requested: readonly string[], known: ReadonlyMap<string, Element>): Element[] {
  const chosen = new Set(requested);
  const wantedBy = new Map<string, string>();
  const providedBy = new Map<string, string>();
  const queue = [...chosen];
  for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
    if (providedBy.has(name)) continue;
    const element = known.get(name);
    if (element === undefined) {
      const origin = wantedBy.get(name);
      const reason = origin === undefined ? '' : `, which element "${origin}" depends on`;
      const near = [...known.keys()].filter((other) => other.includes(name) || name.includes(other)).slice(0, 5);
      const remedy = near.length > 0 ? ` Similar names: ${near.join(', ')}.` : ' Add its directory to ELEMENTS_PATH.';
      throw new BuildError(`There is no element "${name}"${reason}.${remedy}`);
    }
    for (const provided of element.provides) {
      const other = providedBy.get(provided);
      if (other !== undefined) {
        throw new BuildError(`Elements "${other}" and "${name}" both provide "${provided}": leave one of them out.`);
      }
      providedBy.set(provided, name);
    }
    for (const dependency of element.dependencies) {
      if (chosen.has(dependency)) continue;
      chosen.add(dependency);
      wantedBy.set(dependency, name);
      queue.push(dependency);
    }
  }
  for (const name of requested) {
    const provider = providedBy.get(name);
    if (provider !== undefined) {
      throw new BuildError(
        `Element "${name}" was asked for, but "${provider}" already provides it: leave one of them out.`,
      );
    }
  }
  if (!providedBy.has('operating-system')) {
    throw new BuildError(
      `None of the elements ${[...chosen].join(', ')} provides an operating system: add one that does, such as debian-base.`,
    );
  }
  return [...chosen].filter((name) => !providedBy.has(name)).map((name) => known.get(name)!);
}
