/** The trees that disks and archives are made of. */
import { findNode, mergeLayers, type TreeNode } from './layers.ts';
import type { BuiltTree } from './tree.ts';

/** apt gives them to its own user when it downloads, and leaves them alone when everything was in the store; in an image they are as apt's package has them. */
const APT_OWN = ['var/lib/apt/lists/partial', 'var/cache/apt/archives/partial'];

/**
 * apt's leavings. debootstrap's packages lie where diskimage-builder's root.d mounts its shared cache over them, and `apt-get clean` of finalise.d finds the build's own cache
 * there, which is no part of the tree: what it was meant to empty is emptied here.
 */
function leaveOutDownloads(root: TreeNode): void {
  const archives = findNode(root, 'var/cache/apt/archives');
  for (const name of archives?.children.keys() ?? [])
    if (name === 'lock' || name.endsWith('.deb')) archives!.children.delete(name);
  const lists = findNode(root, 'var/lib/apt/lists');
  for (const name of ['lock', 'auxfiles']) lists?.children.delete(name);
}

/** What the layers make together, without what a build leaves by chance. */
export function finishedTree(layers: readonly string[], epoch: number): TreeNode {
  const root = mergeLayers(layers, epoch);
  root.children.get('tmp')?.children.clear();
  leaveOutDownloads(root);
  for (const path of APT_OWN) {
    const node = findNode(root, path);
    if (node !== undefined) Object.assign(node, { uid: 0, gid: 0, mode: (node.mode & ~0o7777) | 0o755 });
  }
  return root;
}

/** Assembly took apart what lies below mount points; archives want the tree whole. */
export function mergeOf(root: TreeNode, built: BuiltTree, epoch: number): TreeNode {
  const whole = finishedTree(built.layers, epoch);
  const fstab = findNode(root, 'etc/fstab');
  const etc = findNode(whole, 'etc');
  if (fstab !== undefined && etc !== undefined) etc.children.set('fstab', fstab);
  const menu = findNode(root, 'boot/grub');
  const boot = findNode(whole, 'boot');
  if (menu !== undefined && boot !== undefined && !boot.children.has('grub')) boot.children.set('grub', menu);
  return whole;
}
