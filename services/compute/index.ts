/** Compute's front door: servers are images on nodes for tenants (Nova v2.1), and what they are told about themselves. */
import { randomUUID } from 'node:crypto';
import { type Context, systemContext } from '../core/context.ts';
import type { Tx } from '../core/database/index.ts';
import { fault } from '../core/errors/index.ts';
import type { House } from '../core/house.ts';
import type { Authenticate, Routes } from '../core/http/index.ts';
import type { Activity } from '../core/operations/index.ts';
import { type ComputeDeps, createDesk, userDataOwner } from './desk.ts';
import { createFlavors, type Flavors } from './flavors.ts';
import { asksForKexec } from './hand-over.ts';
import { createKeypairs, type Keypairs } from './keypairs.ts';
import { metadataRoutes } from './metadata-routes.ts';
import {
  type ComputeImage,
  type Flavor,
  type NetworkWish,
  type NewServer,
  type Rebuild,
  type Server,
  serverSubject,
} from './model.ts';
import { buildOperation } from './operations/build.ts';
import { deleteOperation } from './operations/delete.ts';
import { rebuildOperation } from './operations/rebuild.ts';
import { computeRoutes } from './routes.ts';
import { createServerGroups, type ServerGroups } from './server-groups.ts';
import * as store from './store.ts';
import { demandTest } from './tested-image.ts';

export type { ComputeDeps } from './desk.ts';
export type {
  ComputeImage,
  ComputeImages,
  Flavor,
  NetworkWish,
  NewServer,
  Rebuild,
  Server,
  ServerStatus,
} from './model.ts';
export { serverSubject } from './model.ts';

export interface Compute {
  readonly routes: Routes;
  /** For the listener on 169.254.169.254, unprefixed. */
  readonly metadataRoutes: Routes;
  /** Checks everything that can be checked now, then starts the build. Joins the caller's transaction when given one. */
  createServer(context: Context, wanted: NewServer, tx?: Tx): Promise<Server>;
  /** Starts to write another image to its node. Joins the caller's transaction when given one. @throws Fault `server-state-forbids` */
  rebuildServer(context: Context, id: string, wanted: Rebuild, tx?: Tx): Promise<Server>;
  /** Starts the deletion; a build under way is ended first. Deleting what is gone already is no error for `ifThere`. */
  deleteServer(context: Context, id: string, options?: { ifThere?: boolean }): Promise<void>;
  /** By id, or by name within the project. @throws Fault `server-not-found`, `server-ambiguous` */
  findServer(context: Context, idOrName: string): Promise<Server>;
  listServers(context: Context, filters?: Partial<store.ServerFilters> & { allProjects?: boolean }): Promise<Server[]>;
  /** Addresses by network name. */
  addresses(
    context: Context,
    server: Server,
  ): Promise<Record<string, { ip: string; mac: string; version: 4 | 6; port: string }[]>>;
  activity(serverId: string): Promise<Activity | null>;
  /** Servers that were made from the image and are not gone. */
  serversOf(imageId: string): Promise<Server[]>;
  flavor(idOrName: string): Promise<Flavor>;
  readonly flavors: Flavors;
  readonly keypairs: Keypairs;
  readonly serverGroups: ServerGroups;
  setPower(
    context: Context,
    id: string,
    target: 'power on' | 'power off' | 'rebooting' | 'soft rebooting',
  ): Promise<void>;
  start(): Promise<void>;
  stop(): void;
}

const rebuildable: ReadonlySet<string> = new Set(['ACTIVE', 'SHUTOFF', 'ERROR']);

/** Nova's limit is on the base64 form; the same bytes opened. */
const mostUserData = 65_535;

export function createCompute(house: House, deps: ComputeDeps & { authenticate: Authenticate }): Compute {
  const desk = createDesk(house, deps);
  const { db, operations, recorder, secrets } = house;
  const build = buildOperation(desk);
  const rebuild = rebuildOperation(desk);
  const remove = deleteOperation(desk);
  operations.register(build);
  operations.register(rebuild);
  operations.register(remove);
  let leave = () => {};

  async function wishes(context: Context, wanted: NewServer): Promise<NetworkWish[]> {
    if (!wanted.networks?.length) {
      const own = await deps.network.provisioning();
      if (!own) throw fault('no-provisioning-network', { name: wanted.name });
      return [{ network: own.network.id }];
    }
    const found: NetworkWish[] = [];
    for (const wish of wanted.networks) {
      if (wish.port) found.push({ port: (await deps.network.findPort(context, wish.port)).id });
      else {
        const network = (await deps.network.findNetwork(context, wish.network ?? '')).id;
        found.push({ network, ...(wish.fixedIp && { fixedIp: wish.fixedIp }) });
      }
    }
    return found;
  }

  async function readyImage(context: Context, idOrName: string): Promise<ComputeImage> {
    const image = await deps.images.find(context, idOrName);
    if (image.status !== 'active') throw fault('image-not-ready', { id: image.name ?? image.id, status: image.status });
    return image;
  }

  async function startDelete(server: Server): Promise<void> {
    const context = { ...systemContext(), projectId: server.project_id, userId: server.user_id };
    await db.transaction((tx) =>
      operations.start(tx, remove, { subject: serverSubject(server.id), params: { server: server.id }, context }),
    );
  }

  const compute: Compute = {
    flavors: createFlavors(db),
    keypairs: createKeypairs(db),
    serverGroups: createServerGroups(db),
    routes: (api) => computeRoutes(desk, compute, deps.authenticate)(api),
    metadataRoutes: metadataRoutes(desk),
    async createServer(context, wanted, outer) {
      const image = await readyImage(context, wanted.image);
      const flavor = await compute.flavor(wanted.flavor);
      const networks = await wishes(context, wanted);
      const key = wanted.keyName
        ? (await store.keypairs(db, context.userId ?? '')).find((one) => one.name === wanted.keyName)
        : undefined;
      if (wanted.keyName && !key) throw fault('keypair-not-found', { name: wanted.keyName });
      if (wanted.hints?.group) await compute.serverGroups.find(context, wanted.hints.group);
      const size = Buffer.byteLength(wanted.userData ?? '');
      if (size > mostUserData) throw fault('user-data-too-large', { name: wanted.name, size, most: mostUserData });
      // Asked again when the image is handed over; here what nobody understands is refused.
      const asked = { name: wanted.name, hints: wanted.hints ?? {}, specs: flavor.extra_specs };
      asksForKexec(asked);
      demandTest({ ...asked, image });
      const id = randomUUID();
      const row: store.NewRow = {
        id,
        project_id: context.projectId ?? '',
        user_id: context.userId ?? '',
        name: wanted.name,
        description: wanted.description ?? null,
        image_id: image.id,
        flavor_id: flavor.id,
        flavor,
        status: 'BUILD',
        task_state: 'scheduling',
        key_name: key?.name ?? null,
        public_key: key?.public_key ?? null,
        metadata: wanted.metadata ?? {},
        user_data: wanted.userData === undefined ? null : secrets.seal(wanted.userData, userDataOwner(id)),
        config_drive: wanted.configDrive ?? true,
        networks,
        hints: wanted.hints ?? {},
        tags: wanted.tags ?? [],
      };
      const write = async (tx: Tx) => {
        await store.insertServer(tx, row);
        await recorder.append(tx, 'server.created', serverSubject(id), {
          name: row.name,
          image: image.name ?? image.id,
          flavor: flavor.name,
        });
        await operations.start(tx, build, { subject: serverSubject(id), params: { server: id }, context });
        return (await store.server(tx, id)) as Server;
      };
      return outer ? write(outer) : db.transaction(write);
    },
    async rebuildServer(context, idOrName, { image: wanted, preserveEphemeral = false, ...more }, outer) {
      const image = await readyImage(context, wanted);
      const server = await compute.findServer(context, idOrName);
      if (!server.node_id || server.task_state !== null || !rebuildable.has(server.status))
        throw fault('server-state-forbids', { action: 'rebuild', id: server.id, state: server.status.toLowerCase() });
      demandTest({ name: more.name ?? server.name, hints: server.hints, specs: server.flavor.extra_specs, image });
      const params = { server: server.id, preserveEphemeral };
      const write = async (tx: Tx) => {
        await desk.setStatus(tx, server, 'REBUILD', 'rebuilding', { ...more, image_id: image.id, fault: null });
        await operations.start(tx, rebuild, { subject: serverSubject(server.id), params, context });
        return (await store.server(tx, server.id)) as Server;
      };
      return outer ? write(outer) : db.transaction(write);
    },
    async deleteServer(context, idOrName, { ifThere = false } = {}) {
      const server = await compute.findServer(context, idOrName).catch((error) => {
        if (ifThere && error.code === 'server-not-found') return null;
        throw error;
      });
      if (!server) return;
      await db.transaction((tx) => desk.setStatus(tx, server, server.status, 'deleting'));
      const running = await operations.activity(serverSubject(server.id));
      if (!running) return startDelete(server);
      // A build or a rebuild ends first; `server.status` with task `deleting` from its end starts the deletion (see start()).
      if (running.kind !== remove.kind)
        await operations.cancel(serverSubject(server.id), 'the server is to be deleted');
    },
    async findServer(context, idOrName) {
      const admin = context.roles.includes('admin');
      const byId = /^[0-9a-f-]{36}$/.test(idOrName) ? await store.server(db, idOrName) : undefined;
      if (byId && !byId.deleted_at && (admin || byId.project_id === context.projectId)) return byId;
      const named = (await store.servers(db, { projectId: context.projectId, name: idOrName })).filter(
        (row) => row.name === idOrName,
      );
      if (named.length > 1) throw fault('server-ambiguous', { name: idOrName });
      if (!named[0]) throw fault('server-not-found', { id: idOrName });
      return named[0];
    },
    listServers: (context, { allProjects, ...filters } = {}) =>
      store.servers(db, {
        ...filters,
        projectId: allProjects && context.roles.includes('admin') ? null : context.projectId,
      }),
    async addresses(context, server) {
      const found: Record<string, { ip: string; mac: string; version: 4 | 6; port: string }[]> = {};
      for (const port of await deps.network.portsOf(server.id)) {
        const name = (await deps.network.findNetwork(context, port.networkId)).name;
        found[name] ??= [];
        for (const { ipAddress } of port.fixedIps) {
          found[name].push({
            ip: ipAddress,
            mac: port.macAddress,
            version: ipAddress.includes(':') ? 6 : 4,
            port: port.id,
          });
        }
      }
      return found;
    },
    activity: (serverId) => operations.activity(serverSubject(serverId)),
    serversOf: (imageId) => store.serversOf(db, imageId),
    flavor: (key) => compute.flavors.find(key),
    async setPower(context, id, target) {
      const server = await compute.findServer(context, id);
      if (!server.node_id || (server.status !== 'ACTIVE' && server.status !== 'SHUTOFF')) {
        throw fault('server-state-forbids', { action: target, id, state: server.status.toLowerCase() });
      }
      await deps.baremetal.setPower(context, server.node_id, target);
      const status = target === 'power off' ? 'SHUTOFF' : 'ACTIVE';
      if (status !== server.status) await db.transaction((tx) => desk.setStatus(tx, server, status, null));
    },
    async start() {
      leave = recorder.subscribe((event) => {
        // Whatever happens to a node may be what its server waits for.
        if (
          event.subject.type === 'node' &&
          (event.kind === 'node.provision-state' ||
            event.kind === 'operation.waiting' ||
            event.kind === 'operation.failed')
        ) {
          store
            .serverOfNode(db, event.subject.id)
            .then((server) => server && operations.wake(serverSubject(server.id)))
            .catch(() => {});
        }
        if (event.subject.type === 'server' && event.kind === 'operation.failed') {
          store
            .server(db, event.subject.id)
            .then((server) =>
              server?.task_state === 'deleting' && !server.deleted_at ? startDelete(server) : undefined,
            )
            .catch(() => {});
        }
      });
      // A process that died between the end of a build and the start of its deletion left this behind.
      for (const server of await store.servers(db, { projectId: null })) {
        if (server.task_state === 'deleting' && !(await operations.activity(serverSubject(server.id))))
          await startDelete(server);
      }
    },
    stop: () => leave(),
  };
  return compute;
}
