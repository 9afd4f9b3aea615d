/**
 * Metadata definitions: Glance's catalogue of what properties mean, for dashboards. None are kept, and images take any property without;
 * lists are empty, so that clients which show them go on, and everything else is refused with the reason.
 */
import { fault } from '../../core/errors/index.ts';
import type { Api } from '../../core/http/index.ts';
import { listOf } from './schemas.ts';

const text = { type: 'string' };
/** What clients check their lists with, although there is nothing in these. */
const schemas = {
  namespace: {
    namespace: text,
    display_name: text,
    description: text,
    visibility: text,
    protected: { type: 'boolean' },
    owner: text,
  },
  resource_type: { name: text, prefix: text, properties_target: text },
  object: { name: text, description: text, properties: { type: 'object' } },
  property: { name: text, title: text, description: text, type: text },
  tag: { name: text },
} as const;

export function metadefRoutes(api: Api): void {
  api.get('/metadefs/namespaces', async () => ({
    namespaces: [],
    first: '/v2/metadefs/namespaces',
    schema: '/v2/schemas/metadefs/namespaces',
  }));
  api.get('/metadefs/resource_types', async () => ({ resource_types: [] }));
  for (const [name, properties] of Object.entries(schemas)) {
    const schema = { name, properties };
    const all = name === 'property' ? 'properties' : `${name}s`;
    api.get(`/schemas/metadefs/${name}`, async () => schema);
    api.get(`/schemas/metadefs/${all}`, async () => listOf(all, schema));
  }
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
