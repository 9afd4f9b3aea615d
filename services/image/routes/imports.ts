/** Glance's interoperable import: how, its tasks, and what a project uses. */
import { fault } from '../../core/errors/index.ts';
import type { Api } from '../../core/http/index.ts';
import { subject } from '../ground.ts';
import type { ImageDesk, ImportMethod } from '../index.ts';
import { usage } from '../store/images.ts';
import { exactly } from './exactly.ts';
import { seconds } from './view.ts';

type ById = { Params: { id: string } };

export const importMethods = ['glance-direct', 'web-download'] as const;
const mib = 1024 * 1024;

export function importRoutes(api: Api, desk: ImageDesk): void {
  const { images, house, limits } = desk;
  api.get('/info/import', async () => ({
    'import-methods': { description: 'Import methods available.', type: 'array', value: importMethods },
  }));
  api.get('/info/stores', async () => ({ stores: [{ id: 'undercloud', default: 'true' }] }));
  api.get('/info/usage', async (request) => {
    const used = await usage(house.db, request.context.projectId ?? '');
    const bytes = { usage: Math.ceil(used.bytes / mib), limit: inMib(limits?.projectBytes) };
    return {
      usage: {
        image_size_total: bytes,
        image_stage_total: { usage: 0, limit: bytes.limit },
        image_count_total: { usage: used.images, limit: limits?.projectImages ?? -1 },
        image_count_uploading: { usage: used.uploading, limit: -1 },
      },
    };
  });
  api.post<ById & { Body: { method?: { name?: unknown; uri?: unknown } } }>(
    '/images/:id/import',
    async (request, reply) => {
      const { id } = await exactly(desk, request);
      await images.import(request.context, id, methodOf(id, request.body?.method));
      return reply.status(202).send();
    },
  );
  api.get<ById>('/images/:id/tasks', async (request) => {
    const image = await exactly(desk, request);
    const last = await house.operations.last(subject(image.id));
    if (!last) return { tasks: [] };
    return {
      tasks: [
        {
          id: last.id,
          type: last.kind === 'image.import' ? 'api_image_import' : 'image_convert',
          status: taskStatus[last.state] ?? 'processing',
          image_id: image.id,
          owner: image.owner,
          message: last.error?.sentence ?? '',
          created_at: seconds(last.created_at),
          updated_at: seconds(last.updated_at),
          schema: '/v2/schemas/task',
        },
      ],
    };
  });
  /** Ours: bytes that no image names. GET counts them, DELETE removes them. */
  const collect = (dryRun: boolean) => async (request: { context: { roles: readonly string[] } }) => {
    if (!request.context.roles.includes('admin'))
      throw fault('forbidden', { action: 'collect_images', roles: 'admin' });
    return images.collect({ dryRun });
  };
  api.get('/unused', collect(true));
  api.delete('/unused', collect(false));
}

const inMib = (bytes: number | undefined): number => (bytes === undefined ? -1 : Math.floor(bytes / mib));

const taskStatus: Readonly<Record<string, string>> = {
  running: 'processing',
  undoing: 'processing',
  succeeded: 'success',
  failed: 'failure',
};

function methodOf(id: string, method: { name?: unknown; uri?: unknown } | undefined): ImportMethod {
  const refuse = (reason: string) => fault('image-import-refused', { id, method: String(method?.name), reason });
  if (method?.name === 'glance-direct') return { name: 'glance-direct' };
  if (method?.name !== 'web-download') throw refuse(`the methods are ${importMethods.join(' and ')}.`);
  if (typeof method.uri !== 'string') throw refuse('it needs a uri.');
  return { name: 'web-download', uri: method.uri };
}
