/** All SQL of nodes. Rows come out as Node; secrets stay sealed in driver_secrets and are shown as `******`. */
import { type RawBuilder, sql } from 'kysely';
import type { Database, Tx } from '../../core/database/index.ts';
import type { Node } from '../node.ts';
import type { ProvisionState } from '../states.ts';

export type Where = Database | Tx;

/** Column of each writable property; the one place where the two namings meet. */
export const nodeColumns = {
  name: 'name',
  driver: 'driver',
  driverInfo: 'driver_info',
  driverSecrets: 'driver_secrets',
  driverInternalInfo: 'driver_internal_info',
  properties: 'properties',
  extra: 'extra',
  instanceInfo: 'instance_info',
  instanceUuid: 'instance_uuid',
  provisionState: 'provision_state',
  targetProvisionState: 'target_provision_state',
  powerState: 'power_state',
  targetPowerState: 'target_power_state',
  lastError: 'last_error',
  maintenance: 'maintenance',
  maintenanceReason: 'maintenance_reason',
  fault: 'fault',
  resourceClass: 'resource_class',
  owner: 'owner',
  lessee: 'lessee',
  description: 'description',
  conductorGroup: 'conductor_group',
  shard: 'shard',
  parentNode: 'parent_node',
  chassisUuid: 'chassis_uuid',
  allocationUuid: 'allocation_uuid',
  automatedClean: 'automated_clean',
  protected: 'protected',
  protectedReason: 'protected_reason',
  retired: 'retired',
  retiredReason: 'retired_reason',
  disablePowerOff: 'disable_power_off',
  networkData: 'network_data',
  bootMode: 'boot_mode',
  secureBoot: 'secure_boot',
  interfaces: 'interfaces',
  raidConfig: 'raid_config',
  targetRaidConfig: 'target_raid_config',
  cleanStep: 'clean_step',
  deployStep: 'deploy_step',
  inspectionStartedAt: 'inspection_started_at',
  inspectionFinishedAt: 'inspection_finished_at',
  boot: 'boot',
  bootReason: 'boot_reason',
  powerCycle: 'power_cycle',
  used: 'used',
  pendingVerb: 'pending_verb',
} as const;

export type NodeColumn = keyof typeof nodeColumns;

const jsonColumns: ReadonlySet<NodeColumn> = new Set([
  'driverInfo',
  'driverSecrets',
  'driverInternalInfo',
  'properties',
  'extra',
  'instanceInfo',
  'networkData',
  'interfaces',
  'raidConfig',
  'targetRaidConfig',
  'cleanStep',
  'deployStep',
]);

/** A node with what only this service may see. */
export interface NodeRow extends Node {
  readonly driverSecrets: Readonly<Record<string, string>>;
  readonly pendingVerb: string | null;
}

export type NodePatch = Partial<Omit<NodeRow, 'id' | 'uuid' | 'provisionUpdatedAt' | 'createdAt' | 'updatedAt'>>;

const selected = sql.join([
  sql.raw(
    'id, uuid, provision_updated_at as "provisionUpdatedAt", created_at as "createdAt", updated_at as "updatedAt"',
  ),
  ...Object.entries(nodeColumns).map(([name, column]) => sql.raw(`${column} as "${name}"`)),
]);

export const maskedSecret = '******';

function shown(row: NodeRow): NodeRow {
  const masked: Record<string, string> = {};
  for (const name of Object.keys(row.driverSecrets)) masked[name] = maskedSecret;
  return Object.keys(masked).length === 0 ? row : { ...row, driverInfo: { ...row.driverInfo, ...masked } };
}

export async function nodeByUuid(db: Where, uuid: string, lock = false): Promise<NodeRow | null> {
  const { rows } = await sql<NodeRow>`select ${selected} from baremetal.nodes where uuid = ${uuid}
    ${lock ? sql`for update` : sql``}`.execute(db.kysely);
  return rows[0] ? shown(rows[0]) : null;
}

export async function nodeByName(db: Where, name: string): Promise<NodeRow | null> {
  const { rows } = await sql<NodeRow>`select ${selected} from baremetal.nodes where name = ${name}`.execute(db.kysely);
  return rows[0] ? shown(rows[0]) : null;
}

export async function nodeByMac(db: Where, mac: string): Promise<NodeRow | null> {
  const { rows } = await sql<NodeRow>`select ${selected} from baremetal.nodes
    where uuid = (select node_uuid from baremetal.ports where address = ${mac})`.execute(db.kysely);
  return rows[0] ? shown(rows[0]) : null;
}

/** Every MAC of every node: what DHCP keeps in memory. */
export async function macsOfNodes(db: Where): Promise<{ mac: string; uuid: string; name: string | null }[]> {
  const { rows } = await sql<{ mac: string; uuid: string; name: string | null }>`
    select p.address as mac, n.uuid, n.name from baremetal.ports p join baremetal.nodes n on n.uuid = p.node_uuid`.execute(
    db.kysely,
  );
  return rows;
}

export async function nodesByUuids(db: Where, uuids: readonly string[]): Promise<NodeRow[]> {
  const { rows } = await sql<NodeRow>`select ${selected} from baremetal.nodes
    where uuid = any(${uuids as string[]}::uuid[])`.execute(db.kysely);
  return rows.map(shown);
}

/** Nodes that were given this image, or are being given what is called so: a rebuild, and the write under way, still need it. */
export async function nodesOfImage(
  db: Where,
  id: string,
  name: string | null,
): Promise<{ uuid: string; name: string | null }[]> {
  const { rows } = await sql<{ uuid: string; name: string | null }>`
    select uuid, name from baremetal.nodes
    where (instance_info->>'image_source' = ${id} and provision_state in ('active', 'deploy failed', 'deploying', 'wait call-back'))
      or (instance_info->>'image_source' = ${name} and provision_state in ('deploying', 'wait call-back'))
    order by name`.execute(db.kysely);
  return rows;
}

/** What a list may be narrowed by; undefined means any. */
export interface NodeQuery {
  readonly provisionState?: ProvisionState | undefined;
  readonly driver?: string | undefined;
  readonly resourceClass?: string | undefined;
  readonly instanceUuid?: string | undefined;
  readonly associated?: boolean | undefined;
  readonly maintenance?: boolean | undefined;
  readonly retired?: boolean | undefined;
  readonly owner?: string | undefined;
  readonly lessee?: string | undefined;
  readonly fault?: string | undefined;
  readonly conductorGroup?: string | undefined;
  readonly shards?: readonly string[] | undefined;
  readonly sharded?: boolean | undefined;
  readonly descriptionContains?: string | undefined;
  readonly parentNode?: string | undefined;
  /** Nodes with a parent are left out of lists unless this is true or `parentNode` is given. */
  readonly includeChildren?: boolean | undefined;
  /** Owner or lessee: what a project sees of its own. */
  readonly project?: string | undefined;
  readonly addresses?: readonly string[] | undefined;
  readonly sortKey?: string | undefined;
  readonly descending?: boolean | undefined;
  readonly marker?: string | undefined;
  readonly limit?: number | undefined;
}

/** What the plain list of the API shows: a tenth of a node's bytes. */
const briefly = sql.raw(`id, uuid, name, instance_uuid as "instanceUuid", maintenance, power_state as "powerState",
  provision_state as "provisionState"`);
export type BriefNode = Pick<
  Node,
  'id' | 'uuid' | 'name' | 'instanceUuid' | 'maintenance' | 'powerState' | 'provisionState'
>;

export const listNodes = async (db: Where, query: NodeQuery = {}): Promise<NodeRow[]> =>
  (await selectNodes<NodeRow>(db, query, selected)).map(shown);

export const listNodesBriefly = (db: Where, query: NodeQuery): Promise<BriefNode[]> =>
  selectNodes<BriefNode>(db, query, briefly);

async function selectNodes<Row>(db: Where, query: NodeQuery, columns: RawBuilder<unknown>): Promise<Row[]> {
  const where = [sql`true`];
  const equal = (column: string, value: unknown) => {
    if (value !== undefined) where.push(sql`${sql.ref(column)} = ${value}`);
  };
  equal('provision_state', query.provisionState);
  equal('driver', query.driver);
  equal('resource_class', query.resourceClass);
  equal('instance_uuid', query.instanceUuid);
  equal('maintenance', query.maintenance);
  equal('retired', query.retired);
  equal('owner', query.owner);
  equal('lessee', query.lessee);
  equal('fault', query.fault);
  equal('conductor_group', query.conductorGroup);
  equal('parent_node', query.parentNode);
  if (query.parentNode === undefined && query.includeChildren !== true) where.push(sql`parent_node is null`);
  if (query.associated !== undefined)
    where.push(query.associated ? sql`instance_uuid is not null` : sql`instance_uuid is null`);
  if (query.sharded !== undefined) where.push(query.sharded ? sql`shard is not null` : sql`shard is null`);
  if (query.shards) where.push(sql`shard = any(${query.shards as string[]}::text[])`);
  if (query.descriptionContains !== undefined)
    where.push(sql`position(lower(${query.descriptionContains}) in lower(description)) > 0`);
  if (query.project !== undefined) where.push(sql`(owner = ${query.project} or lessee = ${query.project})`);
  if (query.addresses)
    where.push(
      sql`uuid in (select node_uuid from baremetal.ports where address = any(${query.addresses as string[]}::text[]))`,
    );
  const column = query.sortKey ?? 'id';
  const direction = query.descending ? sql`desc` : sql`asc`;
  if (query.marker !== undefined) {
    // Keyset paging: rows behind the marker's place; nulls sort last, as PostgreSQL does ascending.
    const place = sql`(select row_number from (select uuid, row_number() over (order by ${sql.ref(column)} ${direction}, id ${direction})
      from baremetal.nodes) ranked where ranked.uuid = ${query.marker})`;
    if (column === 'id')
      where.push(
        query.descending
          ? sql`id < (select id from baremetal.nodes where uuid = ${query.marker})`
          : sql`id > (select id from baremetal.nodes where uuid = ${query.marker})`,
      );
    else
      where.push(sql`uuid in (select uuid from (select uuid, row_number() over (order by ${sql.ref(column)} ${direction}, id ${direction})
        from baremetal.nodes) ranked where row_number > ${place})`);
  }
  const { rows } = await sql<Row>`select ${columns} from baremetal.nodes where ${sql.join(where, sql` and `)}
    order by ${sql.ref(column)} ${direction}, id ${direction} limit ${query.limit ?? 1_000_000}`.execute(db.kysely);
  return rows;
}

const written = (name: NodeColumn, value: unknown) =>
  jsonColumns.has(name) ? sql`${JSON.stringify(value ?? {})}::jsonb` : sql`${value}`;

export async function insertNode(tx: Tx, uuid: string, fields: NodePatch): Promise<NodeRow> {
  const names = (Object.keys(fields) as NodeColumn[]).filter((name) => fields[name] !== undefined);
  const columns = names.map((name) => sql.ref(nodeColumns[name]));
  const { rows } = await sql<NodeRow>`insert into baremetal.nodes (${sql.join([sql.ref('uuid'), ...columns])})
    values (${sql.join([sql`${uuid}`, ...names.map((name) => written(name, fields[name]))])})
    returning ${selected}`.execute(tx.kysely);
  return shown(rows[0] as NodeRow);
}

/** Changes columns; `updated_at` moves with them. */
export async function patchNode(tx: Tx, uuid: string, fields: NodePatch): Promise<void> {
  await sql`${patching(uuid, fields)}`.execute(tx.kysely);
}

/** The same, and the node as it is afterwards. */
export async function patchedRow(tx: Tx, uuid: string, fields: NodePatch): Promise<NodeRow> {
  const { rows } = await sql<NodeRow>`${patching(uuid, fields)} returning ${selected}`.execute(tx.kysely);
  return shown(rows[0] as NodeRow);
}

function patching(uuid: string, fields: NodePatch): RawBuilder<unknown> {
  const names = (Object.keys(fields) as NodeColumn[]).filter((name) => fields[name] !== undefined);
  const sets = names.map((name) => sql`${sql.ref(nodeColumns[name])} = ${written(name, fields[name])}`);
  if (fields.provisionState !== undefined) sets.push(sql`provision_updated_at = clock_timestamp()`);
  return sql`update baremetal.nodes set ${sql.join([sql`updated_at = clock_timestamp()`, ...sets])} where uuid = ${uuid}`;
}

export async function removeNode(tx: Tx, uuid: string): Promise<void> {
  await sql`delete from baremetal.nodes where uuid = ${uuid}`.execute(tx.kysely);
}

/** The caller's claim: one free node that fits, locked; nobody waits for a node that another claim holds. */
export async function lockFreeNode(
  tx: Tx,
  wanted: {
    resourceClass: string | null;
    traits: readonly string[];
    capabilities: Readonly<Record<string, string>>;
    nodeUuid: string | null;
    project: string | null;
  },
): Promise<NodeRow | null> {
  const capabilities = Object.entries(wanted.capabilities).map(
    ([name, value]) =>
      sql`${`${name}:${value}`} = any(string_to_array(coalesce(n.properties ->> 'capabilities', ''), ','))`,
  );
  const { rows } = await sql<{ uuid: string }>`select n.uuid from baremetal.nodes n
    where n.provision_state = 'available' and n.instance_uuid is null and not n.maintenance and not n.retired
      and n.pending_verb is null
      and (${wanted.resourceClass}::text is null or n.resource_class = ${wanted.resourceClass})
      and (${wanted.nodeUuid}::uuid is null or n.uuid = ${wanted.nodeUuid}::uuid)
      and (n.owner is null or ${wanted.project}::text is null or n.owner = ${wanted.project} or n.lessee = ${wanted.project})
      and not exists (select 1 from unnest(${wanted.traits as string[]}::text[]) t (trait)
        where not exists (select 1 from baremetal.traits h where h.node_uuid = n.uuid and h.trait = t.trait))
      and ${capabilities.length > 0 ? sql.join(capabilities, sql` and `) : sql`true`}
      and not exists (select 1 from core.operations o where o.subject_type = 'node' and o.subject_id = n.uuid::text
        and o.state in ('running', 'undoing'))
    order by n.id limit 1 for update of n skip locked`.execute(tx.kysely);
  return rows[0] ? nodeByUuid(tx, rows[0].uuid, true) : null;
}

/** Why nothing could be claimed: how many nodes fall out for what. */
export async function claimCounts(
  tx: Where,
  wanted: { resourceClass: string | null; traits: readonly string[] },
): Promise<{ total: number; reasons: Record<string, number> }> {
  const { rows } = await sql<{ reason: string; count: number }>`
    select case
      when ${wanted.resourceClass}::text is not null and resource_class is distinct from ${wanted.resourceClass} then 'of another resource class'
      when maintenance then 'in maintenance'
      when retired then 'retired'
      when instance_uuid is not null then 'held by a server'
      when provision_state <> 'available' then 'in state “' || provision_state || '”'
      when exists (select 1 from unnest(${wanted.traits as string[]}::text[]) t (trait)
        where not exists (select 1 from baremetal.traits h where h.node_uuid = uuid and h.trait = t.trait)) then 'without a wanted trait'
      else 'without a wanted capability, owned by another project, or busy' end as reason,
      count(*)::int as count
    from baremetal.nodes group by 1 order by 2 desc`.execute(tx.kysely);
  const reasons: Record<string, number> = {};
  let total = 0;
  for (const row of rows) {
    reasons[row.reason] = row.count;
    total += row.count;
  }
  return { total, reasons };
}

/** Nodes with a verb that waits for the end of an operation; of one node, or of all. */
export async function pendingNodes(db: Where, uuid: string | null): Promise<string[]> {
  const { rows } = await sql<{ uuid: string }>`select uuid from baremetal.nodes
    where pending_verb is not null and (${uuid}::uuid is null or uuid = ${uuid}::uuid)`.execute(db.kysely);
  return rows.map((row) => row.uuid);
}

export async function shardCounts(db: Where): Promise<{ name: string | null; count: number }[]> {
  const { rows } = await sql<{ name: string | null; count: number }>`select shard as name, count(*)::int as count
    from baremetal.nodes group by shard order by shard nulls first`.execute(db.kysely);
  return rows;
}
