/** All SQL of the image store. */
import { type RawBuilder, sql } from 'kysely';
import type { Database, Tx } from '../core/database/index.ts';
import type { Image } from './model.ts';

type Where = Database | Tx;
export type NewImage = Omit<Image, 'created_at' | 'updated_at'>;

const jsonColumns = new Set(['properties', 'manifest']);
const bound = (column: string, value: unknown): RawBuilder<unknown> =>
  jsonColumns.has(column) ? sql`${value === null ? null : JSON.stringify(value)}::jsonb` : sql`${value}`;

export async function insertImage(tx: Tx, image: NewImage): Promise<Image> {
  const entries = Object.entries(image);
  const { rows } = await sql<Image>`insert into image.images (${sql.join(entries.map(([column]) => sql.ref(column)))})
    values (${sql.join(entries.map(([column, value]) => bound(column, value)))}) returning *`.execute(tx.kysely);
  return rows[0] as Image;
}

export async function updateImage(tx: Where, id: string, changes: Partial<NewImage>): Promise<Image | undefined> {
  const sets = Object.entries(changes).map(([column, value]) => sql`${sql.ref(column)} = ${bound(column, value)}`);
  const { rows } =
    await sql<Image>`update image.images set updated_at = now(), ${sql.join(sets)} where id = ${id} returning *`.execute(
      tx.kysely,
    );
  return rows[0];
}

export async function image(db: Where, id: string): Promise<Image | undefined> {
  return (await sql<Image>`select * from image.images where id = ${id}`.execute(db.kysely)).rows[0];
}

export async function imagesNamed(db: Where, name: string): Promise<Image[]> {
  return (await sql<Image>`select * from image.images where name = ${name} order by created_at desc`.execute(db.kysely))
    .rows;
}

export interface ImageFilters {
  /** Images of this project, and those that everybody sees; null: all. */
  projectId: string | null;
  equal: Readonly<Record<string, string>>;
  properties: Readonly<Record<string, string>>;
  tags: readonly string[];
  sort: readonly { key: string; descending: boolean }[];
  limit: number;
  marker?: string;
}

export async function images(db: Where, filters: ImageFilters): Promise<Image[]> {
  const where: RawBuilder<unknown>[] = [sql`true`];
  if (filters.projectId !== null)
    where.push(sql`(owner = ${filters.projectId} or visibility in ('public', 'community'))`);
  for (const [column, value] of Object.entries(filters.equal)) where.push(sql`${sql.ref(column)}::text = ${value}`);
  if (Object.keys(filters.properties).length > 0)
    where.push(sql`properties @> ${JSON.stringify(filters.properties)}::jsonb`);
  if (filters.tags.length > 0) where.push(sql`tags @> ${filters.tags as string[]}`);
  if (filters.marker)
    where.push(sql`(created_at, id) < (select created_at, id from image.images where id = ${filters.marker})`);
  const order = filters.sort.map(({ key, descending }) => sql`${sql.ref(key)} ${sql.raw(descending ? 'desc' : 'asc')}`);
  const { rows } = await sql<Image>`select * from image.images where ${sql.join(where, sql` and `)}
    order by ${sql.join([...order, sql`created_at desc`, sql`id desc`])} limit ${filters.limit}`.execute(db.kysely);
  return rows;
}

/** Held by who counts on objects being there and by who drops some, until the transaction's end. */
export async function lockObjects(tx: Tx): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtext('image.objects'))`.execute(tx.kysely);
}

export async function unusedObjects(tx: Tx, sha256s: readonly string[]): Promise<string[]> {
  const { rows } = await sql<{ sha256: string }>`select sha256 from unnest(${[...sha256s]}::text[]) as o (sha256)
    where not exists (select 1 from image.objects p where p.sha256 = o.sha256)`.execute(tx.kysely);
  return rows.map((row) => row.sha256);
}

export async function indexInUse(tx: Tx, sha256: string): Promise<boolean> {
  const { rows } = await sql`select 1 from image.images where chunk_index_sha256 = ${sha256} limit 1`.execute(
    tx.kysely,
  );
  return rows.length > 0;
}

export async function deleteImage(tx: Tx, id: string): Promise<void> {
  await sql`delete from image.images where id = ${id}`.execute(tx.kysely);
}

export async function setObjects(
  tx: Tx,
  id: string,
  objects: readonly { sha256: string; size: number }[],
): Promise<void> {
  await sql`delete from image.objects where image_id = ${id}`.execute(tx.kysely);
  if (objects.length === 0) return;
  await sql`insert into image.objects (image_id, sha256, size)
    select ${id}, * from unnest(${objects.map((o) => o.sha256)}::text[], ${objects.map((o) => o.size)}::bigint[])
    on conflict do nothing`.execute(tx.kysely);
}

/** Objects of the image that no other image uses. */
export async function loneObjects(tx: Where, id: string): Promise<string[]> {
  const { rows } = await sql<{ sha256: string }>`select sha256 from image.objects o where image_id = ${id}
    and not exists (select 1 from image.objects p where p.sha256 = o.sha256 and p.image_id <> ${id})`.execute(
    tx.kysely,
  );
  return rows.map((row) => row.sha256);
}
