/** What is Ironic's about every route: versions, error bodies, links, who may come in. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Context, systemContext } from '../../core/context.ts';
import { type ErrorCode, type Fault, fault } from '../../core/errors/index.ts';
import { type Api, baseUrl, errorsAs, requireToken } from '../../core/http/index.ts';
import type { BaremetalDeps, Rooms } from '../index.ts';
import type { Node } from '../node.ts';
import { maxVersion, minVersion, negotiate } from '../versions.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Minor version of Ironic's API that the request speaks. */
    ironicMinor: number;
  }
}

/** Errors of the HTTP layer itself have another body than those of Ironic's own code. */
const webErrors: Readonly<Partial<Record<ErrorCode, string>>> = {
  'api-version': 'Not Acceptable',
  'not-found': 'Not Found',
  'api-method': 'Method Not Allowed',
  unauthorized: 'Unauthorized',
};

function body(error: Fault): { error_message: string } {
  const title = webErrors[error.code];
  if (title !== undefined) {
    const description = error.status === 404 || error.status === 405 ? '' : error.message;
    return { error_message: JSON.stringify({ code: error.status, title, description }) };
  }
  const faultcode = error.status < 500 ? 'Client' : 'Server';
  return { error_message: JSON.stringify({ faultcode, faultstring: error.message, debuginfo: null }) };
}

/** Call first in a plugin. `fallback` also answers paths that nobody serves: only where the plugin has a prefix of its own. */
export function speakIronic(api: Api, options: { fallback: boolean }): void {
  if (!api.hasRequestDecorator('ironicMinor')) api.decorateRequest('ironicMinor', 1);
  const answer = errorsAs(body);
  // ironicclient sends its DELETEs as application/octet-stream without a body.
  if (!api.hasContentTypeParser('application/octet-stream'))
    api.addContentTypeParser('application/octet-stream', { parseAs: 'string' }, (_request, text, done) => {
      if (text === '') done(null, undefined);
      else done(Object.assign(refuse('The body must be application/json.'), { status: 415 }));
    });
  api.setErrorHandler((error, request, reply) => answer(error, request, reply));
  if (options.fallback) answerTheRest(api);
  api.addHook('onRequest', async (request, reply) => {
    reply.header('openstack-request-id', request.id);
    const header = (name: string): string | undefined => {
      const value = request.headers[name];
      return Array.isArray(value) ? value[0] : value;
    };
    try {
      const { minor } = negotiate(header('x-openstack-ironic-api-version'), header('openstack-api-version'));
      request.ironicMinor = minor;
    } catch (error) {
      // The client reads the range from the refusal and comes again with a version that both know.
      if ((error as Fault).details.ranged === true) range(reply);
      throw error;
    }
    range(reply);
    reply.header('x-openstack-ironic-api-version', `1.${request.ironicMinor}`);
    const accept = request.headers.accept ?? '*/*';
    if (!/\*\/\*|application\/\*|application\/json/.test(accept) && request.method === 'GET')
      throw Object.assign(fault('bad-request', { reason: `Only application/json is spoken, not ${accept}.` }), {
        status: 406,
      });
  });
}

/** OPTIONS is answered; a path that is there for another method is 405, and what is not there 404, as with Ironic. */
function answerTheRest(api: Api): void {
  const paths = new Map<string, RegExp>();
  api.addHook('onRoute', ({ url }) => {
    if (!paths.has(url)) paths.set(url, new RegExp(`^${url.replaceAll(/:[^/]+/g, '[^/]+')}/?$`));
  });
  api.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?')[0] ?? '/';
    if (request.method === 'OPTIONS') return reply.code(200).send();
    if (![...paths.values()].some((pattern) => pattern.test(path)))
      throw fault('not-found', { what: `${request.method} ${path}` });
    throw fault('api-method', { method: request.method, path });
  });
}

function range(reply: FastifyReply): void {
  reply.header('x-openstack-ironic-api-minimum-version', minVersion);
  reply.header('x-openstack-ironic-api-maximum-version', maxVersion);
}

export function letIn(api: Api, deps: BaremetalDeps): void {
  const { authenticate } = deps;
  if (authenticate === 'none')
    api.addHook('onRequest', async (request) => {
      request.context = systemContext(request.id);
    });
  else api.addHook('onRequest', requireToken(authenticate));
}

/** Reading is for whoever sees the node; changing it for admins, and for members of the project that owns it. */
export function requireWrite(context: Context, action: string, node?: Pick<Node, 'owner' | 'lessee'>): void {
  const { roles, projectId } = context;
  if (roles.includes('admin')) return;
  if (node && projectId !== null && roles.includes('member') && node.owner === projectId) return;
  throw fault('forbidden', { action, roles: 'admin' });
}

export const baseOf = (rooms: Rooms, request: FastifyRequest): string =>
  baseUrl(request, rooms.deps.prefix ?? '/baremetal', rooms.deps.publicUrl);

export const linksOf = (base: string, path: string) => [
  { href: `${base}/v1/${path}`, rel: 'self' },
  { href: `${base}/${path}`, rel: 'bookmark' },
];

/** A field, argument or verb that the request's version does not know yet. */
export function requireMinor(request: FastifyRequest, minor: number, says = true): void {
  if (request.ironicMinor >= minor) return;
  const text = says
    ? `Request not acceptable. The minimal required API version should be 1.${minor}`
    : 'Request not acceptable.';
  throw Object.assign(fault('bad-request', { reason: text }), { status: 406 });
}

/** Whole routes that a version does not have are not there. */
export function requireRoute(request: FastifyRequest, minor: number): void {
  if (request.ironicMinor < minor) throw fault('agent-not-found');
}

export const refuse = (reason: string): Fault => fault('bad-request', { reason });

const yes = ['1', 't', 'true', 'on', 'y', 'yes'];
const no = ['0', 'f', 'false', 'off', 'n', 'no'];

/** oslo's reading of a truth value, with its sentence. */
export function truth(value: unknown, name: string): boolean {
  if (typeof value === 'boolean') return value;
  const text = String(value).toLowerCase();
  if (yes.includes(text)) return true;
  if (no.includes(text)) return false;
  throw refuse(
    `Invalid ${name}: Unrecognized value '${value}', acceptable values are: '0', '1', 'f', 'false', 'n', 'no', 'off', 'on', 't', 'true', 'y', 'yes'`,
  );
}

export const record = (value: unknown): Record<string, unknown> | null =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : null;
