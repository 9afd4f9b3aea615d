/** Two trees of the same image, one by diskimage-builder and one by ours: every difference, without an opinion about it. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type TreeNode, walkTree } from '../../../services/builder/layers.ts';

export interface TreeDifferences {
  /** Paths that only the first, only the second tree has. */
  onlyPeer: string[];
  onlyOurs: string[];
  kind: string[];
  mode: string[];
  owner: string[];
  content: string[];
  attributes: string[];
}

function digest(node: TreeNode): string {
  return createHash('sha256').update(readFileSync(node.source)).digest('hex');
}

/** Compares kinds, modes, owners, link targets, contents and extended attributes; times are nobody's promise. */
export function compareTrees(peer: TreeNode, ours: TreeNode): TreeDifferences {
  const theirs = new Map([...walkTree(peer)].map(({ node, path }) => [path, node]));
  const own = new Map([...walkTree(ours)].map(({ node, path }) => [path, node]));
  const result: TreeDifferences = {
    onlyPeer: [],
    onlyOurs: [],
    kind: [],
    mode: [],
    owner: [],
    content: [],
    attributes: [],
  };
  for (const path of theirs.keys()) if (!own.has(path)) result.onlyPeer.push(path);
  for (const [path, node] of own) {
    const other = theirs.get(path);
    if (other === undefined) {
      result.onlyOurs.push(path);
      continue;
    }
    if (other.kind !== node.kind) result.kind.push(`${path} ${other.kind} ${node.kind}`);
    else if (
      node.kind === 'symlink'
        ? other.target !== node.target
        : node.kind === 'file' && (other.size !== node.size || digest(other) !== digest(node))
    )
      result.content.push(path);
    if (other.mode !== node.mode && node.kind !== 'symlink')
      result.mode.push(`${path} ${other.mode.toString(8)} ${node.mode.toString(8)}`);
    if (other.uid !== node.uid || other.gid !== node.gid)
      result.owner.push(`${path} ${other.uid}:${other.gid} ${node.uid}:${node.gid}`);
    const words = (each: TreeNode): string =>
      each.attributes.map(({ name, value }) => `${name}=${value.toString('hex')}`).join(' ');
    if (words(other) !== words(node)) result.attributes.push(path);
  }
  return result;
}
