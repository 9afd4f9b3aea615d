/** The tree as archives want it. */
import { findNode, mergeLayers, type TreeNode } from './layers.ts';
import type { BuiltTree } from './tree.ts';

/** Assembly took apart what lies below mount points; archives want the tree whole. */
export function mergeOf(root: TreeNode, built: BuiltTree, epoch: number): TreeNode {
  const whole = mergeLayers(built.layers, epoch);
  whole.children.get('tmp')?.children.clear();
  const fstab = findNode(root, 'etc/fstab');
  const etc = findNode(whole, 'etc');
  if (fstab !== undefined && etc !== undefined) etc.children.set('fstab', fstab);
  const menu = findNode(root, 'boot/grub');
  const boot = findNode(whole, 'boot');
  if (menu !== undefined && boot !== undefined && !boot.children.has('grub')) boot.children.set('grub', menu);
  return whole;
}
