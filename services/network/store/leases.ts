import { sql } from 'kysely';
import type { Binding } from '../../dhcp/index.ts';
import type { Executor } from './query.ts';

interface LeaseRow {
  subnet_id: string;
  ip: string;
  state: Binding['state'];
  client: string;
  mac: string | null;
  client_id: string | null;
  host_name: string | null;
  granted_at: Date;
  expires_at: Date;
}

const toBinding = (row: LeaseRow): Binding => ({
  subnet: row.subnet_id,
  address: row.ip,
  state: row.state,
  client: row.client,
  mac: row.mac,
  clientId: row.client_id,
  hostName: row.host_name,
  grantedAt: row.granted_at.getTime(),
  expiresAt: row.expires_at.getTime(),
});

/** A page of bindings after the given key, in key order. */
export async function pageOfLeases(on: Executor, after: Binding | null, size: number): Promise<Binding[]> {
  const from = after ? sql`(subnet_id, address) > (${after.subnet}, ${after.address}::inet)` : sql`true`;
  const { rows } = await sql<LeaseRow>`select *, host(address) as ip from network.leases where ${from}
    order by subnet_id, address limit ${size}`.execute(on);
  return rows.map(toBinding);
}

export async function findLease(on: Executor, subnet: string, address: string): Promise<Binding | undefined> {
  const { rows } = await sql<LeaseRow>`select *, host(address) as ip from network.leases
    where subnet_id = ${subnet} and address = ${address}::inet`.execute(on);
  return rows[0] && toBinding(rows[0]);
}

/** One statement for all; of two for one address the caller has kept the later. */
export async function writeLeases(on: Executor, bindings: readonly Binding[]): Promise<void> {
  const column = <T>(read: (binding: Binding) => T) => bindings.map(read);
  await sql`
    insert into network.leases (subnet_id, address, state, client, mac, client_id, host_name, granted_at, expires_at)
    select * from unnest(${column((b) => b.subnet)}::text[], ${column((b) => b.address)}::inet[],
      ${column((b) => b.state)}::text[], ${column((b) => b.client)}::text[], ${column((b) => b.mac)}::text[],
      ${column((b) => b.clientId)}::text[], ${column((b) => b.hostName)}::text[],
      ${column((b) => new Date(b.grantedAt))}::timestamptz[], ${column((b) => new Date(b.expiresAt))}::timestamptz[])
    on conflict (subnet_id, address) do update set state = excluded.state, client = excluded.client, mac = excluded.mac,
      client_id = excluded.client_id, host_name = excluded.host_name, granted_at = excluded.granted_at,
      expires_at = excluded.expires_at`.execute(on);
}
