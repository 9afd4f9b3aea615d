/** SQL of the fleet loop: many nodes in one statement, never one statement a node. */
import { sql } from 'kysely';
import type { Tx } from '../../core/database/index.ts';
import type { PowerState } from '../../power/index.ts';
import type { NodeRow, Where } from './nodes.ts';

/** Ironic's name for a node whose BMC is not heard (`fault` in its API). */
export const powerFault = 'power failure';

export interface WatchedRow
  extends Pick<
    NodeRow,
    'uuid' | 'name' | 'driver' | 'driverInfo' | 'driverInternalInfo' | 'driverSecrets' | 'powerState'
  > {
  /** False: nobody has proven its access yet, or an operator has taken it aside. */
  readonly watched: boolean;
  /** In maintenance because its BMC was silent. */
  readonly silent: boolean;
}

/** What the loop needs of nodes: all of them, or those named. */
export async function watchedRows(db: Where, uuids: readonly string[] | null): Promise<WatchedRow[]> {
  const { rows } = await sql<WatchedRow>`select uuid, name, driver, driver_info as "driverInfo",
      driver_secrets as "driverSecrets", driver_internal_info as "driverInternalInfo", power_state as "powerState",
      provision_state not in ('enroll', 'verifying') and (not maintenance or fault is not distinct from ${powerFault}) as watched,
      maintenance and fault is not distinct from ${powerFault} as silent
    from baremetal.nodes where ${uuids}::uuid[] is null or uuid = any(${uuids}::uuid[])`.execute(db.kysely);
  return rows;
}

/** Nodes that were changed since, by whoever: other processes tell us nothing. The database's own clock judges. */
export async function changedSince(db: Where, since: string | null): Promise<{ now: string; uuids: string[] }> {
  // A transaction that was open at the last look commits with an older time: ten seconds are looked at twice.
  const { rows } = await sql<{ now: string; uuids: string[] | null }>`select clock_timestamp()::text as now,
      (select array_agg(uuid) from baremetal.nodes
        where coalesce(updated_at, created_at) > ${since}::timestamptz - interval '10 seconds') as uuids`.execute(
    db.kysely,
  );
  return { now: rows[0]!.now, uuids: rows[0]!.uuids ?? [] };
}

export async function nodeUuids(db: Where): Promise<string[]> {
  const { rows } = await sql<{ uuid: string }>`select uuid from baremetal.nodes`.execute(db.kysely);
  return rows.map(({ uuid }) => uuid);
}

export interface PowerChange {
  readonly uuid: string;
  readonly from: PowerState | null;
  readonly to: PowerState;
}

/** Writes what is new and gives that. */
export async function recordPowers(
  tx: Tx,
  found: readonly { uuid: string; power: PowerState }[],
): Promise<PowerChange[]> {
  const { rows } = await sql<PowerChange>`update baremetal.nodes n
    set power_state = c.power, updated_at = clock_timestamp()
    from (select b.uuid, b.power_state as before, w.power from baremetal.nodes b
      join unnest(${found.map(({ uuid }) => uuid)}::uuid[], ${found.map(({ power }) => power)}::text[]) w (uuid, power)
        on w.uuid = b.uuid
      where b.power_state is distinct from w.power order by b.uuid for update of b) c
    where n.uuid = c.uuid returning n.uuid, c.before as "from", n.power_state as "to"`.execute(tx.kysely);
  return rows;
}

/** Machines that are off have no agent: those of them that had one. */
export async function forgetAgents(tx: Tx, uuids: readonly string[]): Promise<string[]> {
  const ids = uuids as string[];
  await sql`delete from baremetal.boot_tokens where node_uuid = any(${ids}::uuid[])`.execute(tx.kysely);
  const { rows } = await sql<{ uuid: string }>`delete from baremetal.agents where node_uuid = any(${ids}::uuid[])
    returning node_uuid as uuid`.execute(tx.kysely);
  return rows.map(({ uuid }) => uuid);
}

/** Takes nodes out of use whose BMC is silent; gives those that were not aside already. */
export async function takeAside(tx: Tx, silent: readonly { uuid: string; reason: string }[]): Promise<string[]> {
  const { rows } = await sql<{ uuid: string }>`update baremetal.nodes n
    set maintenance = true, maintenance_reason = w.reason, fault = ${powerFault}, updated_at = clock_timestamp()
    from unnest(${silent.map(({ uuid }) => uuid)}::uuid[], ${silent.map(({ reason }) => reason)}::text[]) w (uuid, reason)
    where n.uuid = w.uuid and not n.maintenance returning n.uuid`.execute(tx.kysely);
  return rows.map(({ uuid }) => uuid);
}

/** Puts nodes back into use that only their BMC's silence kept out of it; gives those. */
export async function putBack(tx: Tx, uuids: readonly string[]): Promise<string[]> {
  const { rows } = await sql<{ uuid: string }>`update baremetal.nodes
    set maintenance = false, maintenance_reason = null, fault = null, updated_at = clock_timestamp()
    where uuid = any(${uuids as string[]}::uuid[]) and maintenance and fault = ${powerFault} returning uuid`.execute(
    tx.kysely,
  );
  return rows.map(({ uuid }) => uuid);
}

/** Takes the lease of the fleet loop, or renews it; whether the owner has it now. */
export async function takeFleet(db: Where, owner: string, leaseMs: number): Promise<boolean> {
  const { rows } = await sql`insert into baremetal.fleet_holder as held (owner, until)
    values (${owner}, clock_timestamp() + ${leaseMs} * interval '1 ms')
    on conflict (sole) do update set owner = excluded.owner, until = excluded.until
      where held.owner = excluded.owner or held.until < clock_timestamp() returning owner`.execute(db.kysely);
  return rows.length > 0;
}

export async function leaveFleet(db: Where, owner: string): Promise<void> {
  await sql`delete from baremetal.fleet_holder where owner = ${owner}`.execute(db.kysely);
}

/** Who looks at the BMCs; null: nobody, just now. */
export async function fleetHolder(db: Where): Promise<string | null> {
  const { rows } = await sql<{ owner: string }>`select owner from baremetal.fleet_holder
    where until > clock_timestamp()`.execute(db.kysely);
  return rows[0]?.owner ?? null;
}
