import { sql } from 'kysely';
import type { ListFilters, NetworkFields, NetworkRecord } from '../model.ts';
import { type Executor, type FilterColumns, filterBy, visible } from './query.ts';

interface NetworkRow {
  id: string;
  name: string;
  project_id: string;
  description: string;
  admin_state_up: boolean;
  shared: boolean;
  external: boolean;
  is_default: boolean;
  mtu: number;
  dns_domain: string;
  port_security_enabled: boolean;
  network_type: string;
  physical_network: string | null;
  segmentation_id: number | null;
  provisioning: boolean;
  tags: string[];
  revision: number;
  created_at: Date;
  updated_at: Date;
  subnet_ids: string[];
}

const toRecord = (row: NetworkRow): NetworkRecord => ({
  id: row.id,
  name: row.name,
  projectId: row.project_id,
  description: row.description,
  adminStateUp: row.admin_state_up,
  shared: row.shared,
  external: row.external,
  isDefault: row.is_default,
  mtu: row.mtu,
  dnsDomain: row.dns_domain,
  portSecurityEnabled: row.port_security_enabled,
  networkType: row.network_type,
  physicalNetwork: row.physical_network,
  segmentationId: row.segmentation_id,
  subnetIds: row.subnet_ids,
  tags: row.tags,
  revision: row.revision,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
});

const selected = sql`select n.*, array(
  select s.id::text from network.subnets s where s.network_id = n.id order by s.created_at, s.id) as subnet_ids
  from network.networks n`;

const columns: FilterColumns = {
  id: sql`n.id`,
  name: sql`n.name`,
  project_id: sql`n.project_id`,
  tenant_id: sql`n.project_id`,
  description: sql`n.description`,
  admin_state_up: sql`n.admin_state_up`,
  shared: sql`n.shared`,
  'router:external': sql`n.external`,
  is_default: sql`n.is_default`,
  mtu: sql`n.mtu`,
  status: sql`'ACTIVE'`,
  'provider:network_type': sql`n.network_type`,
  'provider:physical_network': sql`n.physical_network`,
  'provider:segmentation_id': sql`n.segmentation_id`,
  provisioning: sql`n.provisioning`,
};

/** `project` undefined sees everything. */
export async function listNetworks(
  on: Executor,
  filters: ListFilters,
  project: string | null | undefined,
): Promise<NetworkRecord[]> {
  const { rows } = await sql<NetworkRow>`${selected}
    where ${filterBy(columns, filters)} and ${visible(project, sql`n.shared or n.external`)}
    order by n.created_at, n.id`.execute(on);
  return rows.map(toRecord);
}

/** Rows whose id or name this is; an id first. */
export async function networksNamed(on: Executor, idOrName: string, project: string | null | undefined) {
  const { rows } = await sql<NetworkRow>`${selected}
    where (n.id::text = ${idOrName} or n.name = ${idOrName}) and ${visible(project, sql`n.shared or n.external`)}
    order by n.id::text = ${idOrName} desc, n.created_at limit 2`.execute(on);
  return rows.map(toRecord);
}

export async function insertNetwork(on: Executor, fields: Required<NetworkFields>, provisioning = false) {
  const { rows } = await sql<NetworkRow>`
    insert into network.networks (name, project_id, description, admin_state_up, shared, external, is_default, mtu,
      dns_domain, port_security_enabled, network_type, physical_network, segmentation_id, provisioning)
    values (${fields.name}, ${fields.projectId}, ${fields.description}, ${fields.adminStateUp}, ${fields.shared},
      ${fields.external}, ${fields.isDefault}, ${fields.mtu}, ${fields.dnsDomain}, ${fields.portSecurityEnabled},
      ${fields.networkType}, ${fields.physicalNetwork}, ${fields.segmentationId}, ${provisioning})
    returning *, array[]::text[] as subnet_ids`.execute(on);
  return toRecord(rows[0] as NetworkRow);
}

/**
 * Holds the row until the transaction ends: `row` keeps subnets of one network from being judged side by side, `whole`
 * also keeps new subnets and ports from referring to it.
 */
export async function lockNetwork(on: Executor, id: string, what: 'row' | 'whole'): Promise<void> {
  const strength = what === 'row' ? sql`no key update` : sql`update`;
  await sql`select 1 from network.networks where id = ${id} for ${strength}`.execute(on);
}

/** One maker of the provisioning network at a time; any constant will do as the lock's key. */
export async function lockProvisioning(on: Executor): Promise<void> {
  await sql`select pg_advisory_xact_lock(7201067)`.execute(on);
}

export async function updateNetwork(on: Executor, record: NetworkRecord): Promise<void> {
  await sql`update network.networks set name = ${record.name}, description = ${record.description},
      admin_state_up = ${record.adminStateUp}, shared = ${record.shared}, external = ${record.external},
      is_default = ${record.isDefault}, mtu = ${record.mtu}, dns_domain = ${record.dnsDomain},
      port_security_enabled = ${record.portSecurityEnabled}, network_type = ${record.networkType},
      physical_network = ${record.physicalNetwork}, segmentation_id = ${record.segmentationId},
      tags = ${record.tags}::text[], revision = revision + 1, updated_at = now()
    where id = ${record.id}`.execute(on);
}

export async function deleteNetwork(on: Executor, id: string): Promise<void> {
  await sql`delete from network.networks where id = ${id}`.execute(on);
}
