/** /drivers and /conductors: what there is to choose from, read from the table. */
import type { FastifyRequest } from 'fastify';
import { fault } from '../../core/errors/index.ts';
import type { Api } from '../../core/http/index.ts';
import { type HardwareType, hardwareTypesThere } from '../drivers.ts';
import type { Rooms } from '../index.ts';
import { baseOf, linksOf, refuse, requireMinor, requireRoute, truth } from './dialect.ts';
import { queryOf, requireKnown } from './paging.ts';

/** Kinds of interface by the version that brought them. */
const kinds = [
  ['network', 30],
  ['deploy', 30],
  ['rescue', 38],
  ['vendor', 30],
  ['boot', 30],
  ['bios', 40],
  ['power', 30],
  ['inspect', 30],
  ['raid', 30],
  ['storage', 33],
  ['management', 30],
  ['firmware', 86],
  ['console', 30],
] as const;

export function driverRoutes(api: Api, rooms: Rooms, v: string): void {
  const { hostname } = rooms.ground;
  const startedAt = new Date().toISOString().replace('Z', '+00:00');

  function view(request: FastifyRequest, type: HardwareType, detail: boolean): Record<string, unknown> {
    const base = baseOf(rooms, request);
    const shown: Record<string, unknown> = {
      name: type.name,
      hosts: [hostname],
      links: linksOf(base, `drivers/${type.name}`),
    };
    if (request.ironicMinor >= 14) shown.properties = linksOf(base, `drivers/${type.name}/properties`);
    if (request.ironicMinor >= 30) shown.type = 'dynamic';
    if (detail)
      for (const [kind, since] of kinds) {
        if (request.ironicMinor < since) continue;
        shown[`default_${kind}_interface`] = type.interfaces[kind][0];
        shown[`enabled_${kind}_interfaces`] = type.interfaces[kind];
      }
    return shown;
  }

  const found = (request: FastifyRequest): HardwareType => {
    const { driver } = request.params as { driver: string };
    const type = hardwareTypesThere.find(({ name }) => name === driver);
    if (!type) throw fault('driver-not-found', { driver });
    return type;
  };

  api.get(`${v}/drivers`, async (request) => {
    const query = queryOf(request);
    requireKnown(query, ['type', 'detail', 'fields']);
    if (query.type !== undefined || query.detail !== undefined) requireMinor(request, 30);
    if (query.type !== undefined && query.type !== 'dynamic' && query.type !== 'classic')
      throw refuse(`"type" filter must be one of "classic" or "dynamic", if specified.`);
    const names = query.fields?.split(',');
    const detail = query.detail !== undefined && truth(query.detail, 'detail');
    const types = query.type === 'classic' ? [] : hardwareTypesThere;
    return {
      drivers: types.map((type) => {
        const whole = view(request, type, detail || names !== undefined);
        if (!names) return whole;
        return Object.fromEntries(Object.entries(whole).filter(([name]) => name === 'links' || names.includes(name)));
      }),
    };
  });
  api.get(`${v}/drivers/:driver`, async (request) => view(request, found(request), request.ironicMinor >= 30));
  api.get(`${v}/drivers/:driver/properties`, async (request) =>
    Object.fromEntries(Object.entries(found(request).properties).map(([name, { text }]) => [name, text])),
  );
  api.get(`${v}/drivers/:driver/vendor_passthru/methods`, async (request) => {
    found(request);
    return {};
  });
  api.get(`${v}/drivers/:driver/raid/logical_disk_properties`, async (request) => {
    requireMinor(request, 12, false);
    throw fault('node-unsupported', { driver: found(request).name, extension: 'raid' });
  });

  const conductor = (request: FastifyRequest, detail: boolean) => ({
    hostname,
    conductor_group: '',
    alive: true,
    links: linksOf(baseOf(rooms, request), `conductors/${hostname}`),
    ...(detail && { drivers: hardwareTypesThere.map(({ name }) => name), created_at: startedAt, updated_at: null }),
  });
  api.get(`${v}/conductors`, async (request) => {
    requireRoute(request, 49);
    const { detail } = queryOf(request);
    return { conductors: [conductor(request, detail !== undefined && truth(detail, 'detail'))] };
  });
  api.get(`${v}/conductors/:host`, async (request) => {
    requireRoute(request, 49);
    const { host } = request.params as { host: string };
    if (host !== hostname) throw Object.assign(refuse(`Conductor ${host} could not be found.`), { status: 404 });
    return conductor(request, true);
  });
}
