import { join } from 'node:path';
import { exists } from './cache.ts';
import { findNode, type TreeNode } from './layers.ts';

/** Debian's signed boot chain: firmware trusts the shim, the shim trusts GRUB, GRUB the kernel. */
export interface SecureBoot {
  shim: string;
  grub: string;
  /** MokManager, which enrols keys. */
  mok?: string;
  /** The directory below EFI/ that is compiled into the signed GRUB. */
  vendor: string;
}

const SHIM = 'usr/lib/shim/shimx64.efi.signed';
const GRUB = 'usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed';
const MOK = 'usr/lib/shim/mmx64.efi.signed';

/** The signed files of the image's own packages, else of this machine's (shim-signed, grub-efi-amd64-signed); undefined when neither has them. */
export async function findSecureBoot(root: TreeNode): Promise<SecureBoot | undefined> {
  const own = [SHIM, GRUB, MOK].map((path) => findNode(root, path)?.source);
  const vendor =
    findNode(root, 'etc/debian_version') === undefined
      ? 'fedora'
      : /ubuntu/.test(findNode(root, 'etc/lsb-release')?.source ?? '')
        ? 'ubuntu'
        : 'debian';
  if (own[0] !== undefined && own[1] !== undefined)
    return { shim: own[0], grub: own[1], ...(own[2] === undefined ? {} : { mok: own[2] }), vendor };
  const machine = await Promise.all([SHIM, GRUB, MOK].map((path) => exists(join('/', path))));
  // The machine's chain starts kernels of its own distribution only.
  if (!machine[0] || !machine[1] || vendor !== 'debian') return undefined;
  return { shim: join('/', SHIM), grub: join('/', GRUB), ...(machine[2] ? { mok: join('/', MOK) } : {}), vendor };
}
