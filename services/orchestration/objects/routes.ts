/** Swift's API over HTTP: accounts, containers, objects. Plain text unless JSON is asked for, as Swift answers. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { fault } from '../../core/errors/index.ts';
import type { Api } from '../../core/http/index.ts';
import type { Headers, Listing, ObjectRow } from '../store/objects.ts';
import { type Objects, objectLimits, projectOf } from './objects.ts';

interface OfContainer {
  Params: { account: string; container: string };
  Querystring: Readonly<Record<string, string | undefined>>;
}

/** `x-container-meta-…` and the like, and what `kept` names. */
function headersOf(
  request: FastifyRequest,
  what: 'account' | 'container' | 'object',
  kept: readonly string[] = [],
): Headers {
  const wanted = Object.entries(request.headers).flatMap(([name, value]) => {
    const removed = new RegExp(`^x-remove-${what}-meta-`).test(name);
    if (removed) return [[name.replace('x-remove-', 'x-'), ''] as const];
    const known = name.startsWith(`x-${what}-meta-`) || kept.includes(name);
    return known && typeof value === 'string' ? [[name, value] as const] : [];
  });
  return Object.fromEntries(wanted);
}

const acls = ['x-container-read', 'x-container-write'];

function listingOf({ query }: FastifyRequest<OfContainer>): Listing {
  const limit = query.limit === undefined ? objectLimits.listing : Number(query.limit);
  if (!Number.isInteger(limit) || limit < 0 || limit > objectLimits.listing)
    throw fault('bad-request', {
      reason: `limit is a whole number up to ${objectLimits.listing}, not ${query.limit}.`,
    });
  if (query.delimiter !== undefined || query.path !== undefined)
    throw fault('bad-request', { reason: 'Lists by delimiter or path are not served here; use prefix.' });
  return { prefix: query.prefix ?? '', marker: query.marker ?? '', limit };
}

const asJson = (request: FastifyRequest<OfContainer>) =>
  request.query.format === 'json' || String(request.headers.accept ?? '').includes('application/json');

function answerList(request: FastifyRequest<OfContainer>, reply: FastifyReply, rows: readonly { name: string }[]) {
  if (asJson(request)) return reply.type('application/json; charset=utf-8').send(JSON.stringify(rows));
  if (rows.length === 0) return reply.status(204).send();
  return reply.type('text/plain; charset=utf-8').send(`${rows.map(({ name }) => name).join('\n')}\n`);
}

const swiftTime = (at: Date) => at.toISOString().replace('Z', '000');
const stamped = (reply: FastifyReply, { etag, modified_at, content_type, headers }: ObjectRow) =>
  reply
    .headers({ ...headers, etag, 'last-modified': modified_at.toUTCString(), 'accept-ranges': 'none' })
    .type(content_type);

export function accountRoutes(api: Api, objects: Objects): void {
  const url = '/v1/:account';
  api.route<OfContainer>({
    method: ['GET', 'HEAD'],
    url,
    exposeHeadRoute: false,
    async handler(request, reply) {
      const project = projectOf(request.context, request.params.account, false);
      const { count, bytes } = await objects.usage(project);
      const rows = await objects.containers(project, listingOf(request));
      reply.headers({
        'x-account-container-count': rows.length,
        'x-account-object-count': count,
        'x-account-bytes-used': bytes,
      });
      if (request.method === 'HEAD') return reply.status(204).send();
      return answerList(
        request,
        reply,
        rows.map((row) => ({
          name: row.name,
          count: row.count,
          bytes: row.bytes,
          last_modified: swiftTime(row.created_at),
        })),
      );
    },
  });
}

export function containerRoutes(api: Api, objects: Objects): void {
  const url = '/v1/:account/:container';
  const projectIn = (request: FastifyRequest<OfContainer>, writes: boolean) =>
    projectOf(request.context, request.params.account, writes);
  api.route<OfContainer>({
    method: ['GET', 'HEAD'],
    url,
    exposeHeadRoute: false,
    async handler(request, reply) {
      const project = projectIn(request, false);
      const { container, objects: rows } = await objects.list(project, request.params.container, listingOf(request));
      reply.headers({
        ...container.headers,
        'x-container-object-count': container.count,
        'x-container-bytes-used': container.bytes,
        'x-timestamp': (container.created_at.getTime() / 1000).toFixed(5),
      });
      if (request.method === 'HEAD') return reply.status(204).send();
      return answerList(
        request,
        reply,
        rows.map((row) => ({
          name: row.name,
          bytes: row.bytes,
          hash: row.etag,
          content_type: row.content_type,
          last_modified: swiftTime(row.modified_at),
        })),
      );
    },
  });
  api.put<OfContainer>(url, async (request, reply) => {
    const project = projectIn(request, true);
    const made = await objects.put(project, request.params.container, headersOf(request, 'container', acls));
    return reply.status(made ? 201 : 202).send();
  });
  api.post<OfContainer>(url, async (request, reply) => {
    const project = projectIn(request, true);
    await objects.change(project, request.params.container, headersOf(request, 'container', acls));
    return reply.status(204).send();
  });
  api.delete<OfContainer>(url, async (request, reply) => {
    await objects.remove(projectIn(request, true), request.params.container);
    return reply.status(204).send();
  });
}

export interface OfObject {
  Params: { account: string; resource: string; '*': string };
}

/** The path of an object is that of a temporary URL too: the caller tells them apart. */
export async function answerObject(
  objects: Objects,
  request: FastifyRequest<OfObject>,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { account, resource: container, '*': name } = request.params;
  const reads = request.method === 'GET' || request.method === 'HEAD';
  const project = projectOf(request.context, account, !reads);
  switch (request.method) {
    case 'PUT': {
      const { etag } = await objects.putObject(project, container, {
        name,
        body: Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0),
        contentType: request.headers['content-type'] ?? 'application/octet-stream',
        etag: request.headers.etag as string | undefined,
        headers: headersOf(request, 'object'),
      });
      return reply.status(201).header('etag', etag).send();
    }
    case 'POST':
      await objects.changeObject(project, container, name, headersOf(request, 'object'));
      return reply.status(202).send();
    case 'DELETE':
      await objects.removeObject(project, container, name);
      return reply.status(204).send();
    default: {
      const row = await objects.object(project, container, name);
      stamped(reply, row);
      if (request.method === 'HEAD') return reply.header('content-length', row.bytes).send();
      return reply.send(await objects.body(project, container, name));
    }
  }
}
