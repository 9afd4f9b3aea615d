/** What boot needs from the rooms that it joins, and what it says about a machine's boot. */

/** The part of a node that boot reads. */
export interface BootNode {
  readonly uuid: string;
  readonly name: string | null;
}

export type Intent = 'agent' | 'disk' | 'none';

/** What a node should boot now; `baremetal.bootIntent` answers it. */
export interface BootIntent {
  readonly node: BootNode;
  /** `agent`: the deploy ramdisk; `disk`: its own disk; `none`: an address and nothing to boot. */
  readonly intent: Intent;
  /** Why, for the operator: `deploying: the agent is awaited`. */
  readonly reason: string;
  /** With `agent`: minted for this MAC and power cycle, the same until it is burnt at the agent's first heartbeat. */
  readonly token?: string;
  /** More kernel arguments. */
  readonly agentArguments: Readonly<Record<string, string>>;
}

/** What boot asks of baremetal; `createBaremetal` passes by shape, a test brings its own. */
export interface BootSource {
  /** One indexed read: asked for every DISCOVER. Null for a MAC that no node has. */
  nodeByMac(mac: string): Promise<BootNode | null>;
  bootIntent(mac: string): Promise<BootIntent | null>;
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

export type LoaderFile = 'undionly.kpxe' | 'snponly.efi' | 'ipxe.efi' | 'disk.efi';
