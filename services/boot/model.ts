/** What boot needs from the rooms that it joins, and what it says about a machine's boot. */

/** What a node should boot now. `baremetal.bootIntent` gives it; anything of this shape will do. */
export interface BootIntent {
  readonly node: { readonly id: string; readonly name: string | null };
  /** `agent`: the deploy ramdisk; `disk`: its own disk; `none`: an address and nothing to boot. */
  readonly intent: 'agent' | 'disk' | 'none';
  /** Why, for the operator: `deploying`, `active`, `maintenance`. */
  readonly reason: string;
  /** With `agent`: minted for this MAC and power cycle, the same until it is burnt at the agent's first heartbeat. */
  readonly token?: string;
  /** More kernel arguments, each as it stands on the command line: `ipa-debug=1`. */
  readonly agentArguments: readonly string[];
  /** Which ramdisk below bootDir/ramdisk/: default `lab` if it is there, else `hardware`. */
  readonly profile?: string;
}

export interface BootIntents {
  /** Null for a MAC that no node has. Called for every DISCOVER and REQUEST of firmware, so it has to be one indexed read. */
  bootIntent(mac: string): Promise<BootIntent | null>;
}

/** How a DHCP client presents itself, as the decision table's column. */
export type ClientKind = 'pxe-rom' | 'ipxe' | 'http-boot' | 'system';

export type Platform = 'bios' | 'efi-ia32' | 'efi-x64' | 'efi-arm32' | 'efi-arm64' | 'other';

/** One answer of the table. */
export type BootAnswer =
  | { readonly kind: 'loader'; readonly file: string; readonly over: 'tftp' | 'http' }
  | { readonly kind: 'script' }
  | { readonly kind: 'address' }
  | { readonly kind: 'silence' };
