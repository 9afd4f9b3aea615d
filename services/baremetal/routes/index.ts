/** Ironic v1, mounted at the service's prefix. Every route is also there without /v1, as with Ironic. */
import { fault } from '../../core/errors/index.ts';
import type { Api } from '../../core/http/index.ts';
import type { Rooms } from '../index.ts';
import { ramdiskRoutes } from './agent.ts';
import { bmcEventRoutes, bmcRoutes } from './bmc.ts';
import { consoleRoutes, consoleSocket } from './console.ts';
import { letIn, requireRoute, speakIronic } from './dialect.ts';
import { driverRoutes } from './drivers.ts';
import { managementRoutes } from './management.ts';
import { nodeRoutes } from './nodes.ts';
import { ownRoutes } from './ours.ts';
import { portRoutes } from './ports.ts';
import { stateRoutes } from './states.ts';
import { versionRoutes } from './versions.ts';

/** Collections that clients list and this release has nothing in, by the version that brought them. */
const empty: readonly [path: string, key: string, since: number][] = [
  ['chassis', 'chassis', 1],
  ['chassis/detail', 'chassis', 1],
  ['portgroups', 'portgroups', 23],
  ['portgroups/detail', 'portgroups', 23],
  ['allocations', 'allocations', 52],
  ['deploy_templates', 'deploy_templates', 55],
  ['volume/connectors', 'connectors', 32],
  ['volume/targets', 'targets', 32],
  ['runbooks', 'runbooks', 92],
];

export async function allRoutes(api: Api, rooms: Rooms): Promise<void> {
  speakIronic(api, { fallback: true });
  versionRoutes(api, rooms);
  ramdiskRoutes(api, rooms);
  bmcEventRoutes(api, rooms);
  await api.register(async (inner) => consoleSocket(inner as unknown as Api, rooms));
  await api.register(async (inner) => {
    const closed = inner as unknown as Api;
    letIn(closed, rooms.deps);
    for (const v of ['', '/v1']) {
      nodeRoutes(closed, rooms, v);
      stateRoutes(closed, rooms, v);
      portRoutes(closed, rooms, v);
      managementRoutes(closed, rooms, v);
      driverRoutes(closed, rooms, v);
      ownRoutes(closed, rooms, v);
      bmcRoutes(closed, rooms, v);
      consoleRoutes(closed, rooms, v);
      for (const [path, key, since] of empty)
        closed.get(`${v}/${path}`, async (request) => {
          requireRoute(request, since);
          return { [key]: [] };
        });
      // A node's sub-resource that does not exist is a field that does not exist, as with Ironic.
      closed.get(`${v}/nodes/:node/:field`, async (request) => {
        const { field } = request.params as { field: string };
        throw fault('bad-request', { reason: `Field ${field} is not a valid field.` });
      });
    }
  });
}
