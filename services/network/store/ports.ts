import { sql } from 'kysely';
import type { FixedIp, HeldAddress, ListFilters, PortRecord } from '../model.ts';
import { type Executor, type FilterColumns, filterBy, visible } from './query.ts';

interface PortRow {
  id: string;
  network_id: string;
  name: string;
  project_id: string;
  description: string;
  mac_address: string;
  own_mac: string;
  admin_state_up: boolean;
  status: PortRecord['status'];
  device_id: string;
  device_owner: string;
  node_id: string | null;
  host_id: string;
  vnic_type: string;
  binding_profile: Record<string, unknown>;
  dns_name: string;
  extra_dhcp_options: PortRecord['extraDhcpOptions'];
  kept: boolean;
  tags: string[];
  revision: number;
  created_at: Date;
  updated_at: Date;
  fixed_ips: FixedIp[];
  security_groups: string[];
}

const toRecord = (row: PortRow): PortRecord => ({
  id: row.id,
  networkId: row.network_id,
  name: row.name,
  projectId: row.project_id,
  description: row.description,
  macAddress: row.mac_address,
  fixedIps: row.fixed_ips,
  adminStateUp: row.admin_state_up,
  status: row.status,
  deviceId: row.device_id,
  deviceOwner: row.device_owner,
  nodeId: row.node_id,
  hostId: row.host_id,
  vnicType: row.vnic_type,
  bindingProfile: row.binding_profile,
  dnsName: row.dns_name,
  extraDhcpOptions: row.extra_dhcp_options,
  securityGroups: row.security_groups,
  kept: row.kept,
  tags: row.tags,
  revision: row.revision,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
});

const selected = sql`select p.*, coalesce((
    select jsonb_agg(jsonb_build_object('subnetId', a.subnet_id, 'ipAddress', host(a.address)) order by a.position)
    from network.addresses a where a.port_id = p.id), '[]') as fixed_ips,
  array(select g.security_group_id::text from network.port_security_groups g where g.port_id = p.id order by 1)
    as security_groups
  from network.ports p`;

const columns: FilterColumns = {
  id: sql`p.id`,
  name: sql`p.name`,
  network_id: sql`p.network_id`,
  project_id: sql`p.project_id`,
  tenant_id: sql`p.project_id`,
  description: sql`p.description`,
  mac_address: sql`p.mac_address`,
  admin_state_up: sql`p.admin_state_up`,
  status: sql`p.status`,
  device_id: sql`p.device_id`,
  device_owner: sql`p.device_owner`,
  node_id: sql`p.node_id`,
  'binding:host_id': sql`p.host_id`,
  'binding:vnic_type': sql`p.vnic_type`,
};

/** `security_groups=ID`: ports that have one of those given. */
function bySecurityGroups({ security_groups: given }: ListFilters) {
  if (given === undefined) return sql`true`;
  const ids = typeof given === 'string' ? [given] : given;
  return sql`exists (select 1 from network.port_security_groups g
    where g.port_id = p.id and g.security_group_id::text = any(${ids}::text[]))`;
}

/** `fixed_ips=ip_address=…` and `fixed_ips=subnet_id=…`: every one given has to hold. */
function byFixedIps(filters: ListFilters) {
  const given = filters.fixed_ips ?? [];
  const wishes = (typeof given === 'string' ? [given] : given).map((text) => text.split('=', 2) as [string, string]);
  const conditions = wishes.flatMap(([key, value]) => {
    const column = fixedIpColumns[key];
    const held = sql`select 1 from network.addresses a where a.port_id = p.id`;
    return column ? [sql`exists (${held} and ${column} = ${value})`] : [];
  });
  return conditions.length === 0 ? sql`true` : sql.join(conditions, sql` and `);
}

const fixedIpColumns: FilterColumns = {
  ip_address: sql`host(a.address)`,
  subnet_id: sql`a.subnet_id::text`,
};

const ofOwnNetwork = (project: string | null | undefined) =>
  sql`exists (select 1 from network.networks n where n.id = p.network_id and n.project_id = ${project ?? ''})`;

export async function listPorts(
  on: Executor,
  filters: ListFilters,
  project: string | null | undefined,
): Promise<PortRecord[]> {
  const { rows } = await sql<PortRow>`${selected}
    where ${filterBy(columns, filters)} and ${byFixedIps(filters)} and ${bySecurityGroups(filters)} and ${visible(project, ofOwnNetwork(project))}
    order by p.created_at, p.id`.execute(on);
  return rows.map(toRecord);
}

export async function portsNamed(on: Executor, idOrName: string, project: string | null | undefined) {
  const { rows } = await sql<PortRow>`${selected}
    where (p.id::text = ${idOrName} or (p.name = ${idOrName} and p.name <> ''))
      and ${visible(project, ofOwnNetwork(project))}
    order by p.id::text = ${idOrName} desc, p.created_at limit 2`.execute(on);
  return rows.map(toRecord);
}

/** The row, held until the transaction ends. */
export async function lockPort(on: Executor, id: string): Promise<(PortRecord & { ownMac: string }) | null> {
  const { rows } = await sql<PortRow>`${selected} where p.id::text = ${id} for no key update of p`.execute(on);
  const row = rows[0];
  return row ? { ...toRecord(row), ownMac: row.own_mac } : null;
}

export type NewPort = Omit<
  PortRecord,
  'id' | 'fixedIps' | 'securityGroups' | 'tags' | 'revision' | 'createdAt' | 'updatedAt'
>;

/** Null when the MAC is taken on that network. */
export async function insertPort(on: Executor, port: NewPort): Promise<string | null> {
  const { rows } = await sql<{ id: string }>`
    insert into network.ports (network_id, name, project_id, description, mac_address, own_mac, admin_state_up, status,
      device_id, device_owner, node_id, host_id, vnic_type, binding_profile, dns_name, extra_dhcp_options, kept)
    values (${port.networkId}, ${port.name}, ${port.projectId}, ${port.description}, ${port.macAddress},
      ${port.macAddress}, ${port.adminStateUp}, ${port.status}, ${port.deviceId}, ${port.deviceOwner}, ${port.nodeId},
      ${port.hostId}, ${port.vnicType}, ${JSON.stringify(port.bindingProfile)}::jsonb, ${port.dnsName},
      ${JSON.stringify(port.extraDhcpOptions)}::jsonb, ${port.kept})
    on conflict (network_id, mac_address, kept) do nothing returning id`.execute(on);
  return rows[0]?.id ?? null;
}

/** @throws the database's unique violation of `ports_mac` when the MAC is taken on that network */
export async function updatePort(on: Executor, record: PortRecord, ownMac: string): Promise<void> {
  await sql`update network.ports set name = ${record.name}, description = ${record.description},
      mac_address = ${record.macAddress}, own_mac = ${ownMac}, admin_state_up = ${record.adminStateUp},
      status = ${record.status}, device_id = ${record.deviceId}, device_owner = ${record.deviceOwner},
      node_id = ${record.nodeId}, host_id = ${record.hostId}, vnic_type = ${record.vnicType},
      binding_profile = ${JSON.stringify(record.bindingProfile)}::jsonb, dns_name = ${record.dnsName},
      extra_dhcp_options = ${JSON.stringify(record.extraDhcpOptions)}::jsonb, tags = ${record.tags}::text[],
      revision = revision + 1, updated_at = now()
    where id = ${record.id}`.execute(on);
}

export async function deletePort(on: Executor, id: string): Promise<void> {
  await sql`delete from network.ports where id = ${id}`.execute(on);
}

export async function portWithMac(on: Executor, networkId: string, mac: string, kept: boolean): Promise<string | null> {
  const { rows } = await sql<{ id: string }>`select id from network.ports
    where network_id = ${networkId} and mac_address = ${mac} and kept = ${kept}`.execute(on);
  return rows[0]?.id ?? null;
}

export async function networkUsers(on: Executor, networkId: string): Promise<{ count: number; port: string | null }> {
  const { rows } = await sql<{ count: number; port: string | null }>`
    select count(*) as count, min(id::text) as port from network.ports where network_id = ${networkId}`.execute(on);
  return rows[0] ?? { count: 0, port: null };
}

interface HeldRow {
  mac: string;
  ip: string;
  subnet_id: string;
  port_id: string;
  dns_name: string;
  kept: boolean;
}

/** One row a MAC, a bound port before the kept one; IPv4 only. */
export async function heldAddresses(on: Executor, networkId: string, mac?: string): Promise<HeldAddress[]> {
  const { rows } = await sql<HeldRow>`
    select distinct on (p.mac_address) p.mac_address as mac, host(a.address) as ip, a.subnet_id, p.id as port_id,
      p.dns_name, p.kept
    from network.ports p join network.addresses a on a.port_id = p.id
    where p.network_id = ${networkId} and family(a.address) = 4 and ${mac ? sql`p.mac_address = ${mac}` : sql`true`}
    order by p.mac_address, p.kept, a.position`.execute(on);
  return rows.map((row) => ({
    mac: row.mac,
    ip: row.ip,
    subnetId: row.subnet_id,
    portId: row.port_id,
    hostName: row.dns_name || null,
    kept: row.kept,
  }));
}
