/**
 * Front door of the network service: networks, subnets, ports and addresses (Neutron v2), and the addresses of the
 * provisioning network. Rule of addresses there: a MAC keeps one address. A port bound to the MAC (a server's, adopted
 * when its node is chosen) wins; else the MAC's own kept port, made once from the pool.
 */
import type { Context } from '../core/context.ts';
import type { Tx } from '../core/database/index.ts';
import type { House } from '../core/house.ts';
import type { Authenticate, Routes } from '../core/http/index.ts';
import type { LeaseStore } from '../dhcp/index.ts';
import { createSecurityGroups, type SecurityGroups } from './groups.ts';
import { createLeaseStore } from './leases.ts';
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
import { createNetworks } from './networks.ts';
import { createPorts } from './ports.ts';
import { createProvisioning, type ProvisioningNetwork } from './provisioning.ts';
import { createRoutes } from './routes.ts';
import { createSegments, type Segments } from './segments.ts';
import { createSubnets } from './subnets.ts';
import { createTrunks, type Trunks } from './trunks.ts';

export type { SecurityGroupFields, SecurityGroupRuleWish, SecurityGroups } from './groups.ts';
export type * from './model.ts';
export type { ProvisioningNetwork } from './provisioning.ts';
export type { Segments } from './segments.ts';
export type { SubPortWish, TrunkFields, Trunks } from './trunks.ts';

export interface NetworkDeps {
  authenticate: Authenticate;
  /** What links say instead of the Host header. */
  publicUrl?: string;
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
  /** What projects have written down; nothing enforces it. */
  readonly securityGroups: SecurityGroups;
  readonly segments: Segments;
  readonly trunks: Trunks;
  /** Of a server or a node, oldest first. */
  portsOf(deviceId: string): Promise<PortRecord[]>;
  /** The port takes the node's MAC; from the commit on DHCP gives that MAC the port's address. */
  bindPort(tx: Tx, portId: string, to: { nodeId: string; mac: string }): Promise<PortRecord>;
  /** Gives the port a MAC of its own again; the node's MAC falls back to its kept address. Unbound already: nothing happens. */
  unbindPort(tx: Tx, portId: string): Promise<void>;

  /** What DHCP gives this MAC on the provisioning network; `portId` null when the address is the MAC's own kept one. */
  addressOf(mac: string): Promise<{ ip: string; portId: string | null } | null>;
  /**
   * As `addressOf`, and makes the MAC's kept port when it has none yet, on that subnet (the network's first by default). Two calls at
   * once make one.
   */
  keepAddress(mac: string, options?: { nodeId?: string; hostName?: string; subnetId?: string }): Promise<HeldAddress>;
  /** Frees the MAC's kept port, when its node is deleted. */
  forgetAddress(tx: Tx, mac: string): Promise<void>;
  /** Every address that DHCP has to give on the network, one a MAC; or that of one MAC. */
  heldAddresses(networkId: string, mac?: string): Promise<HeldAddress[]>;
  /** Hears, after the commit, the MACs whose address may have changed. Returns the way out. */
  onAddressChange(listener: (macs: readonly string[]) => void): () => void;

  /** Makes or brings up to date the flat network of the provisioning interface. Idempotent. */
  ensureProvisioning(wanted: ProvisioningNetwork): Promise<{ network: NetworkRecord; subnet: SubnetRecord }>;
  /** The flat provisioning network, or null before `ensureProvisioning`. */
  provisioning(): Promise<{ network: NetworkRecord; subnet: SubnetRecord } | null>;
  /** DHCP bindings in PostgreSQL, group-committed. */
  readonly leases: LeaseStore;
}

export function createNetwork(house: House, deps: NetworkDeps): Network {
  const { db, recorder } = house;
  const listeners = new Set<(macs: readonly string[]) => void>();
  const tell = (macs: readonly string[]) => {
    for (const listener of listeners) listener(macs);
  };
  const networks = createNetworks(db);
  const subnets = createSubnets(db);
  const ports = createPorts({ db, recorder, tell });
  const records = {
    securityGroups: createSecurityGroups(db),
    segments: createSegments(db),
    trunks: createTrunks(db),
  };
  const provisioning = createProvisioning({ db, recorder, networks, subnets, ports, tell });
  return {
    routes: createRoutes({ networks, subnets, ports, ...records, ...deps }),
    findNetwork: (context, idOrName) => networks.find(context, idOrName),
    listNetworks: networks.list,
    createNetwork: networks.create,
    updateNetwork: networks.update,
    deleteNetwork: networks.remove,
    findSubnet: (context, idOrName) => subnets.find(context, idOrName),
    listSubnets: subnets.list,
    createSubnet: subnets.create,
    updateSubnet: subnets.update,
    deleteSubnet: subnets.remove,
    findPort: (context, idOrName) => ports.find(context, idOrName),
    listPorts: ports.list,
    createPort: ports.create,
    updatePort: ports.update,
    deletePort: ports.remove,
    ...records,
    portsOf: ports.ofDevice,
    bindPort: ports.bind,
    unbindPort: ports.unbind,
    addressOf: provisioning.addressOf,
    keepAddress: provisioning.keep,
    forgetAddress: provisioning.forget,
    heldAddresses: provisioning.heldAddresses,
    onAddressChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    ensureProvisioning: provisioning.ensure,
    provisioning: provisioning.current,
    leases: createLeaseStore(db),
  };
}
