/** What nodes fetch from: blobs and whole images by signed links, with ranges, ETags and HEAD. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { systemContext } from '../core/context.ts';
import { fault } from '../core/errors/index.ts';
import type { Routes } from '../core/http/index.ts';
import { type BlobRange, keyPattern, keys } from './blobs/index.ts';
import type { ImageDesk } from './index.ts';
import type { Image } from './model.ts';
import { createNeighbourhoods } from './neighbours.ts';
import { rawStream } from './raw-stream.ts';

type Signed = { Querystring: { expires?: string; signature?: string } };

export function deliveryRoutes(desk: ImageDesk): Routes {
  const { blobs, links, images } = desk;
  const neighbourhoods = createNeighbourhoods(desk.house);
  return (api) => {
    /** "I write the image with this index, and give its chunks at this port": who asks is known by where he asks from. */
    api.get<Signed & { Params: { index: string }; Querystring: { port?: string } }>(
      '/images/neighbours/:index',
      async (request, reply) => {
        const { index } = request.params;
        links.check(`/images/neighbours/${index}`, request.query);
        const port = Number(request.query.port);
        if (!Number.isInteger(port) || port < 1 || port > 65_535)
          throw fault('image-invalid', { reason: `the port ${String(request.query.port)} is no port.` });
        // An IPv4 address on a socket that takes both is written in IPv6.
        const address = request.socket.remoteAddress?.replace(/^::ffff:(?=\d+\.)/, '') ?? '';
        return reply.header('cache-control', 'no-store').send(neighbourhoods.announce(index, address, port));
      },
    );
    api.route<Signed & { Params: { '*': string } }>({
      method: ['GET', 'HEAD'],
      url: '/images/blobs/*',
      async handler(request, reply) {
        const key = request.params['*'];
        if (!keyPattern.test(key)) throw fault('not-found', { what: request.url });
        links.check(`/images/blobs/${key}`, request.query);
        const found = await blobs.stat(key);
        if (!found) throw fault('not-found', { what: key });
        // A blob's key is the hash of its content, so the key is its ETag for ever.
        const range = answerRange(request, reply, found.size, `"${key}"`);
        if (range === null || request.method === 'HEAD') return reply.send();
        return reply.send(await blobs.get(key, range));
      },
    });
    api.route<Signed & { Params: { id: string } }>({
      method: ['GET', 'HEAD'],
      url: '/images/streams/:id',
      async handler(request, reply) {
        links.check(`/images/streams/${request.params.id}`, request.query);
        return sendImage(desk, await images.find(systemContext(request.id), request.params.id), request, reply);
      },
    });
  };
}

/** The image's bytes in its disk format, ranges included. */
export async function sendImage(
  desk: ImageDesk,
  image: Image,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { index, size } = await desk.images.open(image);
  if (image.checksum) reply.header('content-md5', image.checksum);
  const range = answerRange(request, reply, size, `"${image.os_hash_value ?? image.id}"`);
  if (range === null || request.method === 'HEAD') return reply.send();
  return reply.send(index ? rawStream(desk.blobs, index, range) : await desk.blobs.get(keys.stream(image.id), range));
}

/** Sets status and headers (RFC 9110, 14); null when there is no body to send. */
function answerRange(request: FastifyRequest, reply: FastifyReply, size: number, etag: string): BlobRange | null {
  reply.header('accept-ranges', 'bytes').header('etag', etag).type('application/octet-stream');
  const known = request.headers['if-none-match'];
  if (known === '*' || known?.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag)) {
    reply.status(304);
    return null;
  }
  const asked = /^bytes=(\d*)-(\d*)$/.exec(request.headers.range ?? '');
  const current = request.headers['if-range'] === undefined || request.headers['if-range'] === etag;
  // 14.1.1: a range that ends before it begins is no range; 14.2: only GET has ranges.
  const backwards = asked?.[1] && asked[2] && Number(asked[2]) < Number(asked[1]);
  if (!asked || backwards || !current || request.method !== 'GET' || (asked[1] === '' && asked[2] === '')) {
    reply.header('content-length', size);
    return size === 0 ? null : { start: 0, end: size - 1 };
  }
  const start = asked[1] === '' ? Math.max(0, size - Number(asked[2])) : Number(asked[1]);
  const end = asked[1] === '' || asked[2] === '' ? size - 1 : Math.min(Number(asked[2]), size - 1);
  if (start >= size) {
    reply.status(416).header('content-range', `bytes */${size}`);
    return null;
  }
  reply
    .status(206)
    .header('content-range', `bytes ${start}-${end}/${size}`)
    .header('content-length', end - start + 1);
  return { start, end };
}
