/** One combination of elements, built by diskimage-builder and by ours, as two trees on disk. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type BuiltImage, buildImage, definitionOf, type ImageType } from '../../../services/builder/index.ts';
import { mergeLayers } from '../../../services/builder/layers.ts';
import { runDib } from '../../setup/dib.ts';
import { compareTrees } from './compare-trees.ts';
import { judge } from './judge.ts';

export interface Combination {
  name: string;
  elements: readonly string[];
  environment?: Readonly<Record<string, string>>;
  packages?: readonly string[];
  /** Prepares what the elements read, such as a local git repository; gets a directory of its own. */
  prepare?: (directory: string) => Promise<{ environment?: Record<string, string>; elementsPath?: string[] }>;
}

export interface BothBuilt {
  ours: BuiltImage;
  /** Trees unpacked from both builders' tar archives. */
  peerTree: string;
  ourTree: string;
  unexplained: string[];
  explained: Map<string, number>;
  /** Packages and enabled units that only one has. */
  packages: string[];
  units: string[];
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

/** Builds with both. The peer's archive is kept under `cache` and used again for the same elements, settings and versions: it costs two minutes of CPU. */
export async function buildBoth(
  combination: Combination,
  cache: string,
  types: readonly ImageType[] = [],
): Promise<BothBuilt> {
  const place = join(cache, 'conformance', combination.name);
  await mkdir(place, { recursive: true });
  const prepared = (await combination.prepare?.(join(place, 'input'))) ?? {};
  const environment = { ...combination.environment, ...prepared.environment };
  const elementsPath = prepared.elementsPath ?? [];
  const version = execFileSync('dpkg-query', ['-W', '-f', `\${Version}`, 'python3-diskimage-builder'], {
    encoding: 'utf8',
  });
  const definition = {
    ...definitionOf(combination.elements),
    environment: { ...environment },
    packages: [...(combination.packages ?? [])],
    types: ['tar', ...types] as ImageType[],
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
  const packages = ours.manifest.packages.map(({ name, version: each }) => `${name}=${each}`).join(' ');
  const key = JSON.stringify([combination.elements, environment, combination.packages, version, packages]);
  const archive = join(place, 'peer.tar');
  const before = await readFile(join(place, 'peer.key'), 'utf8').catch(() => '');
  if (before !== key || !existsSync(archive)) {
    const options = (combination.packages ?? []).flatMap((each) => ['-p', each]);
    await runDib({
      elements: combination.elements,
      types: ['tar'],
      directory: place,
      name: 'peer',
      cache: join(cache, 'dib'),
      options,
      environment: { ...environment, ...(elementsPath.length > 0 ? { ELEMENTS_PATH: elementsPath.join(':') } : {}) },
    });
    await writeFile(join(place, 'peer.key'), key);
  }
  const [peerTree, ourTree] = [join(place, 'peer.tree'), join(place, 'ours.tree')];
  await unpack(archive, peerTree);
  await unpack(join(place, 'ours.tar'), ourTree);
  const judged = judge(compareTrees(mergeLayers([peerTree]), mergeLayers([ourTree])));
  return {
    ours,
    peerTree,
    ourTree,
    ...judged,
    packages: difference(packagesOf(peerTree), packagesOf(ourTree)),
    units: difference(unitsOf(peerTree), unitsOf(ourTree)),
  };
}
