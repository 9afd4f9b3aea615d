/** All SQL of image records. */
import { type RawBuilder, sql } from 'kysely';
import type { Database, Tx } from '../../core/database/index.ts';
import type { Image, MemberStatus, Visibility } from '../model.ts';

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

/** `between`: at least, at most, above, below, is not: Glance's `gte:`, `lte:`, `gt:`, `lt:`, `neq:`. */
export type Comparison = '=' | '<>' | '<' | '<=' | '>' | '>=';

export interface ImageFilters {
  /** Images of this project, and those that it sees; null: all. */
  projectId: string | null;
  /** Column, comparison, and the values of which one has to hold. */
  where: readonly { column: string; is: Comparison; oneOf: readonly string[] }[];
  properties: Readonly<Record<string, string>>;
  tags: readonly string[];
  /** `all`: every one that the project may see, else of this visibility alone; community images are listed on request. */
  visibility: Visibility | 'all' | null;
  /** Of images shared with the project by others: those that it accepted, or as named here. */
  memberStatus: MemberStatus | 'all';
  sort: readonly { key: string; descending: boolean }[];
  limit: number;
  marker?: string;
}

function seenBy({ projectId, visibility, memberStatus }: ImageFilters): RawBuilder<unknown>[] {
  const only = visibility && visibility !== 'all' ? [sql`visibility = ${visibility}`] : [];
  if (projectId === null) return only;
  const offered = sql`(visibility = 'shared' and exists (select 1 from image.members m where m.image_id = i.id
    and m.member = ${projectId} ${memberStatus === 'all' ? sql`` : sql`and m.status = ${memberStatus}`}))`;
  const others = [sql`visibility = 'public'`, offered];
  if (visibility === 'community' || visibility === 'all') others.push(sql`visibility = 'community'`);
  return [...only, sql`(owner = ${projectId} or ${sql.join(others, sql` or `)})`];
}

export async function images(db: Where, filters: ImageFilters): Promise<Image[]> {
  const where: RawBuilder<unknown>[] = [sql`true`, ...seenBy(filters)];
  for (const { column, is, oneOf } of filters.where) {
    const value = typed[column] ? sql.ref(column) : sql`${sql.ref(column)}::text`;
    const any = oneOf.map((one) => sql`${value} ${sql.raw(is)} ${one}${sql.raw(typed[column] ?? '')}`);
    where.push(sql`(${sql.join(any, sql` or `)})`);
  }
  if (Object.keys(filters.properties).length > 0)
    where.push(sql`properties @> ${JSON.stringify(filters.properties)}::jsonb`);
  if (filters.tags.length > 0) where.push(sql`tags @> ${filters.tags as string[]}`);
  const sort = [...filters.sort, { key: 'created_at', descending: true }, { key: 'id', descending: true }];
  if (filters.marker) where.push(after(sort, filters.marker));
  const order = sort.map(
    ({ key, descending }) => sql`${sql.ref(key)} ${sql.raw(descending ? 'desc nulls last' : 'asc nulls first')}`,
  );
  const { rows } = await sql<Image>`select i.* from image.images i where ${sql.join(where, sql` and `)}
    order by ${sql.join(order)} limit ${filters.limit}`.execute(db.kysely);
  return rows;
}

/** Columns that are compared as what they are and not as text. */
const typed: Readonly<Record<string, string>> = {
  size: '::bigint',
  created_at: '::timestamptz',
  updated_at: '::timestamptz',
};

/** Rows behind the marker in the order asked for: equal in the first keys, and behind it in the next. Null is the least value. */
function after(sort: ImageFilters['sort'], marker: string): RawBuilder<unknown> {
  const of = (key: string) => sql`(select ${sql.ref(key)} from image.images where id = ${marker})`;
  const same = (key: string) => sql`${sql.ref(key)} is not distinct from ${of(key)}`;
  const beyond = ({ key, descending }: { key: string; descending: boolean }) =>
    descending
      ? sql`(${sql.ref(key)} < ${of(key)} or (${sql.ref(key)} is null and ${of(key)} is not null))`
      : sql`(${sql.ref(key)} > ${of(key)} or (${sql.ref(key)} is not null and ${of(key)} is null))`;
  const ways = sort.map((item, place) => {
    const all = [...sort.slice(0, place).map(({ key }) => same(key)), beyond(item)];
    return sql`(${sql.join(all, sql` and `)})`;
  });
  return sql`(${sql.join(ways, sql` or `)})`;
}

/** Active ones without a signature by this key. */
export async function imagesToSign(db: Where, keyId: string): Promise<Image[]> {
  return (
    await sql<Image>`select * from image.images where status in ('active', 'deactivated')
      and delivery_key_id is distinct from ${keyId} order by created_at`.execute(db.kysely)
  ).rows;
}

/** What the project's images hold; bytes of the streams that are kept, whatever they share. */
export async function usage(
  db: Where,
  projectId: string,
): Promise<{ images: number; bytes: number; uploading: number }> {
  const { rows } = await sql<{ images: number; bytes: number; uploading: number }>`select count(*)::int as images,
    coalesce(sum(size), 0)::bigint as bytes, (count(*) filter (where status in ('saving', 'importing')))::int as uploading
    from image.images where owner = ${projectId}`.execute(db.kysely);
  return rows[0] ?? { images: 0, bytes: 0, uploading: 0 };
}

export async function deleteImage(tx: Tx, id: string): Promise<void> {
  await sql`delete from image.images where id = ${id}`.execute(tx.kysely);
}
