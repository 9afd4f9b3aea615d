/** One combination of elements, built by diskimage-builder and by ours, as two trees on disk. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { digestPaths } from '../../../services/builder/hooks.ts';
import { type BuiltImage, buildImage, definitionOf, type ImageType } from '../../../services/builder/index.ts';
import { mergeLayers, walkTree } from '../../../services/builder/layers.ts';
import { runDib } from '../../setup/dib.ts';
import { compareTrees } from './compare-trees.ts';
import { judge } from './judge.ts';

export interface Combination {
  name: string;
  elements: readonly string[];
  environment?: Readonly<Record<string, string>>;
  packages?: readonly string[];
  /** The disks are booted too, with this firmware. */
  firmware?: 'bios' | 'uefi';
  /** The keys of the distribution; where this machine does not have the file, its packages are taken unchecked, by both. */
  keyring?: string;
  /** Prepares what the elements read, such as a local git repository; gets a directory of its own. */
  prepare?: (directory: string) => Promise<{ environment?: Record<string, string>; elementsPath?: string[] }>;
}

export interface BothBuilt {
  /** Directory of everything of this combination. */
  place: string;
  ours: BuiltImage;
  /** Trees unpacked from both builders' tar archives. */
  peerTree: string;
  ourTree: string;
  /** The peer's disk, when it was asked for; gone when its boot has been seen. */
  peerDisk: string;
  peerDiskBoot: string;
  /** What the peer's result depends on. */
  peerKey: string;
  unexplained: string[];
  explained: Map<string, number>;
  /** Packages and enabled units that only one has. */
  packages: string[];
  units: string[];
  unitCount: number;
  pathCount: number;
}

async function unpack(archive: string, directory: string): Promise<void> {
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  execFileSync('tar', [
    '-C',
    directory,
    '-xpf',
    archive,
    '--numeric-owner',
    '--xattrs',
    '--xattrs-include=*',
    '--same-owner',
  ]);
}

const lines = (text: string): Set<string> => new Set(text.split('\n').filter(Boolean));
const difference = (a: Set<string>, b: Set<string>): string[] => [
  ...[...a].filter((each) => !b.has(each)).map((each) => `- ${each}`),
  ...[...b].filter((each) => !a.has(each)).map((each) => `+ ${each}`),
];

function packagesOf(tree: string): Set<string> {
  const format = ['Package', 'Version', 'Architecture', 'db:Status-Abbrev'].map((field) => `\${${field}}`).join(' ');
  return lines(
    execFileSync('dpkg-query', [`--admindir=${tree}/var/lib/dpkg`, '-W', '-f', `${format}\n`], { encoding: 'utf8' }),
  );
}

function unitsOf(tree: string): Set<string> {
  const found = execFileSync('find', [`${tree}/etc/systemd`, '-type', 'l', '-printf', '%P %l\n'], { encoding: 'utf8' });
  return lines(found);
}

/** State of the mirrors that a build sees, as one word: the peer's result is the same until it changes. */
async function mirrorState(cache: string): Promise<string> {
  const lists = join(cache, 'builder/apt');
  const hash = createHash('sha256');
  for (const name of (await readdir(lists, { recursive: true }).catch(() => [] as string[])).sort())
    if (/_(In)?Release$/.test(name)) hash.update(name).update(await readFile(join(lists, name)));
  return hash.digest('hex').slice(0, 16);
}

/**
 * Builds with both. The peer's archive is kept below `cache` and used again for the same elements, settings and mirrors: it costs two minutes of CPU. Its disk is made only
 * when a boot of it is wanted that has not been seen.
 */
export async function buildBoth(
  combination: Combination,
  cache: string,
  wanted: { ours?: readonly ImageType[]; peerDisk?: boolean } = {},
): Promise<BothBuilt> {
  const place = join(cache, 'conformance', combination.name);
  await mkdir(place, { recursive: true });
  const prepared = (await combination.prepare?.(join(place, 'input'))) ?? {};
  const unchecked = combination.keyring !== undefined && !existsSync(combination.keyring);
  const environment = {
    ...combination.environment,
    ...prepared.environment,
    ...(unchecked ? { DIB_DEBOOTSTRAP_EXTRA_ARGS: '--no-check-gpg' } : {}),
  };
  const elementsPath = prepared.elementsPath ?? [];
  const definition = {
    ...definitionOf(combination.elements),
    environment: { ...environment },
    packages: [...(combination.packages ?? [])],
    types: ['tar', ...(wanted.ours ?? [])] as ImageType[],
    output: join(place, 'ours'),
  };
  definition.name = combination.name;
  const ours = await buildImage({
    definition,
    out: place,
    cache: join(cache, 'builder'),
    directory: place,
    elementsPath,
  });
  const version = execFileSync('dpkg-query', ['-W', '-f', `\${Version}`, 'python3-diskimage-builder'], {
    encoding: 'utf8',
  });
  const files = JSON.stringify([combination.elements, environment, combination.packages, version]);
  const peerKey = `${files} ${await digestPaths(elementsPath)} ${await mirrorState(cache)}`;
  const archive = join(place, 'peer.tar.zst');
  const [peerDisk, peerDiskBoot] = [join(place, 'peer.raw'), join(place, 'peer.disk.json')];
  const same = existsSync(archive) && (await readFile(join(place, 'peer.key'), 'utf8').catch(() => '')) === peerKey;
  if (!same || (wanted.peerDisk === true && !existsSync(peerDisk) && !existsSync(peerDiskBoot))) {
    for (const old of [archive, peerDisk, peerDiskBoot]) await rm(old, { force: true });
    await runDib({
      elements: combination.elements,
      types: wanted.peerDisk ? ['tar', 'raw'] : ['tar'],
      directory: place,
      name: 'peer',
      cache: join(cache, 'dib'),
      options: (combination.packages ?? []).flatMap((each) => ['-p', each]),
      environment: { ...environment, ...(elementsPath.length > 0 ? { ELEMENTS_PATH: elementsPath.join(':') } : {}) },
    });
    execFileSync('zstd', ['-q', '-1', '-T0', '--rm', '-f', join(place, 'peer.tar'), '-o', archive]);
    await writeFile(join(place, 'peer.key'), peerKey);
  }
  const [peerTree, ourTree] = [join(place, 'peer.tree'), join(place, 'ours.tree')];
  await unpack(archive, peerTree);
  await unpack(join(place, 'ours.tar'), ourTree);
  const peer = mergeLayers([peerTree]);
  const units = unitsOf(peerTree);
  return {
    place,
    ours,
    peerTree,
    ourTree,
    peerDisk,
    peerDiskBoot,
    peerKey,
    ...judge(compareTrees(peer, mergeLayers([ourTree])), { peer: peerTree, ours: ourTree }),
    packages: difference(packagesOf(peerTree), packagesOf(ourTree)),
    units: difference(units, unitsOf(ourTree)),
    unitCount: units.size,
    pathCount: [...walkTree(peer)].length,
  };
}

/** What is no longer of use once a combination has been judged; the peer's archive and the verdicts stay. */
export async function discard({ place, peerTree, ourTree, ours }: BothBuilt): Promise<void> {
  const peers = ['peer.raw', 'peer.d', 'home', 'tmp', 'programs'].map((name) => join(place, name));
  for (const path of [peerTree, ourTree, ours.directory, ...ours.files, ...peers])
    await rm(path, { recursive: true, force: true });
}
