/** The provisioning network as the DHCP engine serves it. */
import type { DhcpMode } from '../core/config.ts';
import { parseAddress } from '../dhcp/index.ts';
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
}

export function servedSubnet(
  { network, subnet }: { readonly network: NetworkRecord; readonly subnet: SubnetRecord },
  { interface: link, address, domain, ntp = [], names = false, dhcp = 'reservations-only', dhcpRanges = [] }: ServedBy,
) {
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
 * The provisioning network's other IPv4 subnets lie behind relays: machines there are known by the relay's address, and their default
 * route is that subnet's gateway. The metadata address is not on their link, so it is not among the routes.
 */
export function relayedSubnets(
  made: { readonly network: NetworkRecord; readonly subnet: SubnetRecord },
  all: readonly SubnetRecord[],
  by: ServedBy,
) {
  return all
    .filter((one) => one.id !== made.subnet.id && one.ipVersion === 4 && one.enableDhcp)
    .map((subnet) => {
      const { pools: _ranges, ...served } = servedSubnet({ network: made.network, subnet }, { ...by, dhcpRanges: [] });
      const routes = subnet.hostRoutes.map((route) => ({ destination: route.destination, via: route.nexthop }));
      return { ...served, link: `behind the relay of ${subnet.cidr}`, routes };
    });
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
