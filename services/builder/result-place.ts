/** Where a finished build goes: into its directory as one, or under the caller's own name as diskimage-builder puts it. */
import { mkdir, readdir, rename, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { exists, removeTree } from './cache.ts';
import type { ImageDefinition, ImageType } from './definition.ts';
import { type Artefact, digestFile, type Outputs } from './outputs.ts';
import { writeSums } from './provenance.ts';

/** NAME.TYPE.md5 and .sha256, as diskimage-builder's --checksum writes them. */
export async function writeChecksums(path: string, outputs: Outputs): Promise<void> {
  const [md5, sha256] = await digestFile(path, 'md5', 'sha256');
  for (const [ending, digest] of [
    ['md5', md5],
    ['sha256', sha256],
  ] as const) {
    await writeFile(`${path}.${ending}`, `${digest}  ${basename(path)}\n`);
    outputs.files.push({ type: 'kernel', path: `${path}.${ending}` });
  }
}

/**
 * SHA256SUMS over the artefacts and the papers, each by the name that it will have when the result is in its place: what goes beside NAME.d is named from there, so that
 * `sha256sum -c` finds it.
 */
export async function sumUp(
  fresh: string,
  artefacts: readonly Artefact[],
  definition: Pick<ImageDefinition, 'output' | 'types'>,
): Promise<void> {
  const own = new Set(artefacts.filter(({ type }) => type !== 'index').map(({ name }) => name));
  const papers = (await readdir(fresh)).filter(
    (name) => /\.(json|zst)$|^(kernel|initrd)$/.test(name) && !artefacts.some((each) => each.name === name),
  );
  const sums = await Promise.all(
    papers.map(async (name) => ({ name, sha256: (await digestFile(join(fresh, name), 'sha256'))[0]! })),
  );
  const { output } = definition;
  const placed = (name: string): string => {
    const beside = output === undefined ? undefined : besideName(name, basename(output), own, definition.types);
    return beside === undefined ? name : `../${beside}`;
  };
  await writeSums(
    fresh,
    [...artefacts, ...sums].map(({ name, sha256 }) => ({ name: placed(name), sha256 })),
  );
}

/** The name beside NAME.d under which a file of the finished directory goes, as diskimage-builder names it; undefined for one that goes into NAME.d. */
function besideName(
  name: string,
  output: string,
  own: ReadonlySet<string>,
  types: readonly ImageType[],
): string | undefined {
  if (own.has(name)) return name;
  if (name === 'tree') return `${output}.tree`;
  if (!types.includes('kernel')) return undefined;
  return name === 'kernel' ? `${output}.vmlinuz` : name === 'initrd' ? `${output}.initrd` : undefined;
}

/** Puts the finished directory in the place of the old one. */
export async function exchange(fresh: string, directory: string): Promise<void> {
  const old = `${fresh}.old`;
  await removeTree(old);
  if (await exists(directory)) await rename(directory, old);
  await rename(fresh, directory);
  await removeTree(old);
}

/** disk.raw is disk-STAMP.raw, and disk.raw.md5 disk-STAMP.raw.md5, as diskimage-builder names them. */
function datedName(path: string, stamp: string): string {
  return path.replace(/(\.[^./]+(?:\.(?:md5|sha256))?)$/, `-${stamp}$1`);
}

/** NAME.qcow2, NAME.raw ... beside NAME.d/, where the papers go; an old result is renamed with a date unless OVERWRITE_OLD_IMAGE is set. */
export async function placeByName(
  output: string,
  fresh: string,
  outputs: Outputs,
  definition: ImageDefinition,
  keepOld: boolean,
): Promise<string[]> {
  const directory = `${output}.d`;
  await mkdir(directory, { recursive: true });
  const files: string[] = [];
  const own = new Set(outputs.files.filter(({ type }) => type !== 'index').map(({ path }) => basename(path)));
  const stamp = new Date()
    .toISOString()
    .slice(0, 19)
    .replace(/^(\d+)-(\d+)-(\d+)T/, '$1.$2.$3-')
    .replaceAll(':', '.');
  // An image before its checksums, which would else be taken for the old ones.
  for (const name of (await readdir(fresh)).sort()) {
    const source = join(fresh, name);
    const beside = besideName(name, basename(output), own, definition.types);
    const outside = beside !== undefined;
    const target = outside ? join(dirname(output), beside) : join(directory, name);
    // With its checksums, whether this build writes any or not.
    if (outside && keepOld)
      for (const ending of ['', '.md5', '.sha256']) {
        const old = `${target}${ending}`;
        if (await exists(old)) await rename(old, datedName(old, stamp));
      }
    if ((await stat(source)).isDirectory()) await removeTree(target);
    await rename(source, target);
    if (outside) files.push(target);
  }
  await removeTree(fresh);
  return files.sort();
}
