/** All SQL of the operations table. */
import { sql } from 'kysely';
import type { Context } from '../context.ts';
import type { Database, Tx } from '../database/index.ts';
import type { StoredFault } from '../errors/index.ts';
import type { Subject } from '../events/index.ts';
import type { Json } from './definition.ts';

export interface StoredWait {
  on: string;
  remedy: string;
  since: string;
  usualSeconds: number | null;
}

export interface Progress {
  done: number;
  total: number;
  unit: string;
}

export interface OperationRow {
  id: string;
  kind: string;
  definition: number;
  subject_type: string;
  subject_id: string;
  params: Json;
  context: Context;
  state: 'running' | 'undoing' | 'succeeded' | 'failed';
  step: string | null;
  results: Record<string, Json>;
  waiting: StoredWait | null;
  progress: Progress | null;
  attempt: number;
  step_started_at: Date | null;
  error: StoredFault | null;
  cancel_reason: string | null;
  wakes: number;
  created_at: Date;
  updated_at: Date;
  finished_at: Date | null;
}

type Where = Database | Tx;

export async function insertOperation(
  tx: Tx,
  row: { id: string; kind: string; definition: number; subject: Subject; params: Json; context: Context; step: string },
): Promise<void> {
  await sql`insert into core.operations (id, kind, definition, subject_type, subject_id, params, context, state, step)
    values (${row.id}, ${row.kind}, ${row.definition}, ${row.subject.type}, ${row.subject.id},
      ${JSON.stringify(row.params)}, ${JSON.stringify(row.context)}, 'running', ${row.step})`.execute(tx.kysely);
}

export async function loadOperation(db: Where, id: string): Promise<OperationRow | null> {
  const { rows } = await sql<OperationRow>`select * from core.operations where id = ${id}`.execute(db.kysely);
  return rows[0] ?? null;
}

export async function activeOperation(db: Where, subject: Subject): Promise<OperationRow | null> {
  const { rows } = await sql<OperationRow>`select * from core.operations
    where subject_type = ${subject.type} and subject_id = ${subject.id} and state in ('running', 'undoing')`.execute(
    db.kysely,
  );
  return rows[0] ?? null;
}

/** Active operations of many subjects of one type, in one query, by subject id. */
export async function activeOperations(
  db: Where,
  type: string,
  ids: readonly string[],
): Promise<Map<string, OperationRow>> {
  const { rows } = await sql<OperationRow>`select * from core.operations
    where subject_type = ${type} and subject_id = any(${ids as string[]}) and state in ('running', 'undoing')`.execute(
    db.kysely,
  );
  return new Map(rows.map((row) => [row.subject_id, row]));
}

export async function lastOperation(db: Where, subject: Subject): Promise<OperationRow | null> {
  const { rows } = await sql<OperationRow>`select * from core.operations
    where subject_type = ${subject.type} and subject_id = ${subject.id} order by created_at desc limit 1`.execute(
    db.kysely,
  );
  return rows[0] ?? null;
}

/** What is not at rest and has no live holder: the sweep's work. */
export async function orphans(db: Database, limit: number): Promise<{ id: string }[]> {
  const { rows } = await sql<{ id: string }>`
    select o.id from core.operations o
    left join core.leases l on l.subject_type = o.subject_type and l.subject_id = o.subject_id and l.expires_at > now()
    where o.state in ('running', 'undoing') and l.owner is null order by o.created_at limit ${limit}`.execute(
    db.kysely,
  );
  return rows;
}

export async function ownerOf(db: Database, subject: Subject): Promise<string | null> {
  const { rows } = await sql<{ owner: string }>`select owner from core.leases where subject_type = ${subject.type}
    and subject_id = ${subject.id} and expires_at > now()`.execute(db.kysely);
  return rows[0]?.owner ?? null;
}

export interface Patch {
  state?: OperationRow['state'];
  step?: string | null;
  results?: Record<string, Json>;
  waiting?: StoredWait | null;
  progress?: Progress | null;
  attempt?: number;
  step_started_at?: Date | null;
  error?: StoredFault | null;
  finished?: boolean;
}

/** Columns that hold JSON, and so are written as text. */
const jsonColumns = new Set(['results', 'waiting', 'progress', 'error']);

export async function patchOperation(tx: Where, id: string, patch: Patch): Promise<void> {
  const sets = Object.entries(patch).map(([column, value]) => {
    if (column === 'finished') return sql`finished_at = clock_timestamp()`;
    if (jsonColumns.has(column))
      return sql`${sql.ref(column)} = ${value === null ? null : JSON.stringify(value)}::jsonb`;
    return sql`${sql.ref(column)} = ${value}`;
  });
  await sql`update core.operations set updated_at = clock_timestamp(), ${sql.join(sets)} where id = ${id}`.execute(
    tx.kysely,
  );
}

export async function recordStep(
  tx: Tx,
  step: { operation: string; kind: string; step: string; direction: 'do' | 'undo'; startedAt: Date; seconds: number },
): Promise<void> {
  await sql`insert into core.operation_steps (operation_id, kind, step, direction, started_at, seconds)
    values (${step.operation}, ${step.kind}, ${step.step}, ${step.direction}, ${step.startedAt}, ${step.seconds})
    on conflict (operation_id, step, direction) do update set finished_at = clock_timestamp(), seconds = excluded.seconds`.execute(
    tx.kysely,
  );
}

export async function undoneSteps(db: Where, id: string): Promise<Set<string>> {
  const { rows } = await sql<{ step: string }>`select step from core.operation_steps
    where operation_id = ${id} and direction = 'undo'`.execute(db.kysely);
  return new Set(rows.map((row) => row.step));
}

/** Median seconds of the step's last 50 runs; null while there is no history. */
export async function usualSeconds(db: Where, kind: string, step: string): Promise<number | null> {
  const { rows } = await sql<{ usual: number | null }>`
    select percentile_cont(0.5) within group (order by seconds) as usual from (
      select seconds from core.operation_steps where kind = ${kind} and step = ${step} and direction = 'do'
      order by finished_at desc limit 50) recent`.execute(db.kysely);
  const usual = rows[0]?.usual;
  return usual === null || usual === undefined ? null : Math.round(usual * 10) / 10;
}

export async function requestCancel(db: Where, id: string, reason: string): Promise<boolean> {
  const { rows } = await sql`update core.operations set cancel_reason = ${reason}, wakes = wakes + 1
    where id = ${id} and state = 'running' returning id`.execute(db.kysely);
  return rows.length === 1;
}

export async function bumpWakes(db: Where, id: string): Promise<void> {
  await sql`update core.operations set wakes = wakes + 1 where id = ${id}`.execute(db.kysely);
}
