/** The nouns of the network service, as other services see them; routes.ts turns them into Neutron's snake case. */
import type { Standing } from './store/records.ts';

/** Neutron's `fixed_ips` entry. */
export interface FixedIp {
  readonly subnetId: string;
  readonly ipAddress: string;
}

/** What a caller may ask for: an address, a subnet, both, or neither (then any subnet of the network). */
export interface FixedIpWish {
  readonly subnetId?: string;
  readonly ipAddress?: string;
}

export interface NetworkRecord {
  readonly id: string;
  readonly name: string;
  readonly projectId: string;
  readonly description: string;
  readonly adminStateUp: boolean;
  readonly shared: boolean;
  readonly external: boolean;
  readonly isDefault: boolean;
  readonly mtu: number;
  readonly dnsDomain: string;
  readonly portSecurityEnabled: boolean;
  /** `flat` or `vlan`; switch drivers read it. */
  readonly networkType: string;
  readonly physicalNetwork: string | null;
  readonly segmentationId: number | null;
  readonly subnetIds: readonly string[];
  readonly tags: readonly string[];
  readonly revision: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

export interface NetworkFields {
  readonly name?: string;
  readonly projectId?: string;
  readonly description?: string;
  readonly adminStateUp?: boolean;
  readonly shared?: boolean;
  readonly external?: boolean;
  readonly isDefault?: boolean;
  readonly mtu?: number;
  readonly dnsDomain?: string;
  readonly portSecurityEnabled?: boolean;
  readonly networkType?: string;
  readonly physicalNetwork?: string | null;
  readonly segmentationId?: number | null;
}

export interface AddressRange {
  readonly start: string;
  readonly end: string;
}

export interface HostRoute {
  readonly destination: string;
  readonly nexthop: string;
}

export interface SubnetRecord {
  readonly id: string;
  readonly networkId: string;
  readonly name: string;
  readonly projectId: string;
  readonly description: string;
  readonly ipVersion: 4 | 6;
  readonly cidr: string;
  readonly gatewayIp: string | null;
  readonly enableDhcp: boolean;
  readonly dnsNameservers: readonly string[];
  readonly hostRoutes: readonly HostRoute[];
  readonly allocationPools: readonly AddressRange[];
  readonly ipv6AddressMode: string | null;
  readonly ipv6RaMode: string | null;
  readonly tags: readonly string[];
  readonly revision: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

export interface SubnetFields {
  readonly networkId: string;
  readonly cidr: string;
  readonly ipVersion?: 4 | 6;
  readonly name?: string;
  readonly projectId?: string;
  readonly description?: string;
  /** undefined: the first host of the cidr; null: none. */
  readonly gatewayIp?: string | null;
  readonly enableDhcp?: boolean;
  readonly dnsNameservers?: readonly string[];
  readonly hostRoutes?: readonly HostRoute[];
  /** Default: every host of the cidr save the gateway. */
  readonly allocationPools?: readonly AddressRange[];
  readonly ipv6AddressMode?: string | null;
  readonly ipv6RaMode?: string | null;
}

export type SubnetChanges = Partial<
  Pick<
    SubnetFields,
    'name' | 'description' | 'gatewayIp' | 'enableDhcp' | 'dnsNameservers' | 'hostRoutes' | 'allocationPools'
  >
>;

export interface PortRecord {
  readonly id: string;
  readonly networkId: string;
  readonly name: string;
  readonly projectId: string;
  readonly description: string;
  /** The port's own, or the node's once it is bound (the one that firmware, ramdisk and system send). */
  readonly macAddress: string;
  readonly fixedIps: readonly FixedIp[];
  readonly adminStateUp: boolean;
  readonly status: 'ACTIVE' | 'DOWN' | 'BUILD' | 'ERROR';
  /** A server's or a node's id; '' when nobody's. */
  readonly deviceId: string;
  readonly deviceOwner: string;
  /** The node that it is bound to, or null. */
  readonly nodeId: string | null;
  readonly hostId: string;
  readonly vnicType: string;
  readonly bindingProfile: Readonly<Record<string, unknown>>;
  readonly dnsName: string;
  readonly extraDhcpOptions: readonly { readonly name: string; readonly value: string; readonly ipVersion: 4 | 6 }[];
  /** Ids of those that were asked for; no port gets one by itself, since nothing would enforce it. */
  readonly securityGroups: readonly string[];
  /** Kept for a MAC by the DHCP service, made once and never given to another. */
  readonly kept: boolean;
  readonly tags: readonly string[];
  readonly revision: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

export interface PortFields {
  readonly networkId: string;
  readonly name?: string;
  readonly projectId?: string;
  readonly description?: string;
  readonly macAddress?: string;
  readonly fixedIps?: readonly FixedIpWish[];
  readonly adminStateUp?: boolean;
  readonly deviceId?: string;
  readonly deviceOwner?: string;
  readonly hostId?: string;
  readonly vnicType?: string;
  readonly bindingProfile?: Readonly<Record<string, unknown>>;
  readonly dnsName?: string;
  readonly extraDhcpOptions?: PortRecord['extraDhcpOptions'];
  readonly securityGroups?: readonly string[];
}

export type PortChanges = Omit<PortFields, 'networkId' | 'projectId'>;

/** Equality filters of a list; several values of one name mean any of them. Unknown names are ignored. */
export type ListFilters = Readonly<Record<string, string | readonly string[] | undefined>>;

/** An address that the DHCP service gives to a MAC whatever client identifier it sends. */
export interface HeldAddress {
  readonly mac: string;
  readonly ip: string;
  readonly subnetId: string;
  readonly portId: string;
  /** The MAC's own, not that of a port bound to it. */
  readonly kept: boolean;
  /** The port's `dns_name`, as the DHCP host name. */
  readonly hostName: string | null;
}

/** A group of rules that ports name. Written down, shown, and enforced by nothing: no switch driver reads it. */
export interface SecurityGroupRecord extends Standing {
  readonly stateful: boolean;
  /** Each project has one, made when it is first looked for. */
  readonly isDefault: boolean;
  readonly rules: readonly SecurityGroupRuleRecord[];
}

export interface SecurityGroupRuleFields {
  readonly direction: string;
  readonly ethertype: string;
  readonly protocol: string | null;
  readonly portRangeMin: number | null;
  readonly portRangeMax: number | null;
  readonly remoteIpPrefix: string | null;
  readonly remoteGroupId: string | null;
}

export interface SecurityGroupRuleRecord extends Standing, SecurityGroupRuleFields {
  readonly groupId: string;
  readonly isOfDefault: boolean;
}

/** A stretch of wire that a network is on. */
export interface SegmentRecord extends Standing {
  readonly networkId: string;
  readonly networkType: string;
  readonly physicalNetwork: string | null;
  readonly segmentationId: number | null;
}

export interface SubPort {
  readonly portId: string;
  /** `vlan`, or `inherit`: the VLAN of the port's own network. */
  readonly segmentationType: string;
  readonly segmentationId: number;
}

/** A port that carries the VLANs of others. */
export interface TrunkRecord extends Standing {
  readonly portId: string;
  readonly adminStateUp: boolean;
  readonly subPorts: readonly SubPort[];
}
