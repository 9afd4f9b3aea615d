/** OS::Keystone::Role. */
import { done, type Handler } from '../../engine/handler.ts';

export const role: Handler = {
  type: 'OS::Keystone::Role',
  backend: 'database',
  async create(work) {
    if (work.physicalId !== null) return done;
    const name = String(work.properties.name ?? work.physicalName);
    await work.commit(async (tx) => ({
      physicalId: (await work.desk.identity.accounts.createRole(work.context, name, tx)).id,
    }));
    return done;
  },
  async delete(work) {
    await work.desk.identity.accounts.remove(work.context, 'role', work.physicalId ?? '');
    return done;
  },
  async check(work) {
    await work.desk.identity.accounts.role(work.physicalId ?? '');
  },
  async attributes(work) {
    const { id, name } = await work.desk.identity.accounts.role(work.physicalId ?? '');
    return { show: { id, name } };
  },
};
