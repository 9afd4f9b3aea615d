/** All SQL of ports, traits and VIFs. */
import { sql } from 'kysely';
import type { Tx } from '../../core/database/index.ts';
import type { Port } from '../node.ts';
import type { Where } from './nodes.ts';

const portColumns = {
  nodeUuid: 'node_uuid',
  address: 'address',
  name: 'name',
  extra: 'extra',
  internalInfo: 'internal_info',
  localLinkConnection: 'local_link_connection',
  physicalNetwork: 'physical_network',
  pxeEnabled: 'pxe_enabled',
  isSmartnic: 'is_smartnic',
} as const;
type PortColumn = keyof typeof portColumns;
export type PortPatch = Partial<Omit<Port, 'id' | 'uuid' | 'createdAt' | 'updatedAt'>>;

const jsonColumns: ReadonlySet<PortColumn> = new Set(['extra', 'internalInfo', 'localLinkConnection']);
const selected = sql.join([
  sql.raw('id, uuid, created_at as "createdAt", updated_at as "updatedAt"'),
  ...Object.entries(portColumns).map(([name, column]) => sql.raw(`${column} as "${name}"`)),
]);
const written = (name: PortColumn, value: unknown) =>
  jsonColumns.has(name) ? sql`${JSON.stringify(value ?? {})}::jsonb` : sql`${value}`;

export interface PortQuery {
  readonly nodeUuid?: string | undefined;
  readonly address?: string | undefined;
  readonly shards?: readonly string[] | undefined;
  /** Ports of nodes whose owner or lessee this project is. */
  readonly project?: string | undefined;
  readonly sortKey?: string | undefined;
  readonly descending?: boolean | undefined;
  readonly marker?: string | undefined;
  readonly limit?: number | undefined;
}

export async function listPorts(db: Where, query: PortQuery = {}): Promise<Port[]> {
  const where = [sql`true`];
  if (query.nodeUuid !== undefined) where.push(sql`node_uuid = ${query.nodeUuid}`);
  if (query.address !== undefined) where.push(sql`address = ${query.address}`);
  if (query.shards)
    where.push(
      sql`node_uuid in (select uuid from baremetal.nodes where shard = any(${query.shards as string[]}::text[]))`,
    );
  if (query.project !== undefined)
    where.push(
      sql`node_uuid in (select uuid from baremetal.nodes where owner = ${query.project} or lessee = ${query.project})`,
    );
  const direction = query.descending ? sql`desc` : sql`asc`;
  if (query.marker !== undefined) {
    const marker = sql`(select id from baremetal.ports where uuid = ${query.marker})`;
    where.push(query.descending ? sql`id < ${marker}` : sql`id > ${marker}`);
  }
  const { rows } = await sql<Port>`select ${selected} from baremetal.ports where ${sql.join(where, sql` and `)}
    order by ${sql.ref(query.sortKey ?? 'id')} ${direction}, id ${direction} limit ${query.limit ?? 1_000_000}`.execute(
    db.kysely,
  );
  return rows;
}

export async function portByUuid(db: Where, uuid: string): Promise<Port | null> {
  const { rows } = await sql<Port>`select ${selected} from baremetal.ports where uuid = ${uuid}`.execute(db.kysely);
  return rows[0] ?? null;
}

export async function portByName(db: Where, name: string): Promise<Port | null> {
  const { rows } = await sql<Port>`select ${selected} from baremetal.ports where name = ${name}`.execute(db.kysely);
  return rows[0] ?? null;
}

/** Who has these addresses already: address → node. */
export async function ownersOf(db: Where, addresses: readonly string[]): Promise<Map<string, string>> {
  const { rows } = await sql<{ address: string; node_uuid: string }>`select address, node_uuid from baremetal.ports
    where address = any(${addresses as string[]}::text[])`.execute(db.kysely);
  return new Map(rows.map((row) => [row.address, row.node_uuid]));
}

export async function insertPort(tx: Tx, uuid: string, fields: PortPatch): Promise<void> {
  const names = (Object.keys(fields) as PortColumn[]).filter((name) => fields[name] !== undefined);
  await sql`insert into baremetal.ports (${sql.join([sql.ref('uuid'), ...names.map((name) => sql.ref(portColumns[name]))])})
    values (${sql.join([sql`${uuid}`, ...names.map((name) => written(name, fields[name]))])})`.execute(tx.kysely);
}

export async function patchPort(tx: Tx, uuid: string, fields: PortPatch): Promise<void> {
  const names = (Object.keys(fields) as PortColumn[]).filter((name) => fields[name] !== undefined);
  if (names.length === 0) return;
  const sets = names.map((name) => sql`${sql.ref(portColumns[name])} = ${written(name, fields[name])}`);
  await sql`update baremetal.ports set updated_at = clock_timestamp(), ${sql.join(sets)} where uuid = ${uuid}`.execute(
    tx.kysely,
  );
}

export async function removePort(tx: Tx, uuid: string): Promise<void> {
  await sql`delete from baremetal.ports where uuid = ${uuid}`.execute(tx.kysely);
}

/** Of many nodes in one query: node → its traits, sorted. */
export async function traitsOf(db: Where, nodes: readonly string[]): Promise<Map<string, string[]>> {
  const { rows } = await sql<{ node_uuid: string; traits: string[] }>`
    select node_uuid, array_agg(trait order by trait) as traits from baremetal.traits
    where node_uuid = any(${nodes as string[]}::uuid[]) group by node_uuid`.execute(db.kysely);
  return new Map(rows.map((row) => [row.node_uuid, row.traits]));
}

export async function addTraits(tx: Tx, node: string, traits: readonly string[]): Promise<void> {
  await sql`insert into baremetal.traits (node_uuid, trait)
    select ${node}::uuid, t from unnest(${traits as string[]}::text[]) t on conflict do nothing`.execute(tx.kysely);
}

/** All of them when no trait is named. Returns how many went. */
export async function removeTraits(tx: Tx, node: string, trait: string | null): Promise<number> {
  const result = await sql`delete from baremetal.traits where node_uuid = ${node}
    and (${trait}::text is null or trait = ${trait})`.execute(tx.kysely);
  return Number(result.numAffectedRows ?? 0);
}

export async function listVifs(db: Where, node: string): Promise<{ vif: string; portUuid: string | null }[]> {
  const { rows } = await sql<{ vif: string; portUuid: string | null }>`
    select vif, port_uuid as "portUuid" from baremetal.vifs where node_uuid = ${node} order by vif`.execute(db.kysely);
  return rows;
}

export async function insertVif(tx: Tx, node: string, vif: string, portUuid: string | null): Promise<void> {
  await sql`insert into baremetal.vifs (node_uuid, vif, port_uuid) values (${node}, ${vif}, ${portUuid})`.execute(
    tx.kysely,
  );
}

export async function removeVif(tx: Tx, node: string, vif: string | null): Promise<number> {
  const result = await sql`delete from baremetal.vifs where node_uuid = ${node}
    and (${vif}::text is null or vif = ${vif})`.execute(tx.kysely);
  return Number(result.numAffectedRows ?? 0);
}
