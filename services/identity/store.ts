/** All SQL of identity. */
import { randomUUID } from 'node:crypto';
import type { Generated } from 'kysely';
import { sql } from 'kysely';
import type { Database, Tx } from '../core/database/index.ts';

type DomainTable = {
  id: string;
  name: string;
  description: Generated<string>;
  enabled: Generated<boolean>;
};
type ProjectTable = {
  id: string;
  domain_id: string;
  name: string;
  description: Generated<string>;
  enabled: Generated<boolean>;
};
type UserTable = {
  id: string;
  domain_id: string;
  name: string;
  password: string | null;
  default_project_id: string | null;
  description: Generated<string>;
  enabled: Generated<boolean>;
};
type RoleTable = {
  id: string;
  name: string;
};
type AssignmentTable = {
  user_id: string;
  role_id: string;
  project_id: string | null;
};
type TokenTable = {
  hash: Buffer;
  audit_id: string;
  user_id: string;
  project_id: string | null;
  methods: string[];
  issued_at: Generated<Date>;
  expires_at: Date;
};

export interface Ec2Row {
  readonly access: string;
  /** Sealed. */
  readonly secret: string;
  readonly user_id: string;
  readonly project_id: string;
}

export type IdentityTables = {
  'identity.ec2_credentials': Ec2Row;
  'identity.domains': DomainTable;
  'identity.projects': ProjectTable;
  'identity.users': UserTable;
  'identity.roles': RoleTable;
  'identity.assignments': AssignmentTable;
  'identity.tokens': TokenTable;
};

export interface Domain {
  id: string;
  name: string;
  description: string;
  enabled: boolean;
}
export interface Project extends Domain {
  domain_id: string;
}
export interface User extends Project {
  password: string | null;
  default_project_id: string | null;
}
export interface Role {
  id: string;
  name: string;
}

export interface TokenRow {
  audit_id: string;
  methods: string[];
  issued_at: Date;
  expires_at: Date;
  user_id: string;
  user_name: string;
  user_enabled: boolean;
  user_domain_id: string;
  user_domain_name: string;
  project_id: string | null;
  project_name: string | null;
  project_domain_id: string | null;
  project_domain_name: string | null;
  roles: Role[];
}

/** Keystone's ids are uuids without dashes, and clients compare them as text. */
export const newId = (): string => randomUUID().replaceAll('-', '');

export function createStore(database: Database) {
  const db = database.kysely.withTables<IdentityTables>();
  const within = (tx?: Tx) => (tx ? tx.kysely.withTables<IdentityTables>() : db);

  return {
    domains: () => db.selectFrom('identity.domains').selectAll().orderBy('name').execute(),
    projects: () => db.selectFrom('identity.projects').selectAll().orderBy('name').execute(),
    users: () => db.selectFrom('identity.users').selectAll().orderBy('name').execute(),
    roles: () => db.selectFrom('identity.roles').selectAll().orderBy('name').execute(),

    /** By id, or by name within the domain. */
    project: (key: string, domain = 'default') =>
      db
        .selectFrom('identity.projects')
        .selectAll()
        .where((eb) => eb.or([eb('id', '=', key), eb.and([eb('name', '=', key), eb('domain_id', '=', domain)])]))
        .executeTakeFirst(),
    user: (key: string, domain = 'default') =>
      db
        .selectFrom('identity.users')
        .selectAll()
        .where((eb) => eb.or([eb('id', '=', key), eb.and([eb('name', '=', key), eb('domain_id', '=', domain)])]))
        .executeTakeFirst(),
    domain: (key: string) =>
      db
        .selectFrom('identity.domains')
        .selectAll()
        .where((eb) => eb.or([eb('id', '=', key), eb('name', '=', key)]))
        .executeTakeFirst(),
    role: (key: string) =>
      db
        .selectFrom('identity.roles')
        .selectAll()
        .where((eb) => eb.or([eb('id', '=', key), eb('name', '=', key)]))
        .executeTakeFirst(),

    async insertProject(
      project: { id?: string; domain_id: string; name: string; description?: string; enabled?: boolean },
      tx?: Tx,
    ) {
      const row = { id: newId(), ...project };
      return within(tx).insertInto('identity.projects').values(row).returningAll().executeTakeFirstOrThrow();
    },
    async insertUser(
      user: {
        domain_id: string;
        name: string;
        password: string | null;
        default_project_id?: string | null;
        description?: string;
        enabled?: boolean;
      },
      tx?: Tx,
    ) {
      const row = { id: newId(), default_project_id: null, ...user };
      return within(tx).insertInto('identity.users').values(row).returningAll().executeTakeFirstOrThrow();
    },
    async insertRole(name: string, tx?: Tx) {
      return within(tx)
        .insertInto('identity.roles')
        .values({ id: newId(), name })
        .returningAll()
        .executeTakeFirstOrThrow();
    },
    async updateProject(id: string, fields: { name?: string; description?: string; enabled?: boolean }) {
      return db.updateTable('identity.projects').set(fields).where('id', '=', id).returningAll().executeTakeFirst();
    },
    async updateUser(
      id: string,
      fields: {
        name?: string;
        description?: string;
        enabled?: boolean;
        password?: string;
        default_project_id?: string | null;
      },
    ) {
      return db.updateTable('identity.users').set(fields).where('id', '=', id).returningAll().executeTakeFirst();
    },
    async remove(
      table: 'identity.projects' | 'identity.users' | 'identity.roles',
      id: string,
      tx?: Tx,
    ): Promise<boolean> {
      const result = await within(tx).deleteFrom(table).where('id', '=', id).executeTakeFirst();
      return result.numDeletedRows > 0n;
    },
    async grant(userId: string, roleId: string, projectId: string | null, tx?: Tx): Promise<void> {
      await within(tx)
        .insertInto('identity.assignments')
        .values({ user_id: userId, role_id: roleId, project_id: projectId })
        .onConflict((conflict) => conflict.doNothing())
        .execute();
    },
    async revoke(userId: string, roleId: string, projectId: string | null): Promise<boolean> {
      const result = await db
        .deleteFrom('identity.assignments')
        .where('user_id', '=', userId)
        .where('role_id', '=', roleId)
        .where('project_id', 'is not distinct from', projectId)
        .executeTakeFirst();
      return result.numDeletedRows > 0n;
    },
    assignments: () => db.selectFrom('identity.assignments').selectAll().execute(),
    rolesOf: (userId: string, projectId: string | null) =>
      db
        .selectFrom('identity.assignments as a')
        .innerJoin('identity.roles as r', 'r.id', 'a.role_id')
        .select(['r.id', 'r.name'])
        .where('a.user_id', '=', userId)
        .where('a.project_id', 'is not distinct from', projectId)
        .orderBy('r.name')
        .execute(),
    projectsOf: (userId: string) =>
      db
        .selectFrom('identity.projects')
        .selectAll()
        .where('id', 'in', (eb) =>
          eb
            .selectFrom('identity.assignments')
            .select('project_id')
            .where('user_id', '=', userId)
            .where('project_id', 'is not', null)
            .$castTo<{ project_id: string }>(),
        )
        .orderBy('name')
        .execute(),

    async insertToken(token: {
      hash: Buffer;
      audit_id: string;
      user_id: string;
      project_id: string | null;
      methods: string[];
      expires_at: Date;
    }) {
      await db.insertInto('identity.tokens').values(token).execute();
    },
    /** The token with everything that an answer or a context needs, in one query; null when unknown or expired. */
    async token(hash: Buffer): Promise<TokenRow | null> {
      const { rows } = await sql<TokenRow>`
        select t.audit_id, t.methods, t.issued_at, t.expires_at,
          u.id as user_id, u.name as user_name, u.enabled as user_enabled, ud.id as user_domain_id, ud.name as user_domain_name,
          p.id as project_id, p.name as project_name, pd.id as project_domain_id, pd.name as project_domain_name,
          coalesce((select jsonb_agg(jsonb_build_object('id', r.id, 'name', r.name) order by r.name)
            from identity.assignments a join identity.roles r on r.id = a.role_id
            where a.user_id = u.id and a.project_id is not distinct from t.project_id), '[]') as roles
        from identity.tokens t
        join identity.users u on u.id = t.user_id join identity.domains ud on ud.id = u.domain_id
        left join identity.projects p on p.id = t.project_id left join identity.domains pd on pd.id = p.domain_id
        where t.hash = ${hash} and t.expires_at > now() and u.enabled and (p.id is null or p.enabled)`.execute(db);
      return rows[0] ?? null;
    },
    async deleteToken(hash: Buffer): Promise<void> {
      await db.deleteFrom('identity.tokens').where('hash', '=', hash).execute();
    },
    async deleteTokensOf(userId: string): Promise<void> {
      await db.deleteFrom('identity.tokens').where('user_id', '=', userId).execute();
    },
    async insertEc2(row: Ec2Row): Promise<void> {
      await db.insertInto('identity.ec2_credentials').values(row).execute();
    },
    ec2: (access: string): Promise<Ec2Row | undefined> =>
      db.selectFrom('identity.ec2_credentials').selectAll().where('access', '=', access).executeTakeFirst(),
    ec2Of: (userId: string): Promise<Ec2Row[]> =>
      db.selectFrom('identity.ec2_credentials').selectAll().where('user_id', '=', userId).orderBy('access').execute(),
    async deleteEc2(access: string): Promise<void> {
      await db.deleteFrom('identity.ec2_credentials').where('access', '=', access).execute();
    },
    async dropExpiredTokens(): Promise<void> {
      await sql`delete from identity.tokens where expires_at < now()`.execute(db);
    },
  };
}

export type Store = ReturnType<typeof createStore>;
