/**
 * Giving and taking addresses. A pool's `taken` moves forward once over its range; addresses that come back rest in
 * `freed` and are given again, the longest rested first, only when the pools are through. Both are one indexed write, so
 * the 20,000th address costs what the first did. The pool's row lock keeps two givers apart until the commit.
 */
import { sql } from 'kysely';
import type { AddressRange } from '../model.ts';
import type { Executor } from './query.ts';

export interface AddressRow {
  subnetId: string;
  address: string;
}

/** Replaces the pools of a subnet; what ports hold already is skipped when its turn comes. */
export async function replacePools(on: Executor, subnetId: string, pools: readonly AddressRange[]): Promise<void> {
  await sql`delete from network.pools where subnet_id = ${subnetId}`.execute(on);
  await sql`delete from network.freed where subnet_id = ${subnetId}`.execute(on);
  await sql`insert into network.pools (subnet_id, position, first, last, size)
    select ${subnetId}, place, first, last,
      -- an IPv6 range may be larger than a bigint counts; nobody gets through 2^62 addresses
      case when family(first) = 4 or masklen(inet_merge(first, last)) > 66 then last - first + 1 else 1::bigint << 62 end
    from unnest(${pools.map((p) => p.start)}::inet[], ${pools.map((p) => p.end)}::inet[])
      with ordinality as p(first, last, place)`.execute(on);
}

/** The next address of the subnet for a port, or null when all are given out. */
export async function takeAddress(
  on: Executor,
  subnetId: string,
  portId: string,
  position: number,
): Promise<string | null> {
  for (;;) {
    const { rows } = await sql<{ address: string | null }>`
      with fresh as (
        update network.pools set taken = taken + 1
        where (subnet_id, position) = (
          select subnet_id, position from network.pools where subnet_id = ${subnetId} and taken < size
          order by position limit 1 for no key update)
        returning first + (taken - 1) as address),
      given as (
        insert into network.addresses (subnet_id, address, port_id, position)
        select ${subnetId}, address, ${portId}, ${position} from fresh on conflict do nothing returning address)
      select (select host(address) from given) as address from fresh`.execute(on);
    const row = rows[0];
    if (row?.address) return row.address;
    // A row without an address: somebody had asked for this very one. On to the next.
    if (row || (await hasFresh(on, subnetId))) continue;
    return takeFreed(on, subnetId, portId, position);
  }
}

async function hasFresh(on: Executor, subnetId: string): Promise<boolean> {
  const { rows } = await sql`select 1 from network.pools where subnet_id = ${subnetId} and taken < size`.execute(on);
  return rows.length > 0;
}

async function takeFreed(on: Executor, subnetId: string, portId: string, position: number): Promise<string | null> {
  for (;;) {
    const { rows } = await sql<{ address: string | null }>`
      with rested as (
        delete from network.freed where (subnet_id, address) = (
          select subnet_id, address from network.freed where subnet_id = ${subnetId}
          order by place limit 1 for update skip locked)
        returning address),
      given as (
        insert into network.addresses (subnet_id, address, port_id, position)
        select ${subnetId}, address, ${portId}, ${position} from rested on conflict do nothing returning address)
      select (select host(address) from given) as address from rested`.execute(on);
    const row = rows[0];
    if (row?.address) return row.address;
    if (!row) return null;
  }
}

/** Gives a port one certain address. False when another port has it. */
export async function takeThisAddress(
  on: Executor,
  subnetId: string,
  address: string,
  portId: string,
  position: number,
): Promise<boolean> {
  const { rows } = await sql`
    with no_longer_free as (
      delete from network.freed where subnet_id = ${subnetId} and address = ${address}::inet)
    insert into network.addresses (subnet_id, address, port_id, position)
    values (${subnetId}, ${address}::inet, ${portId}, ${position}) on conflict do nothing returning 1`.execute(on);
  return rows.length > 0;
}

export async function holderOf(on: Executor, subnetId: string, address: string): Promise<string | null> {
  const { rows } = await sql<{ port_id: string }>`
    select port_id from network.addresses where subnet_id = ${subnetId} and address = ${address}::inet`.execute(on);
  return rows[0]?.port_id ?? null;
}

/** Takes addresses back from a port: those listed, or all. */
export async function giveBack(on: Executor, portId: string, only?: readonly AddressRow[]): Promise<void> {
  // The pool's row is locked first: its `taken` must not pass one of these while we decide where they go.
  await sql`select 1 from network.pools p where p.subnet_id in (
      select subnet_id from network.addresses where port_id = ${portId})
    order by p.subnet_id, p.position for no key update`.execute(on);
  const wanted = only
    ? sql`and (subnet_id, address) in (select * from unnest(
        ${only.map((one) => one.subnetId)}::uuid[], ${only.map((one) => one.address)}::inet[]))`
    : sql``;
  await sql`
    with back as (
      delete from network.addresses where port_id = ${portId} ${wanted} returning subnet_id, address)
    insert into network.freed (subnet_id, address)
    select b.subnet_id, b.address from back b join network.pools p
      on p.subnet_id = b.subnet_id and b.address between p.first and p.last and b.address - p.first < p.taken
    on conflict do nothing`.execute(on);
}

/** How many addresses the pools of a network have in all. */
export async function poolSize(on: Executor, networkId: string): Promise<number> {
  const { rows } = await sql<{ size: number }>`
    select coalesce(sum(p.size), 0)::float8 as size from network.pools p join network.subnets s on s.id = p.subnet_id
    where s.network_id = ${networkId}`.execute(on);
  return rows[0]?.size ?? 0;
}

/** Ports that have an address of the subnet. */
export async function subnetUsers(on: Executor, subnetId: string): Promise<{ count: number; port: string | null }> {
  const { rows } = await sql<{ count: number; port: string | null }>`
    select count(distinct port_id) as count, min(port_id::text) as port from network.addresses
    where subnet_id = ${subnetId}`.execute(on);
  return rows[0] ?? { count: 0, port: null };
}
