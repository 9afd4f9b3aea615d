/** OS::Keystone::UserRoleAssignment: roles of a user that some other resource, or nobody here, made. */
import { randomUUID } from 'node:crypto';
import { done, type Handler, type Work } from '../../engine/handler.ts';
import type { Plain } from '../../model.ts';
import { grantsOf } from './grants.ts';

const type = 'OS::Keystone::UserRoleAssignment';

async function settle(work: Work, wanted: Plain): Promise<void> {
  const { accounts } = work.desk.identity;
  const user = await accounts.user(String(work.properties.user));
  await accounts.setGrants(work.context, user.id, grantsOf(type, wanted), grantsOf(type, work.data.roles));
}

export const userRoleAssignment: Handler = {
  type,
  backend: 'database',
  async create(work) {
    const roles = (work.properties.roles ?? []) as Plain;
    await settle(work, roles);
    await work.commit(async () => ({ physicalId: work.physicalId ?? randomUUID(), data: { roles } }));
    return done;
  },
  async update(work) {
    const roles = (work.properties.roles ?? []) as Plain;
    await settle(work, roles);
    work.data.roles = roles;
    return done;
  },
  async delete(work) {
    // A user that is gone took its roles along.
    const there = await work.desk.identity.accounts.user(String(work.properties.user)).catch(() => null);
    if (there) await settle(work, []);
    return done;
  },
};
