/** OS::Keystone::Project. */
import { done, type Handler, type Work } from '../../engine/handler.ts';

const fieldsOf = ({ properties, physicalName }: Work) => ({
  name: String(properties.name ?? physicalName),
  description: String(properties.description ?? ''),
  enabled: properties.enabled !== false,
});

export const project: Handler = {
  type: 'OS::Keystone::Project',
  backend: 'database',
  async create(work) {
    if (work.physicalId !== null) return done;
    await work.commit(async (tx) => ({
      physicalId: (await work.desk.identity.accounts.createProject(work.context, fieldsOf(work), tx)).id,
    }));
    return done;
  },
  async update(work) {
    await work.desk.identity.accounts.updateProject(work.context, work.physicalId ?? '', fieldsOf(work));
    return done;
  },
  async delete(work) {
    await work.desk.identity.accounts.remove(work.context, 'project', work.physicalId ?? '');
    return done;
  },
  async check(work) {
    await work.desk.identity.accounts.project(work.physicalId ?? '');
  },
  async attributes(work) {
    const { id, name, enabled, domain_id, description } = await work.desk.identity.accounts.project(
      work.physicalId ?? '',
    );
    const shown = { name, enabled, domain_id, is_domain: false, parent_id: domain_id };
    return { ...shown, show: { id, description, ...shown } };
  },
};
