/**
 * Front door of the network service: networks, subnets, ports and addresses (Neutron v2), and the addresses of the
 * provisioning network. Rule of addresses there: a MAC keeps one address. A port bound to the MAC (a server's, adopted
 * when its node is chosen) wins; else the MAC's own kept port, made once from the pool.
 */
import type { Context } from '../core/context.ts';
import type { Tx } from '../core/database/index.ts';
import type { Authenticate, Routes } from '../core/http/index.ts';
import type { LeaseStore } from '../dhcp/lease.ts';
import type {
  HeldAddress,
  ListFilters,
  NetworkFields,
  NetworkRecord,
  PortChanges,
  PortFields,
  PortRecord,
  SubnetChanges,
  SubnetFields,
  SubnetRecord,
} from './model.ts';

export type * from './model.ts';

export interface NetworkDeps {
  authenticate: Authenticate;
  /** What links say instead of the Host header. */
  publicUrl?: string;
}

export interface ProvisioningNetwork {
  /** `ctlplane` */
  readonly name: string;
  /** `192.0.2.0/24`: the mask that nodes get. */
  readonly cidr: string;
  readonly pool: readonly [first: string, last: string];
  /** The default route of the nodes; null for none. */
  readonly gateway?: string | null;
  readonly nameservers?: readonly string[];
  readonly mtu?: number;
}

/** Everything takes part in the caller's transaction when `tx` is given. Errors are Faults of errors/network.ts. */
export interface Network {
  readonly routes: Routes;
  /** By id or name. @throws Fault `network-not-found`, `network-ambiguous` */
  findNetwork(context: Context, idOrName: string): Promise<NetworkRecord>;
  listNetworks(context: Context, filters?: ListFilters): Promise<NetworkRecord[]>;
  createNetwork(context: Context, fields: NetworkFields, tx?: Tx): Promise<NetworkRecord>;
  updateNetwork(context: Context, id: string, changes: NetworkFields, tx?: Tx): Promise<NetworkRecord>;
  /** Its subnets go with it. @throws Fault `network-in-use` while ports are on it */
  deleteNetwork(context: Context, id: string, tx?: Tx): Promise<void>;

  findSubnet(context: Context, idOrName: string): Promise<SubnetRecord>;
  listSubnets(context: Context, filters?: ListFilters): Promise<SubnetRecord[]>;
  createSubnet(context: Context, fields: SubnetFields, tx?: Tx): Promise<SubnetRecord>;
  updateSubnet(context: Context, id: string, changes: SubnetChanges, tx?: Tx): Promise<SubnetRecord>;
  deleteSubnet(context: Context, id: string, tx?: Tx): Promise<void>;

  findPort(context: Context, idOrName: string): Promise<PortRecord>;
  listPorts(context: Context, filters?: ListFilters): Promise<PortRecord[]>;
  /** Gives the port its MAC and addresses in one transaction. @throws Fault `address-in-use`, `mac-in-use`, `pool-exhausted` */
  createPort(context: Context, fields: PortFields, tx?: Tx): Promise<PortRecord>;
  updatePort(context: Context, id: string, changes: PortChanges, tx?: Tx): Promise<PortRecord>;
  deletePort(context: Context, id: string, tx?: Tx): Promise<void>;
  /** Of a server or a node, oldest first. */
  portsOf(deviceId: string): Promise<PortRecord[]>;
  /** The port takes the node's MAC; from the commit on DHCP gives that MAC the port's address. */
  bindPort(tx: Tx, portId: string, to: { nodeId: string; mac: string }): Promise<PortRecord>;
  /** Gives the port a MAC of its own again; the node's MAC falls back to its kept address. Unbound already: nothing happens. */
  unbindPort(tx: Tx, portId: string): Promise<void>;

  /** What DHCP gives this MAC on the provisioning network; `portId` null when the address is the MAC's own kept one. */
  addressOf(mac: string): Promise<{ ip: string; portId: string | null } | null>;
  /** As `addressOf`, and makes the MAC's kept port when it has none yet. Two calls at once make one. */
  keepAddress(mac: string, options?: { nodeId?: string; hostName?: string }): Promise<HeldAddress>;
  /** Frees the MAC's kept port, when its node is deleted. */
  forgetAddress(tx: Tx, mac: string): Promise<void>;
  /** Every address that DHCP has to give on the network, one a MAC. */
  heldAddresses(networkId: string): Promise<HeldAddress[]>;
  /** Hears, after the commit, the MACs whose address may have changed. Returns the way out. */
  onAddressChange(listener: (macs: readonly string[]) => void): () => void;

  /** Makes or brings up to date the flat network of the provisioning interface. Idempotent. */
  ensureProvisioning(wanted: ProvisioningNetwork): Promise<{ network: NetworkRecord; subnet: SubnetRecord }>;
  /** The flat provisioning network, or null before `ensureProvisioning`. */
  provisioning(): Promise<{ network: NetworkRecord; subnet: SubnetRecord } | null>;
  /** DHCP bindings in PostgreSQL, group-committed. */
  readonly leases: LeaseStore;
}
