/** Images' records, tags and admin actions. */
import type { FastifyRequest } from 'fastify';
import Type from 'typebox';
import { fault } from '../../core/errors/index.ts';
import { type Api, baseUrl } from '../../core/http/index.ts';
import type { ImageDesk } from '../index.ts';
import { exactly } from './exactly.ts';
import { fieldsOf } from './fields.ts';
import { importMethods } from './imports.ts';
import { filtersOf, nextPage, type Query } from './list-query.ts';
import { imageView } from './view.ts';

const Patch = Type.Array(
  Type.Object({
    op: Type.Union([Type.Literal('add'), Type.Literal('replace'), Type.Literal('remove')]),
    path: Type.String(),
    value: Type.Optional(Type.Unknown()),
  }),
);

type ById = { Params: { id: string } };
type ByTag = { Params: { id: string; tag: string } };

export function recordRoutes(api: Api, desk: ImageDesk): void {
  const { images } = desk;
  api.get<{ Querystring: Query }>('/images', async (request) => {
    const filters = filtersOf(request.query);
    const found = await images.list(request.context, filters);
    const last = found.at(-1);
    return {
      images: found.map(imageView),
      first: '/v2/images',
      schema: '/v2/schemas/images',
      ...(last && found.length === filters.limit && { next: nextPage(request.query, last.id) }),
    };
  });
  api.get<ById>('/images/:id', async (request) => imageView(await exactly(desk, request)));
  api.post<{ Body: Record<string, unknown> }>('/images', async (request, reply) => {
    const made = await images.create(request.context, fieldsOf(request.body ?? {}));
    reply.status(201).header('location', `${baseUrl(request, '/image', desk.publicUrl)}/v2/images/${made.id}`);
    reply.header('openstack-image-import-methods', importMethods.join(','));
    return imageView(made);
  });
  patchRoute(api, desk);
  api.delete<ById>('/images/:id', async (request, reply) => {
    await images.delete(request.context, (await exactly(desk, request)).id);
    return reply.status(204).send();
  });
  api.post<{ Params: { id: string; action: string } }>('/images/:id/actions/:action', async (request, reply) => {
    const { action } = request.params;
    if (action !== 'deactivate' && action !== 'reactivate') throw fault('not-found', { what: `Action ${action}` });
    await images.setActive(request.context, (await exactly(desk, request)).id, action === 'reactivate');
    return reply.status(204).send();
  });
  api.put<ByTag>('/images/:id/tags/:tag', async (request, reply) => {
    const image = await exactly(desk, request);
    await images.update(request.context, image.id, fieldsOf({ tags: [...image.tags, request.params.tag] }));
    return reply.status(204).send();
  });
  api.delete<ByTag>('/images/:id/tags/:tag', async (request, reply) => {
    const image = await exactly(desk, request);
    if (!image.tags.includes(request.params.tag)) throw fault('not-found', { what: `Tag ${request.params.tag}` });
    await images.update(request.context, image.id, { tags: image.tags.filter((tag) => tag !== request.params.tag) });
    return reply.status(204).send();
  });
}

function patchRoute(api: Api, desk: ImageDesk): void {
  api.addContentTypeParser(
    /^application\/openstack-images-v2\.\d+-json-patch$/,
    { parseAs: 'string' },
    (_request, body, done) => {
      try {
        done(null, JSON.parse(body as string));
      } catch (error) {
        done(fault('bad-request', { reason: `The body is not JSON: ${(error as Error).message}.` }));
      }
    },
  );
  api.patch<ById>('/images/:id', { schema: { body: Patch } }, async (request) => {
    const image = await exactly(desk, request as FastifyRequest<ById>);
    const fields: Record<string, unknown> = {};
    const properties = { ...image.properties };
    for (const { op, path, value } of request.body as { op: string; path: string; value?: unknown }[]) {
      const name = path.replace(/^\//, '').replaceAll('~1', '/').replaceAll('~0', '~');
      if (op === 'remove') {
        if (!(name in properties))
          throw fault('image-invalid', { reason: `there is no property '${name}' to remove.` });
        delete properties[name];
        continue;
      }
      if (name === 'id') throw fault('image-invalid', { reason: "attribute 'id' is read-only." });
      const change = fieldsOf({ [name]: value });
      if (change.properties) Object.assign(properties, change.properties);
      else Object.assign(fields, change);
    }
    return imageView(await desk.images.update(request.context, image.id, { ...fields, properties }));
  });
}
