import { execFileSync } from 'node:child_process';

import { readFile, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { ImageDefinition } from './definition.ts';
import { digestPaths } from './hooks.ts';
import type { HostApt } from './host-apt.ts';
import { findNode, type TreeNode } from './layers.ts';
import type { Lock } from './lock.ts';
import type { Artefact } from './outputs.ts';
import { digestFile } from './outputs.ts';
import type { Element } from './resolve.ts';
import { cycloneDx, spdx } from './sbom.ts';
import { signBytes, type signingKey } from './signing.ts';
import type { BuiltTree } from './tree.ts';

/** A source that source-repositories fetched: name, where from, commit. */
export interface FetchedSource {
  name: string;
  location: string;
  commit: string;
}

/** The commit of the repository that a directory lies in; empty for one that lies in none (a Debian package's elements). */
function commitOf(path: string): string {
  try {
    return execFileSync('git', ['-C', path, 'rev-parse', 'HEAD'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return '';
  }
}

/** What source-repositories wrote down in the image's manifests. */
export async function fetchedSources(root: TreeNode): Promise<FetchedSource[]> {
  const directory = findNode(root, 'etc/dib-manifests');
  const sources: FetchedSource[] = [];
  for (const [name, node] of directory?.children ?? []) {
    if (!name.startsWith('dib-manifest-git-')) continue;
    for (const line of (await readFile(node.source, 'utf8')).split('\n')) {
      const [what, kind, , location, commit] = line.split(' ');
      if (what && kind === 'git' && location && commit) sources.push({ name: what, location, commit });
    }
  }
  return sources.sort((a, b) => (a.name < b.name ? -1 : 1));
}

export interface PaperOptions {
  directory: string;
  key: string;
  definition: ImageDefinition;
  elements: readonly Element[];
  apt: HostApt;
  built: BuiltTree;
  root: TreeNode;
  lock: Lock;
  epoch: number;
  distribution: string;
}

/** Writes lock.json, the bills of materials and provenance.json. Nothing in them depends on when or where the build ran. */
export async function writePapers(options: PaperOptions): Promise<string[]> {
  const { directory, definition, elements, apt, built, lock, epoch, key } = options;
  const sources = await fetchedSources(options.root);
  // One question for each directory of elements: a repository has one commit.
  const commits = new Map(
    [...new Set(elements.map(({ path }) => dirname(path)))].map((path) => [path, commitOf(path)]),
  );
  const subject = {
    name: definition.name,
    release: apt.release,
    architecture: apt.architecture,
    distribution: options.distribution,
    epoch,
    key,
    packages: lock.packages,
    sources,
  };
  const provenance = {
    format: 'undercloud.provenance/1',
    name: definition.name,
    key,
    definition,
    sourceDateEpoch: epoch,
    mirrors: apt.sources.map(({ uri, suite, components }) => ({ uri, suite, components })),
    elements: await Promise.all(
      elements.map(async ({ name, path }) => ({
        name,
        sha256: await digestPaths([path]),
        commit: commits.get(dirname(path)) ?? '',
      })),
    ),
    sources,
    layers: built.steps.map(({ phase, script, element, key: layer }) => ({ phase, script, element, key: layer })),
    warnings: built.warnings,
  };
  const papers: Record<string, string> = {
    'lock.json': `${JSON.stringify(lock, undefined, 1)}\n`,
    'sbom.cdx.json': cycloneDx(subject),
    'sbom.spdx.json': spdx(subject),
    'provenance.json': `${JSON.stringify(provenance, undefined, 1)}\n`,
  };
  for (const [file, text] of Object.entries(papers)) await writeFile(join(directory, file), text);
  return Object.keys(papers);
}

/** SHA256SUMS over files, in the form of sha256sum; names are given relative to `directory`. */
export async function writeSums(directory: string, files: readonly { name: string; sha256: string }[]): Promise<void> {
  const lines = [...files].sort((a, b) => (a.name < b.name ? -1 : 1)).map(({ name, sha256 }) => `${sha256}  ${name}\n`);
  await writeFile(join(directory, 'SHA256SUMS'), lines.join(''));
}

/** Signs files of a directory: FILE.sig beside each. */
export async function signFiles(
  directory: string,
  names: readonly string[],
  key: Awaited<ReturnType<typeof signingKey>>,
): Promise<void> {
  for (const name of names) {
    const bytes = await readFile(join(directory, name));
    await writeFile(join(directory, `${name}.sig`), `${JSON.stringify(signBytes(key, bytes))}\n`);
  }
}

/** Size and digest of a finished file; `known` spares reading it once more. */
export async function describeArtefact(type: Artefact['type'], path: string, known?: string): Promise<Artefact> {
  const sha256 = known ?? (await digestFile(path, 'sha256'))[0]!;
  const { size } = await stat(path);
  return { type, name: basename(path), size, sha256 };
}
