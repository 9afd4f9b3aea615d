/**
 * The HTTP server of the APIs: one fastify instance, one encapsulated plugin for each dialect (Keystone, Ironic, Heat …).
 * A dialect gives its own error body; everything else (request ids, tokens, limits) is here once.
 */
import { randomUUID } from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type TypeBoxTypeProvider, TypeBoxValidatorCompiler } from '@fastify/type-provider-typebox';
import Fastify, { type FastifyBaseLogger, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { type Context, mayWrite } from '../context.ts';
import { type Fault, fault, toFault } from '../errors/index.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Set by `requireToken`; routes without it have none. */
    context: Context;
  }
}

export type Api = FastifyInstance<
  http.Server,
  http.IncomingMessage,
  http.ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;

/** A service's routes: `async (api) => { api.get(...) }`, mounted under the service's prefix by `serve`. */
export type Routes = (api: Api) => Promise<void> | void;

export interface ApiOptions {
  /** JSON bodies beyond this are refused with 413 before they are parsed. */
  bodyLimit?: number;
  onError?: (error: Fault, request: FastifyRequest) => void;
}

/** Templates with their files are the largest JSON bodies that a client sends. */
const defaultBodyLimit = 16 * 1024 * 1024;

export function createApi(options: ApiOptions = {}): Api {
  const api = Fastify({
    bodyLimit: options.bodyLimit ?? defaultBodyLimit,
    genReqId: () => `req-${randomUUID()}`,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 1024 },
    exposeHeadRoutes: false,
  }).withTypeProvider<TypeBoxTypeProvider>() as unknown as Api;
  // Compiled at a route's first request: hundreds of routes at once would be a tenth of a second of every start.
  api.setValidatorCompiler((route) => {
    let check: ReturnType<typeof TypeBoxValidatorCompiler> | null = null;
    return (value: unknown) => {
      check ??= TypeBoxValidatorCompiler(route);
      return check(value);
    };
  });
  api.decorateRequest('context', null as unknown as Context);
  api.addHook('onRequest', async (request, reply) => {
    reply.header('x-openstack-request-id', request.id);
  });
  api.addHook('onError', async (request, _reply, error) => {
    options.onError?.(toFault(error), request);
  });
  api.setErrorHandler(
    errorsAs((error) => ({ error: { code: error.status, title: error.code, message: error.message } })),
  );
  api.setNotFoundHandler((request) => {
    throw fault('not-found', { what: `${request.method} ${request.url.split('?')[0]}` });
  });
  // Clients send DELETE and POST with `content-type: application/json` and no body at all.
  api.removeContentTypeParser('application/json');
  api.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => {
    const text = body as string;
    if (text.trim() === '') return done(null, undefined);
    try {
      done(null, JSON.parse(text));
    } catch (error) {
      done(fault('bad-request', { reason: `The body is not JSON: ${(error as Error).message}.` }));
    }
  });
  return api;
}

/** An error handler that answers every Fault in a dialect's own shape. */
export function errorsAs(
  body: (error: Fault, request: FastifyRequest) => unknown,
  headers: Record<string, string> = {},
) {
  return (error: unknown, request: FastifyRequest, reply: FastifyReply): void => {
    const known = faultOf(error);
    reply.status(known.status).headers(headers).send(body(known, request));
  };
}

interface FastifyFailure {
  statusCode?: number;
  message: string;
  validation?: { instancePath: string; message?: string; params?: Record<string, unknown> }[];
  validationContext?: string;
}

function faultOf(error: unknown): Fault {
  const failure = error as FastifyFailure;
  if (failure?.validation) {
    const first = failure.validation[0];
    const where = `${failure.validationContext ?? 'body'}${first?.instancePath ?? ''}`;
    return fault('bad-request', { reason: `Invalid input for ${where}: ${first?.message ?? failure.message}.` });
  }
  // fastify's own refusals (413, 415, bad URL) carry their status.
  if (failure?.statusCode && failure.statusCode < 500 && !('sentence' in failure)) {
    return Object.assign(fault('bad-request', { reason: failure.message }), { status: failure.statusCode });
  }
  return toFault(error);
}

/** Turns a token into a context. @throws Fault `unauthorized` */
export type Authenticate = (token: string, requestId: string) => Promise<Context>;

/** An onRequest hook for everything in a plugin: the request must carry X-Auth-Token. */
export function requireToken(authenticate: Authenticate) {
  return async (request: FastifyRequest): Promise<void> => {
    const token = request.headers['x-auth-token'];
    if (typeof token !== 'string' || token === '') throw fault('unauthorized');
    request.context = await authenticate(token, request.id);
  };
}

const reads = new Set(['GET', 'HEAD', 'OPTIONS']);

/** An onRequest hook behind `requireToken`, for dialects in which every other method changes something. */
export async function requireWriter(request: FastifyRequest): Promise<void> {
  if (reads.has(request.method) || mayWrite(request.context)) return;
  const action = `${request.method} ${request.url.split('?')[0]}`;
  throw fault('forbidden', { action, roles: 'admin, member' });
}

/** The base that links carry: scheme, host and prefix, from --public-url or else the Host header. */
export function baseUrl(request: FastifyRequest, prefix: string, publicUrl?: string): string {
  if (publicUrl) return publicUrl.replace(/\/$/, '') + prefix;
  return `${request.protocol}://${request.headers.host ?? 'localhost'}${prefix}`;
}

/** For a WebSocket's token and route to be looked at. */
const upgradeMs = 60_000;

export type ListenOn = { fd: number } | { host: string; port: number } | { path: string };

export interface Listener {
  readonly address: AddressInfo | string | null;
  close(): Promise<void>;
}

/** One API may answer on several listeners: the host's over TLS, the provisioning network's, a unix socket. */
export async function listen(api: Api, on: ListenOn, tls?: { cert: string; key: string }): Promise<Listener> {
  await api.ready();
  const answer = api.routing as unknown as http.RequestListener;
  // Only WebSockets are other than requests: a client that offers HTTP/2 by `Upgrade: h2c` is answered as if it had not.
  const sockets = api.server.listenerCount('upgrade') > 0;
  const shouldUpgradeCallback = (request: http.IncomingMessage) =>
    sockets && request.headers.upgrade?.toLowerCase() === 'websocket';
  const server = tls
    ? https.createServer({ cert: tls.cert, key: tls.key, shouldUpgradeCallback }, answer)
    : http.createServer({ shouldUpgradeCallback }, answer);
  const upgraded = new Set<Duplex>();
  server.on('upgrade', (request, socket, head) => {
    upgraded.add(socket);
    socket.on('close', () => upgraded.delete(socket));
    // Until it is a WebSocket, which then has its own pings: a refused one must not stay.
    (socket as Socket).setTimeout(upgradeMs, () => socket.destroy());
    api.server.emit('upgrade', request, socket, head);
  });
  // Image uploads and long polls take longer than Node's five minutes for a whole request; headers keep their limit.
  server.requestTimeout = 0;
  server.keepAliveTimeout = 65_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(on, () => resolve());
  });
  return {
    get address() {
      return server.address();
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
        for (const socket of upgraded) socket.destroy();
      }),
  };
}
