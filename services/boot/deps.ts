/** What the boot service is made of. */
import type dgram from 'node:dgram';
import type { WirePolicies } from '../core/config.ts';
import type { Context } from '../core/context.ts';
import type { DatagramPort } from '../core/datagrams.ts';
import type { Authenticate } from '../core/http/index.ts';
import type { Network } from '../network/index.ts';
import type { Enroller } from './candidates.ts';
import type { BootNode, BootSource } from './model.ts';

export interface BootSockets {
  /** UDP 67, bound to the provisioning interface (core/sockets.ts opens it, core/datagrams.ts serves it in batches). */
  readonly dhcp: dgram.Socket | DatagramPort;
  /** UDP 69. */
  readonly tftp: dgram.Socket | DatagramPort;
  /** UDP 4011, in proxy mode. */
  readonly proxy?: dgram.Socket | DatagramPort;
  /** Raw ICMPv6, bound to the interface, hop limit 255, joined to ff02::2. */
  readonly ra?: { readonly fd: number };
  /** A packet socket (core/packet-socket.ts): without it foreign servers are not seen and nothing can be captured. */
  readonly wire?: { readonly fd: number };
  /** UDP 53 on our address; without it no names are served. */
  readonly dns?: dgram.Socket;
  /** TCP 53, listening. */
  readonly dnsTcp?: { readonly fd: number };
}

/** A further interface that machines boot from. They reach us at `BootDeps.provisioning.address`, by `address` as their gateway. */
export interface BootLink {
  readonly interface: string;
  /** Our own address on it. */
  readonly address: string;
  /** As `BootDeps.sockets`, bound to this interface. */
  readonly sockets: BootSockets;
}

/** What boot asks of baremetal; `createBaremetal` passes by shape. */
export interface BootRoom extends BootSource, Enroller {
  /** `Dell Inc. PowerEdge R640`; null before the node was inspected. */
  modelOf(nodeUuid: string): Promise<string | null>;
  /** @throws Fault `node-not-found` */
  findNode(context: Context, idOrName: string): Promise<BootNode>;
  portsOf(nodeUuid: string): Promise<readonly { readonly address: string }[]>;
}

export interface BootDeps {
  readonly network: Network;
  readonly baremetal: BootRoom;
  readonly sockets: BootSockets;
  readonly further?: readonly BootLink[];
  readonly bootDir: string;
  readonly provisioning: {
    readonly interface: string;
    /** Our address on it: `192.0.2.1`. */
    readonly address: string;
    /** Of the plain listener that serves `routes`. Default 8088. */
    readonly httpPort?: number;
  } & WirePolicies;
  /** What the agent is told: `https://192.0.2.1:6385`. */
  readonly apiUrl: string;
  /** The undercloud's CA in PEM; goes into the ramdisk as etc/undercloud/ca.pem. */
  readonly caCertificate: string;
  /** The key by which images are signed, public half in PEM; goes into the ramdisk as etc/undercloud/signing.pem. */
  readonly imageKey: string;
  readonly authenticate: Authenticate;
  /** Which ramdisk; default `lab` if it is there, else `hardware`. */
  readonly profile?: string;
  /** In front of the agent's. Default: both consoles, and a reset a minute after a panic. A value of null is a bare word. */
  readonly kernelArguments?: readonly (readonly [name: string, value: string | null])[];
  /** Multiplies what is expected of machines of which nothing is known: 1 is real hardware, an emulated lab has more. */
  readonly speed?: number;
  /** How long the discovery ramdisk listens for its switches. Default 31 s: they speak every 30. */
  readonly lldpSeconds?: number;
  /** ms after which a client that fetches a file and takes none of it is taken to be gone. Default a minute. */
  readonly goneAfterMs?: number;
  /** ms between two looks for foreign DHCP servers. Default a minute. */
  readonly probeMs?: number;
}
