/**
 * What almost every turn of the engine writes (rows of resources, with the events that tell of them), in one statement that
 * commits by itself and only while the lease is held. A chain of resources pays for one round trip and one sync a link.
 */
import type { Database } from '../../core/database/index.ts';
import { type AppendedEvent, eventColumns, eventInsert } from '../../core/events/index.ts';
import { leaseHeld } from '../../core/operations/index.ts';
import { type ResourceRow, resourceColumns, resourceInsert } from './resources.ts';

const firstResource = 5;
const firstRemoved = firstResource + resourceColumns([]).length;
const firstEvent = firstRemoved + 1;

const text = `with held as materialized (${leaseHeld(1)}),
  written as (${resourceInsert(firstResource, 'where exists (select 1 from held)')}),
  removed as (delete from orchestration.resources where id = any($${firstRemoved}::uuid[]) and exists (select 1 from held)),
  told as (${eventInsert(firstEvent)} where exists (select 1 from held))
  select count(*)::int as held from held`;

export interface Turn {
  readonly rows: readonly ResourceRow[];
  readonly removed: readonly string[];
  readonly events: readonly AppendedEvent[];
}

/** @returns false when the lease is no longer held; nothing is written then */
export async function commitTurn(db: Database, lease: readonly unknown[], turn: Turn): Promise<boolean> {
  const values = [...lease, ...resourceColumns(turn.rows), turn.removed, ...eventColumns(turn.events)];
  // Named: each connection parses and plans it once.
  const { rows } = await db.pool.query<{ held: number }>({ name: 'orchestration-turn', text, values });
  return rows[0]?.held === 1;
}
