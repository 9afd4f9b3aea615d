/** The names of nodes, servers and the undercloud itself as DNS answers them: read from the board, else from the network service. */
import { systemContext } from '../core/context.ts';
import { parseAddress, parseCidr } from '../dhcp/index.ts';
import type { Board } from './board.ts';
import type { BootDeps } from './deps.ts';
import { createNames, type Names } from './names.ts';

export interface NodeNamesDeps extends Pick<BootDeps, 'network' | 'baremetal' | 'provisioning'> {
  readonly board: Board;
  /** Whose addresses have names here. */
  readonly cidrs: readonly string[];
  readonly onTrouble: (text: string) => void;
}

export function createNodeNames({ provisioning, network, baremetal, board, cidrs, onTrouble }: NodeNamesDeps): Names {
  const ours = cidrs.flatMap((cidr) => parseCidr(cidr) ?? []);
  /** A deployed node's address goes by its server's name; its own is found by its cards. */
  const ofNode = async (host: string): Promise<string | null> => {
    const node = await baremetal.findNode(systemContext(), host).catch(() => null);
    if (node?.name?.toLowerCase() !== host) return null;
    for (const { address } of await baremetal.portsOf(node.uuid)) {
      const held = await network.addressOf(address);
      if (held) return held.ip;
    }
    return null;
  };
  return createNames({
    domain: provisioning.domain ?? '',
    isOurs: (address) => ours.some((one) => ((parseAddress(address) ?? 0) & one.mask) >>> 0 === one.network),
    addressOf: async (host) =>
      host === 'undercloud' ? provisioning.address : (board.addressOf(host) ?? (await ofNode(host))),
    nameAt: (address) => (address === provisioning.address ? 'undercloud' : board.nameAt(address)),
    forwarders: provisioning.nameservers ?? [],
    onTrouble,
  });
}
