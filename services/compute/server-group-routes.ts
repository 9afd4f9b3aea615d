/** Nova's os-server-groups. Before microversion 2.64 policies are a list; since then one policy with rules. */
import type { FastifyRequest } from 'fastify';
import Type from 'typebox';
import type { Api } from '../core/http/index.ts';
import type { ServerGroup, ServerGroups } from './server-groups.ts';

const Body = Type.Object({
  server_group: Type.Object({
    name: Type.String({ minLength: 1, maxLength: 255 }),
    policy: Type.Optional(Type.String()),
    policies: Type.Optional(Type.Array(Type.String())),
    rules: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  }),
});

const onePolicySince = 64;

export function serverGroupRoutes(api: Api, groups: ServerGroups): void {
  type ById = { Params: { id: string } };
  const view = (request: FastifyRequest, group: ServerGroup) => {
    const version = Number(/2\.(\d+)/.exec(String(request.headers['openstack-api-version'] ?? ''))?.[1] ?? 1);
    return {
      id: group.id,
      name: group.name,
      members: group.members,
      project_id: group.project_id,
      user_id: group.user_id,
      ...(version >= onePolicySince
        ? { policy: group.policy, rules: group.rules }
        : { policies: [group.policy], metadata: {} }),
    };
  };
  api.get('/os-server-groups', async (request) => ({
    server_groups: (await groups.list(request.context)).map((group) => view(request, group)),
  }));
  api.get<ById>('/os-server-groups/:id', async (request) => ({
    server_group: view(request, await groups.find(request.context, request.params.id)),
  }));
  api.post('/os-server-groups', { schema: { body: Body } }, async (request) => {
    const { name, policy, policies, rules } = request.body.server_group;
    const wanted = { name, policy: policy ?? policies?.[0] ?? '', ...(rules && { rules }) };
    return { server_group: view(request, await groups.create(request.context, wanted)) };
  });
  api.delete<ById>('/os-server-groups/:id', async (request, reply) => {
    await groups.delete(request.context, request.params.id);
    return reply.status(204).send();
  });
}
