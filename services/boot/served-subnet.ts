/** The provisioning network as the DHCP engine serves it. */
import type { DhcpMode } from '../core/config.ts';
import { parseAddress, parseCidr } from '../dhcp/index.ts';
import type { NetworkRecord, SubnetRecord } from '../network/index.ts';

/** Reached through us, and only by those who were told so: RFC 3442, since a client that takes option 121 ignores option 3. */
const metadataRoute = '169.254.169.254/32';
/** Short enough that an address that moves to a server's port is taken up within the hour, long enough to outlast a deploy. */
const leaseSeconds = 3600;

export interface ServedBy {
  readonly interface: string;
  readonly address: string;
  /** DNS domain of the nodes; default the network's own. */
  readonly domain?: string;
  /** Addresses for option 42. */
  readonly ntp?: readonly string[];
  /** We answer DNS ourselves, so nobody else is named. */
  readonly names?: boolean;
  readonly dhcp?: DhcpMode;
  /** With `server`: `192.0.2.100-192.0.2.199`. */
  readonly dhcpRanges?: readonly string[];
  /** Further interfaces, with our address on each. */
  readonly further?: readonly { readonly interface: string; readonly address: string }[];
}

/** Whether the address is one of the network. */
export const lies = (address: string, cidr: string): boolean => {
  const [within, where] = [parseCidr(cidr), parseAddress(address)];
  return within !== undefined && where !== undefined && (where & within.mask) >>> 0 === within.network;
};

export function servedSubnet(
  { network, subnet }: { readonly network: NetworkRecord; readonly subnet: SubnetRecord },
  { interface: link, address, domain, ntp = [], names = false, dhcp = 'reservations-only', ...rest }: ServedBy,
) {
  const { dhcpRanges = [] } = rest;
  const own = domain ?? network.dnsDomain;
  return {
    id: subnet.id,
    cidr: subnet.cidr,
    link,
    serverAddress: address,
    // By default addresses are the network service's to give, to machines that it knows: beside another DHCP server we do no harm.
    mode: dhcp,
    ...(dhcp === 'server' && { pools: dhcpRanges.map((range) => poolOf(range, subnet)) }),
    leaseSeconds,
    mtu: network.mtu,
    dns: names ? [address] : subnet.dnsNameservers.filter((server) => server.includes('.')),
    ntp,
    ...(subnet.gatewayIp !== null && { router: subnet.gatewayIp }),
    ...(own !== '' && { domain: own, search: [own] }),
    routes: [
      { destination: metadataRoute, via: address },
      ...subnet.hostRoutes.map((route) => ({ destination: route.destination, via: route.nexthop })),
    ],
  };
}

/**
 * The provisioning network's other IPv4 subnets are further interfaces', or lie behind relays. Machines of these are known by the relay's
 * address, and their default route is that subnet's gateway; the metadata address is not on their link, so it is not among the routes.
 */
export function otherSubnets(
  made: { readonly network: NetworkRecord; readonly subnet: SubnetRecord },
  all: readonly SubnetRecord[],
  by: ServedBy,
) {
  return all
    .filter((one) => one.id !== made.subnet.id && one.ipVersion === 4 && one.enableDhcp)
    .map((subnet) => {
      const near = by.further?.find(({ address }) => lies(address, subnet.cidr));
      const dhcpRanges = near ? rangesOf(by, subnet.cidr) : [];
      const { pools, ...served } = servedSubnet({ network: made.network, subnet }, { ...by, dhcpRanges });
      const routes = subnet.hostRoutes.map((route) => ({ destination: route.destination, via: route.nexthop }));
      if (!near) return { ...served, link: `behind the relay of ${subnet.cidr}`, routes };
      return {
        ...served,
        ...(pools && { pools }),
        link: near.interface,
        serverAddress: near.address,
        routes: [{ destination: metadataRoute, via: near.address }, ...routes],
      };
    });
}

const rangesOf = ({ dhcpRanges = [] }: ServedBy, cidr: string): string[] =>
  dhcpRanges.filter((range) => lies(range.split('-')[0] ?? '', cidr));

/** The first interface's subnet; what ranges no further one has are its own, and refused if they are not. */
export function firstSubnet(
  made: { readonly network: NetworkRecord; readonly subnet: SubnetRecord },
  all: readonly SubnetRecord[],
  by: ServedBy,
) {
  const theirs = otherSubnets(made, all, by).flatMap(({ cidr, link }) =>
    by.further?.some((one) => one.interface === link) ? rangesOf(by, cidr) : [],
  );
  return servedSubnet(made, { ...by, dhcpRanges: (by.dhcpRanges ?? []).filter((range) => !theirs.includes(range)) });
}

/**
 * Addresses for whoever asks. They must not be the ports': those are given by the database, these in memory.
 * @throws Error that names the range and the remedy
 */
function poolOf(range: string, subnet: SubnetRecord): { from: string; to: string } {
  const [from = '', to = ''] = range.split('-');
  const [first, last] = [parseAddress(from), parseAddress(to)];
  for (const pool of subnet.allocationPools) {
    const [start, end] = [parseAddress(pool.start) ?? 0, parseAddress(pool.end) ?? 0];
    if (first !== undefined && last !== undefined && first <= end && last >= start)
      throw new Error(
        `DHCP range ${range} overlaps the addresses for nodes, ${pool.start} to ${pool.end}: choose another --dhcp-range`,
      );
  }
  return { from, to };
}
