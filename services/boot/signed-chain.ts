/**
 * What TFTP serves: the boot files of a directory, and, for the Secure Boot chain, each machine's own GRUB configuration
 * (grub/grub.cfg) with the kernel, the CA and the ramdisk below boot/TOKEN/. GRUB follows shim by name, wherever shim lies.
 */
import { bytesContent, directoryContent, ERROR_CODE, type OpenContent, partsOf } from '../tftp/index.ts';
import { grubAgentConfig, grubDiskConfig, grubNothingConfig } from './grub.ts';
import type { Ladder } from './ladder.ts';
import type { Wish } from './model.ts';
import { same } from './routes.ts';

/** Where Debian's packages have the files of the chain (shim-signed, grub-efi-amd64-signed): name in bootDir, path. */
export const signedFiles: Readonly<Record<string, string>> = {
  'shimx64.efi': '/usr/lib/shim/shimx64.efi.signed',
  'grubx64.efi': '/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed',
  'mmx64.efi': '/usr/lib/shim/mmx64.efi.signed',
};

export interface SignedChainDeps {
  readonly bootDir: string;
  readonly ramdiskDir: () => Promise<string>;
  /** `192.0.2.1` */
  readonly tftpServer: string;
  readonly ladder: Ladder;
  readonly wishAt: (address: string) => Promise<Wish | null>;
  readonly trust: Uint8Array;
  readonly argumentsOf: (wish: Wish) => readonly (readonly [string, string | null])[];
}

export function createSignedChain(deps: SignedChainDeps): OpenContent {
  const files = directoryContent(deps.bootDir);
  /** By directory: there is one for each profile, and descriptors are shared within. */
  const ramdisks = new Map<string, OpenContent>();

  function configFor(wish: Wish | null): string {
    if (!wish || wish.intent === 'none') return grubNothingConfig(wish?.reason ?? 'nobody knows this machine');
    if (wish.intent === 'disk') return grubDiskConfig();
    if (wish.token === undefined) return grubNothingConfig('there is no boot token for it');
    deps.ladder.arrived(wish.mac);
    return grubAgentConfig({
      name: wish.name,
      reason: wish.reason,
      tftpServer: deps.tftpServer,
      directory: `boot/${wish.token}`,
      kernelArguments: deps.argumentsOf(wish),
    });
  }

  return async (path, client) => {
    const [room, first, second, ...more] = partsOf(path) ?? [];
    if (room === 'grub' && first === 'grub.cfg' && second === undefined)
      return bytesContent(Buffer.from(configFor(await deps.wishAt(client.address))));
    if (room !== 'boot' || first === undefined || second === undefined || more.length > 0) return files(path, client);
    const wish = await deps.wishAt(client.address);
    if (!wish?.token || !same(wish.token, first))
      return { code: ERROR_CODE.accessViolation, message: 'no machine with this address boots with this token' };
    if (second === 'trust.cpio') return bytesContent(deps.trust);
    if (second !== 'kernel' && second !== 'ramdisk')
      return { code: ERROR_CODE.notFound, message: `there is no boot file ${second.slice(0, 100)}` };
    const dir = await deps.ramdiskDir();
    const open = ramdisks.get(dir) ?? directoryContent(dir);
    ramdisks.set(dir, open);
    return open(second, client);
  };
}
