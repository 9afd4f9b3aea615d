/** /object: what temporary URLs lead to, and the containers and objects of who comes with a token. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { fault } from '../../core/errors/index.ts';
import { type Api, type Authenticate, type Routes, requireToken } from '../../core/http/index.ts';
import type { Desk } from '../desk.ts';
import type { Plain } from '../model.ts';
import { objectLimits } from '../objects/objects.ts';
import { accountRoutes, answerObject, containerRoutes } from '../objects/routes.ts';
import { loadOne } from '../one-resource.ts';
import { documentOf } from '../routes/resources.ts';
import { signal } from '../signals.ts';
import { secretOf } from '../software/credentials.ts';
import { newerDocument } from '../software/long-poll.ts';
import { credentialOf, type FoundResource, resource } from '../store/resources.ts';
import * as stackStore from '../store/stacks.ts';
import { isTempSigned } from './sign.ts';

type Temp = {
  Params: { account: string; resource: string; '*': string };
  Querystring: { temp_url_sig?: string; temp_url_expires?: string };
};

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export function createTempUrlRoutes(desk: Desk, authenticate: Authenticate): Routes {
  const { db, clock } = desk.house;

  /** @throws Fault `temp-url-refused` */
  async function proven(request: FastifyRequest<Temp>): Promise<FoundResource & { physical_id: string | null }> {
    const { account, resource: id } = request.params;
    const key = uuid.test(id) ? await credentialOf(db, id) : undefined;
    const row = key && (await resource(db, id));
    const stack = row && (await stackStore.stack(db, row.stack_id));
    if (!key || !row || !stack || account !== `AUTH_${stack.project_id}`) throw fault('temp-url-refused');
    const path = decodeURIComponent(request.url.split('?')[0] ?? '');
    const signed = {
      method: request.method,
      path,
      signature: request.query.temp_url_sig ?? '',
      expires: Number(request.query.temp_url_expires),
      now: clock.now(),
    };
    if (!isTempSigned(secretOf(desk, key), signed)) throw fault('temp-url-refused');
    const { name, type, stack_id, physical_id } = row;
    return { id, name, type, stack_id, root_id: stack.root_id, physical_id };
  }

  async function throughTempUrl(request: FastifyRequest<Temp>, reply: FastifyReply) {
    const found = await proven(request);
    if (request.method === 'PUT') {
      await signal(desk, found, bodyOf(request), null);
      return reply.status(201).send();
    }
    const text = await newerDocument(desk, request, reply, async () => {
      const { node, live } = await loadOne(desk, found);
      return { server: live.row.physical_id, text: JSON.stringify(await documentOf(desk, node, live)) };
    });
    if (text === null) return reply;
    // No Last-Modified: os-collect-config's times are whole seconds, and it would miss what changes twice in one.
    return reply.type('application/json').send(text);
  }

  const isTemp = (request: FastifyRequest) =>
    (request.query as Temp['Querystring']).temp_url_sig !== undefined &&
    ['GET', 'HEAD', 'PUT'].includes(request.method);
  const byToken = requireToken(authenticate);

  return async (api) => {
    // Scripts send JSON under any content type, and under none; an object is bytes.
    api.removeAllContentTypeParsers();
    const parser = { parseAs: 'buffer', bodyLimit: objectLimits.objectBytes } as const;
    api.addContentTypeParser('*', parser, (_request, body, done) => done(null, body));
    api.addHook('onRequest', async (request) => {
      if (!isTemp(request)) await byToken(request);
    });
    accountRoutes(api as Api, desk.objects);
    containerRoutes(api as Api, desk.objects);
    (api as Api).route<Temp>({
      method: ['GET', 'HEAD', 'PUT', 'POST', 'DELETE'],
      url: '/v1/:account/:resource/*',
      exposeHeadRoute: false,
      handler: (request, reply) =>
        isTemp(request) ? throughTempUrl(request, reply) : answerObject(desk.objects, request, reply),
    });
  };
}

/** @throws Fault `bad-request` */
function bodyOf(request: FastifyRequest): Plain {
  const text = String(request.body ?? '');
  if (text.trim() === '') return null;
  try {
    return JSON.parse(text) as Plain;
  } catch (error) {
    throw fault('bad-request', { reason: `The signal is not JSON: ${(error as Error).message}.` });
  }
}
