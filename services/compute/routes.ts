/** Nova v2.1 over HTTP: the parts that bare metal needs. */
import { createHash } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import Type from 'typebox';
import Value from 'typebox/value';
import { isAdmin } from '../core/context.ts';
import { type Fault, fault } from '../core/errors/index.ts';
import {
  type Api,
  type Authenticate,
  baseUrl,
  errorsAs,
  type Routes,
  requireToken,
  requireWriter,
} from '../core/http/index.ts';
import type { Desk } from './desk.ts';
import { flavorRoutes } from './flavor-routes.ts';
import type { Compute } from './index.ts';
import { keypairRoutes } from './keypair-routes.ts';
import type { Server } from './model.ts';
import { serverGroupRoutes } from './server-group-routes.ts';

/** Nova's names of its error bodies by status. */
const bodies: Record<number, string> = {
  400: 'badRequest',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'itemNotFound',
  409: 'conflictingRequest',
  413: 'overLimit',
  429: 'overLimit',
};
const novaError = (error: Fault) => ({
  [bodies[error.status] ?? 'computeFault']: { code: error.status, message: error.message },
});

/** Nova takes any value; those that are no texts mean nothing here. */
const hintsOf = (hints: Record<string, unknown> = {}): Record<string, string> =>
  Object.fromEntries(Object.entries(hints).filter((entry): entry is [string, string] => typeof entry[1] === 'string'));

const RebuildBody = Type.Object({
  imageRef: Type.String(),
  name: Type.Optional(Type.String({ minLength: 1, maxLength: 255 })),
  metadata: Type.Optional(Type.Record(Type.String(), Type.String())),
  preserve_ephemeral: Type.Optional(Type.Boolean()),
});
const NetworkRef = Type.Object({
  uuid: Type.Optional(Type.String()),
  port: Type.Optional(Type.String()),
  fixed_ip: Type.Optional(Type.String()),
  tag: Type.Optional(Type.String()),
});
const NewServer = Type.Object({
  server: Type.Object({
    name: Type.String({ minLength: 1, maxLength: 255 }),
    imageRef: Type.String(),
    flavorRef: Type.String(),
    networks: Type.Optional(Type.Union([Type.Array(NetworkRef), Type.Literal('auto'), Type.Literal('none')])),
    user_data: Type.Optional(Type.Union([Type.String(), Type.Null()])),
    key_name: Type.Optional(Type.Union([Type.String(), Type.Null()])),
    metadata: Type.Optional(Type.Record(Type.String(), Type.String())),
    config_drive: Type.Optional(Type.Unknown()),
    availability_zone: Type.Optional(Type.String()),
    min_count: Type.Optional(Type.Unknown()),
    max_count: Type.Optional(Type.Unknown()),
  }),
  'os:scheduler_hints': Type.Optional(Type.Record(Type.String(), Type.Unknown())),
});

export function computeRoutes(desk: Desk, compute: Compute, authenticate: Authenticate): Routes {
  const base = (request: FastifyRequest) => baseUrl(request, '/compute/v2.1', desk.publicUrl);
  const version = (request: FastifyRequest) => ({
    id: 'v2.1',
    status: 'CURRENT',
    version: '2.1',
    min_version: '2.1',
    updated: '2013-07-23T11:33:21Z',
    links: [{ rel: 'self', href: `${base(request)}/` }],
    'media-types': [{ base: 'application/json', type: 'application/vnd.openstack.compute+json;version=2.1' }],
  });
  return async (api) => {
    api.setErrorHandler(errorsAs(novaError));
    api.addHook('onRequest', async (_request, reply) => {
      reply.headers({ 'openstack-api-version': 'compute 2.1', 'x-openstack-nova-api-version': '2.1' });
    });
    api.get('/', async (request) => ({ versions: [version(request)] }));
    api.get('/v2.1', async (request) => ({ version: version(request) }));
    await api.register(
      async (inside: Api) => {
        inside.addHook('onRequest', requireToken(authenticate));
        inside.addHook('onRequest', requireWriter);
        serverRoutes(inside, desk, compute, base);
        flavorRoutes(inside, compute.flavors, base);
        keypairRoutes(inside, compute.keypairs);
        serverGroupRoutes(inside, compute.serverGroups);
        smallRoutes(inside, desk);
      },
      { prefix: '/v2.1' },
    );
  };
}

/** Nova's numbers of power states. */
const powerState = (server: Server): number => (server.status === 'ACTIVE' ? 1 : server.status === 'SHUTOFF' ? 4 : 0);
const vmStates: Record<string, string> = {
  BUILD: 'building',
  // Nova shows the state that it had, and the task `rebuilding`.
  REBUILD: 'active',
  ACTIVE: 'active',
  ERROR: 'error',
  SHUTOFF: 'stopped',
  REBOOT: 'active',
  DELETED: 'deleted',
};

export async function serverView(desk: Desk, compute: Compute, request: FastifyRequest, server: Server, base: string) {
  const addresses = await compute.addresses(request.context, server);
  return {
    id: server.id,
    name: server.name,
    status: server.status,
    tenant_id: server.project_id,
    user_id: server.user_id,
    metadata: server.metadata,
    hostId: server.node_id
      ? createHash('sha224')
          .update(server.project_id + server.node_id)
          .digest('hex')
      : '',
    image: { id: server.image_id, links: [] },
    flavor: { id: server.flavor_id, links: [{ rel: 'bookmark', href: `${base}/flavors/${server.flavor_id}` }] },
    created: novaTime(server.created_at),
    updated: novaTime(server.updated_at),
    addresses: Object.fromEntries(
      Object.entries(addresses).map(([name, list]) => [
        name,
        list.map(({ ip, mac, version }) => ({
          addr: ip,
          version,
          'OS-EXT-IPS:type': 'fixed',
          'OS-EXT-IPS-MAC:mac_addr': mac,
        })),
      ]),
    ),
    accessIPv4: '',
    accessIPv6: '',
    key_name: server.key_name,
    config_drive: server.config_drive ? 'True' : '',
    progress: server.status === 'ACTIVE' ? 100 : 0,
    security_groups: [],
    'os-extended-volumes:volumes_attached': [],
    'OS-DCF:diskConfig': 'MANUAL',
    'OS-EXT-AZ:availability_zone': desk.region,
    'OS-EXT-STS:vm_state': vmStates[server.status],
    'OS-EXT-STS:task_state': server.task_state,
    'OS-EXT-STS:power_state': powerState(server),
    'OS-SRV-USG:launched_at': server.launched_at?.toISOString().replace('Z', '') ?? null,
    'OS-SRV-USG:terminated_at': null,
    ...(isAdmin(request.context) && {
      'OS-EXT-SRV-ATTR:host': server.node_name,
      'OS-EXT-SRV-ATTR:hypervisor_hostname': server.node_id,
      'OS-EXT-SRV-ATTR:instance_name': server.name,
    }),
    ...(server.fault && { fault: server.fault }),
    links: [{ rel: 'self', href: `${base}/servers/${server.id}` }],
  };
}

const novaTime = (date: Date): string => `${date.toISOString().slice(0, 19)}Z`;

function serverRoutes(api: Api, desk: Desk, compute: Compute, baseOf: (request: FastifyRequest) => string): void {
  type ById = { Params: { id: string } };
  type Query = {
    Querystring: { name?: string; status?: string; limit?: number; marker?: string; all_tenants?: string };
  };
  const list = (request: FastifyRequest<Query>) => {
    const { name, status, limit, marker, all_tenants } = request.query;
    return compute.listServers(request.context, {
      allProjects: all_tenants !== undefined && all_tenants !== '0' && all_tenants.toLowerCase() !== 'false',
      ...(name && { name }),
      ...(status && { status }),
      ...(limit && { limit: Math.min(1000, Number(limit)) }),
      ...(marker && { marker }),
    });
  };
  api.get<Query>('/servers', async (request) => ({
    servers: (await list(request)).map((server) => ({
      id: server.id,
      name: server.name,
      links: [{ rel: 'self', href: `${baseOf(request)}/servers/${server.id}` }],
    })),
  }));
  api.get<Query>('/servers/detail', async (request) => {
    const found = await list(request);
    return {
      servers: await Promise.all(found.map((server) => serverView(desk, compute, request, server, baseOf(request)))),
    };
  });
  api.get<ById>('/servers/:id', async (request) => {
    const server = await compute.findServer(request.context, request.params.id);
    return { server: await serverView(desk, compute, request, server, baseOf(request)) };
  });
  /** Ours: what the server waits on, since when, how long that usually takes, and what to do. */
  api.get<ById>('/servers/:id/activity', async (request) => {
    const server = await compute.findServer(request.context, request.params.id);
    return { activity: await compute.activity(server.id) };
  });
  api.post('/servers', { schema: { body: NewServer } }, async (request, reply) => {
    const wanted = request.body.server;
    const networks = Array.isArray(wanted.networks)
      ? wanted.networks.map(({ uuid, port, fixed_ip }) => ({
          ...(uuid && { network: uuid }),
          ...(port && { port }),
          ...(fixed_ip && { fixedIp: fixed_ip }),
        }))
      : [];
    const zone = wanted.availability_zone?.split(':');
    const server = await compute.createServer(request.context, {
      name: wanted.name,
      image: wanted.imageRef,
      flavor: wanted.flavorRef,
      networks,
      ...(wanted.user_data && { userData: Buffer.from(wanted.user_data, 'base64').toString('utf8') }),
      ...(wanted.key_name && { keyName: wanted.key_name }),
      ...(wanted.metadata && { metadata: wanted.metadata }),
      ...(wanted.config_drive !== undefined && { configDrive: /^(true|1|yes)$/i.test(String(wanted.config_drive)) }),
      // `--availability-zone nova::NODE` is how Ironic's users name a node.
      hints: { ...hintsOf(request.body['os:scheduler_hints']), ...(zone?.[2] && { node: zone[2] }) },
    });
    reply.status(202).header('location', `${baseOf(request)}/servers/${server.id}`);
    return {
      server: {
        id: server.id,
        links: [{ rel: 'self', href: `${baseOf(request)}/servers/${server.id}` }],
        'OS-DCF:diskConfig': 'MANUAL',
        security_groups: [],
      },
    };
  });
  api.delete<ById>('/servers/:id', async (request, reply) => {
    await compute.deleteServer(request.context, request.params.id);
    return reply.status(204).send();
  });
  api.post<ById & { Body: Record<string, { type?: string } | null | undefined> }>(
    '/servers/:id/action',
    async (request, reply) => {
      const [name] = Object.keys(request.body ?? {});
      if (name === 'rebuild') {
        const server = await rebuild(request, request.params.id, request.body.rebuild);
        return reply.status(202).send({ server: await serverView(desk, compute, request, server, baseOf(request)) });
      }
      const soft = name === 'reboot' && request.body.reboot?.type === 'SOFT';
      const target = soft ? 'soft rebooting' : powerActions[name ?? ''];
      if (!target) throw fault('bad-request', { reason: `There is no such action: ${name}` });
      await compute.setPower(request.context, request.params.id, target);
      return reply.status(202).send();
    },
  );
  async function rebuild(request: FastifyRequest, id: string, body: unknown): Promise<Server> {
    if (!Value.Check(RebuildBody, body))
      throw fault('bad-request', {
        reason: 'The action rebuild takes imageRef, name, metadata and preserve_ephemeral.',
      });
    const { imageRef, name, metadata, preserve_ephemeral } = body;
    return compute.rebuildServer(request.context, id, {
      image: imageRef,
      ...(preserve_ephemeral !== undefined && { preserveEphemeral: preserve_ephemeral }),
      ...(name !== undefined && { name }),
      ...(metadata && { metadata }),
    });
  }
  api.get<ById>('/servers/:id/os-interface', async (request) => {
    const server = await compute.findServer(request.context, request.params.id);
    return {
      interfaceAttachments: (await desk.network.portsOf(server.id)).map((port) => ({
        port_id: port.id,
        net_id: port.networkId,
        mac_addr: port.macAddress,
        port_state: port.status,
        fixed_ips: port.fixedIps.map((ip) => ({ subnet_id: ip.subnetId, ip_address: ip.ipAddress })),
      })),
    };
  });
}

const powerActions: Record<string, 'power on' | 'power off' | 'rebooting'> = {
  'os-start': 'power on',
  'os-stop': 'power off',
  reboot: 'rebooting',
};

/** Lists that stock clients read before they do anything. */
function smallRoutes(api: Api, desk: Desk): void {
  api.get('/limits', async () => ({
    limits: {
      rate: [],
      absolute: {
        maxTotalInstances: -1,
        maxTotalCores: -1,
        maxTotalRAMSize: -1,
        maxTotalKeypairs: -1,
        maxServerMeta: 128,
        totalInstancesUsed: 0,
        totalCoresUsed: 0,
        totalRAMUsed: 0,
      },
    },
  }));
  api.get('/os-availability-zone', async () => ({
    availabilityZoneInfo: [{ zoneName: desk.region, zoneState: { available: true }, hosts: null }],
  }));
  api.get('/extensions', async () => ({ extensions: [] }));
  api.get('/os-services', async () => ({ services: [] }));
}
