/** Keystone v3 over HTTP: shapes and status codes only. */
import type { FastifyRequest } from 'fastify';
import Type from 'typebox';
import { isAdmin } from '../core/context.ts';
import { type Fault, fault } from '../core/errors/index.ts';
import { type Api, baseUrl, errorsAs, type Routes, requireToken } from '../core/http/index.ts';
import { catalog, endpoints, services } from './catalog.ts';
import { ec2Routes } from './ec2.ts';
import type { Desk, IdentityOptions } from './index.ts';
import { hashPassword } from './passwords.ts';
import type { Domain, Project, User } from './store.ts';
import { tokenBody } from './tokens.ts';

const Named = Type.Object({ id: Type.Optional(Type.String()), name: Type.Optional(Type.String()) });
const ProjectScope = Type.Object({
  id: Type.Optional(Type.String()),
  name: Type.Optional(Type.String()),
  domain: Type.Optional(Named),
});
const AuthBody = Type.Object({
  auth: Type.Object({
    identity: Type.Object({
      methods: Type.Array(Type.String(), { minItems: 1 }),
      password: Type.Optional(
        Type.Object({
          user: Type.Object({
            id: Type.Optional(Type.String()),
            name: Type.Optional(Type.String()),
            password: Type.String({ maxLength: 4096 }),
            domain: Type.Optional(Named),
          }),
        }),
      ),
      token: Type.Optional(Type.Object({ id: Type.String() })),
    }),
    // `"scope": "unscoped"` is a string.
    scope: Type.Optional(Type.Union([Type.Object({ project: Type.Optional(ProjectScope) }), Type.String()])),
  }),
});

const keystoneError = (error: Fault) => ({
  error: { code: error.status, title: titles[error.status] ?? 'Error', message: error.message },
});
const titles: Record<number, string> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  409: 'Conflict',
};

export function identityRoutes(desk: Desk, options: IdentityOptions): Routes {
  const { store, tokens } = desk;
  const base = (request: FastifyRequest) => baseUrl(request, '/identity', options.publicUrl);
  const root = (request: FastifyRequest) => baseUrl(request, '', options.publicUrl);
  const version = (request: FastifyRequest) => ({
    id: 'v3.14',
    status: 'stable',
    updated: '2020-04-07T00:00:00Z',
    links: [{ rel: 'self', href: `${base(request)}/v3/` }],
    'media-types': [{ base: 'application/json', type: 'application/vnd.openstack.identity-v3+json' }],
  });
  const list = <T>(request: FastifyRequest, name: string, rows: T[]) => ({
    [name]: rows,
    links: { next: null, self: base(request) + request.url.replace(/^\/identity/, ''), previous: null },
  });

  return async (api) => {
    api.setErrorHandler(errorsAs(keystoneError, { vary: 'X-Auth-Token' }));
    api.get('/', async (request, reply) => reply.status(300).send({ versions: { values: [version(request)] } }));
    api.get('/v3', async (request) => ({ version: version(request) }));

    api.post('/v3/auth/tokens', { schema: { body: AuthBody } }, async (request, reply) => {
      const { identity, scope } = request.body.auth;
      const wanted = typeof scope === 'object' ? scope : undefined;
      let userId: string;
      let fallback: string | null = null;
      if (identity.methods.includes('token') && identity.token) {
        userId = (await tokens.find(identity.token.id)).user_id;
      } else if (identity.password) {
        const user = await desk.login(identity.password.user);
        userId = user.id;
        if (scope === undefined) fallback = user.default_project_id;
      } else {
        throw fault('bad-request', {
          reason: `None of the methods ${identity.methods.join(', ')} is supported: use password or token.`,
        });
      }
      const projectId = await desk.scope(userId, wanted, fallback);
      const { token, row } = await tokens.issue({ id: userId }, projectId, identity.methods);
      reply.status(201).header('x-subject-token', token).header('vary', 'X-Auth-Token');
      return tokenBody(row, catalog(root(request), options.region, row.project_id));
    });

    await api.register(async (inside: Api) => {
      inside.addHook(
        'onRequest',
        requireToken((token, id) => tokens.context(token, id)),
      );
      tokenRoutes(inside, desk, (request, projectId) => catalog(root(request), options.region, projectId));
      ec2Routes(inside, { house: desk.house, store, base });
      directoryRoutes(inside, desk, list);
      inside.get('/v3/services', async (request) => list(request, 'services', services()));
      inside.get('/v3/endpoints', async (request) =>
        list(request, 'endpoints', endpoints(root(request), options.region)),
      );
      inside.get('/v3/regions', async (request) =>
        list(request, 'regions', [{ id: options.region, description: '', parent_region_id: null }]),
      );
      inside.get('/v3/roles', async (request) =>
        list(
          request,
          'roles',
          (await store.roles()).map((role) => ({ ...role, domain_id: null })),
        ),
      );
    });
  };
}

function tokenRoutes(
  api: Api,
  desk: Desk,
  catalogOf: (request: FastifyRequest, projectId: string | null) => unknown,
): void {
  const { tokens, store } = desk;
  const subject = (request: FastifyRequest): string => {
    const token = request.headers['x-subject-token'];
    if (typeof token !== 'string') throw fault('bad-request', { reason: 'The header X-Subject-Token is missing.' });
    return token;
  };
  api.route({
    method: ['GET', 'HEAD'],
    url: '/v3/auth/tokens',
    async handler(request, reply) {
      const token = subject(request);
      const row = await tokens.find(token).catch(() => {
        throw fault('identity-not-found', { what: 'token', id: '(as given)' });
      });
      reply.header('x-subject-token', token);
      return tokenBody(row, catalogOf(request, row.project_id));
    },
  });
  api.delete('/v3/auth/tokens', async (request, reply) => {
    await tokens.revoke(subject(request));
    return reply.status(204).send();
  });
  api.get('/v3/auth/catalog', async (request) => ({
    catalog: catalogOf(request, request.context.projectId),
    links: {},
  }));
  api.get('/v3/auth/projects', async (request) => ({
    projects: (await store.projectsOf(request.context.userId ?? '')).map(projectView),
    links: { next: null, self: null, previous: null },
  }));
}

const projectView = (project: Project) => ({
  ...project,
  is_domain: false,
  parent_id: project.domain_id,
  tags: [],
  options: {},
  links: {},
});
const userView = ({ password: _, default_project_id, ...user }: User) => ({
  ...user,
  ...(default_project_id && { default_project_id }),
  password_expires_at: null,
  options: {},
  links: {},
});
const domainView = (domain: Domain) => ({ ...domain, tags: [], options: {}, links: {} });

const Fields = Type.Object({
  name: Type.Optional(Type.String({ minLength: 1, maxLength: 255 })),
  description: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  enabled: Type.Optional(Type.Boolean()),
  domain_id: Type.Optional(Type.String()),
  password: Type.Optional(Type.String({ maxLength: 4096 })),
  default_project_id: Type.Optional(Type.Union([Type.String(), Type.Null()])),
});

/** Projects, users, domains and who has which role where. Changing them is the administrator's. */
function directoryRoutes(
  api: Api,
  desk: Desk,
  list: <T>(request: FastifyRequest, name: string, rows: T[]) => unknown,
): void {
  const { store, tokens } = desk;
  const adminOnly = async (request: FastifyRequest) => {
    if (request.method === 'GET' || isAdmin(request.context)) return;
    throw fault('forbidden', { action: `identity:${request.method} ${request.routeOptions.url}`, roles: 'admin' });
  };
  api.addHook('preHandler', adminOnly);
  type ById = { Params: { id: string } };
  type Filter = { Querystring: { name?: string; domain_id?: string } };
  const matching = <T extends { name: string; domain_id?: string }>(rows: T[], query: Filter['Querystring']) =>
    rows.filter(
      (row) => (!query.name || row.name === query.name) && (!query.domain_id || row.domain_id === query.domain_id),
    );
  const found = <T>(row: T | undefined, what: string, id: string): T => {
    if (!row) throw fault('identity-not-found', { what, id });
    return row;
  };
  const conflict = (what: string, name: string | undefined) => (error: unknown) => {
    if ((error as { code?: string }).code === '23505') throw fault('identity-conflict', { what, name });
    throw error;
  };
  const named = (fields: { name?: string }) => {
    if (!fields.name) throw fault('bad-request', { reason: "'name' is a required property." });
    return fields.name;
  };

  api.get<Filter>('/v3/domains', async (request) =>
    list(request, 'domains', matching(await store.domains(), request.query).map(domainView)),
  );
  api.get<ById>('/v3/domains/:id', async (request) => ({
    domain: domainView(found(await store.domain(request.params.id), 'domain', request.params.id)),
  }));

  api.get<Filter>('/v3/projects', async (request) =>
    list(request, 'projects', matching(await store.projects(), request.query).map(projectView)),
  );
  api.get<ById>('/v3/projects/:id', async (request) => {
    const row = await store.project(request.params.id, '');
    return { project: projectView(found(row, 'project', request.params.id)) };
  });
  api.post('/v3/projects', { schema: { body: Type.Object({ project: Fields }) } }, async (request, reply) => {
    const { description, domain_id, enabled } = request.body.project;
    const name = named(request.body.project);
    const row = { name, domain_id: domain_id ?? 'default', description: description ?? '', enabled: enabled ?? true };
    reply.status(201);
    return { project: projectView(await store.insertProject(row).catch(conflict('project', name))) };
  });
  api.patch<ById>('/v3/projects/:id', { schema: { body: Type.Object({ project: Fields }) } }, async (request) => {
    const { name, description, enabled } = (request.body as { project: Record<string, never> }).project;
    const row = await store
      .updateProject(request.params.id, clean({ name, description, enabled }))
      .catch(conflict('project', name));
    tokens.forget();
    return { project: projectView(found(row, 'project', request.params.id)) };
  });
  api.delete<ById>('/v3/projects/:id', async (request, reply) => {
    if (!(await store.remove('identity.projects', request.params.id))) found(undefined, 'project', request.params.id);
    tokens.forget();
    return reply.status(204).send();
  });

  api.get<Filter>('/v3/users', async (request) =>
    list(request, 'users', matching(await store.users(), request.query).map(userView)),
  );
  api.get<ById>('/v3/users/:id', async (request) => ({
    user: userView(found(await store.user(request.params.id, ''), 'user', request.params.id)),
  }));
  api.get<ById>('/v3/users/:id/projects', async (request) =>
    list(request, 'projects', (await store.projectsOf(request.params.id)).map(projectView)),
  );
  api.post('/v3/users', { schema: { body: Type.Object({ user: Fields }) } }, async (request, reply) => {
    const { password, description, domain_id, enabled, default_project_id } = request.body.user;
    const name = named(request.body.user);
    const row = {
      name,
      domain_id: domain_id ?? 'default',
      description: description ?? '',
      enabled: enabled ?? true,
      default_project_id: default_project_id ?? null,
      password: password ? await hashPassword(password) : null,
    };
    reply.status(201);
    return { user: userView(await store.insertUser(row).catch(conflict('user', name))) };
  });
  api.patch<ById>('/v3/users/:id', { schema: { body: Type.Object({ user: Fields }) } }, async (request) => {
    const { name, description, enabled, password, default_project_id } = (
      request.body as {
        user: {
          name?: string;
          description?: string;
          enabled?: boolean;
          password?: string;
          default_project_id?: string | null;
        };
      }
    ).user;
    const hash = password ? await hashPassword(password) : undefined;
    const row = await store
      .updateUser(request.params.id, clean({ name, description, enabled, default_project_id, password: hash }))
      .catch(conflict('user', name));
    if (hash || enabled === false) await store.deleteTokensOf(request.params.id);
    tokens.forget();
    return { user: userView(found(row, 'user', request.params.id)) };
  });
  api.delete<ById>('/v3/users/:id', async (request, reply) => {
    if (!(await store.remove('identity.users', request.params.id))) found(undefined, 'user', request.params.id);
    tokens.forget();
    return reply.status(204).send();
  });

  type Grant = { Params: { project: string; user: string; role: string } };
  const grantUrl = '/v3/projects/:project/users/:user/roles/:role';
  api.put<Grant>(grantUrl, async (request, reply) => {
    const { project, user, role } = request.params;
    found(await store.project(project, ''), 'project', project);
    found(await store.user(user, ''), 'user', user);
    await store.grant(user, found(await store.role(role), 'role', role).id, project);
    tokens.forget();
    return reply.status(204).send();
  });
  api.delete<Grant>(grantUrl, async (request, reply) => {
    const { project, user, role } = request.params;
    if (!(await store.revoke(user, role, project))) found(undefined, 'role assignment', role);
    tokens.forget();
    return reply.status(204).send();
  });
  api.get<{ Params: { project: string; user: string } }>('/v3/projects/:project/users/:user/roles', async (request) =>
    list(request, 'roles', await store.rolesOf(request.params.user, request.params.project)),
  );
  api.get<{ Querystring: Record<string, string> }>('/v3/role_assignments', async (request) => {
    const query = request.query;
    const rows = (await store.assignments()).filter(
      (row) =>
        (!query['user.id'] || row.user_id === query['user.id']) &&
        (!query['scope.project.id'] || row.project_id === query['scope.project.id']) &&
        (!query['role.id'] || row.role_id === query['role.id']),
    );
    return list(
      request,
      'role_assignments',
      rows.map((row) => ({
        role: { id: row.role_id },
        user: { id: row.user_id },
        scope: row.project_id ? { project: { id: row.project_id } } : { system: { all: true } },
        links: {},
      })),
    );
  });
}

/** Without the fields that were not given, so that they stay as they are. */
function clean<T extends Record<string, unknown>>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}
