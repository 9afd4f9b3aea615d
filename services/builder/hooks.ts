import { createHash } from 'node:crypto';
import { chmod, copyFile, mkdir, readdir, readFile, readlink, stat, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { BuildError } from './progress.ts';
import type { Element } from './resolve.ts';

/** Directories of an element that are not part of the hook tree. */
const LEFT_OUT = new Set(['tests', 'test-elements', '__pycache__']);

/** The merged tree of all elements' hooks: where it lies, and which element each file came from (keyed by path inside the tree). */
export interface HookTree {
  path: string;
  owners: Map<string, string>;
}

/** A file that two elements bring into one directory of hooks or data is an error, because one would silently replace the other (diskimage-builder fails such a build too). */
async function copyInto(
  source: string,
  target: string,
  relative: string,
  element: Element,
  tree: HookTree,
): Promise<void> {
  const info = await stat(source); // Symlinks are followed, as diskimage-builder's rsync --copy-links does.
  if (info.isDirectory()) {
    await mkdir(target, { recursive: true });
    for (const entry of (await readdir(source)).sort()) {
      if (LEFT_OUT.has(entry)) continue;
      await copyInto(join(source, entry), join(target, entry), `${relative}/${entry}`, element, tree);
    }
    return;
  }
  if (!info.isFile())
    throw new BuildError(`Element "${element.name}" holds ${relative}, which is neither a file nor a directory.`);
  const owner = tree.owners.get(relative);
  // Deeper down (static/etc/motd, init-scripts/systemd/a.service) a later element's file replaces an earlier one's, as in diskimage-builder.
  if (owner !== undefined && relative.split('/').length === 2) {
    throw new BuildError(
      `Elements "${owner}" and "${element.name}" both bring ${relative}: hooks are merged into one tree, so rename one of them.`,
    );
  }
  tree.owners.set(relative, element.name);
  await copyFile(source, target);
  await chmod(target, info.mode & 0o777);
}

/** Files of an element that describe it; every element may have them, so they are not merged (the builder reads them in place). */
const DESCRIPTIONS = new Set([
  'element-deps',
  'element-provides',
  'package-installs.yaml',
  'package-installs.json',
  'pkg-map',
  'svc-map',
]);

/**
 * Merges the sub-directories of every element into one tree at `path`. A top-level file that describes an element (README, element-deps, pkg-map ...) stays behind;
 * of directories below the first level (static/etc, init-scripts/systemd) the later element wins, as in diskimage-builder.
 */
export async function mergeHooks(elements: readonly Element[], path: string): Promise<HookTree> {
  const tree: HookTree = { path, owners: new Map() };
  await mkdir(path, { recursive: true });
  for (const element of elements) {
    for (const entry of (await readdir(element.path)).sort()) {
      if (LEFT_OUT.has(entry) || DESCRIPTIONS.has(entry) || /^(README|LICENSE|__init__)|\.pyc$/.test(entry)) continue;
      await copyInto(join(element.path, entry), join(path, entry), entry, element, tree);
    }
  }
  return tree;
}

/** The names of the executable files in one hook directory of the merged tree; a missing directory is empty. */
export async function listHooks(tree: HookTree, directory: string, executableOnly = true): Promise<string[]> {
  const entries = await readdir(join(tree.path, directory)).catch(() => [] as string[]);
  const names: string[] = [];
  for (const entry of entries) {
    const info = await stat(join(tree.path, directory, entry));
    if (info.isFile() && (!executableOnly || (info.mode & 0o111) !== 0)) names.push(entry);
  }
  return names;
}

async function digestInto(hash: ReturnType<typeof createHash>, path: string, relative: string): Promise<void> {
  const info = await stat(path);
  if (info.isDirectory()) {
    for (const entry of (await readdir(path)).sort()) {
      if (!LEFT_OUT.has(entry)) await digestInto(hash, join(path, entry), `${relative}/${entry}`);
    }
    return;
  }
  const content = await readFile(path);
  hash.update(`${relative}\0${(info.mode & 0o777).toString(8)}\0${content.length}\0`).update(content);
}

/** A digest of names, modes and bytes of everything below the paths (directories or files; missing ones count as empty). */
export async function digestPaths(paths: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const path of paths) {
    hash.update(`[${path.split('/').pop()}]`);
    const there = await stat(path).catch(() => undefined);
    if (there !== undefined) await digestInto(hash, path, '');
  }
  return hash.digest('hex');
}

/** Copies a tree with its modes and symlinks (for small trees of our own; owners are left to the caller). */
export async function copyTree(source: string, target: string): Promise<void> {
  await mkdir(target, { recursive: true });
  for (const entry of await readdir(source, { withFileTypes: true })) {
    const from = join(source, entry.name);
    const to = join(target, entry.name);
    if (entry.isDirectory()) await copyTree(from, to);
    else if (entry.isSymbolicLink()) await symlink(await readlink(from), to);
    else {
      await copyFile(from, to);
      await chmod(to, (await stat(from)).mode & 0o777);
    }
  }
}
