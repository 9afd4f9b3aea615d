/** Identity's front door: projects, users, roles, tokens and the catalog, as Keystone v3 shows them. */
import { randomBytes } from 'node:crypto';
import type { Context } from '../core/context.ts';
import type { Tx } from '../core/database/index.ts';
import { fault } from '../core/errors/index.ts';
import type { House } from '../core/house.ts';
import type { Routes } from '../core/http/index.ts';
import { type Accounts, createAccounts } from './accounts.ts';
import { type Signer, signerOf } from './ec2.ts';
import { hashPassword, verifyPassword } from './passwords.ts';
import { identityRoutes } from './routes.ts';
import { createStore, type Project, type Role, type User } from './store.ts';
import { createTokens, type Tokens } from './tokens.ts';

export type { Accounts, Grant } from './accounts.ts';
export type { Signer } from './ec2.ts';
export type { Project, Role, User } from './store.ts';

/** The three roles that the policies know; others may be made and mean nothing here. */
export const standardRoles = ['admin', 'member', 'reader'] as const;
/** Where the users live that stacks make for the agents on their servers. */
export const stackDomain = 'stacks';

export interface Identity {
  readonly routes: Routes;
  authenticate(token: string, requestId: string): Promise<Context>;
  /** Makes or re-keys the administrator, the `admin` project and the standard roles. Idempotent. */
  ensureAdmin(password: string): Promise<{ user: User; project: Project }>;
  /** A token of one's own for a user that this process made (agents of a stack). */
  issue(userId: string, projectId: string): Promise<string>;
  /** A project and a user in the stack domain, in the caller's transaction; the password is random and shown once. */
  createStackUser(
    tx: Tx,
    name: string,
    projectId?: string,
  ): Promise<{ userId: string; projectId: string; password: string }>;
  deleteStackUser(tx: Tx, userId: string, projectId?: string): Promise<void>;
  project(key: string): Promise<Project | undefined>;
  readonly accounts: Accounts;
  /** Whose AWS-like access key this is, with what its requests are signed. */
  signer(access: string, requestId: string): Promise<Signer | undefined>;
  dropExpiredTokens(): Promise<void>;
}

export interface IdentityOptions {
  region: string;
  publicUrl?: string;
}

export interface Scope {
  project?: { id?: string; name?: string; domain?: { id?: string; name?: string } };
}

export interface Desk {
  readonly house: House;
  readonly store: ReturnType<typeof createStore>;
  readonly tokens: Tokens;
  login(user: { id?: string; name?: string; password: string; domain?: { id?: string; name?: string } }): Promise<User>;
  scope(userId: string, scope: Scope | undefined, fallback: string | null): Promise<string | null>;
}

export function createIdentity(house: House, options: IdentityOptions): Identity {
  const store = createStore(house.db);
  const tokens = createTokens(store, house.clock);

  const domainId = async (domain?: { id?: string; name?: string }): Promise<string> => {
    const key = domain?.id ?? domain?.name ?? 'default';
    return (await store.domain(key))?.id ?? key;
  };

  const desk: Desk = {
    house,
    store,
    tokens,
    async login(given) {
      const user = await store.user(given.id ?? given.name ?? '', await domainId(given.domain));
      const right = await verifyPassword(given.password, user?.password ?? null);
      if (!user || !right || !user.enabled) throw fault('unauthorized');
      return user;
    },
    async scope(userId, scope, fallback) {
      const wanted = scope?.project;
      const key = wanted?.id ?? wanted?.name ?? fallback;
      if (!key) return null;
      const project = await store.project(key, await domainId(wanted?.domain));
      const roles = project ? await store.rolesOf(userId, project.id) : [];
      if (!project?.enabled || roles.length === 0) throw fault('scope-refused', { user: userId, project: key });
      return project.id;
    },
  };

  return {
    routes: identityRoutes(desk, options),
    accounts: createAccounts(store, tokens),
    authenticate: (token, requestId) => tokens.context(token, requestId),
    async ensureAdmin(password) {
      const roles = new Map<string, Role>();
      for (const name of standardRoles) roles.set(name, (await store.role(name)) ?? (await store.insertRole(name)));
      const project =
        (await store.project('admin')) ??
        (await store.insertProject({ domain_id: 'default', name: 'admin', description: 'The operators’ project' }));
      const known = await store.user('admin');
      const same = known ? await verifyPassword(password, known.password) : false;
      const hash = same ? null : await hashPassword(password);
      const user = !known
        ? await store.insertUser({
            domain_id: 'default',
            name: 'admin',
            password: hash,
            default_project_id: project.id,
          })
        : hash
          ? ((await store.updateUser(known.id, { password: hash })) ?? known)
          : known;
      if (known && hash) await store.deleteTokensOf(user.id);
      for (const role of roles.values()) await store.grant(user.id, role.id, project.id);
      return { user, project };
    },
    async issue(userId, projectId) {
      return (await tokens.issue({ id: userId }, projectId, ['password'])).token;
    },
    async createStackUser(tx, name, projectId) {
      const password = randomBytes(24).toString('base64url');
      const hash = await hashPassword(password, 'light');
      const project = projectId ?? (await store.insertProject({ domain_id: stackDomain, name }, tx)).id;
      const user = await store.insertUser(
        { domain_id: stackDomain, name, password: hash, default_project_id: project },
        tx,
      );
      const role = await store.role('member');
      if (role) await store.grant(user.id, role.id, project, tx);
      return { userId: user.id, projectId: project, password };
    },
    async deleteStackUser(tx, userId, projectId) {
      await store.remove('identity.users', userId, tx);
      if (projectId) await store.remove('identity.projects', projectId, tx);
      tx.afterCommit(() => tokens.forget());
    },
    project: (key) => store.project(key),
    signer: (access, requestId) => signerOf(house, store, access, requestId),
    dropExpiredTokens: () => store.dropExpiredTokens(),
  };
}
