/** Neutron v2.0 over HTTP: shapes and status codes. Mounted at /network; serves versions at / and /v2.0. */
import type { FastifyRequest } from 'fastify';
import { fault } from '../core/errors/index.ts';
import {
  type Api,
  type Authenticate,
  baseUrl,
  errorsAs,
  type Routes,
  requireToken,
  requireWriter,
} from '../core/http/index.ts';
import { collection, required } from './collection.ts';
import { networkNoun, portNoun, subnetNoun } from './dialect.ts';
import { emptyCollections, errorTypes, extensions } from './extensions.ts';
import type { NetworkFields, PortFields, SubnetFields } from './model.ts';
import type { createNetworks } from './networks.ts';
import type { Ports } from './ports.ts';
import { type RecordRules, recordRoutes } from './record-routes.ts';
import { invalid } from './scope.ts';
import type { createSubnets } from './subnets.ts';

interface Deps extends RecordRules {
  readonly networks: ReturnType<typeof createNetworks>;
  readonly subnets: ReturnType<typeof createSubnets>;
  readonly ports: Ports;
  readonly authenticate: Authenticate;
  readonly publicUrl?: string;
}

const routesNothing = ': it routes nothing, the gateways of its networks are routers and switches of the site';
/** What to do without them. */
const absent: Readonly<Record<string, string>> = { routers: routesNothing, floatingips: routesNothing };

export function createRoutes(deps: Deps): Routes {
  const { networks, subnets, ports } = deps;
  return async (api) => {
    api.setErrorHandler(
      errorsAs((error) => ({
        NeutronError: { type: errorTypes[error.code] ?? 'HTTPInternalServerError', message: error.message, detail: '' },
      })),
    );
    api.setNotFoundHandler((request) => {
      throw fault('not-found', { what: `The resource ${request.url.split('?')[0]}` });
    });
    const link = (request: FastifyRequest) => baseUrl(request, '/network/v2.0', deps.publicUrl);
    api.get('/', async (request) => ({
      versions: [{ id: 'v2.0', status: 'CURRENT', links: [{ href: `${link(request)}/`, rel: 'self' }] }],
    }));
    api.get('/v2.0', async (request) => ({
      resources: [
        ...['network', 'subnet', 'port', 'security-group', 'security-group-rule', 'segment', 'trunk', 'extension'].map(
          (name) => `${name}s`,
        ),
      ].map((name) => ({
        name: name.slice(0, -1),
        collection: name,
        links: [{ href: `${link(request)}/${name}`, rel: 'self' }],
      })),
    }));
    await api.register(
      async (v2) => {
        const inner = v2 as unknown as Api;
        inner.addHook('onRequest', requireToken(deps.authenticate));
        inner.addHook('onRequest', requireWriter);
        collection(inner, networkNoun, {
          ...networks,
          create: (context, fields) => networks.create(context, fields as NetworkFields),
        });
        collection(inner, subnetNoun, {
          ...subnets,
          create: (context, fields) =>
            subnets.create(context, required(subnetNoun, fields, ['networkId', 'cidr']) as SubnetFields),
        });
        collection(inner, portNoun, {
          ...ports,
          create: (context, fields) => ports.create(context, required(portNoun, fields, ['networkId']) as PortFields),
        });
        recordRoutes(inner, deps);
        inner.get('/extensions', async () => ({ extensions }));
        inner.get<{ Params: { alias: string } }>('/extensions/:alias', async (request) => {
          const extension = extensions.find((one) => one.alias === request.params.alias);
          if (!extension) throw fault('not-found', { what: `Extension ${request.params.alias}` });
          return { extension };
        });
        for (const [path, name] of Object.entries(emptyCollections)) {
          inner.get(path, async () => ({ [name]: [] }));
          inner.get<{ Params: { id: string } }>(`${path}/:id`, async (request) => {
            throw fault('not-found', { what: `${name}: ${request.params.id}` });
          });
          inner.post(path, async () => {
            throw invalid(
              name,
              `this undercloud serves bare metal on flat and VLAN networks and has none of these${absent[name] ?? ''}`,
            );
          });
        }
      },
      { prefix: '/v2.0' },
    );
  };
}
