/**
 * Metadata definitions: Glance's catalogue of what properties mean, for dashboards. None are kept, and images take any property without;
 * lists are empty, so that clients which show them go on, and everything else is refused with the reason.
 */
import { fault } from '../../core/errors/index.ts';
import type { Api } from '../../core/http/index.ts';

export function metadefRoutes(api: Api): void {
  api.get('/metadefs/namespaces', async () => ({
    namespaces: [],
    first: '/v2/metadefs/namespaces',
    schema: '/v2/schemas/metadefs/namespaces',
  }));
  api.get('/metadefs/resource_types', async () => ({ resource_types: [] }));
  api.route({
    method: ['GET', 'POST', 'PUT', 'DELETE'],
    url: '/metadefs/*',
    async handler(request) {
      const [, name] = /\/metadefs\/namespaces\/([^/?]+)/.exec(request.url) ?? [];
      if (request.method === 'GET' && name !== undefined) throw fault('not-found', { what: `namespace ${name}` });
      throw fault('image-no-metadefs');
    },
  });
  api.post('/metadefs/namespaces', async () => {
    throw fault('image-no-metadefs');
  });
}
