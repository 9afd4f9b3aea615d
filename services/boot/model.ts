/** What boot needs from the rooms that it joins, and what it says about a machine's boot. */

/** The part of a node that boot reads. */
export interface BootNode {
  readonly uuid: string;
  readonly name: string | null;
}

/** What a node may be told to boot. */
export type NodeIntent = 'agent' | 'disk' | 'none';

/** `discover`: the deploy ramdisk, for a machine that no node is, to tell what it is made of. */
export type Intent = NodeIntent | 'discover';

/** What a node should boot now; `baremetal.bootIntent` answers it. */
export interface BootIntent {
  readonly node: BootNode;
  /** `agent`: the deploy ramdisk; `disk`: its own disk; `none`: an address and nothing to boot. */
  readonly intent: NodeIntent;
  /** Why, for the operator: `deploying: the agent is awaited`. */
  readonly reason: string;
  /** With `agent`: minted for this MAC and power cycle, the same until it is burnt at the agent's first heartbeat. */
  readonly token?: string;
  /** More kernel arguments. */
  readonly agentArguments: Readonly<Record<string, string>>;
  /** `Dell Inc. PowerEdge R640`, once it was inspected: what boots of its kind have taught counts for it. */
  readonly model?: string | null;
  /** The node is to boot with Secure Boot (Ironic's capability `secure_boot`, or its field). */
  readonly secureBoot?: boolean;
}

/** What boot asks of baremetal; `createBaremetal` passes by shape, a test brings its own. */
export interface BootSource {
  /** One indexed read. Null for a MAC that no node has. */
  nodeByMac(mac: string): Promise<BootNode | null>;
  /** Every MAC of every node. Without it each DISCOVER asks `nodeByMac`. */
  macs?(): Promise<readonly (BootNode & { readonly mac: string })[]>;
  bootIntent(mac: string): Promise<BootIntent | null>;
}

/** What a machine, a node or not, is to boot now. */
export interface Wish {
  readonly mac: string;
  /** Null for a machine that no node is. */
  readonly node: BootNode | null;
  /** For people: the node's name, else the MAC. */
  readonly name: string;
  readonly intent: Intent;
  readonly reason: string;
  readonly token?: string;
  readonly agentArguments: Readonly<Record<string, string>>;
  /** Stands in for its kind; where it was never inspected, the maker of its network card: `NIC 52:54:00`. */
  readonly model: string;
  readonly secureBoot: boolean;
}

/** How a DHCP client presents itself. */
export type ClientKind = 'pxe-rom' | 'ipxe' | 'http-boot' | 'system';

export type Platform = 'bios' | 'efi-x64' | 'efi-other' | 'unknown';

/** One answer of the decision table. */
export type BootAnswer =
  /** A first-stage loader, by TFTP or as a URL. */
  | { readonly kind: 'loader'; readonly file: LoaderFile; readonly over: 'tftp' | 'http' }
  /** An iPXE script by URL. */
  | { readonly kind: 'script'; readonly script: 'agent' | 'disk' }
  /** An address and nothing to boot: firmware goes on to its next device. */
  | { readonly kind: 'address' };

export const loaderFiles = ['undionly.kpxe', 'ipxe.pxe', 'snponly.efi', 'ipxe.efi', 'disk.efi', 'shimx64.efi'] as const;
export type LoaderFile = (typeof loaderFiles)[number];
