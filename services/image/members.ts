/** Projects that a shared image is offered to, and what they say of it. */
import type { Context } from '../core/context.ts';
import { isAdmin } from '../core/context.ts';
import { fault } from '../core/errors/index.ts';
import { find, type Ground, owned, owns } from './ground.ts';
import type { Image, Member, MemberStatus } from './model.ts';
import * as store from './store/members.ts';

export interface Members {
  /** All of them for the owner; a member sees itself. */
  list(context: Context, imageId: string): Promise<Member[]>;
  find(context: Context, imageId: string, project: string): Promise<Member>;
  add(context: Context, imageId: string, project: string): Promise<Member>;
  /** Only the member itself says whether it takes the offer. */
  answer(context: Context, imageId: string, project: string, status: MemberStatus): Promise<Member>;
  remove(context: Context, imageId: string, project: string): Promise<void>;
}

/** Glance allows so many for each image by default. */
const mostMembers = 128;

export function createMembers(ground: Ground): Members {
  const { db } = ground.house;
  const absent = (project: string) => fault('not-found', { what: `Member ${project}` });
  async function shared(context: Context, id: string): Promise<Image> {
    const image = await owned(ground, context, id);
    if (image.visibility !== 'shared') throw fault('image-not-shared', { id: image.id, visibility: image.visibility });
    return image;
  }
  return {
    async list(context, imageId) {
      const image = await find(ground, context, imageId);
      if (image.visibility !== 'shared') return [];
      const all = await store.members(db, image.id);
      return owns(context, image) ? all : all.filter(({ member }) => member === context.projectId);
    },
    async find(context, imageId, project) {
      const image = await find(ground, context, imageId);
      const found = await store.member(db, image.id, project);
      if (!found || !(owns(context, image) || project === context.projectId)) throw absent(project);
      return found;
    },
    async add(context, imageId, project) {
      const image = await shared(context, imageId);
      if ((await store.members(db, image.id)).length >= mostMembers)
        throw fault('image-quota', {
          project: image.owner,
          what: `members of image ${image.id}`,
          used: mostMembers,
          limit: mostMembers,
        });
      const made = await db.transaction((tx) => store.insertMember(tx, image.id, project));
      if (!made) throw fault('image-member-there', { id: image.id, member: project });
      return made;
    },
    async answer(context, imageId, project, status) {
      const image = await find(ground, context, imageId);
      if (!isAdmin(context) && project !== context.projectId)
        throw fault('forbidden', { action: 'modify_member', roles: 'a user of the member’s project' });
      const done = await db.transaction((tx) => store.setMemberStatus(tx, image.id, project, status));
      if (!done) throw absent(project);
      return done;
    },
    async remove(context, imageId, project) {
      const image = await shared(context, imageId);
      if (!(await db.transaction((tx) => store.deleteMember(tx, image.id, project)))) throw absent(project);
    },
  };
}
