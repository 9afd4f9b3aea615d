/** /object: what temporary URLs lead to. */
import type { FastifyRequest } from 'fastify';
import { fault } from '../../core/errors/index.ts';
import type { Api, Routes } from '../../core/http/index.ts';
import type { Desk } from '../desk.ts';
import type { Plain } from '../model.ts';
import { loadOne } from '../one-resource.ts';
import { documentOf } from '../routes/resources.ts';
import { signal } from '../signals.ts';
import { secretOf } from '../software/credentials.ts';
import { newerDocument } from '../software/long-poll.ts';
import { credentialOf, type FoundResource, resource } from '../store/resources.ts';
import * as stackStore from '../store/stacks.ts';
import { isTempSigned } from './sign.ts';

type Temp = {
  Params: { account: string; resource: string; name: string };
  Querystring: { temp_url_sig?: string; temp_url_expires?: string };
};

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export function createTempUrlRoutes(desk: Desk): Routes {
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

  return async (api) => {
    // Scripts send JSON under any content type, and under none.
    api.removeAllContentTypeParsers();
    api.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => done(null, body));
    const path = '/v1/:account/:resource/:name';
    (api as Api).route<Temp>({
      method: ['GET', 'HEAD'],
      url: path,
      async handler(request, reply) {
        const found = await proven(request);
        const text = await newerDocument(desk, request, reply, async () => {
          const { node, live } = await loadOne(desk, found);
          return { server: live.row.physical_id, text: JSON.stringify(await documentOf(desk, node, live)) };
        });
        if (text === null) return reply;
        // No Last-Modified: os-collect-config's times are whole seconds, and it would miss what changes twice in one.
        return reply.type('application/json').send(text);
      },
    });
    (api as Api).put<Temp>(path, async (request, reply) => {
      await signal(desk, await proven(request), bodyOf(request), null);
      return reply.status(201).send();
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
