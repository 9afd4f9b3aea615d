/** SQL of boot-override truth: what nodes were told to boot, and what kinds of BMCs made of it. */
import { sql } from 'kysely';
import type { Tx } from '../../core/database/index.ts';
import { type BootCount, type BootWay, bootQuirks } from '../../power/index.ts';
import type { Model } from './cards.ts';
import type { Where } from './nodes.ts';

export interface BootOrder {
  readonly device: 'pxe' | 'disk';
  readonly way: BootWay;
  /** Ordered while the machine ran, for a reset: that it was obeyed proves nothing of a start by power. */
  readonly byReset: boolean;
}

/** Null: whatever the machine boots next is nothing to judge by. */
export async function keepOrder(tx: Where, uuid: string, order: BootOrder | null): Promise<void> {
  if (order === null) await sql`delete from baremetal.boot_orders where node_uuid = ${uuid}`.execute(tx.kysely);
  else
    await sql`insert into baremetal.boot_orders (node_uuid, device, way, by_reset)
      values (${uuid}, ${order.device}, ${order.way}, ${order.byReset})
      on conflict (node_uuid) do update set device = excluded.device, way = excluded.way,
        by_reset = excluded.by_reset, ordered_at = clock_timestamp()`.execute(tx.kysely);
}

/** What the machine was told that starts now; what was meant for this boot alone is told once. */
export async function takeOrder(db: Where, uuid: string): Promise<BootOrder | null> {
  const { rows } = await sql<BootOrder>`with found as (
      select device, way, by_reset as "byReset" from baremetal.boot_orders where node_uuid = ${uuid}
    ), used as (
      delete from baremetal.boot_orders where node_uuid = ${uuid} and device = 'pxe' and way = 'once'
    ) select * from found`.execute(db.kysely);
  return rows[0] ?? null;
}

export type BootVerdict = 'obeyed' | 'ignored' | 'unheard';

export async function countBoot(
  tx: Tx,
  { vendor, model, firmware }: Model,
  { device, way }: Pick<BootOrder, 'device' | 'way'>,
  verdict: BootVerdict,
  node: string,
): Promise<void> {
  const one = (what: BootVerdict) => (what === verdict ? 1 : 0);
  await sql`insert into baremetal.bmc_boots as b (vendor, model, firmware, device, way, obeyed, ignored, unheard, node)
    values (${vendor}, ${model}, ${firmware}, ${device}, ${way}, ${one('obeyed')}, ${one('ignored')},
      ${one('unheard')}, ${node})
    on conflict (vendor, model, firmware, device, way) do update set obeyed = b.obeyed + excluded.obeyed,
      ignored = b.ignored + excluded.ignored, unheard = b.unheard + excluded.unheard, node = excluded.node,
      seen_at = now()`.execute(tx.kysely);
}

export async function bootsOf(db: Where, { vendor, model, firmware }: Model): Promise<BootCount[]> {
  const { rows } = await sql<BootCount>`select device, way, obeyed, ignored, unheard from baremetal.bmc_boots
    where vendor = ${vendor} and model = ${model} and firmware = ${firmware} order by device, way`.execute(db.kysely);
  return rows;
}

/** Of every kind, in one query. */
export async function allBoots(db: Where): Promise<(BootCount & Model)[]> {
  const { rows } = await sql<BootCount & Model>`select vendor, model, firmware, device, way, obeyed, ignored, unheard
    from baremetal.bmc_boots order by vendor, model, firmware, device, way`.execute(db.kysely);
  return rows;
}

/** All nodes of this kind are told what to boot as its boots have shown; gives those that were not before. */
export async function teachBootWay(tx: Tx, kind: Model): Promise<string[]> {
  const { vendor, model, firmware } = kind;
  const learnt = JSON.stringify(bootQuirks(await bootsOf(tx, kind)));
  const taught = sql`coalesce(driver_internal_info -> 'bmc_quirks', '{}') - 'bootWay' - 'bootIgnored' || ${learnt}::jsonb`;
  const { rows } = await sql<{ uuid: string }>`update baremetal.nodes
    set driver_internal_info = driver_internal_info || jsonb_build_object('bmc_quirks', ${taught}),
      updated_at = clock_timestamp()
    where driver_internal_info ->> 'bmc_vendor' = ${vendor} and driver_internal_info ->> 'bmc_model' = ${model}
      and driver_internal_info ->> 'bmc_firmware' = ${firmware}
      and coalesce(driver_internal_info -> 'bmc_quirks', '{}') is distinct from (${taught})
    returning uuid`.execute(tx.kysely);
  return rows.map(({ uuid }) => uuid);
}
