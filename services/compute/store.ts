/** All SQL of compute. */
import { type RawBuilder, sql } from 'kysely';
import type { Database, Tx } from '../core/database/index.ts';
import type { Flavor, Server } from './model.ts';

type Where = Database | Tx;

export interface Keypair {
  user_id: string;
  name: string;
  public_key: string;
  fingerprint: string;
  type: string;
  created_at: Date;
}

export async function flavors(db: Where): Promise<Flavor[]> {
  return (await sql<Flavor>`select * from compute.flavors order by name`.execute(db.kysely)).rows;
}

export async function flavor(db: Where, key: string): Promise<Flavor | undefined> {
  return (await sql<Flavor>`select * from compute.flavors where id = ${key} or name = ${key}`.execute(db.kysely))
    .rows[0];
}

export async function insertFlavor(db: Where, row: Flavor): Promise<void> {
  await sql`insert into compute.flavors (id, name, ram, vcpus, disk, description, is_public, extra_specs)
    values (${row.id}, ${row.name}, ${row.ram}, ${row.vcpus}, ${row.disk}, ${row.description}, ${row.is_public}, ${JSON.stringify(row.extra_specs)})`.execute(
    db.kysely,
  );
}

export async function setFlavorSpecs(db: Where, id: string, specs: Record<string, string>): Promise<void> {
  await sql`update compute.flavors set extra_specs = ${JSON.stringify(specs)} where id = ${id}`.execute(db.kysely);
}

export async function deleteFlavor(db: Where, id: string): Promise<boolean> {
  return (await sql`delete from compute.flavors where id = ${id} returning id`.execute(db.kysely)).rows.length > 0;
}

export async function keypairs(db: Where, userId: string): Promise<Keypair[]> {
  return (await sql<Keypair>`select * from compute.keypairs where user_id = ${userId} order by name`.execute(db.kysely))
    .rows;
}

export async function insertKeypair(db: Where, row: Omit<Keypair, 'created_at'>): Promise<void> {
  await sql`insert into compute.keypairs (user_id, name, public_key, fingerprint, type)
    values (${row.user_id}, ${row.name}, ${row.public_key}, ${row.fingerprint}, ${row.type})`.execute(db.kysely);
}

export async function deleteKeypair(db: Where, userId: string, name: string): Promise<boolean> {
  const { rows } =
    await sql`delete from compute.keypairs where user_id = ${userId} and name = ${name} returning name`.execute(
      db.kysely,
    );
  return rows.length > 0;
}

export interface ServerGroup {
  readonly id: string;
  readonly project_id: string;
  readonly user_id: string;
  readonly name: string;
  readonly policy: string;
  readonly rules: Record<string, unknown>;
  /** Ids of the servers that were made with the hint `group`. */
  readonly members: readonly string[];
}

const groupsWithMembers = sql`select g.*, coalesce((select array_agg(s.id::text order by s.created_at) from compute.servers s
  where s.hints ->> 'group' = g.id::text and s.deleted_at is null), '{}') as members from compute.server_groups g`;

export async function serverGroups(db: Where, projectId: string | null): Promise<ServerGroup[]> {
  const where = projectId === null ? sql`true` : sql`g.project_id = ${projectId}`;
  return (await sql<ServerGroup>`${groupsWithMembers} where ${where} order by g.created_at`.execute(db.kysely)).rows;
}

export async function serverGroup(db: Where, id: string): Promise<ServerGroup | undefined> {
  return (await sql<ServerGroup>`${groupsWithMembers} where g.id::text = ${id}`.execute(db.kysely)).rows[0];
}

export async function insertServerGroup(db: Where, row: Omit<ServerGroup, 'members'>): Promise<void> {
  await sql`insert into compute.server_groups (id, project_id, user_id, name, policy, rules)
    values (${row.id}, ${row.project_id}, ${row.user_id}, ${row.name}, ${row.policy}, ${JSON.stringify(row.rules)})`.execute(
    db.kysely,
  );
}

export async function deleteServerGroup(db: Where, id: string): Promise<void> {
  await sql`delete from compute.server_groups where id::text = ${id}`.execute(db.kysely);
}

export type NewRow = Omit<
  Server,
  'created_at' | 'updated_at' | 'launched_at' | 'deleted_at' | 'fault' | 'node_id' | 'node_name'
>;

export async function insertServer(tx: Tx, row: NewRow): Promise<void> {
  await sql`insert into compute.servers (id, project_id, user_id, name, description, image_id, flavor_id, flavor, status, task_state,
      key_name, public_key, metadata, user_data, config_drive, networks, hints, tags)
    values (${row.id}, ${row.project_id}, ${row.user_id}, ${row.name}, ${row.description}, ${row.image_id}, ${row.flavor_id},
      ${JSON.stringify(row.flavor)}, ${row.status}, ${row.task_state}, ${row.key_name}, ${row.public_key}, ${JSON.stringify(row.metadata)},
      ${row.user_data}, ${row.config_drive}, ${JSON.stringify(row.networks)}, ${JSON.stringify(row.hints)}, ${row.tags as string[]})`.execute(
    tx.kysely,
  );
}

export async function server(db: Where, id: string): Promise<Server | undefined> {
  return (await sql<Server>`select * from compute.servers where id = ${id}`.execute(db.kysely)).rows[0];
}

export async function serverOfNode(db: Where, nodeId: string): Promise<Server | undefined> {
  const { rows } =
    await sql<Server>`select * from compute.servers where node_id = ${nodeId} and deleted_at is null`.execute(
      db.kysely,
    );
  return rows[0];
}

export async function serversOf(db: Where, imageId: string): Promise<Server[]> {
  const { rows } =
    await sql<Server>`select * from compute.servers where image_id = ${imageId} and deleted_at is null`.execute(
      db.kysely,
    );
  return rows;
}

export interface ServerFilters {
  /** null: of all projects. */
  projectId: string | null;
  name?: string;
  status?: string;
  limit?: number;
  marker?: string;
}

export async function servers(db: Where, filters: ServerFilters): Promise<Server[]> {
  const { projectId, name, status, marker, limit = 1000 } = filters;
  const conditions = [sql<boolean>`deleted_at is null`];
  if (projectId !== null) conditions.push(sql<boolean>`project_id = ${projectId}`);
  // Nova reads the name as a regular expression; a client that gives a plain name means that name somewhere in it.
  if (name) conditions.push(sql<boolean>`position(${name.replace(/^\^|\$$/g, '')} in name) > 0`);
  if (status) conditions.push(sql<boolean>`status = ${status.toUpperCase()}`);
  if (marker)
    conditions.push(sql<boolean>`(created_at, id) < (select created_at, id from compute.servers where id = ${marker})`);
  const { rows } = await sql<Server>`select * from compute.servers where ${sql.join(conditions, sql` and `)}
    order by created_at desc, id desc limit ${limit}`.execute(db.kysely);
  return rows;
}

type Changes = Partial<
  Pick<
    Server,
    | 'name'
    | 'status'
    | 'task_state'
    | 'image_id'
    | 'node_id'
    | 'node_name'
    | 'metadata'
    | 'fault'
    | 'launched_at'
    | 'deleted_at'
  >
>;

export async function updateServer(tx: Where, id: string, changes: Changes): Promise<void> {
  const json = new Set(['metadata', 'fault']);
  const sets: RawBuilder<unknown>[] = Object.entries(changes).map(([column, value]) =>
    json.has(column)
      ? sql`${sql.ref(column)} = ${value === null ? null : JSON.stringify(value)}::jsonb`
      : sql`${sql.ref(column)} = ${value}`,
  );
  await sql`update compute.servers set updated_at = now(), ${sql.join(sets)} where id = ${id}`.execute(tx.kysely);
}
