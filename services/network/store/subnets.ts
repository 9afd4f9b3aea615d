import { sql } from 'kysely';
import type { AddressRange, HostRoute, ListFilters, SubnetRecord } from '../model.ts';
import { type Executor, type FilterColumns, filterBy, visible } from './query.ts';

interface SubnetRow {
  id: string;
  network_id: string;
  name: string;
  project_id: string;
  description: string;
  cidr: string;
  ip_version: 4 | 6;
  gateway: string | null;
  enable_dhcp: boolean;
  dns_nameservers: string[];
  host_routes: HostRoute[];
  allocation_pools: AddressRange[];
  ipv6_address_mode: string | null;
  ipv6_ra_mode: string | null;
  tags: string[];
  revision: number;
  created_at: Date;
  updated_at: Date;
}

const toRecord = (row: SubnetRow): SubnetRecord => ({
  id: row.id,
  networkId: row.network_id,
  name: row.name,
  projectId: row.project_id,
  description: row.description,
  ipVersion: row.ip_version,
  cidr: row.cidr,
  gatewayIp: row.gateway,
  enableDhcp: row.enable_dhcp,
  dnsNameservers: row.dns_nameservers,
  hostRoutes: row.host_routes,
  allocationPools: row.allocation_pools,
  ipv6AddressMode: row.ipv6_address_mode,
  ipv6RaMode: row.ipv6_ra_mode,
  tags: row.tags,
  revision: row.revision,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
});

const selected = sql`select s.*, s.cidr::text as cidr, family(s.cidr) as ip_version, host(s.gateway_ip) as gateway,
  coalesce((select jsonb_agg(jsonb_build_object('start', host(p.first), 'end', host(p.last)) order by p.position)
    from network.pools p where p.subnet_id = s.id), '[]') as allocation_pools
  from network.subnets s`;

const columns: FilterColumns = {
  id: sql`s.id`,
  name: sql`s.name`,
  network_id: sql`s.network_id`,
  project_id: sql`s.project_id`,
  tenant_id: sql`s.project_id`,
  description: sql`s.description`,
  cidr: sql`s.cidr`,
  ip_version: sql`family(s.cidr)`,
  gateway_ip: sql`host(s.gateway_ip)`,
  enable_dhcp: sql`s.enable_dhcp`,
  ipv6_address_mode: sql`s.ipv6_address_mode`,
  ipv6_ra_mode: sql`s.ipv6_ra_mode`,
};

const sharedBy = sql`exists (
  select 1 from network.networks n where n.id = s.network_id and (n.shared or n.external))`;

export async function listSubnets(
  on: Executor,
  filters: ListFilters,
  project: string | null | undefined,
): Promise<SubnetRecord[]> {
  const { rows } = await sql<SubnetRow>`${selected}
    where ${filterBy(columns, filters)} and ${visible(project, sharedBy)} order by s.created_at, s.id`.execute(on);
  return rows.map(toRecord);
}

export async function subnetsNamed(on: Executor, idOrName: string, project: string | null | undefined) {
  const { rows } = await sql<SubnetRow>`${selected}
    where (s.id::text = ${idOrName} or s.name = ${idOrName}) and ${visible(project, sharedBy)}
    order by s.id::text = ${idOrName} desc, s.created_at limit 2`.execute(on);
  return rows.map(toRecord);
}

export type NewSubnet = Omit<
  SubnetRecord,
  'id' | 'allocationPools' | 'tags' | 'revision' | 'createdAt' | 'updatedAt' | 'ipVersion'
>;

/** By the clock and not by the transaction's beginning: of several made in one, the first is the oldest. */
export async function insertSubnet(on: Executor, subnet: NewSubnet): Promise<string> {
  const { rows } = await sql<{ id: string }>`
    insert into network.subnets (network_id, name, project_id, description, cidr, gateway_ip, enable_dhcp,
      dns_nameservers, host_routes, ipv6_address_mode, ipv6_ra_mode, created_at)
    values (${subnet.networkId}, ${subnet.name}, ${subnet.projectId}, ${subnet.description}, ${subnet.cidr}::cidr,
      ${subnet.gatewayIp}::inet, ${subnet.enableDhcp}, ${JSON.stringify(subnet.dnsNameservers)}::jsonb,
      ${JSON.stringify(subnet.hostRoutes)}::jsonb, ${subnet.ipv6AddressMode}, ${subnet.ipv6RaMode},
      clock_timestamp())
    returning id`.execute(on);
  return (rows[0] as { id: string }).id;
}

export async function updateSubnet(on: Executor, record: SubnetRecord): Promise<void> {
  await sql`update network.subnets set name = ${record.name}, description = ${record.description},
      gateway_ip = ${record.gatewayIp}::inet, enable_dhcp = ${record.enableDhcp},
      dns_nameservers = ${JSON.stringify(record.dnsNameservers)}::jsonb,
      host_routes = ${JSON.stringify(record.hostRoutes)}::jsonb, tags = ${record.tags}::text[],
      revision = revision + 1, updated_at = now()
    where id = ${record.id}`.execute(on);
}

/** Keeps ports from taking addresses of it until the transaction ends. */
export async function lockSubnet(on: Executor, id: string): Promise<void> {
  await sql`select 1 from network.subnets where id = ${id} for update`.execute(on);
}

export async function deleteSubnet(on: Executor, id: string): Promise<void> {
  await sql`delete from network.subnets where id = ${id}`.execute(on);
}
