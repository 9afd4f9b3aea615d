/** OS::Keystone::User, with the roles that it has on projects. */

import { done, type Handler, type Work } from '../../engine/handler.ts';
import type { Plain } from '../../model.ts';
import { grantsOf } from './grants.ts';

const type = 'OS::Keystone::User';

async function defaultProject({ desk, properties }: Work): Promise<string | null> {
  const named = properties.default_project;
  return typeof named === 'string' && named !== '' ? (await desk.identity.accounts.project(named)).id : null;
}

export const user: Handler = {
  type,
  backend: 'database',
  async create(work) {
    if (work.physicalId !== null) return done;
    const { desk, context, properties } = work;
    const { accounts } = desk.identity;
    const roles = grantsOf(type, properties.roles);
    const project = await defaultProject(work);
    await work.commit(async (tx) => {
      const made = await accounts.createUser(
        context,
        {
          name: String(properties.name ?? work.physicalName),
          password: typeof properties.password === 'string' ? properties.password : null,
          description: String(properties.description ?? ''),
          enabled: properties.enabled !== false,
          defaultProject: project,
        },
        tx,
      );
      await accounts.setGrants(context, made.id, roles, [], tx);
      return { physicalId: made.id, data: { roles: (properties.roles ?? []) as Plain } };
    });
    return done;
  },
  async update(work, changed) {
    const { desk, context, properties, physicalId } = work;
    const { accounts } = desk.identity;
    const password =
      changed.includes('password') && typeof properties.password === 'string' ? { password: properties.password } : {};
    await accounts.updateUser(context, physicalId ?? '', {
      name: String(properties.name ?? work.physicalName),
      description: String(properties.description ?? ''),
      enabled: properties.enabled !== false,
      default_project_id: await defaultProject(work),
      ...password,
    });
    await accounts.setGrants(
      context,
      physicalId ?? '',
      grantsOf(type, properties.roles),
      grantsOf(type, work.data.roles),
    );
    work.data.roles = (properties.roles ?? []) as Plain;
    return done;
  },
  async delete(work) {
    await work.desk.identity.accounts.remove(work.context, 'user', work.physicalId ?? '');
    return done;
  },
  async check(work) {
    await work.desk.identity.accounts.user(work.physicalId ?? '');
  },
  async attributes(work) {
    const found = await work.desk.identity.accounts.user(work.physicalId ?? '');
    const { id, name, enabled, domain_id, default_project_id } = found;
    const shown = {
      name,
      enabled,
      domain_id,
      default_project_id: default_project_id ?? null,
      password_expires_at: null,
    };
    return { ...shown, show: { id, ...shown } };
  },
};
