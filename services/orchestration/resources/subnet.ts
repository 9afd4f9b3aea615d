/** OS::Neutron::Subnet. */
import type { SubnetFields } from '../../network/index.ts';
import { isFault } from '../engine/faults.ts';
import { done, type Handler, type Work } from '../engine/handler.ts';
import type { Plain } from '../model.ts';

const given = <T extends object>(fields: T): T =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined && value !== null)) as T;

/** An empty text switches the gateway off, as Neutron's null does. */
const gateway = (value: Plain | undefined) =>
  value === undefined || value === null ? {} : { gatewayIp: value === '' ? null : String(value) };

function changeable({ properties }: Work): Partial<SubnetFields> {
  return {
    ...given({
      name: properties.name as string | undefined,
      enableDhcp: properties.enable_dhcp as boolean | undefined,
      dnsNameservers: properties.dns_nameservers as string[] | undefined,
      hostRoutes: properties.host_routes as { destination: string; nexthop: string }[] | undefined,
      allocationPools: properties.allocation_pools as { start: string; end: string }[] | undefined,
    }),
    ...gateway(properties.gateway_ip),
  };
}

export const subnet: Handler = {
  type: 'OS::Neutron::Subnet',
  backend: 'network',
  async validate(wish) {
    const network = wish.property('network');
    if (typeof network === 'string' && network !== '') await wish.desk.network.findNetwork(wish.context, network);
  },
  async create(work) {
    if (work.physicalId !== null) return done;
    const { properties } = work;
    const network = await work.desk.network.findNetwork(
      work.context,
      String(properties.network ?? properties.network_id),
    );
    await work.commit(async (tx) => {
      const fields = given({
        networkId: network.id,
        name: work.physicalName,
        cidr: String(properties.cidr),
        ipVersion: Number(properties.ip_version ?? 4) as 4 | 6,
        ipv6AddressMode: properties.ipv6_address_mode as string | undefined,
        ipv6RaMode: properties.ipv6_ra_mode as string | undefined,
      });
      return {
        physicalId: (await work.desk.network.createSubnet(work.context, { ...fields, ...changeable(work) }, tx)).id,
      };
    });
    return done;
  },
  async update(work) {
    await work.commit(async (tx) => {
      await work.desk.network.updateSubnet(work.context, work.physicalId ?? '', changeable(work), tx);
      return {};
    });
    return done;
  },
  async delete(work) {
    try {
      await work.desk.network.deleteSubnet(work.context, work.physicalId ?? '');
    } catch (error) {
      if (!isFault(error, 'subnet-not-found', 'network-not-found')) throw error;
    }
    return done;
  },
  async check(work) {
    await work.desk.network.findSubnet(work.context, work.physicalId ?? '');
  },
  async observe(work) {
    const found = await work.desk.network.findSubnet(work.context, work.physicalId ?? '');
    return {
      name: found.name,
      cidr: found.cidr,
      enable_dhcp: found.enableDhcp,
      dns_nameservers: [...found.dnsNameservers],
      ...(found.gatewayIp !== null && { gateway_ip: found.gatewayIp }),
    };
  },
  async attributes(work) {
    const found = await work.desk.network.findSubnet(work.context, work.physicalId ?? '');
    const shown = {
      name: found.name,
      network_id: found.networkId,
      tenant_id: found.projectId,
      allocation_pools: found.allocationPools.map(({ start, end }) => ({ start, end })),
      gateway_ip: found.gatewayIp,
      host_routes: found.hostRoutes.map(({ destination, nexthop }) => ({ destination, nexthop })),
      ip_version: found.ipVersion,
      cidr: found.cidr,
      dns_nameservers: [...found.dnsNameservers],
      enable_dhcp: found.enableDhcp,
    };
    return { ...shown, show: { id: found.id, ...shown } };
  },
};
