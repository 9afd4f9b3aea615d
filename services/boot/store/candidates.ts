/** SQL of machines that nobody has enrolled. */
import { type SqlBool, sql } from 'kysely';
import type { Database, Tx } from '../../core/database/index.ts';

export interface CandidateRow {
  readonly id: string;
  readonly source: 'boot' | 'bmc-scan';
  readonly mac: string | null;
  readonly token_sealed: string | null;
  readonly state: 'booting' | 'reported';
  readonly macs: readonly string[];
  readonly system_uuid: string | null;
  readonly vendor: string | null;
  readonly product: string | null;
  readonly serial: string | null;
  readonly boot_mode: string | null;
  readonly bmc_address: string | null;
  readonly bmc_protocol: string | null;
  readonly bmc_secret: string | null;
  readonly inventory: Readonly<Record<string, unknown>> | null;
  readonly neighbours: Readonly<Record<string, unknown>>;
  readonly first_seen: Date;
  readonly last_seen: Date;
}

const columns = sql.raw(
  'id, source, mac, token_sealed, state, macs, system_uuid, vendor, product, serial, boot_mode, bmc_address, bmc_protocol, bmc_secret, inventory, neighbours, first_seen, last_seen',
);

type On = Database | Tx;

export async function readCandidates(db: On): Promise<CandidateRow[]> {
  const { rows } = await sql<CandidateRow>`select ${columns} from boot.candidates order by first_seen, id`.execute(
    db.kysely,
  );
  return rows;
}

export async function candidateByTokenHash(db: On, hash: string): Promise<CandidateRow | null> {
  const { rows } = await sql<CandidateRow>`
    select ${columns} from boot.candidates where token_hash = ${hash}`.execute(db.kysely);
  return rows[0] ?? null;
}

export async function insertBooting(
  db: On,
  row: { readonly id: string; readonly mac: string; readonly sealed: string; readonly hash: string },
): Promise<void> {
  await sql`
    insert into boot.candidates (id, source, mac, macs, state, token_sealed, token_hash)
    values (${row.id}, 'boot', ${row.mac}, array[${row.mac}]::text[], 'booting', ${row.sealed}, ${row.hash})
    on conflict (mac) do nothing`.execute(db.kysely);
}

export interface Reported {
  readonly macs: readonly string[];
  readonly systemUuid: string | null;
  readonly vendor: string | null;
  readonly product: string | null;
  readonly serial: string | null;
  readonly bootMode: string | null;
  readonly bmcAddress: string | null;
  readonly inventory: unknown;
  readonly neighbours: unknown;
}

/** Its inventory has come. A row that a scan made of the same BMC is joined into it. */
export async function keepReport(tx: Tx, id: string, report: Reported): Promise<void> {
  const { rows } = await sql<{ bmc_protocol: string | null; bmc_secret: string | null }>`
    delete from boot.candidates where ${report.bmcAddress}::text is not null and bmc_address = ${report.bmcAddress}
      and id <> ${id} returning bmc_protocol, bmc_secret`.execute(tx.kysely);
  const scanned = rows[0];
  await sql`
    update boot.candidates set state = 'reported', macs = ${[...report.macs]}::text[], system_uuid = ${report.systemUuid},
      vendor = ${report.vendor}, product = ${report.product}, serial = ${report.serial}, boot_mode = ${report.bootMode},
      bmc_address = ${report.bmcAddress}, bmc_protocol = coalesce(${scanned?.bmc_protocol ?? null}, bmc_protocol),
      bmc_secret = coalesce(${scanned?.bmc_secret ?? null}, bmc_secret),
      inventory = ${JSON.stringify(report.inventory)}::jsonb, neighbours = ${JSON.stringify(report.neighbours)}::jsonb,
      seen_count = seen_count + 1, last_seen = clock_timestamp()
    where id = ${id}`.execute(tx.kysely);
}

export interface ScannedBmc {
  readonly id: string;
  readonly address: string;
  readonly protocol: string;
  readonly vendor: string | null;
  readonly product: string | null;
  readonly serial: string | null;
  readonly systemUuid: string | null;
  readonly secret: string | null;
}

/** A BMC that a scan has found: joined to the machine that named it, if one has. Answers the candidate's id. */
export async function keepScanned(tx: Tx, bmc: ScannedBmc): Promise<string> {
  const { rows } = await sql<{ id: string }>`
    insert into boot.candidates (id, source, state, bmc_address, bmc_protocol, vendor, product, serial, system_uuid, bmc_secret)
    values (${bmc.id}, 'bmc-scan', 'reported', ${bmc.address}, ${bmc.protocol}, ${bmc.vendor}, ${bmc.product},
      ${bmc.serial}, ${bmc.systemUuid}, ${bmc.secret})
    on conflict (bmc_address) where bmc_address is not null do update set
      bmc_protocol = excluded.bmc_protocol, bmc_secret = coalesce(excluded.bmc_secret, boot.candidates.bmc_secret),
      vendor = coalesce(boot.candidates.vendor, excluded.vendor),
      product = coalesce(boot.candidates.product, excluded.product),
      serial = coalesce(boot.candidates.serial, excluded.serial),
      system_uuid = coalesce(boot.candidates.system_uuid, excluded.system_uuid),
      seen_count = boot.candidates.seen_count + 1, last_seen = clock_timestamp()
    returning id`.execute(tx.kysely);
  return rows[0]?.id ?? bmc.id;
}

export async function deleteCandidate(tx: Tx, id: string): Promise<void> {
  await sql`delete from boot.candidates where id = ${id}`.execute(tx.kysely);
}

/** Machines that asked and never reported: {id, mac} of those that went. */
export async function deleteStale(tx: Tx, olderThanMs: number): Promise<{ id: string; mac: string }[]> {
  const stale = sql<SqlBool>`state = 'booting' and last_seen < now() - make_interval(secs => ${olderThanMs / 1000})`;
  const { rows } = await sql<{ id: string; mac: string }>`
    delete from boot.candidates where ${stale} returning id, mac`.execute(tx.kysely);
  return rows;
}

export async function touchCandidate(db: On, mac: string): Promise<void> {
  await sql`update boot.candidates set last_seen = clock_timestamp() where mac = ${mac}`.execute(db.kysely);
}
