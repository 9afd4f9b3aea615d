/** Glance v2 over HTTP, and our way to register an image that was built in chunks. */
import type { Readable } from 'node:stream';
import type { FastifyRequest } from 'fastify';
import Type from 'typebox';
import { type Fault, fault } from '../core/errors/index.ts';
import { type Api, baseUrl, errorsAs, type Routes, requireToken } from '../core/http/index.ts';
import { type ChunkIndex, validateChunkIndex } from '../ipa/index.ts';
import { sendImage } from './delivery.ts';
import type { ImageDesk } from './index.ts';
import type { Image, ImageManifest, Visibility } from './model.ts';
import { imageSchema } from './schemas.ts';
import type { NewImage } from './store.ts';

const glanceError = (error: Fault) => ({ message: error.message, code: error.status, title: error.code });

/** Fields with columns of their own; every other member of an image's document is a property. */
const columns = [
  'id',
  'name',
  'owner',
  'visibility',
  'disk_format',
  'container_format',
  'min_disk',
  'min_ram',
  'protected',
  'os_hidden',
  'tags',
] as const;
/** What only the store itself may say. */
const readOnly = new Set([
  'status',
  'size',
  'virtual_size',
  'checksum',
  'os_hash_algo',
  'os_hash_value',
  'created_at',
  'updated_at',
  'self',
  'file',
  'schema',
  'locations',
  'direct_url',
]);
const sortable = new Set([
  'name',
  'status',
  'size',
  'disk_format',
  'container_format',
  'id',
  'created_at',
  'updated_at',
]);
const filterable = new Set([
  'name',
  'status',
  'visibility',
  'owner',
  'disk_format',
  'container_format',
  'os_hidden',
  'id',
  'protected',
]);

const Patch = Type.Array(
  Type.Object({
    op: Type.Union([Type.Literal('add'), Type.Literal('replace'), Type.Literal('remove')]),
    path: Type.String(),
    value: Type.Optional(Type.Unknown()),
  }),
);
/** An index of a 100 GB image is some 10 MB of JSON, and the largest that an agent reads has 64 MiB. */
const registrationLimit = 65 * 1024 * 1024;
const manifestLimit = 1024 * 1024;

export function imageRoutes(desk: ImageDesk): Routes {
  return async (api) => {
    api.setErrorHandler(errorsAs(glanceError));
    const versions = (request: FastifyRequest) => ({
      versions: ['v2.16', 'v2.9', 'v2.7', 'v2.5', 'v2.4', 'v2.3', 'v2.2', 'v2.1', 'v2.0'].map((id, place) => ({
        id,
        status: place === 0 ? 'CURRENT' : 'SUPPORTED',
        links: [{ rel: 'self', href: `${baseUrl(request, '/image/v2/', desk.publicUrl)}` }],
      })),
    });
    api.get('/', async (request, reply) => reply.status(300).send(versions(request)));
    api.get('/versions', async (request) => versions(request));
    await api.register(
      async (inside: Api) => {
        inside.addHook('onRequest', requireToken(desk.authenticate));
        recordRoutes(inside, desk);
        inside.register((bytes) => dataRoutes(bytes as Api, desk));
        chunkRoutes(inside, desk);
        inside.get('/schemas/image', async () => imageSchema);
        inside.get('/schemas/images', async () => ({
          name: 'images',
          properties: { images: { type: 'array', items: imageSchema } },
          links: [],
        }));
      },
      { prefix: '/v2' },
    );
  };
}

export function imageView(image: Image) {
  return {
    ...image.properties,
    id: image.id,
    name: image.name,
    status: image.status,
    visibility: image.visibility,
    owner: image.owner,
    protected: image.protected,
    os_hidden: image.os_hidden,
    checksum: image.checksum,
    os_hash_algo: image.os_hash_algo,
    os_hash_value: image.os_hash_value,
    size: image.size,
    virtual_size: image.virtual_size,
    disk_format: image.disk_format,
    container_format: image.container_format,
    min_disk: image.min_disk,
    min_ram: image.min_ram,
    tags: image.tags,
    created_at: seconds(image.created_at),
    updated_at: seconds(image.updated_at),
    self: `/v2/images/${image.id}`,
    file: `/v2/images/${image.id}/file`,
    schema: '/v2/schemas/image',
  };
}

const seconds = (date: Date): string => `${date.toISOString().slice(0, 19)}Z`;

/** A client's document as fields and properties. @throws Fault `forbidden`, `image-invalid` */
function fieldsOf(document: unknown): Partial<NewImage> {
  if (document === null || typeof document !== 'object' || Array.isArray(document))
    throw fault('image-invalid', { reason: 'what describes it has to be a JSON object.' });
  const fields: Record<string, unknown> = {};
  const properties: Record<string, string> = {};
  for (const [name, value] of Object.entries(document)) {
    if (readOnly.has(name))
      throw Object.assign(fault('image-invalid', { reason: `attribute '${name}' is read-only.` }), { status: 403 });
    if ((columns as readonly string[]).includes(name)) fields[name] = checked(name, value);
    else if (text(name, 255) && text(value, 65_535)) properties[name] = value;
    else
      throw fault('image-invalid', {
        reason: `property '${name}' has to be a string of at most 65535 characters, and its name of 255.`,
      });
  }
  return { ...fields, ...(Object.keys(properties).length > 0 && { properties }) };
}

const diskFormats = ['ami', 'ari', 'aki', 'vhd', 'vhdx', 'vmdk', 'raw', 'qcow2', 'vdi', 'iso', 'ploop', null];
const containerFormats = ['ami', 'ari', 'aki', 'bare', 'ovf', 'ova', 'docker', 'compressed', null];
const visibilities: readonly Visibility[] = ['public', 'private', 'shared', 'community'];
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
/** PostgreSQL keeps no NUL in text. */
const text = (value: unknown, longest: number): value is string =>
  typeof value === 'string' && value.length <= longest && !value.includes('\0');
/** PostgreSQL's int. */
const whole = (value: unknown): boolean => Number.isInteger(value) && Number(value) >= 0 && Number(value) < 2 ** 31;
const allowed: Record<string, (value: unknown) => boolean> = {
  name: (value) => value === null || text(value, 255),
  disk_format: (value) => diskFormats.includes(value as string | null),
  container_format: (value) => containerFormats.includes(value as string | null),
  visibility: (value) => visibilities.includes(value as Visibility),
  min_disk: (value) => whole(value),
  min_ram: (value) => whole(value),
  protected: (value) => typeof value === 'boolean',
  os_hidden: (value) => typeof value === 'boolean',
  owner: (value) => text(value, 255),
  id: (value) => typeof value === 'string' && uuid.test(value),
  tags: (value) => Array.isArray(value) && value.length <= 128 && value.every((tag) => text(tag, 255)),
};

function checked(name: string, value: unknown): unknown {
  if (!allowed[name]?.(value))
    throw fault('image-invalid', { reason: `invalid value ${JSON.stringify(value)} for '${name}'.` });
  return name === 'tags' ? [...new Set(value as string[])] : value;
}

function recordRoutes(api: Api, desk: ImageDesk): void {
  const { images } = desk;
  type ById = { Params: { id: string } };
  api.get<{ Querystring: Record<string, string | string[]> }>('/images', async (request) => {
    const query = request.query;
    const one = (name: string) => (Array.isArray(query[name]) ? query[name][0] : query[name]);
    const limit = Math.min(1000, Number(one('limit') ?? 25));
    if (!Number.isInteger(limit) || limit < 0)
      throw fault('image-invalid', { reason: `limit '${one('limit')}' is no number of images.` });
    const equal: Record<string, string> = {};
    const properties: Record<string, string> = {};
    for (const [name, value] of Object.entries(query)) {
      if (
        ['limit', 'marker', 'sort', 'sort_key', 'sort_dir', 'tag', 'member_status', 'size_min', 'size_max'].includes(
          name,
        )
      )
        continue;
      const wanted = String(Array.isArray(value) ? value[0] : value);
      if (!text(wanted, 65_535)) throw fault('image-invalid', { reason: `the filter '${name}' cannot match.` });
      if (filterable.has(name)) equal[name] = wanted.replace(/^in:/i, '');
      else properties[name] = wanted;
    }
    const sort = (one('sort') ?? `${one('sort_key') ?? 'created_at'}:${one('sort_dir') ?? 'desc'}`)
      .split(',')
      .map((item) => {
        const [key = '', direction = 'desc'] = item.split(':');
        if (!sortable.has(key)) throw fault('image-invalid', { reason: `images cannot be sorted by '${key}'.` });
        return { key, descending: direction !== 'asc' };
      });
    const marker = one('marker');
    if (marker && !uuid.test(marker)) throw fault('image-invalid', { reason: `marker '${marker}' is no image's id.` });
    const tags = query.tag === undefined ? [] : [query.tag].flat();
    const found = await images.list(request.context, {
      equal,
      properties,
      tags,
      sort,
      limit,
      ...(marker && { marker }),
    });
    const next =
      found.length === limit && limit > 0 ? `/v2/images?marker=${found.at(-1)?.id}&limit=${limit}` : undefined;
    return { images: found.map(imageView), first: '/v2/images', schema: '/v2/schemas/images', ...(next && { next }) };
  });
  api.get<ById>('/images/:id', async (request) => imageView(await exactly(desk, request)));
  api.post<{ Body: Record<string, unknown> }>('/images', async (request, reply) => {
    const made = await images.create(request.context, fieldsOf(request.body ?? {}));
    reply.status(201).header('location', `${baseUrl(request, '/image', desk.publicUrl)}/v2/images/${made.id}`);
    return imageView(made);
  });
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
    return imageView(await images.update(request.context, image.id, { ...fields, properties }));
  });
  api.delete<ById>('/images/:id', async (request, reply) => {
    await images.delete(request.context, (await exactly(desk, request)).id);
    return reply.status(204).send();
  });
  api.put<{ Params: { id: string; tag: string } }>('/images/:id/tags/:tag', async (request, reply) => {
    const image = await exactly(desk, request);
    await images.update(request.context, image.id, { tags: [...new Set([...image.tags, request.params.tag])] });
    return reply.status(204).send();
  });
  api.delete<{ Params: { id: string; tag: string } }>('/images/:id/tags/:tag', async (request, reply) => {
    const image = await exactly(desk, request);
    if (!image.tags.includes(request.params.tag)) throw fault('not-found', { what: `Tag ${request.params.tag}` });
    await images.update(request.context, image.id, { tags: image.tags.filter((tag) => tag !== request.params.tag) });
    return reply.status(204).send();
  });
  api.get<ById>('/images/:id/members', async () => ({ members: [], schema: '/v2/schemas/members' }));
}

/** Glance knows images by id alone; names are the client's business. */
async function exactly(desk: ImageDesk, request: FastifyRequest): Promise<Image> {
  const { id } = request.params as { id: string };
  const image = await desk.images.find(request.context, id);
  if (image.id !== id) throw fault('image-not-found', { id });
  return image;
}

function dataRoutes(api: Api, desk: ImageDesk): void {
  const { images } = desk;
  type ById = { Params: { id: string } };
  // The body stays a stream, and no other type is taken: an image never lies in memory.
  api.removeAllContentTypeParsers();
  api.addContentTypeParser('application/octet-stream', (_request, _payload, done) => done(null));
  api.put<ById>('/images/:id/file', { bodyLimit: Number.MAX_SAFE_INTEGER }, async (request, reply) => {
    await images.upload(request.context, request.params.id, request.raw as Readable);
    return reply.status(204).send();
  });
  api.route<ById>({
    method: ['GET', 'HEAD'],
    url: '/images/:id/file',
    handler: async (request, reply) => sendImage(desk, await exactly(desk, request), request, reply),
  });
  type Object_ = { Params: { sha256: string } };
  const sha256 = /^[0-9a-f]{64}$/;
  const named = (request: FastifyRequest<Object_>): string => {
    if (!sha256.test(request.params.sha256))
      throw fault('image-invalid', { reason: `'${request.params.sha256}' is no sha256.` });
    return request.params.sha256;
  };
  /** Ours: packed objects of chunked images, by their hash; HEAD tells whether it has to be sent at all. */
  api.head<Object_>('/objects/:sha256', async (request, reply) =>
    reply.status((await images.hasObject(named(request))) ? 200 : 404).send(),
  );
  api.put<Object_>('/objects/:sha256', { bodyLimit: Number.MAX_SAFE_INTEGER }, async (request, reply) => {
    await images.putObject(request.context, named(request), request.raw as Readable);
    return reply.status(204).send();
  });
}

function chunkRoutes(api: Api, { images }: ImageDesk): void {
  type ById = { Params: { id: string } };
  /** Ours: the manifest and index that make a queued image of uploaded objects active. */
  api.put<ById & { Body: { manifest: ImageManifest; index: unknown } }>(
    '/images/:id/chunks',
    { bodyLimit: registrationLimit },
    async (request) => {
      const { manifest, index } = request.body ?? {};
      checkManifest(manifest);
      let parsed: ChunkIndex;
      try {
        parsed = validateChunkIndex(index);
      } catch (error) {
        throw fault('image-invalid', { reason: (error as Error).message }, error);
      }
      return imageView(await images.register(request.context, request.params.id, { manifest, index: parsed }));
    },
  );
}

function checkManifest(manifest: ImageManifest | undefined): asserts manifest is ImageManifest {
  if (manifest?.format !== 'undercloud.image/1' || !/^[0-9a-f]{128}$/.test(String(manifest.sha512)))
    throw fault('image-invalid', { reason: 'its manifest is not of format undercloud.image/1 with a sha512.' });
  const { kernelPath, initrdPath, commandLine } = manifest.boot ?? { kernelPath: '', initrdPath: '', commandLine: '' };
  if (![kernelPath, initrdPath, commandLine].every((value) => text(value, 4096)))
    throw fault('image-invalid', {
      reason: "its manifest's boot is not a kernelPath, an initrdPath and a commandLine.",
    });
  const json = JSON.stringify(manifest);
  if (json.length > manifestLimit || json.includes('\\u0000'))
    throw fault('image-invalid', { reason: `its manifest is larger than ${manifestLimit} bytes or has a NUL in it.` });
}
