/** All SQL of stacks and their files. */
import { type RawBuilder, sql } from 'kysely';
import type { Tx } from '../../core/database/index.ts';
import type { Stack } from '../model.ts';
import type { Where } from './query.ts';

/** A stack with its sealed parts. */
export interface StackRow extends Stack {
  readonly definition: string;
  readonly files_id: string;
  readonly previous: string | null;
  readonly previous_files_id: string | null;
  readonly pending: string | null;
}

export type NewStackRow = Omit<
  StackRow,
  'created_at' | 'updated_at' | 'deleted_at' | 'previous' | 'previous_files_id' | 'pending'
>;

/** Many at once: the members of a group. What is there already stays as it is. */
export async function insertStacks(tx: Tx, rows: readonly NewStackRow[]): Promise<void> {
  if (rows.length === 0) return;
  await sql`insert into orchestration.stacks
    (id, root_id, parent_id, parent_resource, project_id, user_id, owner_name, name, description, action, status, reason,
     definition, files_id, generation, disable_rollback, timeout_mins, user_project_id, tags)
    select v.*, array(select jsonb_array_elements_text(t.tags)) from unnest(
      ${rows.map((r) => r.id)}::uuid[], ${rows.map((r) => r.root_id)}::uuid[], ${rows.map((r) => r.parent_id)}::uuid[],
      ${rows.map((r) => r.parent_resource)}::text[], ${rows.map((r) => r.project_id)}::text[],
      ${rows.map((r) => r.user_id)}::text[], ${rows.map((r) => r.owner_name)}::text[], ${rows.map((r) => r.name)}::text[],
      ${rows.map((r) => r.description)}::text[], ${rows.map((r) => r.action)}::text[],
      ${rows.map((r) => r.status)}::text[], ${rows.map((r) => r.reason)}::text[],
      ${rows.map((r) => r.definition)}::text[], ${rows.map((r) => r.files_id)}::text[],
      ${rows.map((r) => r.generation)}::bigint[], ${rows.map((r) => r.disable_rollback)}::boolean[],
      ${rows.map((r) => r.timeout_mins)}::integer[], ${rows.map((r) => r.user_project_id)}::text[]) as v
      (id, root_id, parent_id, parent_resource, project_id, user_id, owner_name, name, description, action, status,
       reason, definition, files_id, generation, disable_rollback, timeout_mins, user_project_id)
    join unnest(${rows.map((r) => r.id)}::uuid[], ${rows.map((r) => JSON.stringify(r.tags))}::jsonb[]) as t (id, tags) using (id)
    on conflict (id) do nothing`.execute(tx.kysely);
}

export type StackPatch = Partial<
  Pick<
    StackRow,
    | 'action'
    | 'status'
    | 'reason'
    | 'definition'
    | 'files_id'
    | 'previous'
    | 'previous_files_id'
    | 'pending'
    | 'generation'
    | 'disable_rollback'
    | 'timeout_mins'
    | 'user_project_id'
    | 'description'
    | 'updated_at'
    | 'deleted_at'
  >
> & { tags?: readonly string[] };

export async function patchStack(where: Where, id: string, patch: StackPatch): Promise<void> {
  const sets = Object.entries(patch).map(([column, value]) => sql`${sql.ref(column)} = ${value}`);
  if (sets.length === 0) return;
  await sql`update orchestration.stacks set ${sql.join(sets)} where id = ${id}`.execute(where.kysely);
}

/** Everything of the tree but its outermost row: nothing outside is touched. */
export async function forgetTree(tx: Tx, rootId: string): Promise<void> {
  await sql`delete from orchestration.resources where stack_id in (select id from orchestration.stacks where root_id = ${rootId})`.execute(
    tx.kysely,
  );
  await sql`delete from orchestration.stacks where root_id = ${rootId} and parent_id is not null`.execute(tx.kysely);
}

export async function removeStacks(tx: Tx, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  await sql`delete from orchestration.stacks where id = any(${ids as string[]}::uuid[])`.execute(tx.kysely);
}

export async function stack(where: Where, id: string): Promise<StackRow | undefined> {
  return (await sql<StackRow>`select * from orchestration.stacks where id = ${id}`.execute(where.kysely)).rows[0];
}

/** Locks the row, so that two callers cannot both start an action. */
export async function lockStack(tx: Tx, id: string): Promise<StackRow | undefined> {
  return (await sql<StackRow>`select * from orchestration.stacks where id = ${id} for update`.execute(tx.kysely))
    .rows[0];
}

/** The stack of that name; a deleted one only by `id`. Nested ones have names of their own that are as good. */
export async function stackNamed(
  where: Where,
  projectId: string | null,
  name: string,
  agents = false,
): Promise<StackRow | undefined> {
  const mine =
    projectId === null
      ? sql`true`
      : agents
        ? sql`(project_id = ${projectId} or user_project_id = ${projectId})`
        : sql`project_id = ${projectId}`;
  const { rows } = await sql<StackRow>`select * from orchestration.stacks
    where name = ${name} and deleted_at is null and ${mine} order by parent_id nulls first limit 1`.execute(
    where.kysely,
  );
  return rows[0];
}

/** A whole tree: the outermost stack and all that are nested in it. */
export async function stackTree(where: Where, rootId: string): Promise<StackRow[]> {
  return (await sql<StackRow>`select * from orchestration.stacks where root_id = ${rootId}`.execute(where.kysely)).rows;
}

export interface StackFilters {
  readonly projectId: string | null;
  readonly nested?: boolean;
  readonly deleted?: boolean;
  readonly ids?: readonly string[];
  readonly names?: readonly string[];
  readonly status?: readonly string[];
  readonly action?: readonly string[];
  readonly tags?: readonly string[];
  readonly tagsAny?: readonly string[];
  readonly notTags?: readonly string[];
  readonly notTagsAny?: readonly string[];
  readonly sort?: readonly { readonly key: string; readonly direction: 'asc' | 'desc' }[];
  readonly marker?: string;
  readonly limit?: number;
}

const sortColumns: Record<string, string> = {
  stack_name: 'name',
  name: 'name',
  stack_status: 'status',
  status: 'status',
  creation_time: 'created_at',
  created_at: 'created_at',
  updated_time: 'updated_at',
  updated_at: 'updated_at',
};

function conditions(filters: StackFilters): RawBuilder<unknown> {
  const all: RawBuilder<unknown>[] = [sql`true`];
  const any = (column: string, values: readonly string[] | undefined) => {
    if (values?.length) all.push(sql`${sql.ref(column)}::text = any(${values as string[]}::text[])`);
  };
  if (filters.projectId !== null) all.push(sql`project_id = ${filters.projectId}`);
  if (!filters.nested) all.push(sql`parent_id is null`);
  if (!filters.deleted) all.push(sql`deleted_at is null`);
  any('id', filters.ids);
  any('name', filters.names);
  any('status', filters.status);
  any('action', filters.action);
  if (filters.tags?.length) all.push(sql`tags @> ${filters.tags as string[]}::text[]`);
  if (filters.tagsAny?.length) all.push(sql`tags && ${filters.tagsAny as string[]}::text[]`);
  if (filters.notTags?.length) all.push(sql`not tags @> ${filters.notTags as string[]}::text[]`);
  if (filters.notTagsAny?.length) all.push(sql`not tags && ${filters.notTagsAny as string[]}::text[]`);
  return sql.join(all, sql` and `);
}

export async function stacks(where: Where, filters: StackFilters): Promise<Stack[]> {
  const sort = (filters.sort ?? []).flatMap(({ key, direction }) => {
    const column = sortColumns[key];
    return column ? [direction === 'desc' ? sql`${sql.ref(column)} desc` : sql`${sql.ref(column)} asc`] : [];
  });
  const order = sql.join([...sort, sql`created_at desc`, sql`id`]);
  // A page goes on after its marker in whatever order was asked for.
  const { rows } = await sql<Stack>`
    with ordered as (select *, row_number() over (order by ${order}) as place from orchestration.stacks where ${conditions(filters)})
    select * from ordered
    where place > coalesce((select place from ordered where id::text = ${filters.marker ?? ''}), 0)
    order by place limit ${filters.limit ?? 10_000}`.execute(where.kysely);
  return rows;
}

export async function countStacks(where: Where, filters: StackFilters): Promise<number> {
  const { rows } = await sql<{
    count: number;
  }>`select count(*) from orchestration.stacks where ${conditions(filters)}`.execute(where.kysely);
  return rows[0]?.count ?? 0;
}

/** Outermost stacks whose next action still waits to be started: what a process that died left behind. */
export async function stacksWithPending(where: Where): Promise<{ id: string }[]> {
  return (
    await sql<{
      id: string;
    }>`select id from orchestration.stacks where pending is not null and deleted_at is null`.execute(where.kysely)
  ).rows;
}

export async function keepFiles(tx: Tx, id: string, body: Readonly<Record<string, string>>): Promise<void> {
  await sql`insert into orchestration.files (id, body) values (${id}, ${JSON.stringify(body)}) on conflict (id) do nothing`.execute(
    tx.kysely,
  );
}

export async function filesOf(where: Where, id: string): Promise<Record<string, string>> {
  const { rows } = await sql<{
    body: Record<string, string>;
  }>`select body from orchestration.files where id = ${id}`.execute(where.kysely);
  return rows[0]?.body ?? {};
}
