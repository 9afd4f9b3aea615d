/** Ours beside Glance's: an image that was built in chunks. Packed objects go first, by their hash; then the index that names them. */
import type { Readable } from 'node:stream';
import type { FastifyRequest } from 'fastify';
import { fault } from '../../core/errors/index.ts';
import type { Api } from '../../core/http/index.ts';
import { type ChunkIndex, validateChunkIndex } from '../../ipa/index.ts';
import type { ImageDesk } from '../index.ts';
import type { ImageManifest } from '../model.ts';
import { text } from './fields.ts';
import { imageView } from './view.ts';

/** An index of a 100 GB image is some 10 MB of JSON, and the largest that an agent reads has 64 MiB. */
const registrationLimit = 65 * 1024 * 1024;
const manifestLimit = 1024 * 1024;

export function chunkRoutes(api: Api, { images }: ImageDesk): void {
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

/** Registered where bodies stay streams (data.ts). */
export function objectRoutes(api: Api, { images }: ImageDesk): void {
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
