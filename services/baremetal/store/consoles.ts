/** Which consoles are to be kept open: the part of a console that outlives the process. */
import { sql } from 'kysely';
import type { Database, Tx } from '../../core/database/index.ts';

export async function consoleEnabledNodes(db: Database): Promise<string[]> {
  const { rows } = await sql<{ node: string }>`select node from baremetal.consoles`.execute(db.kysely);
  return rows.map(({ node }) => node);
}

export async function setConsoleEnabled(tx: Tx, node: string, on: boolean): Promise<void> {
  if (on) await sql`insert into baremetal.consoles (node) values (${node}) on conflict do nothing`.execute(tx.kysely);
  else await sql`delete from baremetal.consoles where node = ${node}`.execute(tx.kysely);
}
