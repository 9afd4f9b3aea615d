/** Access keys for the APIs that are signed as AWS's are: Keystone's OS-EC2 extension. */
import { randomBytes } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import Type from 'typebox';
import { type Context, isAdmin } from '../core/context.ts';
import { fault } from '../core/errors/index.ts';
import type { House } from '../core/house.ts';
import type { Api } from '../core/http/index.ts';
import type { Ec2Row, Store } from './store.ts';

const owner = (access: string): string => `ec2 credential ${access}`;

export interface Signer {
  readonly secret: string;
  readonly context: Context;
}

/** Who signs with this key, as what the user is in its project now; undefined: nobody (any more). */
export async function signerOf(
  { secrets }: Pick<House, 'secrets'>,
  store: Store,
  access: string,
  requestId: string,
): Promise<Signer | undefined> {
  const row = await store.ec2(access);
  if (!row) return undefined;
  const [user, project] = [await store.user(row.user_id, ''), await store.project(row.project_id, '')];
  const roles = (await store.rolesOf(row.user_id, row.project_id)).map(({ name }) => name);
  if (!user?.enabled || !project?.enabled || roles.length === 0) return undefined;
  return {
    secret: secrets.open(row.secret, owner(access)),
    context: { requestId, userId: user.id, projectId: project.id, domainId: user.domain_id, roles },
  };
}

type OfUser = { Params: { user: string } };
type OfKey = { Params: { user: string; access: string } };

export function ec2Routes(
  api: Api,
  { house, store, base }: { house: House; store: Store; base: (request: FastifyRequest) => string },
): void {
  const { secrets } = house;
  const url = '/v3/users/:user/credentials/OS-EC2';
  const shown = (request: FastifyRequest, row: Ec2Row) => ({
    user_id: row.user_id,
    tenant_id: row.project_id,
    access: row.access,
    secret: secrets.open(row.secret, owner(row.access)),
    trust_id: null,
    links: { self: `${base(request)}/v3/users/${row.user_id}/credentials/OS-EC2/${row.access}` },
  });
  /** One's own, or the administrator's. */
  const mayUse = (request: FastifyRequest, user: string) => {
    if (request.context.userId !== user && !isAdmin(request.context))
      throw fault('forbidden', { action: `identity:ec2_credentials of user ${user}`, roles: 'admin' });
  };
  async function found(request: FastifyRequest<OfKey>): Promise<Ec2Row> {
    const { user, access } = request.params;
    mayUse(request, user);
    const row = await store.ec2(access);
    if (row?.user_id !== user) throw fault('identity-not-found', { what: 'credential', id: access });
    return row;
  }

  const Body = Type.Object({ tenant_id: Type.String({ minLength: 1, maxLength: 64 }) });
  api.post<OfUser & { Body: { tenant_id: string } }>(url, { schema: { body: Body } }, async (request, reply) => {
    const { user } = request.params;
    mayUse(request, user);
    const project = request.body.tenant_id;
    if (!(await store.user(user, ''))) throw fault('identity-not-found', { what: 'user', id: user });
    if (!(await store.project(project, ''))) throw fault('identity-not-found', { what: 'project', id: project });
    if ((await store.rolesOf(user, project)).length === 0)
      throw fault('forbidden', { action: `identity:ec2_create_credential for project ${project}`, roles: 'any there' });
    const access = randomBytes(16).toString('hex');
    const secret = secrets.seal(randomBytes(16).toString('hex'), owner(access));
    const row = { access, secret, user_id: user, project_id: project };
    await store.insertEc2(row);
    return reply.status(201).send({ credential: shown(request, row) });
  });
  api.get<OfUser>(url, async (request) => {
    mayUse(request, request.params.user);
    const rows = await store.ec2Of(request.params.user);
    return {
      credentials: rows.map((row) => shown(request, row)),
      links: {
        next: null,
        self: `${base(request)}/v3/users/${request.params.user}/credentials/OS-EC2`,
        previous: null,
      },
    };
  });
  api.get<OfKey>(`${url}/:access`, async (request) => ({ credential: shown(request, await found(request)) }));
  api.delete<OfKey>(`${url}/:access`, async (request, reply) => {
    await store.deleteEc2((await found(request)).access);
    return reply.status(204).send();
  });
}
