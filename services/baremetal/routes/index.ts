/** Ironic v1, mounted at the service's prefix. Every route is also there without /v1, as with Ironic. */
import type { Api } from '../../core/http/index.ts';
import type { Rooms } from '../index.ts';
import { ramdiskRoutes } from './agent.ts';
import { letIn, speakIronic } from './dialect.ts';
import { versionRoutes } from './versions.ts';

export async function allRoutes(api: Api, rooms: Rooms): Promise<void> {
  speakIronic(api, { fallback: true });
  versionRoutes(api, rooms);
  ramdiskRoutes(api, rooms);
  await api.register(async (inner) => {
    const closed = inner as unknown as Api;
    letIn(closed, rooms.deps);
  });
}
