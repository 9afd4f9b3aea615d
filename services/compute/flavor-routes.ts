/** Nova's flavors: what a server asks of a node, above all its resource class. */
import type { FastifyRequest } from 'fastify';
import Type from 'typebox';
import { isAdmin } from '../core/context.ts';
import { fault } from '../core/errors/index.ts';
import type { Api } from '../core/http/index.ts';
import type { Flavors } from './flavors.ts';
import type { Flavor } from './model.ts';

const Number_ = Type.Union([Type.Integer(), Type.String({ pattern: '^\\d+$' })]);
const Body = Type.Object({
  flavor: Type.Object({
    id: Type.Optional(Type.Union([Type.String(), Type.Null()])),
    name: Type.String({ minLength: 1, maxLength: 255 }),
    ram: Number_,
    vcpus: Number_,
    disk: Number_,
    description: Type.Optional(Type.Union([Type.String(), Type.Null()])),
    'os-flavor-access:is_public': Type.Optional(Type.Boolean()),
  }),
});
const Specs = Type.Object({ extra_specs: Type.Record(Type.String(), Type.String()) });

export function flavorRoutes(api: Api, flavors: Flavors, baseOf: (request: FastifyRequest) => string): void {
  type ById = { Params: { id: string } };
  const view = (flavor: Flavor, base: string) => ({
    id: flavor.id,
    name: flavor.name,
    ram: flavor.ram,
    vcpus: flavor.vcpus,
    disk: flavor.disk,
    swap: '',
    rxtx_factor: 1,
    'OS-FLV-EXT-DATA:ephemeral': 0,
    'OS-FLV-DISABLED:disabled': false,
    'os-flavor-access:is_public': flavor.is_public,
    links: [{ rel: 'self', href: `${base}/flavors/${flavor.id}` }],
  });
  const find = async (id: string): Promise<Flavor> => {
    try {
      return await flavors.find(id);
    } catch (error) {
      // Named in a path it is 404; named in a request for a server it is a bad request.
      throw Object.assign(error as Error, { status: 404 });
    }
  };
  const adminOnly = async (request: FastifyRequest) => {
    if (!isAdmin(request.context))
      throw fault('forbidden', { action: `os_compute_api:flavors ${request.method}`, roles: 'admin' });
  };
  api.get('/flavors', async (request) => ({
    flavors: (await flavors.list()).map(({ id, name }) => ({
      id,
      name,
      links: [{ rel: 'self', href: `${baseOf(request)}/flavors/${id}` }],
    })),
  }));
  api.get('/flavors/detail', async (request) => ({
    flavors: (await flavors.list()).map((row) => view(row, baseOf(request))),
  }));
  api.get<ById>('/flavors/:id', async (request) => ({ flavor: view(await find(request.params.id), baseOf(request)) }));
  api.get<ById>('/flavors/:id/os-extra_specs', async (request) => ({
    extra_specs: (await find(request.params.id)).extra_specs,
  }));
  api.post('/flavors', { schema: { body: Body }, preHandler: adminOnly }, async (request) => {
    const wanted = request.body.flavor;
    const row = await flavors.create({
      ...(wanted.id && { id: wanted.id }),
      name: wanted.name,
      ram: Number(wanted.ram),
      vcpus: Number(wanted.vcpus),
      disk: Number(wanted.disk),
      description: wanted.description ?? null,
      is_public: wanted['os-flavor-access:is_public'] ?? true,
    });
    return { flavor: view(row, baseOf(request)) };
  });
  api.post<ById>('/flavors/:id/os-extra_specs', { schema: { body: Specs }, preHandler: adminOnly }, async (request) => {
    const flavor = await find(request.params.id);
    const specs = { ...flavor.extra_specs, ...(request.body as { extra_specs: Record<string, string> }).extra_specs };
    await flavors.setSpecs(flavor.id, specs);
    return { extra_specs: specs };
  });
  api.delete<ById>('/flavors/:id', { preHandler: adminOnly }, async (request, reply) => {
    if (!(await flavors.delete(request.params.id))) await find(request.params.id);
    return reply.status(202).send();
  });
}
