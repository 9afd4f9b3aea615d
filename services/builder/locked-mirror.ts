import { createHash } from 'node:crypto';
import { copyFile, link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { exists } from './cache.ts';
import { runCommand } from './command.ts';
import type { HostApt } from './host-apt.ts';
import { fieldOf, type Listed, type Listing } from './listed.ts';
import { debName, type Lock, type LockedPackage } from './lock.ts';
import { digestFile } from './outputs.ts';
import { type Environment, WORK_INSIDE } from './phases.ts';
import { BuildError } from './progress.ts';

/** apt's settings and the hooks' variables of a build that sees the packages of a lock and no others. */
export interface LockedMirror {
  /** Lines of apt.conf for hooks inside. */
  apt: string[];
  /** For hooks outside. They are no part of a layer's key: the lock's digest is. */
  environment: Environment;
}

/** Beside lock.json: what the mirrors' lists said of each package of the lock. */
export const LISTING = 'lock.listing.json.zst';

const INSIDE = `${WORK_INSIDE}/mirror`;

/** The paragraphs that were written beside a lock. */
export async function readListing(path: string): Promise<Listing> {
  const bytes = await readFile(path).catch(() => undefined);
  return bytes === undefined ? {} : (JSON.parse(zstdDecompressSync(bytes).toString()) as Listing);
}

/** Whether the store has exactly the locked file. A damaged one is as good as none. */
async function holds(store: string, { file, sha256 }: LockedPackage): Promise<boolean> {
  if (file === null || !(await exists(join(store, file)))) return false;
  return sha256 === null || (await digestFile(join(store, file), 'sha256'))[0] === sha256;
}

/** Asks the mirrors for one package by the path that it had there. apt's own downloader knows the machine's proxies and checks the digest. */
async function fetchLocked(
  each: LockedPackage,
  listed: Listed | undefined,
  apt: HostApt,
  store: string,
): Promise<boolean> {
  const path = listed === undefined ? '' : fieldOf(listed.stanza, 'Filename');
  const digest = each.sha256 ?? (listed === undefined ? '' : fieldOf(listed.stanza, 'SHA256'));
  if (path === '' || digest === '') return false;
  const target = join(store, debName(each));
  for (const uri of new Set(apt.sources.map((source) => source.uri.replace(/\/$/, '')))) {
    const part = `${target}.${process.pid}.part`;
    try {
      await runCommand('/usr/lib/apt/apt-helper', [
        '-o',
        'Acquire::Retries=0',
        'download-file',
        `${uri}/${path}`,
        part,
        `SHA256:${digest}`,
      ]);
      await rename(part, target);
      return true;
    } catch {
      await rm(part, { force: true });
    }
  }
  return false;
}

/** A paragraph made of the package itself, where no list was kept. */
async function describe(file: string): Promise<string> {
  return (await runCommand('dpkg-deb', ['--field', file], { capture: true })).trimEnd();
}

/**
 * Makes a mirror of a lock's packages in `directory`/mirror, out of the package store and, for what the store has lost, the mirrors: a rebuild's apt, debootstrap and mmdebstrap
 * see these versions and no others, and need no network. Refused before anything is built, naming each package that can no longer be had.
 */
export async function openLockedMirror(options: {
  lock: Lock;
  listing: Listing;
  store: string;
  /** The host's directory that hooks inside see as WORK_INSIDE. */
  directory: string;
  apt: HostApt;
}): Promise<LockedMirror> {
  const { lock, listing, store, directory, apt } = options;
  const mirror = join(directory, 'mirror');
  await mkdir(store, { recursive: true });
  const all = [...lock.packages, ...(lock.buildOnly ?? [])];
  const gone: LockedPackage[] = [];
  for (const each of all)
    if (!(await holds(store, each)) && !(await fetchLocked(each, listing[debName(each)], apt, store))) gone.push(each);
  if (gone.length > 0) {
    const names = gone.map(({ name, version, architecture }) => `${name} ${version} ${architecture}`);
    const mirrors = [...new Set(apt.sources.map(({ uri }) => uri))].join(', ');
    throw new BuildError(
      `Image "${lock.name}" cannot be built again as its lock has it: neither the package store (${store}) nor a mirror (${mirrors}) has ${names.join(', ')}. Bring a package store that has them (it travels in a bundle), or build the image anew without the lock.`,
    );
  }
  const suites = new Map<string, Map<string, string[]>>();
  for (const each of all) {
    const file = debName(each);
    const listed = listing[file];
    const known = listed !== undefined && apt.sources.some(({ suite }) => suite === listed.suite);
    const [suite, component] = known ? [listed.suite, listed.component] : [apt.release, 'main'];
    const path = (listed && fieldOf(listed.stanza, 'Filename')) || `pool/${component}/${file}`;
    const source = join(store, file);
    const target = join(mirror, path);
    await mkdir(dirname(target), { recursive: true });
    await link(source, target).catch(() => copyFile(source, target));
    const bytes = await readFile(target);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const stanza =
      listed?.stanza ?? `${await describe(target)}\nFilename: ${path}\nSize: ${bytes.length}\nSHA256: ${sha256}`;
    const components = suites.get(suite) ?? new Map<string, string[]>();
    suites.set(suite, components);
    components.set(component, [...(components.get(component) ?? []), stanza]);
  }
  const lines: string[] = [];
  for (const [suite, components] of suites) {
    await writeSuite(join(mirror, 'dists', suite), suite, components, apt.architecture);
    lines.push(`deb [trusted=yes] copy:PLACE ${suite} ${[...components.keys()].join(' ')}`);
  }
  const at = (place: string): string => lines.map((line) => line.replace('PLACE', place)).join('\n');
  await writeFile(join(directory, 'locked.list'), `${at(INSIDE)}\n`);
  const redirect = [
    `Dir::Etc::sourcelist "${WORK_INSIDE}/locked.list";`,
    'Dir::Etc::sourceparts "/dev/null";',
    // The versions of the lock, whatever their order: an image may hold a package that a later suite has gone back from.
    'APT::Get::Allow-Downgrades "true";',
  ];
  await writeFile(join(directory, 'locked.conf'), `${redirect.join('\n')}\n`);
  return {
    apt: redirect,
    environment: {
      DIB_APT_SOURCES_SIGNED: at(mirror),
      DIB_DISTRIBUTION_MIRROR: `file://${mirror}`,
      // Each file was compared with the lock's digest, which says more than a signature of the mirror's list.
      DIB_DEBOOTSTRAP_EXTRA_ARGS: [process.env.DIB_DEBOOTSTRAP_EXTRA_ARGS ?? '', '--no-check-gpg'].join(' ').trim(),
      APT_CONFIG: `${WORK_INSIDE}/locked.conf`,
    },
  };
}

/** The order of Debian's lists: by source package, whose name is in a package's place, then by package. debootstrap leaves it in the tree (/var/lib/dpkg/available). */
function asListed(one: string, other: string): number {
  const [a, b] = [one, other].map((stanza) => [
    basename(dirname(fieldOf(stanza, 'Filename'))),
    fieldOf(stanza, 'Package'),
  ]) as [string[], string[]];
  const place = a.findIndex((name, i) => name !== b[i]);
  return place < 0 ? 0 : a[place]! < b[place]! ? -1 : 1;
}

async function writeSuite(
  directory: string,
  suite: string,
  components: ReadonlyMap<string, readonly string[]>,
  architecture: string,
): Promise<void> {
  const sums: string[] = [];
  for (const [component, stanzas] of components) {
    const name = `${component}/binary-${architecture}/Packages`;
    // Each paragraph has its empty line: debootstrap forgets one that has none, so the last.
    const text = [...stanzas]
      .sort(asListed)
      .map((stanza) => `${stanza}\n\n`)
      .join('');
    await mkdir(dirname(join(directory, name)), { recursive: true });
    await writeFile(join(directory, name), text);
    sums.push(` ${createHash('sha256').update(text).digest('hex')} ${Buffer.byteLength(text)} ${name}`);
  }
  const release = [
    'Origin: Debian',
    'Label: Debian',
    `Suite: ${suite}`,
    `Codename: ${suite}`,
    `Architectures: all ${architecture}`,
    `Components: ${[...components.keys()].join(' ')}`,
    'SHA256:',
    ...sums,
  ];
  await writeFile(join(directory, 'Release'), `${release.join('\n')}\n`);
}
