import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { digestFile } from './outputs.ts';
import { BuildError } from './progress.ts';

/** A package of an image, as exactly as it can be named. */
export interface LockedPackage {
  name: string;
  version: string;
  architecture: string;
  /** Name in the package store and sha256 of the .deb; null when it was never fetched as a file of its own. */
  file: string | null;
  sha256: string | null;
}

export interface Lock {
  format: 'undercloud.lock/1';
  name: string;
  release: string;
  packages: LockedPackage[];
  /** Packages that were installed while the image was built and are not in it. */
  buildOnly?: LockedPackage[];
}

/** apt's own name for a package's file: the colon of an epoch is quoted. */
export function debName({
  name,
  version,
  architecture,
}: {
  name: string;
  version: string;
  architecture: string;
}): string {
  return `${name}_${version.replaceAll(':', '%3a')}_${architecture}.deb`;
}

/** Digests of the store's packages; a file is read once, as long as its size and time stay. */
async function storeDigests(store: string, names: readonly string[]): Promise<Map<string, string>> {
  const record = join(store, '..', 'sha256.json');
  const known = JSON.parse(await readFile(record, 'utf8').catch(() => '{}')) as Record<
    string,
    [size: number, time: number, sha256: string]
  >;
  const there = new Set(await readdir(store).catch(() => [] as string[]));
  const digests = new Map<string, string>();
  let changed = false;
  for (const name of names) {
    if (!there.has(name)) continue;
    const path = join(store, name);
    const { size, mtimeMs } = await stat(path);
    const before = known[name];
    if (before !== undefined && before[0] === size && before[1] === mtimeMs) digests.set(name, before[2]);
    else {
      const [sha256] = await digestFile(path, 'sha256');
      known[name] = [size, mtimeMs, sha256!];
      digests.set(name, sha256!);
      changed = true;
    }
  }
  if (changed) {
    await mkdir(join(store, '..'), { recursive: true });
    await writeFile(record, JSON.stringify(known));
  }
  return digests;
}

/** Names every package of an image by version and by the sha256 of what the store holds. */
export async function lockPackages(
  name: string,
  release: string,
  packages: readonly { name: string; version: string; architecture: string }[],
  store: string,
  /** Everything that was ever installed on the way. */
  all: readonly { name: string; version: string; architecture: string }[] = [],
): Promise<Lock> {
  const there = new Set(packages.map(debName));
  const passing = all.filter((each) => !there.has(debName(each)));
  const digests = await storeDigests(store, [...packages, ...passing].map(debName));
  const locked = (each: { name: string; version: string; architecture: string }): LockedPackage => {
    const file = debName(each);
    const sha256 = digests.get(file) ?? null;
    return { ...each, file: sha256 === null ? null : file, sha256 };
  };
  return {
    format: 'undercloud.lock/1',
    name,
    release,
    packages: packages.map(locked),
    buildOnly: passing.map(locked),
  };
}

export async function readLock(path: string): Promise<Lock> {
  let lock: Lock;
  try {
    lock = JSON.parse(await readFile(path, 'utf8')) as Lock;
  } catch (error) {
    throw new BuildError(`The lock file ${path} cannot be read: ${(error as Error).message}`);
  }
  if (lock.format !== 'undercloud.lock/1' || !Array.isArray(lock.packages))
    throw new BuildError(`${path} is no lock file of an image (format ${JSON.stringify(lock.format)}).`);
  return lock;
}

/** What two locks disagree about, as sentences. */
export function compareLocks(before: Lock, after: Lock): string[] {
  const key = ({ name, architecture }: LockedPackage): string => `${name}:${architecture}`;
  const old = new Map(before.packages.map((each) => [key(each), each]));
  const fresh = new Map(after.packages.map((each) => [key(each), each]));
  const sentences: string[] = [];
  for (const [id, each] of old) {
    const now = fresh.get(id);
    if (now === undefined) sentences.push(`${id} ${each.version} is no longer part of it`);
    else if (now.version !== each.version) sentences.push(`${id} was ${each.version} and is ${now.version}`);
    else if (each.sha256 !== null && now.sha256 !== null && each.sha256 !== now.sha256)
      sentences.push(`${id} ${each.version} has other bytes than the locked file`);
  }
  for (const [id, each] of fresh) if (!old.has(id)) sentences.push(`${id} ${each.version} is new`);
  return sentences.sort();
}
