import { sortedNames, type TreeNode } from '../layers.ts';
import { attributeBytes } from './attributes.ts';
import { directoryBlocks } from './directory.ts';
import { BLOCK } from './geometry.ts';
import { overheadMib } from './skeleton.ts';

const MIB = 1024 * 1024;
/** Bytes of attributes that an inode of 256 bytes holds. */
const BODY_ROOM = 96;

/** What one layer stores. */
export interface LayerContent {
  /** Directories whose blocks lie here, with their parents. */
  directories: { node: TreeNode; parent: TreeNode }[];
  /** Inodes of this layer, each once, in the order of their paths. */
  inodes: TreeNode[];
  blocks: number;
}

export interface LayerPlan {
  layers: LayerContent[];
  /** Number of names of files that have several. */
  links: Map<string, number>;
  /** Blocks that layers after this one need at least. */
  slack: (layer: number) => number;
}

/** Rounds up to an eighth's granularity: a layer that grows a little keeps its neighbours where they are. */
function roomy(count: number, least: number): number {
  let granule = least;
  while (granule * 16 <= count) granule *= 2;
  return Math.ceil(count / granule) * granule;
}

/** Blocks of a layer's region, a multiple of 1 MiB with room to grow. */
export function regionBlocks(blocks: number): number {
  return roomy(blocks, MIB / BLOCK);
}

/** Inodes of a layer's range, a multiple of what a block of the table holds. */
export function inodeSpan(inodes: number): number {
  return inodes === 0 ? 0 : roomy(inodes, 16);
}

function fileBlocks(node: TreeNode): number {
  const attributes = node.attributes.length > 0 && attributeBytes(node.attributes) + 4 > BODY_ROOM ? 1 : 0;
  if (node.kind === 'file') return Math.ceil(node.size / BLOCK) + attributes;
  return attributes + (node.kind === 'symlink' && Buffer.byteLength(node.target) >= 60 ? 1 : 0);
}

/** Deals the tree out to its layers. */
export function planLayers(root: TreeNode, count: number): LayerPlan {
  const layers = Array.from({ length: count }, (): LayerContent => ({ directories: [], inodes: [], blocks: 0 }));
  const links = new Map<string, number>();
  const visit = (node: TreeNode, parent: TreeNode): void => {
    const listing = layers[Math.max(node.listing, node.layer)]!;
    const names = sortedNames(node);
    listing.directories.push({ node, parent });
    listing.blocks += directoryBlocks(names.map((name) => Buffer.byteLength(name)));
    for (const name of names) {
      const child = node.children.get(name)!;
      if (node === root && name === 'lost+found') continue;
      if (child.identity !== '') {
        const known = links.get(child.identity) ?? 0;
        links.set(child.identity, known + 1);
        if (known > 0) continue;
      }
      const own = layers[child.layer]!;
      own.inodes.push(child);
      if (child.kind === 'directory') visit(child, node);
      else own.blocks += fileBlocks(child);
    }
  };
  visit(root, root);
  const after = layers.map((_, index) => layers.slice(index + 1).reduce((sum, { blocks }) => sum + blocks + 512, 0));
  return { layers, links, slack: (layer) => after[layer] ?? 0 };
}

export interface Ext4Size {
  mib: number;
  bytesPerInode: number;
}

/**
 * The least size for a tree, in MiB: regions with their room to grow, the file system's own needs, and `spareMib` free. `scale` (1 or more) multiplies what the tree holds, as
 * diskimage-builder does.
 */
export function planSize(
  root: TreeNode,
  layers: number,
  journalMib: number,
  spareMib: number,
  wanted = 16_384,
  scale = 1,
): Ext4Size {
  const plan = planLayers(root, layers);
  const regions = plan.layers.reduce((sum, { blocks }) => sum + (blocks > 64 ? regionBlocks(blocks) + 256 : blocks), 0);
  const stored = plan.layers.reduce((sum, { blocks }) => sum + blocks, 0);
  const data = (Math.max(regions, stored * scale) * BLOCK) / MIB + spareMib;
  const inodes = plan.layers.reduce((sum, each) => sum + inodeSpan(each.inodes.length), 0) + 2000;
  let bytesPerInode = wanted;
  let mib = 0;
  for (;;) {
    mib = Math.ceil(data * 1.02);
    for (let round = 0; round < 4; round++) mib = Math.ceil(data * 1.02 + overheadMib(mib, journalMib, bytesPerInode));
    if ((mib * MIB) / bytesPerInode >= inodes || bytesPerInode <= 2048) return { mib, bytesPerInode };
    bytesPerInode /= 2;
  }
}

/** The inode ratio for a file system of a given size. */
export function inodeRatio(root: TreeNode, layers: number, mib: number, wanted = 16_384): number {
  const needed = planLayers(root, layers).layers.reduce((sum, each) => sum + inodeSpan(each.inodes.length), 0) + 2000;
  let bytesPerInode = wanted;
  while ((mib * MIB) / bytesPerInode < needed && bytesPerInode > 2048) bytesPerInode /= 2;
  return bytesPerInode;
}
