/** SQL of report cards, and of what nodes carry of them. */
import { sql } from 'kysely';
import type { Tx } from '../../core/database/index.ts';
import type { BmcInfo, CardRow, LearntQuirks } from '../../power/index.ts';
import type { JsonObject } from '../node.ts';
import type { Where } from './nodes.ts';

export interface Model {
  readonly vendor: string;
  readonly model: string;
  readonly firmware: string;
}

export const modelOf = ({ vendor, model, firmware }: BmcInfo): Model => ({
  vendor: vendor ?? 'unknown',
  model: model ?? 'unknown',
  firmware: firmware ?? 'unknown',
});

export interface StoredCard extends Model {
  readonly rows: readonly CardRow[];
  readonly quirks: LearntQuirks;
  readonly node: string;
  readonly takenAt: Date;
}

const columns = sql.raw('vendor, model, firmware, rows, quirks, node, taken_at as "takenAt"');

export async function cardOf(db: Where, { vendor, model, firmware }: Model): Promise<StoredCard | null> {
  const { rows } = await sql<StoredCard>`select ${columns} from baremetal.bmc_cards
    where vendor = ${vendor} and model = ${model} and firmware = ${firmware}`.execute(db.kysely);
  return rows[0] ?? null;
}

export async function listCards(db: Where): Promise<StoredCard[]> {
  const { rows } = await sql<StoredCard>`select ${columns} from baremetal.bmc_cards
    order by vendor, model, firmware`.execute(db.kysely);
  return rows;
}

export async function keepCard(tx: Tx, card: Omit<StoredCard, 'takenAt'>): Promise<void> {
  const { vendor, model, firmware, node } = card;
  await sql`insert into baremetal.bmc_cards (vendor, model, firmware, rows, quirks, node)
    values (${vendor}, ${model}, ${firmware}, ${JSON.stringify(card.rows)}::jsonb, ${JSON.stringify(card.quirks)}::jsonb, ${node})
    on conflict (vendor, model, firmware) do update set rows = excluded.rows, quirks = excluded.quirks,
      node = excluded.node, taken_at = now()`.execute(tx.kysely);
}

/** What a node carries of its BMC, in driver_internal_info: who made it, and what its kind is known for. */
export const bmcFields = ({ vendor, model, firmware }: Model, quirks: LearntQuirks): JsonObject => ({
  bmc_vendor: vendor,
  bmc_model: model,
  bmc_firmware: firmware,
  bmc_quirks: { ...quirks },
});

/** All nodes of this kind do from now on what was learnt; those that did not before. */
export async function teachNodes(tx: Tx, { vendor, model, firmware }: Model, quirks: LearntQuirks): Promise<string[]> {
  const learnt = JSON.stringify({ bmc_quirks: quirks });
  const { rows } = await sql<{ uuid: string }>`update baremetal.nodes
    set driver_internal_info = driver_internal_info || ${learnt}::jsonb, updated_at = clock_timestamp()
    where driver_internal_info ->> 'bmc_vendor' = ${vendor} and driver_internal_info ->> 'bmc_model' = ${model}
      and driver_internal_info ->> 'bmc_firmware' = ${firmware}
      and driver_internal_info -> 'bmc_quirks' is distinct from ${JSON.stringify(quirks)}::jsonb
    returning uuid`.execute(tx.kysely);
  return rows.map(({ uuid }) => uuid);
}
