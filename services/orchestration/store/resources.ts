/** All SQL of resources, their signals, keys and durations. */
import { CompiledQuery, sql } from 'kysely';
import type { Tx } from '../../core/database/index.ts';
import type { Blocked } from '../model.ts';
import type { Where } from './query.ts';

export interface ResourceRow {
  readonly id: string;
  readonly stack_id: string;
  readonly name: string;
  type: string;
  current: boolean;
  generation: number;
  action: string;
  status: string;
  reason: string;
  physical_id: string | null;
  /** Sealed; see engine/state.ts. */
  state: string;
  requires: string[];
  retain: boolean;
  blocked_on: Blocked | null;
  started_at: Date | null;
  readonly created_at: Date;
  updated_at: Date;
}

/** The rows' columns as arrays, in the order of `resourceInsert`. */
export const resourceColumns = (rows: readonly ResourceRow[]): unknown[][] => [
  rows.map((r) => r.id),
  rows.map((r) => r.stack_id),
  rows.map((r) => r.name),
  rows.map((r) => r.type),
  rows.map((r) => r.current),
  rows.map((r) => r.generation),
  rows.map((r) => r.action),
  rows.map((r) => r.status),
  rows.map((r) => r.reason),
  rows.map((r) => r.physical_id),
  rows.map((r) => r.state),
  rows.map((r) => JSON.stringify(r.requires)),
  rows.map((r) => r.retain),
  rows.map((r) => (r.blocked_on ? JSON.stringify(r.blocked_on) : null)),
  rows.map((r) => r.started_at),
  rows.map((r) => r.created_at),
  rows.map((r) => r.updated_at),
];

const columnTypes =
  'uuid uuid text text boolean bigint text text text text text jsonb boolean jsonb timestamptz timestamptz timestamptz';

/** Writes rows whole, new ones and known ones alike; takes `resourceColumns` from the parameter numbered `first` on. */
export const resourceInsert = (first: number, where = ''): string => `insert into orchestration.resources as r
    (id, stack_id, name, type, current, generation, action, status, reason, physical_id, state, requires, retain,
     blocked_on, started_at, created_at, updated_at)
    select * from unnest(${columnTypes
      .split(' ')
      .map((type, at) => `$${first + at}::${type}[]`)
      .join(', ')}) ${where}
    on conflict (id) do update set type = excluded.type, current = excluded.current, generation = excluded.generation,
      action = excluded.action, status = excluded.status, reason = excluded.reason, physical_id = excluded.physical_id,
      state = excluded.state, requires = excluded.requires, retain = excluded.retain, blocked_on = excluded.blocked_on,
      started_at = excluded.started_at, updated_at = excluded.updated_at`;

const insertText = resourceInsert(1);

export async function writeResources(tx: Tx, rows: readonly ResourceRow[]): Promise<void> {
  if (rows.length === 0) return;
  await tx.kysely.executeQuery(CompiledQuery.raw(insertText, resourceColumns(rows)));
}

export async function removeResources(tx: Tx, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  await sql`delete from orchestration.resources where id = any(${ids as string[]}::uuid[])`.execute(tx.kysely);
}

export async function resourcesOf(where: Where, stackIds: readonly string[]): Promise<ResourceRow[]> {
  const { rows } = await sql<ResourceRow>`select * from orchestration.resources
    where stack_id = any(${stackIds as string[]}::uuid[]) order by created_at, name`.execute(where.kysely);
  return rows;
}

export async function resource(where: Where, id: string): Promise<ResourceRow | undefined> {
  return (await sql<ResourceRow>`select * from orchestration.resources where id = ${id}`.execute(where.kysely)).rows[0];
}

export interface FoundResource {
  readonly id: string;
  readonly name: string;
  readonly type: string;
  readonly stack_id: string;
  readonly root_id: string;
}

const withRoot = sql`select r.id, r.name, r.type, r.stack_id, s.root_id from orchestration.resources r
  join orchestration.stacks s on s.id = r.stack_id`;

/** The resources that stand for something elsewhere: a server, a port. */
export async function resourcesFor(where: Where, physicalId: string): Promise<FoundResource[]> {
  return (await sql<FoundResource>`${withRoot} where r.physical_id = ${physicalId}`.execute(where.kysely)).rows;
}

export async function failInProgress(
  tx: Tx,
  rootId: string,
  reason: string,
): Promise<{ stack_id: string; name: string; type: string; action: string; physical_id: string | null }[]> {
  const { rows } = await sql<{
    stack_id: string;
    name: string;
    type: string;
    action: string;
    physical_id: string | null;
  }>`
    update orchestration.resources r set status = 'FAILED', reason = r.action || ' ' || ${reason}, blocked_on = null, updated_at = clock_timestamp()
    from orchestration.stacks s where s.id = r.stack_id and s.root_id = ${rootId} and r.status = 'IN_PROGRESS'
    returning r.stack_id, r.name, r.type, r.action, r.physical_id`.execute(tx.kysely);
  await sql`update orchestration.stacks set status = 'FAILED', reason = ${reason}
    where root_id = ${rootId} and parent_id is not null and status = 'IN_PROGRESS'`.execute(tx.kysely);
  return rows;
}

export interface SignalRow {
  readonly id: number;
  readonly resource_id: string;
  readonly body: string;
  readonly at: Date;
}

export async function insertSignal(tx: Tx, resourceId: string, body: string): Promise<void> {
  await sql`insert into orchestration.signals (resource_id, body) values (${resourceId}, ${body})`.execute(tx.kysely);
}

/** Of all resources of a tree, oldest first, after the signal `after`. */
export async function signalsOfTree(where: Where, rootId: string, after: number): Promise<SignalRow[]> {
  const { rows } = await sql<SignalRow>`select g.id, g.resource_id, g.body, g.at from orchestration.signals g
    join orchestration.resources r on r.id = g.resource_id join orchestration.stacks s on s.id = r.stack_id
    where s.root_id = ${rootId} and g.id > ${after} order by g.id`.execute(where.kysely);
  return rows;
}

export interface CredentialRow {
  readonly access_key: string;
  readonly secret: string;
  readonly resource_id: string;
  readonly user_id: string | null;
  readonly password: string | null;
}

export async function insertCredential(tx: Tx, row: CredentialRow): Promise<void> {
  await sql`insert into orchestration.credentials (access_key, secret, resource_id, user_id, password)
    values (${row.access_key}, ${row.secret}, ${row.resource_id}, ${row.user_id}, ${row.password})`.execute(tx.kysely);
}

export async function credentialOf(where: Where, resourceId: string): Promise<CredentialRow | undefined> {
  return (
    await sql<CredentialRow>`select * from orchestration.credentials where resource_id = ${resourceId}`.execute(
      where.kysely,
    )
  ).rows[0];
}

export async function credentialByKey(
  where: Where,
  accessKey: string,
): Promise<(CredentialRow & FoundResource) | undefined> {
  const { rows } = await sql<CredentialRow & FoundResource>`
    select c.*, r.id, r.name, r.type, r.stack_id, s.root_id from orchestration.credentials c
    join orchestration.resources r on r.id = c.resource_id join orchestration.stacks s on s.id = r.stack_id
    where c.access_key = ${accessKey}`.execute(where.kysely);
  return rows[0];
}

/** Whether the user is one that this stack made for its agents. */
export async function isStackUser(where: Where, userId: string, rootId: string): Promise<boolean> {
  const { rows } = await sql`select 1 from orchestration.credentials c
    join orchestration.resources r on r.id = c.resource_id join orchestration.stacks s on s.id = r.stack_id
    where c.user_id = ${userId} and s.root_id = ${rootId}`.execute(where.kysely);
  return rows.length > 0;
}

export async function recordDurations(
  tx: Tx,
  rows: readonly { type: string; action: string; seconds: number }[],
): Promise<void> {
  if (rows.length === 0) return;
  await sql`insert into orchestration.durations (type, action, seconds) select * from unnest(
    ${rows.map((r) => r.type)}::text[], ${rows.map((r) => r.action)}::text[], ${rows.map((r) => r.seconds)}::float8[])`.execute(
    tx.kysely,
  );
}

/** Median of the last 50; null while there is no history. */
export async function usualSeconds(where: Where, type: string, action: string): Promise<number | null> {
  const { rows } = await sql<{ usual: number | null }>`
    select percentile_cont(0.5) within group (order by seconds) as usual from (
      select seconds from orchestration.durations where type = ${type} and action = ${action} order by at desc limit 50) recent`.execute(
    where.kysely,
  );
  const usual = rows[0]?.usual;
  return usual === null || usual === undefined ? null : Math.round(usual * 10) / 10;
}

/** The same for every type and action at once, by `TYPE ACTION`. */
export async function usualOfAll(where: Where): Promise<Record<string, number>> {
  const { rows } = await sql<{ type: string; action: string; usual: number }>`
    select type, action, percentile_cont(0.5) within group (order by seconds) as usual from (
      select type, action, seconds, row_number() over (partition by type, action order by at desc) as place
      from orchestration.durations) recent where place <= 50 group by type, action`.execute(where.kysely);
  return Object.fromEntries(rows.map(({ type, action, usual }) => [`${type} ${action}`, Math.round(usual * 10) / 10]));
}
