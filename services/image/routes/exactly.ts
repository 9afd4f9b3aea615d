import type { FastifyRequest } from 'fastify';
import { fault } from '../../core/errors/index.ts';
import type { ImageDesk } from '../index.ts';
import type { Image } from '../model.ts';

/** Glance knows images by id alone; names are the client's business. @throws Fault `image-not-found` */
export async function exactly(desk: ImageDesk, request: FastifyRequest): Promise<Image> {
  const { id } = request.params as { id: string };
  const image = await desk.images.find(request.context, id);
  if (image.id !== id) throw fault('image-not-found', { id });
  return image;
}
