/** What of a checkout goes into a bundle: what runs, not what builds and tests it. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PartSource } from './create.ts';
import { HEAD } from './format.ts';

interface Lockfile {
  packages: Record<string, { dev?: boolean }>;
}

export function programSource(directory: string): PartSource {
  const lockfile = join(directory, 'package-lock.json');
  const { packages } = existsSync(lockfile)
    ? (JSON.parse(readFileSync(lockfile, 'utf8')) as Lockfile)
    : { packages: {} };
  const developing = Object.entries(packages).flatMap(([path, { dev }]) => (dev ? [path] : []));
  // What is compiled once more on the other machine, and what tools keep for themselves.
  const caches = ['.cache', '.vite', '.vitest'].map((name) => join('node_modules', name));
  return { part: 'program', directory, without: ['.git', '.npm.lock', ...caches, ...developing] };
}

/** How the program comes out of a bundle on a machine that has none yet, with what a bare Debian has. `length`: bytes of its segment. */
export const unpackByHand = (file: string, length: number, directory: string): string[] => [
  `mkdir -p ${directory}`,
  `tail -c +${HEAD.length + 1} ${file} | head -c ${length} | tar -xz -C ${directory}`,
];
