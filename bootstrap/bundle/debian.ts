/** Which Debian packages bootstrap would have to fetch on a machine that has none of them, although they are not in a directory of .deb files. */
import { existsSync, readdirSync } from 'node:fs';
import { packageGroups } from '../packages.ts';

/** Names of packages that bootstrap asks for by name; what they depend on is not looked at. */
export function missingFromCache(directory: string): string[] {
  const there = new Set(
    (existsSync(directory) ? readdirSync(directory) : [])
      .filter((name) => name.endsWith('.deb'))
      .map((name) => name.slice(0, name.indexOf('_'))),
  );
  return [...new Set<string>(Object.values(packageGroups).flat())].filter((name) => !there.has(name)).sort();
}
