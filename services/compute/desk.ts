/** What the rooms of compute share: the house, the services below, and how a server's machine facts are gathered. */
import type { Baremetal } from '../baremetal/index.ts';
import type { Context } from '../core/context.ts';
import type { Tx } from '../core/database/index.ts';
import { fault } from '../core/errors/index.ts';
import type { House } from '../core/house.ts';
import type { Network } from '../network/index.ts';
import type { MachineFacts } from './documents.ts';
import { type ComputeImages, type Server, type ServerStatus, serverSubject } from './model.ts';
import { server as findServer, updateServer } from './store.ts';

export interface ComputeDeps {
  readonly network: Network;
  readonly baremetal: Baremetal;
  readonly images: ComputeImages;
  /** PEM of the undercloud's CA. */
  readonly caCertificate: string;
  readonly region: string;
  readonly publicUrl?: string;
}

export interface Desk extends ComputeDeps {
  readonly house: House;
  server(id: string): Promise<Server>;
  facts(server: Server, context: Context): Promise<MachineFacts>;
  /** Changes the status with its event, in the caller's transaction. */
  setStatus(
    tx: Tx,
    server: Server,
    status: ServerStatus,
    task: string | null,
    more?: Partial<
      Pick<Server, 'name' | 'metadata' | 'image_id' | 'fault' | 'launched_at' | 'deleted_at' | 'node_id' | 'node_name'>
    >,
  ): Promise<void>;
}

export const userDataOwner = (serverId: string): string => `server ${serverId} user_data`;

export function createDesk(house: House, deps: ComputeDeps): Desk {
  return {
    ...deps,
    house,
    async server(id) {
      const row = await findServer(house.db, id);
      if (!row) throw fault('server-not-found', { id });
      return row;
    },
    async facts(server, context) {
      const ports = await deps.network.portsOf(server.id);
      const networks = new Map(
        await Promise.all(
          [...new Set(ports.map((port) => port.networkId))].map(async (id) => {
            const network = await deps.network.findNetwork(context, id);
            const subnets = await Promise.all(
              network.subnetIds.map((subnet) => deps.network.findSubnet(context, subnet)),
            );
            return [id, { mtu: network.mtu, subnets }] as const;
          }),
        ),
      );
      return {
        server,
        userData: server.user_data === null ? null : house.secrets.open(server.user_data, userDataOwner(server.id)),
        ports: ports.map((port) => {
          const network = networks.get(port.networkId);
          const on = new Set(port.fixedIps.map((ip) => ip.subnetId));
          return {
            port,
            mtu: network?.mtu ?? 1500,
            subnets: (network?.subnets ?? []).filter((subnet) => on.has(subnet.id)),
          };
        }),
        caCertificate: deps.caCertificate,
        region: deps.region,
      };
    },
    async setStatus(tx, server, status, task, more = {}) {
      await updateServer(tx, server.id, { status, task_state: task, ...more });
      const node = more.node_name === undefined ? server.node_name : more.node_name;
      await house.recorder.append(tx, 'server.status', serverSubject(server.id), {
        from: server.status,
        to: status,
        task,
        node,
      });
    },
  };
}
