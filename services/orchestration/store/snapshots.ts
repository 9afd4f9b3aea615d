/** All SQL of snapshots. */
import { sql } from 'kysely';
import type { Tx } from '../../core/database/index.ts';
import type { Where } from './query.ts';

export interface SnapshotRow {
  readonly id: string;
  readonly stack_id: string;
  readonly name: string | null;
  readonly status: 'IN_PROGRESS' | 'COMPLETE' | 'FAILED';
  readonly reason: string | null;
  readonly body: string | null;
  readonly created_at: Date;
}

export async function insertSnapshot(tx: Tx, row: { id: string; stackId: string; name: string | null }): Promise<void> {
  await sql`insert into orchestration.snapshots (id, stack_id, name, status)
    values (${row.id}, ${row.stackId}, ${row.name}, 'IN_PROGRESS')`.execute(tx.kysely);
}

export async function endSnapshot(
  tx: Tx,
  id: string,
  end: { status: 'COMPLETE' | 'FAILED'; reason: string; body: string | null },
): Promise<void> {
  await sql`update orchestration.snapshots set status = ${end.status}, reason = ${end.reason},
    body = coalesce(${end.body}, body) where id = ${id}`.execute(tx.kysely);
}

export async function snapshots(where: Where, stackId: string): Promise<SnapshotRow[]> {
  return (
    await sql<SnapshotRow>`select * from orchestration.snapshots where stack_id = ${stackId} order by created_at`.execute(
      where.kysely,
    )
  ).rows;
}

export async function deleteSnapshot(tx: Tx, id: string): Promise<void> {
  await sql`delete from orchestration.snapshots where id = ${id}`.execute(tx.kysely);
}
