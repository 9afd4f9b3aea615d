import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildImage } from './build.ts';
import { exists, openWork, removeTree } from './cache.ts';
import { runCommand } from './command.ts';
import type { ImageDefinition } from './definition.ts';
import { diffImages, type ImageDiff } from './diff.ts';
import { compareLocks, readLock } from './lock.ts';
import { readManifest } from './manifest.ts';
import type { BuildOptions } from './prepare.ts';
import { BuildError } from './progress.ts';

export interface Verification {
  name: string;
  /** Whether the rebuild has the same bytes. */
  same: boolean;
  sha256: { before: string; after: string };
  /** Why it has not, as far as can be told: packages, elements, files. */
  reasons: string[];
  diff: ImageDiff | null;
}

interface Provenance {
  definition: ImageDefinition;
  sourceDateEpoch: number;
  elements: { name: string; sha256: string }[];
}

/**
 * Builds an image anew from nothing but the package store and compares. `directory` holds its manifest. The rebuild has layers, lists and work of its own, so that nothing of the
 * first build can help it to the same result.
 */
export async function verifyImage(
  directory: string,
  options: Omit<BuildOptions, 'definition' | 'out'>,
): Promise<Verification> {
  const manifest = await readManifest(directory);
  const text = await readFile(join(directory, 'provenance.json'), 'utf8').catch(() => undefined);
  if (manifest === undefined || text === undefined)
    throw new BuildError(`${directory} holds no finished image with its provenance.json: build it first.`);
  const provenance = JSON.parse(text) as Provenance;
  const lock = await readLock(join(directory, 'lock.json'));
  const { output: _, ...definition } = provenance.definition;
  await mkdir(options.cache, { recursive: true });
  const work = await openWork(options.cache);
  const cache = join(work, 'verify');
  try {
    const store = join(options.cache, 'apt', lock.release, 'archives');
    if (await exists(store)) {
      await mkdir(join(cache, 'apt', lock.release), { recursive: true });
      await runCommand('cp', ['-al', store, join(cache, 'apt', lock.release, 'archives')]);
    }
    const name = provenance.definition.output ?? definition.name;
    const rebuilt = await buildImage({
      ...options,
      definition: { ...definition, environment: { ...definition.environment, IMAGE_NAME: name } },
      types: manifest.types,
      ...(lock.packages.length > 0 ? { lock: join(directory, 'lock.json') } : {}),
      out: join(work, 'out'),
      cache,
    });
    const before = manifest.sha256 === '' ? artefactDigest(manifest.artefacts) : manifest.sha256;
    const after = rebuilt.manifest.sha256 === '' ? artefactDigest(rebuilt.manifest.artefacts) : rebuilt.manifest.sha256;
    const same = before === after && artefactDigest(manifest.artefacts) === artefactDigest(rebuilt.manifest.artefacts);
    const reasons: string[] = [];
    let diff: ImageDiff | null = null;
    if (!same) {
      diff = await diffImages(directory, rebuilt.directory);
      reasons.push(...compareLocks(lock, await readLock(join(rebuilt.directory, 'lock.json'))));
      const now = JSON.parse(await readFile(join(rebuilt.directory, 'provenance.json'), 'utf8')) as Provenance;
      for (const { name: element, sha256 } of provenance.elements) {
        const other = now.elements.find((each) => each.name === element);
        if (other === undefined) reasons.push(`element "${element}" is no longer used`);
        else if (other.sha256 !== sha256) reasons.push(`element "${element}" has changed since the build`);
      }
      for (const path of diff.files?.changed.slice(0, 20) ?? []) reasons.push(`/${path} differs`);
      for (const path of diff.files?.added.slice(0, 10) ?? []) reasons.push(`/${path} is new`);
      for (const path of diff.files?.removed.slice(0, 10) ?? []) reasons.push(`/${path} is gone`);
    }
    return { name: manifest.name, same, sha256: { before, after }, reasons, diff };
  } finally {
    await removeTree(work);
  }
}

function artefactDigest(artefacts: readonly { type: string; sha256: string }[] | undefined): string {
  return (artefacts ?? [])
    .map(({ type, sha256 }) => `${type}:${sha256}`)
    .sort()
    .join(' ');
}
