/** All SQL of images' members. */
import { sql } from 'kysely';
import type { Database, Tx } from '../../core/database/index.ts';
import type { Member, MemberStatus } from '../model.ts';

type Where = Database | Tx;

export async function members(db: Where, imageId: string): Promise<Member[]> {
  const { rows } =
    await sql<Member>`select * from image.members where image_id = ${imageId} order by created_at, member`.execute(
      db.kysely,
    );
  return rows;
}

export async function member(db: Where, imageId: string, project: string): Promise<Member | undefined> {
  const { rows } =
    await sql<Member>`select * from image.members where image_id = ${imageId} and member = ${project}`.execute(
      db.kysely,
    );
  return rows[0];
}

/** Undefined when the project is a member already. */
export async function insertMember(tx: Where, imageId: string, project: string): Promise<Member | undefined> {
  const { rows } =
    await sql<Member>`insert into image.members (image_id, member, status) values (${imageId}, ${project}, 'pending')
    on conflict do nothing returning *`.execute(tx.kysely);
  return rows[0];
}

export async function setMemberStatus(
  tx: Where,
  imageId: string,
  project: string,
  status: MemberStatus,
): Promise<Member | undefined> {
  const { rows } = await sql<Member>`update image.members set status = ${status}, updated_at = now()
    where image_id = ${imageId} and member = ${project} returning *`.execute(tx.kysely);
  return rows[0];
}

export async function deleteMember(tx: Where, imageId: string, project: string): Promise<boolean> {
  const { rows } =
    await sql`delete from image.members where image_id = ${imageId} and member = ${project} returning 1`.execute(
      tx.kysely,
    );
  return rows.length > 0;
}
