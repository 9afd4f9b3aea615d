/** Projects, users and roles that other services make for a caller: stacks above all. Only an administrator may. */
import { type Context, isAdmin } from '../core/context.ts';
import type { Tx } from '../core/database/index.ts';
import { fault } from '../core/errors/index.ts';
import { hashPassword } from './passwords.ts';
import type { Project, Role, Store, User } from './store.ts';
import type { Tokens } from './tokens.ts';

export interface Grant {
  /** Id or name. */
  readonly role: string;
  /** Id or name; every grant here is on a project. */
  readonly project: string;
}

export interface Accounts {
  /** By id, or by name in the default domain. @throws Fault `not-found` */
  project(idOrName: string): Promise<Project>;
  user(idOrName: string): Promise<User>;
  role(idOrName: string): Promise<Role>;
  createProject(
    context: Context,
    fields: { name: string; description?: string; enabled?: boolean },
    tx: Tx,
  ): Promise<Project>;
  updateProject(
    context: Context,
    id: string,
    fields: { name?: string; description?: string; enabled?: boolean },
  ): Promise<void>;
  createUser(
    context: Context,
    fields: {
      name: string;
      password: string | null;
      description?: string;
      enabled?: boolean;
      defaultProject?: string | null;
    },
    tx: Tx,
  ): Promise<User>;
  updateUser(
    context: Context,
    id: string,
    fields: {
      name?: string;
      password?: string;
      description?: string;
      enabled?: boolean;
      default_project_id?: string | null;
    },
  ): Promise<void>;
  createRole(context: Context, name: string, tx: Tx): Promise<Role>;
  /** Makes the user's grants these: what is missing is given, what of `before` is not wanted any more is taken. */
  setGrants(
    context: Context,
    userId: string,
    wanted: readonly Grant[],
    before: readonly Grant[],
    tx?: Tx,
  ): Promise<void>;
  /** No error when it is gone already. */
  remove(context: Context, kind: 'project' | 'user' | 'role', id: string): Promise<void>;
}

export function createAccounts(store: Store, tokens: Tokens): Accounts {
  const mayChange = (context: Context, what: string) => {
    if (!isAdmin(context)) throw fault('forbidden', { action: `identity:${what}`, roles: 'admin' });
  };
  const found = <T>(row: T | undefined, kind: string, key: string): T => {
    if (!row) throw fault('not-found', { what: `${kind} ${key}` });
    return row;
  };
  const named = (kind: string, name: string) => (error: { code?: string }) => {
    throw error.code === '23505' ? fault('identity-conflict', { what: kind, name }) : error;
  };
  const accounts: Accounts = {
    project: async (key) => found(await store.project(key), 'project', key),
    user: async (key) => found(await store.user(key), 'user', key),
    role: async (key) => found(await store.role(key), 'role', key),
    async createProject(context, fields, tx) {
      mayChange(context, 'create_project');
      return store.insertProject({ domain_id: 'default', ...fields }, tx).catch(named('project', fields.name));
    },
    async updateProject(context, id, fields) {
      mayChange(context, 'update_project');
      found(await store.updateProject(id, fields), 'project', id);
      tokens.forget();
    },
    async createUser(context, { password, defaultProject = null, ...fields }, tx) {
      mayChange(context, 'create_user');
      const hashed = password === null ? null : await hashPassword(password);
      const row = { domain_id: 'default', default_project_id: defaultProject, ...fields, password: hashed };
      return store.insertUser(row, tx).catch(named('user', fields.name));
    },
    async updateUser(context, id, { password, ...fields }) {
      mayChange(context, 'update_user');
      const hashed = password === undefined ? {} : { password: await hashPassword(password) };
      found(await store.updateUser(id, { ...fields, ...hashed }), 'user', id);
      if (password !== undefined) await store.deleteTokensOf(id);
      tokens.forget();
    },
    async createRole(context, name, tx) {
      mayChange(context, 'create_role');
      return store.insertRole(name, tx).catch(named('role', name));
    },
    async setGrants(context, userId, wanted, before, tx) {
      mayChange(context, 'create_grant');
      const key = ({ role, project }: { role: string; project: string }) => `${role} ${project}`;
      const ids = async ({ role, project }: Grant) => ({
        role: (await accounts.role(role)).id,
        project: (await accounts.project(project)).id,
      });
      const now = await Promise.all(wanted.map(ids));
      const keep = new Set(now.map(key));
      for (const { role, project } of now) await store.grant(userId, role, project, tx);
      for (const grant of before) {
        const old = await ids(grant).catch(() => null);
        if (old && !keep.has(key(old))) await store.revoke(userId, old.role, old.project);
      }
      tokens.forget();
    },
    async remove(context, kind, id) {
      mayChange(context, `delete_${kind}`);
      await store.remove(`identity.${kind}s`, id);
      tokens.forget();
    },
  };
  return accounts;
}
