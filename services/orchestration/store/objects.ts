import { sql } from 'kysely';
import type { Database, Tx } from '../../core/database/index.ts';

type Where = Pick<Database | Tx, 'kysely'>;
export type Headers = Readonly<Record<string, string>>;

export interface ContainerRow {
  readonly id: string;
  readonly project_id: string;
  readonly name: string;
  readonly headers: Headers;
  readonly created_at: Date;
  readonly count: number;
  readonly bytes: number;
}

export interface ObjectRow {
  readonly name: string;
  readonly content_type: string;
  readonly etag: string;
  readonly bytes: number;
  readonly headers: Headers;
  readonly modified_at: Date;
}

export interface Listing {
  readonly prefix: string;
  readonly marker: string;
  readonly limit: number;
}

const counted = sql`select c.id::text, c.project_id, c.name, c.headers, c.created_at, count(o.name)::int as count,
  coalesce(sum(o.bytes), 0)::float8 as bytes from orchestration.containers c
  left join orchestration.objects o on o.container_id = c.id`;

export async function containers(where: Where, project: string, { prefix, marker, limit }: Listing) {
  const { rows } = await sql<ContainerRow>`${counted}
    where c.project_id = ${project} and starts_with(c.name, ${prefix}) and c.name collate "C" > ${marker}
    group by c.id order by c.name collate "C" limit ${limit}`.execute(where.kysely);
  return rows;
}

export async function container(where: Where, project: string, name: string): Promise<ContainerRow | undefined> {
  const { rows } = await sql<ContainerRow>`${counted} where c.project_id = ${project} and c.name = ${name}
    group by c.id`.execute(where.kysely);
  return rows[0];
}

/** True: it was not there. */
export async function putContainer(tx: Tx, project: string, name: string, headers: Headers): Promise<boolean> {
  const { rows } = await sql<{ made: boolean }>`insert into orchestration.containers (project_id, name, headers)
    values (${project}, ${name}, ${JSON.stringify(headers)}::jsonb)
    on conflict (project_id, name) do update set headers = containers.headers || excluded.headers
    returning xmax = 0 as made`.execute(tx.kysely);
  return rows[0]?.made ?? false;
}

export async function setHeaders(tx: Tx, id: string, headers: Headers): Promise<void> {
  await sql`update orchestration.containers set headers = ${JSON.stringify(headers)}::jsonb where id = ${id}`.execute(
    tx.kysely,
  );
}

/** Held against objects that are being put: `putObject` refers to the row. */
export async function lockContainer(tx: Tx, id: string): Promise<void> {
  await sql`select 1 from orchestration.containers where id = ${id} for update`.execute(tx.kysely);
}

export async function deleteContainer(tx: Tx, id: string): Promise<void> {
  await sql`delete from orchestration.containers where id = ${id}`.execute(tx.kysely);
}

/** One writer of an account at a time, so that its quota is judged on what is there. */
export async function usage(tx: Tx, project: string): Promise<{ count: number; bytes: number }> {
  await sql`select pg_advisory_xact_lock(7201068, hashtext(${project}))`.execute(tx.kysely);
  const { rows } = await sql<{ count: number; bytes: number }>`select count(o.name)::int as count,
    coalesce(sum(o.bytes), 0)::float8 as bytes from orchestration.containers c
    join orchestration.objects o on o.container_id = c.id where c.project_id = ${project}`.execute(tx.kysely);
  return rows[0] ?? { count: 0, bytes: 0 };
}

const shown = sql`name, content_type, etag, bytes::float8 as bytes, headers, modified_at`;

export async function objects(where: Where, containerId: string, { prefix, marker, limit }: Listing) {
  const { rows } = await sql<ObjectRow>`select ${shown} from orchestration.objects
    where container_id = ${containerId} and starts_with(name, ${prefix}) and name > ${marker}
    order by name limit ${limit}`.execute(where.kysely);
  return rows;
}

export async function object(where: Where, containerId: string, name: string): Promise<ObjectRow | undefined> {
  const { rows } = await sql<ObjectRow>`select ${shown} from orchestration.objects
    where container_id = ${containerId} and name = ${name}`.execute(where.kysely);
  return rows[0];
}

export async function objectBody(where: Where, containerId: string, name: string): Promise<Buffer | undefined> {
  const { rows } = await sql<{ body: Buffer }>`select body from orchestration.objects
    where container_id = ${containerId} and name = ${name}`.execute(where.kysely);
  return rows[0]?.body;
}

export async function putObject(
  tx: Tx,
  containerId: string,
  one: Omit<ObjectRow, 'modified_at'> & { readonly body: Buffer },
): Promise<void> {
  await sql`insert into orchestration.objects (container_id, name, content_type, etag, bytes, headers, body)
    values (${containerId}, ${one.name}, ${one.content_type}, ${one.etag}, ${one.bytes},
      ${JSON.stringify(one.headers)}::jsonb, ${one.body})
    on conflict (container_id, name) do update set content_type = excluded.content_type, etag = excluded.etag,
      bytes = excluded.bytes, headers = excluded.headers, body = excluded.body, modified_at = now()`.execute(tx.kysely);
}

export async function setObjectHeaders(tx: Tx, containerId: string, name: string, headers: Headers): Promise<void> {
  await sql`update orchestration.objects set headers = ${JSON.stringify(headers)}::jsonb, modified_at = now()
    where container_id = ${containerId} and name = ${name}`.execute(tx.kysely);
}

export async function deleteObject(tx: Tx, containerId: string, name: string): Promise<boolean> {
  const { rows } = await sql`delete from orchestration.objects where container_id = ${containerId} and name = ${name}
    returning 1`.execute(tx.kysely);
  return rows.length > 0;
}

export async function emptyContainer(tx: Tx, containerId: string): Promise<void> {
  await sql`delete from orchestration.objects where container_id = ${containerId}`.execute(tx.kysely);
}
