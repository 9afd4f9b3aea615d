/** / and /v1: what clients discover the service by. gophercloud wants exactly one entry in `versions`. */
import type { FastifyRequest } from 'fastify';
import type { Api } from '../../core/http/index.ts';
import type { Rooms } from '../index.ts';
import { maxVersion, minVersion } from '../versions.ts';
import { baseOf, linksOf } from './dialect.ts';

/** Collections by the version that brought them; only those that this release serves. */
const collections: readonly [name: string, minor: number][] = [
  ['nodes', 1],
  ['ports', 1],
  ['drivers', 1],
  ['lookup', 22],
  ['heartbeat', 22],
  ['conductors', 49],
  ['shards', 82],
  ['continue_inspection', 84],
];

export function versionRoutes(api: Api, rooms: Rooms): void {
  const version = (base: string) => ({
    id: 'v1',
    links: [{ href: `${base}/v1/`, rel: 'self' }],
    status: 'CURRENT',
    min_version: minVersion,
    version: maxVersion,
  });
  const v1 = async (request: FastifyRequest) => {
    const base = baseOf(rooms, request);
    const links: Record<string, unknown> = {};
    for (const [name, minor] of collections) if (request.ironicMinor >= minor) links[name] = linksOf(base, `${name}/`);
    return {
      id: 'v1',
      links: [{ href: `${base}/v1/`, rel: 'self' }],
      media_types: { base: 'application/json', type: 'application/vnd.openstack.ironic.v1+json' },
      ...links,
      version: version(base),
    };
  };
  api.get('/', async (request) => {
    const base = baseOf(rooms, request);
    return {
      name: 'OpenStack Ironic API',
      description: 'Undercloud speaks the bare metal API of OpenStack Ironic.',
      default_version: version(base),
      versions: [version(base)],
    };
  });
  api.get('/v1', v1);
}
