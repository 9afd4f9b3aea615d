/** All SQL of packed objects and the chunks within them: who uses which, and what nobody uses. */
import { sql } from 'kysely';
import type { Database, Tx } from '../../core/database/index.ts';

type Where = Database | Tx;

/** Held by who counts on objects being there and by who drops some, until the transaction's end. */
export async function lockObjects(tx: Tx): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtext('image.objects'))`.execute(tx.kysely);
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

export async function unusedObjects(tx: Tx, sha256s: readonly string[]): Promise<string[]> {
  const { rows } = await sql<{ sha256: string }>`select sha256 from unnest(${[...sha256s]}::text[]) as o (sha256)
    where not exists (select 1 from image.objects p where p.sha256 = o.sha256)`.execute(tx.kysely);
  return rows.map((row) => row.sha256);
}

export async function unusedIndexes(tx: Tx, sha256s: readonly string[]): Promise<string[]> {
  const { rows } = await sql<{ sha256: string }>`select sha256 from unnest(${[...sha256s]}::text[]) as o (sha256)
    where not exists (select 1 from image.images i where o.sha256 in (i.chunk_index_sha256, i.disk_index_sha256))`.execute(
    tx.kysely,
  );
  return rows.map((row) => row.sha256);
}

/** Of these image ids those that no image bears. */
export async function unknownImages(tx: Where, ids: readonly string[]): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`select id from unnest(${[...ids]}::uuid[]) as o (id)
    where not exists (select 1 from image.images i where i.id = o.id)`.execute(tx.kysely);
  return rows.map((row) => row.id);
}

export interface StoredChunk {
  readonly sha256: string;
  readonly object: string;
  readonly objectSize: number;
  readonly place: number;
  readonly length: number;
}

/** Those of the chunks that lie in an object which some image uses. */
export async function storedChunks(db: Where, sha256s: readonly string[]): Promise<StoredChunk[]> {
  const { rows } =
    await sql<StoredChunk>`select encode(c.sha256, 'hex') as sha256, c.object, o.size as "objectSize", c.place, c.length
    from unnest(${sha256s.map((hex) => Buffer.from(hex, 'hex'))}::bytea[]) as w (sha256)
    join image.chunks c using (sha256)
    join lateral (select size from image.objects p where p.sha256 = c.object limit 1) o on true`.execute(db.kysely);
  return rows;
}

export async function insertChunks(
  tx: Tx,
  chunks: readonly { sha256: string; object: string; place: number; length: number }[],
): Promise<void> {
  if (chunks.length === 0) return;
  await sql`insert into image.chunks (sha256, object, place, length)
    select * from unnest(${chunks.map(({ sha256 }) => Buffer.from(sha256, 'hex'))}::bytea[], ${chunks.map((c) => c.object)}::text[],
      ${chunks.map((c) => c.place)}::bigint[], ${chunks.map((c) => c.length)}::int[])
    on conflict (sha256) do update set object = excluded.object, place = excluded.place, length = excluded.length`.execute(
    tx.kysely,
  );
}

/** With the object go the chunks that lie in it. */
export async function deleteChunksOf(tx: Tx, objects: readonly string[]): Promise<void> {
  await sql`delete from image.chunks where object = any(${[...objects]}::text[])`.execute(tx.kysely);
}
