/** Images' bytes, up and down. Bodies stay streams: an image never lies in memory. */
import type { Readable } from 'node:stream';
import type { Api } from '../../core/http/index.ts';
import { sendImage } from '../delivery.ts';
import type { ImageDesk } from '../index.ts';
import { exactly } from './exactly.ts';

/** Registered apart: the parsers that it takes away are its own. */
export function dataRoutes(api: Api, desk: ImageDesk): void {
  const { images } = desk;
  type ById = { Params: { id: string } };
  api.removeAllContentTypeParsers();
  api.addContentTypeParser('application/octet-stream', (_request, _payload, done) => done(null));
  api.put<ById>('/images/:id/file', { bodyLimit: Number.MAX_SAFE_INTEGER }, async (request, reply) => {
    await images.upload(request.context, request.params.id, request.raw as Readable);
    return reply.status(204).send();
  });
  api.put<ById>('/images/:id/stage', { bodyLimit: Number.MAX_SAFE_INTEGER }, async (request, reply) => {
    await images.stage(request.context, request.params.id, request.raw as Readable);
    return reply.status(204).send();
  });
  api.route<ById>({
    method: ['GET', 'HEAD'],
    url: '/images/:id/file',
    handler: async (request, reply) => sendImage(desk, await exactly(desk, request), request, reply),
  });
}
