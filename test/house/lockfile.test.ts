import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';

const text = readFileSync(join(resolve(import.meta.dirname, '../..'), 'package-lock.json'), 'utf8');
const { packages } = JSON.parse(text) as {
  packages: Record<string, { version?: string; optionalDependencies?: Record<string, string> }>;
};

it('names no registry', () => {
  expect(text).not.toContain('"resolved"');
});

// A registry that lacks a platform's package leaves it out of the file when it is written, and `npm ci` then refuses the file.
it('has every optional package of every platform, with its version', () => {
  const missing = Object.entries(packages).flatMap(([path, entry]) =>
    Object.keys(entry.optionalDependencies ?? {}).filter(
      (name) => !(packages[`${path}/node_modules/${name}`] ?? packages[`node_modules/${name}`])?.version,
    ),
  );
  expect(missing).toEqual([]);
});
