/** The provisioning network as the DHCP engine serves it. */
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
}

export function servedSubnet(
  { network, subnet }: { readonly network: NetworkRecord; readonly subnet: SubnetRecord },
  { interface: link, address, domain, ntp = [], names = false }: ServedBy,
) {
  const own = domain ?? network.dnsDomain;
  return {
    id: subnet.id,
    cidr: subnet.cidr,
    link,
    serverAddress: address,
    // Addresses are the network service's to give, to machines that it knows: beside another DHCP server we do no harm.
    mode: 'reservations-only' as const,
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
