import { sql } from 'kysely';
import type pg from 'pg';
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

/**
 * One statement for all, prepared once a connection; of two for one address the caller has kept the later. The arrays are
 * written as text here: node-postgres would look at each value of them, which costs more than the rest of a commit. Times are
 * written as their distance from the first one, since numbers of thirteen digits are slow to write and to read.
 */
export async function writeLeases(on: pg.ClientBase, bindings: readonly Binding[]): Promise<void> {
  const columns: string[] = ['{', '{', '{', '{', '{', '{', '{', '{', '{'];
  const base = bindings[0]?.grantedAt ?? 0;
  let separator = '';
  for (const one of bindings) {
    columns[0] += separator + quoted(one.subnet);
    columns[1] += separator + one.address;
    columns[2] += separator + one.state;
    columns[3] += separator + (one.mac !== null && one.client === `mac ${one.mac}` ? 'null' : quoted(one.client));
    columns[4] += separator + quoted(one.mac);
    columns[5] += separator + quoted(one.clientId);
    columns[6] += separator + quoted(one.hostName);
    columns[7] += separator + (one.grantedAt - base);
    columns[8] += separator + (one.expiresAt - base);
    separator = ',';
  }
  const values: unknown[] = columns.map((column) => `${column}}`);
  values.push(base);
  await on.query({ name: 'network-leases-write', text: writing, values });
}

const writing = `
  insert into network.leases (subnet_id, address, state, client, mac, client_id, host_name, granted_at, expires_at)
  select subnet_id, address, state, coalesce(client, 'mac ' || mac), mac, client_id, host_name,
    to_timestamp(($10::float8 + granted) / 1000.0), to_timestamp(($10::float8 + expires) / 1000.0)
  from unnest($1::text[], $2::inet[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::float8[], $9::float8[])
    as given(subnet_id, address, state, client, mac, client_id, host_name, granted, expires)
  on conflict (subnet_id, address) do update set state = excluded.state, client = excluded.client, mac = excluded.mac,
    client_id = excluded.client_id, host_name = excluded.host_name, granted_at = excluded.granted_at,
    expires_at = excluded.expires_at`;

/** An element of an array literal (PostgreSQL 8.15.6). Identifiers of ours and of Ethernet need no quotes. */
function quoted(text: string | null): string {
  if (text === null) return 'null';
  return /^[0-9a-f:-]+$/.test(text) ? text : `"${text.replaceAll(/["\\]/g, '\\$&')}"`;
}
