import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { findNode, mergeLayers, type TreeNode, walkTree } from './layers.ts';

/** What mkinitramfs takes its files from, beside the programs of packages, which dpkg's list of versions stands for. */
const INPUTS = [
  'boot',
  'etc/initramfs-tools',
  'usr/share/initramfs-tools',
  'etc/modprobe.d',
  'etc/modules-load.d',
  'usr/lib/modprobe.d',
  'lib/modprobe.d',
  'etc/udev',
  'usr/lib/udev/rules.d',
  'lib/udev/rules.d',
  'etc/fstab',
  'etc/crypttab',
  'etc/mdadm',
  'etc/lvm',
  'etc/dracut.conf',
  'etc/dracut.conf.d',
  'usr/lib/dracut',
  'usr/lib/modules',
  'lib/modules',
  'var/lib/dpkg/status',
  'var/lib/dpkg/diversions',
];
/** Kernels and modules come from packages: their names and sizes say enough, and reading 300 MB would cost more than it saves. */
const BY_NAME = 256 * 1024;

function add(hash: ReturnType<typeof createHash>, node: TreeNode, path: string): void {
  hash.update(`${path}\0${node.mode.toString(8)} ${node.size} ${node.target}\0`);
  const small = node.size < BY_NAME || path === 'var/lib/dpkg/status';
  if (node.kind === 'file' && small && !path.includes('lib/modules/')) hash.update(readFileSync(node.source));
}

/** A digest of everything that an initramfs depends on: a late script that touches none of it leaves the one there is valid. */
export function initramfsInputs(layers: readonly string[]): string {
  const root = mergeLayers(layers);
  const hash = createHash('sha256');
  for (const path of INPUTS) {
    const node = findNode(root, path);
    if (node === undefined) continue;
    add(hash, node, path);
    for (const { node: each, path: below } of walkTree(node, path)) add(hash, each, below);
  }
  return hash.digest('hex');
}
