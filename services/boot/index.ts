/**
 * Front door of the boot service. One question: given this machine, what should it boot now? Joins dhcp, tftp and http
 * to nodes (baremetal) and addresses (network). Files below `bootDir`:
 *
 *   undionly.kpxe  snponly.efi  ipxe.efi       loaders, over TFTP and over HTTP at /boot/loader/<file>
 *   ramdisk/<profile>/kernel  …/ramdisk        the deploy ramdisk's profiles, `lab` and `hardware`
 */
import type dgram from 'node:dgram';
import type { Routes } from '../core/http/index.ts';
import type { Network } from '../network/index.ts';
import type { BootIntents } from './model.ts';

export type * from './model.ts';

export interface BootSockets {
  /** UDP 67, bound to the provisioning interface. */
  readonly dhcp: dgram.Socket;
  /** UDP 69. */
  readonly tftp: dgram.Socket;
  /** Raw ICMPv6, bound to the interface, hop limit 255, joined to ff02::2. */
  readonly ra?: { readonly fd: number };
}

export interface BootDeps {
  readonly network: Network;
  readonly baremetal: BootIntents;
  readonly sockets: BootSockets;
  readonly bootDir: string;
  readonly provisioning: {
    readonly interface: string;
    /** Our address on it: `192.0.2.1`. */
    readonly address: string;
    /** Of the plain listener that serves `routes`. Default 8088. */
    readonly httpPort?: number;
  };
  /** What the agent is told: `https://192.0.2.1:6385`. */
  readonly apiUrl: string;
  /** The undercloud's CA in PEM; goes into the ramdisk as etc/undercloud/ca.pem. */
  readonly caCertificate: string;
}

export interface Boot {
  /** For the plain HTTP listener of the provisioning network, mounted unprefixed. */
  readonly routes: Routes;
  /** Loads bindings and reservations and begins to answer. Needs `network.ensureProvisioning` to have been called. */
  start(): Promise<void>;
  /** Stops answering; leaves the sockets open (they are the supervisor's). */
  stop(): Promise<void>;
}
