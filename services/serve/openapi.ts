/** OpenAPI from the routes' own schemas; `docs/reference/openapi.json` is its golden copy (openapi.test.ts). */
import { readFileSync } from 'node:fs';
import swagger from '@fastify/swagger';
import type { Api } from '../core/http/index.ts';

export const version = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
).version;

/** Whose dialect is spoken under each prefix. */
const dialects: Readonly<Record<string, string>> = {
  identity: 'Keystone v3: projects, users, roles, tokens, catalog',
  baremetal: 'Ironic v1: nodes and their states',
  image: 'Glance v2: image records and their bytes',
  network: 'Neutron v2.0: networks, subnets, ports',
  compute: 'Nova v2.1: servers, flavors, keypairs',
  orchestration: 'Heat v1: stacks, resources, events, software deployments',
  boot: 'Our own: discovered machines, scans for BMCs, foreign DHCP servers, captures',
  object: 'Swift: small containers and objects; temporary URLs for agents: metadata and signals of one resource',
  cfn: 'CloudFormation, as far as metadata and signals need it',
};

/** Before the routes are mounted: it sees those that come after it. */
export async function describeApi(api: Api): Promise<void> {
  await api.register(swagger, {
    openapi: {
      info: {
        title: 'Undercloud',
        version,
        description:
          'The APIs of one appliance, each under its prefix. All but the version documents and logins need a token.',
      },
      tags: Object.entries(dialects).map(([name, description]) => ({ name, description })),
      components: { securitySchemes: { token: { type: 'apiKey', in: 'header', name: 'X-Auth-Token' } } },
      security: [{ token: [] }],
    },
    transform: ({ schema, url }) => {
      const tag = url.split('/')[1] ?? '';
      return { schema: { ...schema, ...(tag in dialects && { tags: [tag] }) }, url };
    },
  });
  api.get('/openapi.json', { schema: { hide: true } }, async () => api.swagger());
}
