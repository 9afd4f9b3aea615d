import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { debName } from './lock.ts';

/** What a mirror's list said of a package: a rebuild shows elements the same, long after the mirror has moved on. */
export interface Listed {
  suite: string;
  component: string;
  /** The paragraph of the mirror's Packages file, without its blank line. */
  stanza: string;
}

/** Names of packages' files, each with its paragraph. */
export type Listing = Record<string, Listed>;

/** One field of a paragraph that is not folded. */
export function fieldOf(stanza: string, name: string): string {
  return new RegExp(`^${name}: (.*)$`, 'm').exec(stanza)?.[1]?.trim() ?? '';
}

/** File of apt's lists that is a Packages file: `HOST_PATH_dists_SUITE_COMPONENT_binary-ARCH_Packages`. */
const LIST = /_dists_([^_]+)_([^_]+)_binary-\w+_Packages$/;

/**
 * The paragraphs of packages in apt's lists. A release's list has 45 MB, so what was found once is kept in `<release>/listed.json` beside the package store, by the name of the
 * package's file, which has its version: a later build of the same packages reads nothing else.
 */
export async function listPackages(
  aptDirectory: string,
  packages: readonly { name: string; version: string; architecture: string }[],
): Promise<Listing> {
  const record = join(aptDirectory, 'listed.json');
  const known = JSON.parse(await readFile(record, 'utf8').catch(() => '{}')) as Listing;
  const wanted = new Map(packages.map((each) => [debName(each), each]));
  const unknown = new Set([...wanted].filter(([file]) => known[file] === undefined).map(([, { name }]) => name));
  if (unknown.size > 0) {
    for (const file of await readdir(join(aptDirectory, 'lists')).catch(() => [] as string[])) {
      const [, suite = '', component = ''] = LIST.exec(file) ?? [];
      if (suite === '') continue;
      for (const stanza of (await readFile(join(aptDirectory, 'lists', file), 'utf8')).split('\n\n')) {
        if (!stanza.startsWith('Package: ')) continue;
        const name = stanza.slice('Package: '.length, stanza.indexOf('\n'));
        if (!unknown.has(name)) continue;
        const id = debName({
          name,
          version: fieldOf(stanza, 'Version'),
          architecture: fieldOf(stanza, 'Architecture'),
        });
        if (!wanted.has(id)) continue;
        // A point release takes over what was a security update: it is in both lists then, and debootstrap reads the release's alone.
        const isRelease = !suite.includes('-');
        if (known[id] === undefined || isRelease) known[id] = { suite, component, stanza: stanza.trimEnd() };
      }
    }
    await writeFile(record, JSON.stringify(known));
  }
  return Object.fromEntries([...wanted.keys()].sort().flatMap((id) => (known[id] ? [[id, known[id]]] : [])));
}

/** dpkg's log of a package that is in place. */
const IN_PLACE = /^\S+ \S+ status installed ([^:\s]+):(\S+) (\S+)$/gm;

/**
 * Every package that was installed on the way: those that a later step removed or upgraded are missing in the finished tree, and a rebuild needs them all the same. A step's own
 * upgrades are in dpkg's log alone: debootstrap's element makes the base from the release and upgrades it in one.
 */
export async function everInstalled(
  layers: readonly string[],
): Promise<{ name: string; version: string; architecture: string }[]> {
  const found = new Map<string, { name: string; version: string; architecture: string }>();
  for (const layer of layers) {
    const log = await readFile(join(layer, 'var/log/dpkg.log'), 'utf8').catch(() => '');
    for (const [, name = '', architecture = '', version = ''] of log.matchAll(IN_PLACE)) {
      const each = { name, version, architecture };
      found.set(debName(each), each);
    }
    const text = await readFile(join(layer, 'var/lib/dpkg/status'), 'utf8').catch(() => '');
    for (const stanza of text.split('\n\n')) {
      if (!/^Status: \S+ ok installed$/m.test(stanza)) continue;
      const each = {
        name: fieldOf(stanza, 'Package'),
        version: fieldOf(stanza, 'Version'),
        architecture: fieldOf(stanza, 'Architecture'),
      };
      found.set(debName(each), each);
    }
  }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, each]) => each);
}
