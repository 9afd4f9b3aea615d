import { type Dirent, lstatSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { getAttribute, readAttributes } from './xattr.ts';

export type Kind = 'file' | 'directory' | 'symlink' | 'character' | 'block' | 'fifo' | 'socket';

/** A file of the tree that layers make together, as the topmost of them has it. */
export interface TreeNode {
  name: string;
  kind: Kind;
  /** Number of the layer that it comes from, 0 is the lowest. */
  layer: number;
  /** Where it lies on this machine. */
  source: string;
  mode: number;
  uid: number;
  gid: number;
  size: number;
  /** Modification, in whole seconds. */
  time: number;
  device: { major: number; minor: number };
  /** Equal for the names of one file. */
  identity: string;
  /** Fewer blocks than bytes: the file has holes. */
  sparse: boolean;
  links: number;
  target: string;
  attributes: { name: string; value: Buffer }[];
  children: Map<string, TreeNode>;
  /** For a directory: the topmost layer that changed its list of names. */
  listing: number;
  /** sha256 of a file's bytes, once somebody wanted to know. */
  digest?: string;
}

/** Linux's dev_t as stat gives it (gnu_dev_major, gnu_dev_minor). */
export function deviceNumbers(device: number): { major: number; minor: number } {
  const value = BigInt(device);
  return {
    major: Number(((value >> 8n) & 0xfffn) | ((value >> 32n) & ~0xfffn)),
    minor: Number((value & 0xffn) | ((value >> 12n) & ~0xffn)),
  };
}

function kindOf(entry: Dirent): Kind {
  if (entry.isFile()) return 'file';
  if (entry.isDirectory()) return 'directory';
  if (entry.isSymbolicLink()) return 'symlink';
  if (entry.isCharacterDevice()) return 'character';
  if (entry.isBlockDevice()) return 'block';
  return entry.isFIFO() ? 'fifo' : 'socket';
}

/** No time of a tree is later than this; equal inputs shall give equal trees. */
let latest = Number.POSITIVE_INFINITY;

function readNode(source: string, name: string, kind: Kind, layer: number): TreeNode {
  const info = lstatSync(source);
  return {
    name,
    kind,
    layer,
    source,
    mode: info.mode,
    uid: info.uid,
    gid: info.gid,
    size: kind === 'file' || kind === 'symlink' ? info.size : 0,
    time: Math.min(Math.floor(info.mtimeMs / 1000), latest),
    device: deviceNumbers(info.rdev),
    identity: info.nlink > 1 && kind !== 'directory' ? `${info.dev}:${info.ino}` : '',
    sparse: kind === 'file' && info.blocks * 512 < info.size,
    links: 1,
    target: kind === 'symlink' ? readlinkSync(source) : '',
    attributes: readAttributes(source),
    children: new Map(),
    listing: layer,
  };
}

/** A character device 0:0 stands for a name that a higher layer removed (overlayfs). */
function isWhiteout(source: string, kind: Kind): boolean {
  return kind === 'character' && lstatSync(source).rdev === 0;
}

/** Merges one layer's directory over what lower layers made of it. */
function mergeInto(node: TreeNode, directory: string, layer: number): void {
  const entries = readdirSync(directory, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    const kind = kindOf(entry);
    const source = join(directory, entry.name);
    const below = node.children.get(entry.name);
    if (isWhiteout(source, kind)) {
      if (node.children.delete(entry.name)) node.listing = layer;
      continue;
    }
    const fresh = readNode(source, entry.name, kind, layer);
    if (below === undefined) node.listing = layer;
    if (kind === 'directory') {
      const opaque = below?.kind === 'directory' && getAttribute(source, 'trusted.overlay.opaque')?.toString() === 'y';
      if (below?.kind === 'directory' && !opaque) {
        fresh.children = below.children;
        fresh.listing = below.listing;
        // The inode changes with its owner, mode or time only: a directory that merely leads to a changed file stays where it was.
        if (sameDirectory(below, fresh)) fresh.layer = below.layer;
      }
      mergeInto(fresh, source, layer);
    }
    // A file that replaces one of the same kind under the same name leaves the list of names as it was.
    if (below !== undefined && below.kind !== kind) node.listing = layer;
    node.children.set(entry.name, fresh);
  }
}

function sameDirectory(a: TreeNode, b: TreeNode): boolean {
  return a.mode === b.mode && a.uid === b.uid && a.gid === b.gid && a.time === b.time;
}

/**
 * Reads the tree that overlayfs would show of these layers, the lowest first, without mounting it. Every layer is a directory as overlayfs leaves its upper one: whiteouts are
 * character devices 0:0, replaced directories carry trusted.overlay.opaque. Times later than `epoch` become it. Needs root.
 */
export function mergeLayers(layers: readonly string[], epoch = Number.POSITIVE_INFINITY): TreeNode {
  latest = epoch;
  const [lowest] = layers;
  if (lowest === undefined) throw new Error('A tree is made of one layer at least.');
  const root = readNode(lowest, '', 'directory', 0);
  for (const [layer, path] of layers.entries()) {
    if (layer > 0) {
      const own = readNode(path, '', 'directory', layer);
      Object.assign(root, { mode: own.mode, uid: own.uid, gid: own.gid, time: own.time });
    }
    mergeInto(root, path, layer);
  }
  return root;
}

/** A name's node in the tree; symlinks are not followed. */
export function findNode(root: TreeNode, path: string): TreeNode | undefined {
  let node: TreeNode | undefined = root;
  for (const part of path.split('/').filter((each) => each !== '')) node = node?.children.get(part);
  return node;
}

/** Every node below a directory with its path, parents first, names in the order of their bytes. */
export function* walkTree(node: TreeNode, path = ''): Generator<{ node: TreeNode; path: string; parent: TreeNode }> {
  for (const name of sortedNames(node)) {
    const child = node.children.get(name)!;
    const childPath = path === '' ? name : `${path}/${name}`;
    yield { node: child, path: childPath, parent: node };
    if (child.kind === 'directory') yield* walkTree(child, childPath);
  }
}

/** The names of a directory in the order of their bytes, which no locale and no history changes. */
export function sortedNames(node: TreeNode): string[] {
  return [...node.children.keys()].sort((a, b) => (a === b ? 0 : Buffer.compare(Buffer.from(a), Buffer.from(b))));
}

/** Puts a file of the builder's own into the tree. Directories on the way must be there. */
export function putNode(
  root: TreeNode,
  path: string,
  node: Partial<TreeNode> & Pick<TreeNode, 'kind' | 'mode' | 'layer'>,
): void {
  const parts = path.split('/').filter((each) => each !== '');
  const name = parts.pop()!;
  const parent = findNode(root, parts.join('/'));
  if (parent === undefined) throw new Error(`There is no directory /${parts.join('/')} in the tree.`);
  if (!parent.children.has(name)) parent.listing = Math.max(parent.listing, node.layer);
  parent.children.set(name, {
    name,
    source: '',
    uid: 0,
    gid: 0,
    size: 0,
    time: 0,
    device: { major: 0, minor: 0 },
    identity: '',
    sparse: false,
    links: 1,
    target: '',
    attributes: [],
    children: new Map(),
    listing: node.layer,
    ...node,
  });
}
