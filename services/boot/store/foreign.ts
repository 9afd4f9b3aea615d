/** SQL of the foreign servers that are on the wire now. */
import { sql } from 'kysely';
import type { Database } from '../../core/database/index.ts';
import type { ForeignServer } from '../watch.ts';

export async function readForeign(db: Database, device: string): Promise<ForeignServer[]> {
  const { rows } = await sql<{
    mac: string;
    address: string;
    kind: ForeignServer['kind'];
    offered: string | null;
    boot_file: string | null;
    how: string;
    first_seen: Date;
    last_seen: Date;
  }>`select mac, address, kind, offered, boot_file, how, first_seen, last_seen from boot.foreign_servers
     where interface = ${device} and gone_at is null`.execute(db.kysely);
  return rows.map((row) => ({
    interface: device,
    mac: row.mac,
    address: row.address,
    kind: row.kind,
    offered: row.offered,
    bootFile: row.boot_file,
    how: row.how,
    firstSeen: row.first_seen,
    lastSeen: row.last_seen,
  }));
}

export async function keepForeign(db: Database, device: string, server: ForeignServer): Promise<void> {
  await sql`
    insert into boot.foreign_servers (interface, mac, address, kind, offered, boot_file, how, first_seen, last_seen)
    values (${device}, ${server.mac}, ${server.address}, ${server.kind}, ${server.offered}, ${server.bootFile},
      ${server.how}, ${server.firstSeen}, ${server.lastSeen})
    on conflict (interface, mac, address) do update set kind = excluded.kind, offered = excluded.offered,
      boot_file = excluded.boot_file, how = excluded.how, last_seen = excluded.last_seen, gone_at = null,
      first_seen = case when boot.foreign_servers.gone_at is null
        then boot.foreign_servers.first_seen else excluded.first_seen end`.execute(db.kysely);
}

export async function forgetForeign(db: Database, device: string, mac: string, address: string): Promise<void> {
  await sql`update boot.foreign_servers set gone_at = clock_timestamp()
    where interface = ${device} and mac = ${mac} and address = ${address}`.execute(db.kysely);
}
