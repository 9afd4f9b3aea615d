import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CHUNK_SIZE, type ChunkIndex, parseChunkIndex } from '../ipa/index.ts';
import { type ListedFile, readFileList } from './files-list.ts';
import { type ImageManifest, readManifest } from './manifest.ts';
import { BuildError } from './progress.ts';

export interface PackageChange {
  name: string;
  before: string | null;
  after: string | null;
}

/** What a node that has the one image would fetch to become the other. */
export interface WireCost {
  /** Chunks of the new image that are not zero, and those that differ at their place from the old one. */
  chunks: number;
  changed: number;
  /** Changed ones that no chunk of the old image equals. */
  fetched: number;
  /** Compressed bytes of the changed ones that no chunk of the old image equals, and of the whole new image. */
  bytes: number;
  wholeBytes: number;
  /** Raw bytes that are written to the disk: changed chunks, zeros included. */
  diskBytes: number;
}

export interface ImageDiff {
  packages: PackageChange[];
  files: { added: string[]; removed: string[]; changed: string[] } | null;
  wire: WireCost | null;
}

/** Compares two chunk indexes. */
export function wireCost(before: ChunkIndex, after: ChunkIndex): WireCost {
  const had = new Set(before.chunks.flatMap((chunk) => (chunk === null ? [] : [chunk[3]])));
  const fetched = new Set<string>();
  const cost: WireCost = { chunks: 0, changed: 0, fetched: 0, bytes: 0, wholeBytes: 0, diskBytes: 0 };
  const whole = new Set<string>();
  for (const [index, chunk] of after.chunks.entries()) {
    const old = before.chunks[index];
    const same = (old?.[3] ?? null) === (chunk?.[3] ?? null) && index < before.chunks.length;
    if (!same) cost.diskBytes += CHUNK_SIZE;
    if (chunk === null) continue;
    cost.chunks += 1;
    if (!whole.has(chunk[3])) cost.wholeBytes += chunk[2];
    whole.add(chunk[3]);
    if (same) continue;
    cost.changed += 1;
    if (had.has(chunk[3]) || fetched.has(chunk[3])) continue;
    fetched.add(chunk[3]);
    cost.fetched += 1;
    cost.bytes += chunk[2];
  }
  return cost;
}

function comparePackages(before: ImageManifest, after: ImageManifest): PackageChange[] {
  const versions = (manifest: ImageManifest): Map<string, string> =>
    new Map(manifest.packages.map((each) => [each.name, each.version]));
  const [old, fresh] = [versions(before), versions(after)];
  const names = [...new Set([...old.keys(), ...fresh.keys()])].sort();
  return names
    .map((name) => ({ name, before: old.get(name) ?? null, after: fresh.get(name) ?? null }))
    .filter((each) => each.before !== each.after);
}

function compareFiles(
  before: Map<string, ListedFile>,
  after: Map<string, ListedFile>,
): NonNullable<ImageDiff['files']> {
  const differs = (path: string, each: ListedFile): boolean => {
    const old = before.get(path);
    return old !== undefined && (old.digest !== each.digest || old.mode !== each.mode || old.owner !== each.owner);
  };
  return {
    added: [...after.keys()].filter((path) => !before.has(path)),
    removed: [...before.keys()].filter((path) => !after.has(path)),
    changed: [...after].filter(([path, each]) => differs(path, each)).map(([path]) => path),
  };
}

async function indexOf(directory: string): Promise<ChunkIndex | undefined> {
  const text = await readFile(join(directory, 'index.json'), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : parseChunkIndex(text);
}

/** Compares two finished images by the directories that hold their manifests. */
export async function diffImages(before: string, after: string): Promise<ImageDiff> {
  const [old, fresh] = await Promise.all([before, after].map((directory) => readManifest(directory)));
  for (const [directory, manifest] of [
    [before, old],
    [after, fresh],
  ] as const)
    if (manifest === undefined)
      throw new BuildError(`${directory} holds no finished image (manifest.json with its files): build it first.`);
  const [oldFiles, freshFiles] = await Promise.all([before, after].map((directory) => readFileList(directory)));
  const [oldIndex, freshIndex] = await Promise.all([before, after].map(indexOf));
  return {
    packages: comparePackages(old!, fresh!),
    files: oldFiles && freshFiles ? compareFiles(oldFiles, freshFiles) : null,
    wire: oldIndex && freshIndex ? wireCost(oldIndex, freshIndex) : null,
  };
}
