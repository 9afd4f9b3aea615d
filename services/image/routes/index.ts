/** Glance v2 over HTTP, and our way to register an image that was built in chunks. */
import type { FastifyRequest } from 'fastify';
import { type Api, baseUrl, type Routes, requireToken, requireWriter } from '../../core/http/index.ts';
import type { ImageDesk } from '../index.ts';
import { chunkRoutes, objectRoutes } from './chunks.ts';
import { dataRoutes } from './data.ts';
import { glanceErrors } from './errors.ts';
import { importRoutes } from './imports.ts';
import { memberRoutes } from './members.ts';
import { metadefRoutes } from './metadefs.ts';
import { recordRoutes } from './records.ts';
import { imageSchema, listOf, memberSchema, taskSchema } from './schemas.ts';

// Not v2.14, the cache API, nor those of several stores.
const versions = [
  'v2.16',
  'v2.15',
  'v2.13',
  'v2.12',
  'v2.9',
  'v2.7',
  'v2.6',
  'v2.5',
  'v2.4',
  'v2.3',
  'v2.2',
  'v2.1',
  'v2.0',
];

export function imageRoutes(desk: ImageDesk): Routes {
  return async (api) => {
    api.setErrorHandler(glanceErrors);
    const document = (request: FastifyRequest) => ({
      versions: versions.map((id, place) => ({
        id,
        status: place === 0 ? 'CURRENT' : 'SUPPORTED',
        links: [{ rel: 'self', href: `${baseUrl(request, '/image/v2/', desk.publicUrl)}` }],
      })),
    });
    api.get('/', async (request, reply) => reply.status(300).send(document(request)));
    api.get('/versions', async (request) => document(request));
    await api.register(
      async (inside: Api) => {
        inside.addHook('onRequest', requireToken(desk.authenticate));
        inside.addHook('onRequest', requireWriter);
        inside.addHook('onRequest', withoutType);
        recordRoutes(inside, desk);
        memberRoutes(inside, desk);
        importRoutes(inside, desk);
        metadefRoutes(inside);
        chunkRoutes(inside, desk);
        inside.register(async (bytes) => {
          dataRoutes(bytes as Api, desk);
          objectRoutes(bytes as Api, desk);
        });
        inside.get('/schemas/image', async () => imageSchema);
        inside.get('/schemas/images', async () => listOf('images', imageSchema));
        inside.get('/schemas/member', async () => memberSchema);
        inside.get('/schemas/members', async () => listOf('members', memberSchema));
        inside.get('/schemas/task', async () => taskSchema);
        inside.get('/schemas/tasks', async () => listOf('tasks', taskSchema));
      },
      { prefix: '/v2' },
    );
  };
}

/** python-glanceclient calls every body that it does not send application/octet-stream: where there is none, its type is none either. */
async function withoutType({ headers }: FastifyRequest): Promise<void> {
  const { 'content-length': length = '0', 'transfer-encoding': encoding } = headers;
  if (length === '0' && encoding === undefined) delete headers['content-type'];
}
