import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { BuildError } from './progress.ts';

/** Relative specifiers of TypeScript files in any string literal: imports, re-exports, dynamic imports, and the URL of a worker. */
const RELATIVE = /(['"])(\.{1,2}\/[^'"\n]+?)\.ts\1/g;
const BARE = /(?:^|\n)\s*(?:import|export)\b[^'"\n;]*?from\s*['"]([^.'"][^'"]*)['"]/g;

/** TypeScript without its types, its relative imports pointing at .js files: emulated and slow machines start it without a compiler. */
export function stripSource(source: string): string {
  return stripTypeScriptTypes(source, { mode: 'strip' }).replaceAll(
    RELATIVE,
    (_, quote: string, path: string) => `${quote}${path}.js${quote}`,
  );
}

/**
 * Copies a program and every file of ours that it imports, types stripped, below `target`, keeping their places relative to `root`. Returns their paths. An import of an npm
 * package is an error: the ramdisk holds none.
 */
export async function copySources(root: string, entry: string, target: string): Promise<string[]> {
  const queue = [resolve(root, entry)];
  const seen = new Set(queue);
  const copied: string[] = [];
  for (let path = queue.shift(); path !== undefined; path = queue.shift()) {
    const place = relative(root, path);
    if (place.startsWith('..')) throw new BuildError(`The agent imports ${path}, which lies outside ${root}.`);
    const source = await readFile(path, 'utf8').catch(() => {
      throw new BuildError(`The agent's source ${place} cannot be read.`);
    });
    const code = stripTypeScriptTypes(source, { mode: 'strip' });
    for (const match of code.matchAll(BARE)) {
      if (!match[1]!.startsWith('node:'))
        throw new BuildError(`${place} imports "${match[1]}": the ramdisk has no npm packages.`);
    }
    for (const match of code.matchAll(RELATIVE)) {
      const next = resolve(dirname(path), `${match[2]}.ts`);
      if (seen.has(next)) continue;
      seen.add(next);
      queue.push(next);
    }
    const output = join(target, place.replace(/\.ts$/, '.js'));
    await mkdir(dirname(output), { recursive: true });
    await writeFile(output, stripSource(source));
    copied.push(place);
  }
  await writeFile(join(target, 'package.json'), '{"type":"module"}\n');
  return copied.sort();
}
