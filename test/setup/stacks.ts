/** A world with orchestration in it, over compute and network that are made of memory: what its tests stand on. */
import { randomUUID } from 'node:crypto';
import { createFlavors } from '../../services/compute/flavors.ts';
import type { Server } from '../../services/compute/index.ts';
import { createKeypairs } from '../../services/compute/keypairs.ts';
import { createServerGroups } from '../../services/compute/server-groups.ts';
import type { Clock } from '../../services/core/clock.ts';
import type { Context } from '../../services/core/context.ts';
import { fault } from '../../services/core/errors/index.ts';
import type { Authenticate } from '../../services/core/http/index.ts';
import { createIdentity } from '../../services/identity/index.ts';
import type { OrchestrationDeps } from '../../services/orchestration/desk.ts';
import { createOrchestration, type Orchestration } from '../../services/orchestration/index.ts';
import type { World } from './world.ts';

/** What is outside the process: it survives the process's deaths. */
export interface Outside {
  readonly servers: Map<string, Server & { readonly userData: string }>;
  readonly networks: Map<string, { id: string; name: string }>;
  /** Nodes that are free; a server takes one, or fails. */
  nodes: number;
}

export const newOutside = (nodes = 5): Outside => ({ servers: new Map(), networks: new Map(), nodes });

export interface Stage {
  readonly orchestration: Orchestration;
  readonly outside: Outside;
  /** What compute's own operation would do after a while. */
  finish(serverId: string, end?: 'ACTIVE' | 'ERROR', message?: string): void;
}

const flavor = {
  id: 'baremetal',
  name: 'baremetal',
  ram: 1,
  vcpus: 1,
  disk: 1,
  description: null,
  is_public: true,
  extra_specs: {},
};

export function stage(
  world: World,
  options: {
    outside?: Outside;
    probe?: OrchestrationDeps['probe'];
    authenticate?: Authenticate;
    cfnUrl?: string;
    objectUrl?: string;
    authUrl?: string;
    heatUrl?: string;
    /** Instead of the one that knows `ctlplane` and nothing else. */
    network?: OrchestrationDeps['network'];
    identity?: OrchestrationDeps['identity'];
    compute?: OrchestrationDeps['compute'];
    images?: OrchestrationDeps['images'];
    baremetal?: OrchestrationDeps['baremetal'];
    builds?: 'at once' | 'when told';
  } = {},
): Stage {
  const outside = options.outside ?? newOutside();
  const identity = options.identity ?? createIdentity(world, { region: 'RegionOne' });
  const tell = (id: string, status: string) =>
    world.recorder.emit('server.status', { type: 'server', id }, { from: 'BUILD', to: status, task: null, node: null });
  const finish: Stage['finish'] = (id, end = 'ACTIVE', message = '') => {
    const server = outside.servers.get(id);
    if (!server) return;
    const told = end === 'ERROR' ? { code: 409, message, created: '' } : null;
    outside.servers.set(id, { ...server, status: end, task_state: null, fault: told });
    tell(id, end);
  };
  const compute: OrchestrationDeps['compute'] = {
    async createServer(context, wanted, tx) {
      const id = randomUUID();
      const now = new Date();
      const server = {
        id,
        project_id: context.projectId ?? '',
        user_id: context.userId ?? '',
        name: wanted.name,
        description: null,
        image_id: wanted.image,
        flavor_id: wanted.flavor,
        flavor,
        status: 'BUILD' as const,
        task_state: 'scheduling',
        node_id: null,
        node_name: null,
        key_name: null,
        public_key: null,
        metadata: wanted.metadata ?? {},
        user_data: null,
        config_drive: true,
        networks: wanted.networks ?? [],
        hints: {},
        tags: [],
        fault: null,
        created_at: now,
        updated_at: now,
        launched_at: null,
        deleted_at: null,
        userData: wanted.userData ?? '',
      };
      tx?.afterCommit(() => {
        outside.servers.set(id, server);
        if (outside.nodes <= 0) {
          const message = fault('no-valid-host', {
            server: wanted.name,
            wanted: 'resource class baremetal',
            total: 2,
            reasons: '2 are in use',
          }).message;
          return setImmediate(() => finish(id, 'ERROR', message));
        }
        outside.nodes -= 1;
        if (options.builds !== 'when told') setImmediate(() => finish(id));
      });
      return server;
    },
    async rebuildServer(_context, id, wanted, tx) {
      const server = outside.servers.get(id);
      if (!server) throw fault('server-not-found', { id });
      const again = {
        ...server,
        image_id: wanted.image,
        status: 'REBUILD' as const,
        task_state: 'rebuilding',
        fault: null,
      };
      tx?.afterCommit(() => {
        outside.servers.set(id, again);
        tell(id, 'REBUILD');
        if (options.builds !== 'when told') setImmediate(() => finish(id));
      });
      return again;
    },
    async deleteServer(_context, id) {
      const server = outside.servers.get(id);
      if (!server) throw fault('server-not-found', { id });
      outside.servers.delete(id);
      if (server.status !== 'ERROR') outside.nodes += 1;
      setImmediate(() =>
        world.recorder.emit('server.deleted', { type: 'server', id }, { name: server.name, node: null }),
      );
    },
    async findServer(_context, id) {
      const server = outside.servers.get(id);
      if (!server) throw fault('server-not-found', { id });
      return server;
    },
    async addresses(_context, server) {
      const place = [...outside.servers.keys()].indexOf(server.id);
      return { ctlplane: [{ ip: `192.0.2.${10 + place}`, mac: '52:54:00:00:00:01', version: 4, port: 'p' }] };
    },
    activity: async () => null,
    flavors: createFlavors(world.db),
    keypairs: createKeypairs(world.db),
    serverGroups: createServerGroups(world.db),
    async setPower(_context, id, target) {
      const server = outside.servers.get(id);
      if (!server) throw fault('server-not-found', { id });
      outside.servers.set(id, { ...server, status: target === 'power off' ? 'SHUTOFF' : 'ACTIVE' });
    },
    async flavor(id) {
      if (id !== 'baremetal') throw fault('flavor-not-found', { id });
      return flavor;
    },
  };
  const refuse = (): never => {
    throw new Error('this test has no network');
  };
  const network = {
    async findNetwork(_context: Context, id: string) {
      if (id === 'ctlplane') return { id: 'ctlplane', name: 'ctlplane' };
      throw fault('network-not-found', { id });
    },
    findSubnet: refuse,
    findPort: refuse,
    createNetwork: refuse,
    updateNetwork: refuse,
    deleteNetwork: refuse,
    createSubnet: refuse,
    updateSubnet: refuse,
    deleteSubnet: refuse,
    createPort: refuse,
    updatePort: refuse,
    deletePort: refuse,
    provisioning: async () => null,
  } as unknown as OrchestrationDeps['network'];
  const orchestration = createOrchestration(world, {
    compute: options.compute ?? compute,
    baremetal: options.baremetal ?? ({} as OrchestrationDeps['baremetal']),
    network: options.network ?? network,
    identity,
    images:
      options.images ??
      ({
        async find(_context: Context, id: string) {
          if (!['lab', 'debian'].includes(id)) throw fault('not-found', { what: `The image ${id}` });
          return { id, name: id, status: 'active' };
        },
      } as unknown as OrchestrationDeps['images']),
    region: 'RegionOne',
    cfnUrl: options.cfnUrl ?? 'https://192.0.2.1:8443/cfn/v1',
    objectUrl: options.objectUrl ?? 'https://192.0.2.1:8443/object/v1',
    heatUrl: options.heatUrl ?? 'https://192.0.2.1:8443/orchestration/v1',
    authUrl: options.authUrl ?? 'https://192.0.2.1:8443/identity/v3',
    authenticate: options.authenticate ?? (async () => world.context),
    ...(options.probe && { probe: options.probe }),
  });
  return { orchestration, outside, finish };
}

/** A hundred times as fast as the real one: for what waits for seconds where nothing tells of a change. */
export const hastyClock = (): Clock => {
  const start = Date.now();
  return {
    now: () => start + (Date.now() - start) * 100,
    after(ms, fn) {
      const timer = setTimeout(fn, ms / 100);
      return () => clearTimeout(timer);
    },
  };
};

/** Waits for the end of the stack's present action. */
export async function atRest(world: World, orchestration: Orchestration, name: string): Promise<string> {
  for (;;) {
    const found = await orchestration.findStack(world.context, name);
    const last = await world.operations.last({ type: 'stack', id: found.id });
    if (last && last.finished_at === null) {
      await world.operations.ended(last.id);
      continue;
    }
    const after = await orchestration.findStack(world.context, found.id);
    if (after.status !== 'IN_PROGRESS') return `${after.action}_${after.status}`;
    await new Promise((resolve) => setImmediate(resolve));
  }
}
