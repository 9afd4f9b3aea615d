/** Ports of nodes for the other services: what the route /ports does, for an administrator's stack above all. */
import { randomUUID } from 'node:crypto';
import { type Context, isAdmin } from '../core/context.ts';
import type { Tx } from '../core/database/index.ts';
import { fault } from '../core/errors/index.ts';
import { isUuid } from '../core/uuid.ts';
import { requireIdle } from './busy.ts';
import { uniquely } from './enrolment.ts';
import { dropPort } from './farewell.ts';
import type { Ground } from './ground.ts';
import { readMac } from './mac.ts';
import type { JsonObject, Node, Port } from './node.ts';
import { nodeByName, nodeByUuid } from './store/nodes.ts';
import { insertPort, type PortPatch, patchPort, portByUuid } from './store/ports.ts';

export interface NodePortFields {
  readonly address: string;
  /** Id or name. */
  readonly node: string;
  readonly extra?: JsonObject;
  readonly localLinkConnection?: JsonObject;
  readonly physicalNetwork?: string | null;
  readonly pxeEnabled?: boolean;
  readonly isSmartnic?: boolean;
}

export interface NodePorts {
  /** @throws Fault `port-not-found` */
  find(uuid: string): Promise<Port>;
  /** @throws Fault `forbidden`, `mac-exists`, `node-not-found`, `bad-request` */
  create(context: Context, fields: NodePortFields, tx: Tx): Promise<Port>;
  /** @throws Fault as `create`, and `node-busy` */
  update(context: Context, uuid: string, fields: Partial<NodePortFields>, tx: Tx): Promise<void>;
  /** @throws Fault `port-not-found`, `node-busy`, `node-state-forbids` for a node in use */
  remove(context: Context, uuid: string, tx: Tx): Promise<void>;
}

/** @throws Fault `node-busy`, `node-state-forbids` where the node works with the port */
export async function requireSpared(ground: Ground, node: Node, port: Port): Promise<void> {
  await requireIdle(ground, node.uuid);
  if (node.provisionState === 'active' && !node.maintenance)
    throw fault('node-state-forbids', {
      node: node.uuid,
      action: `robbed of its port ${port.address}`,
      state: node.provisionState,
      remedy: 'Take the node back first, or set maintenance.',
    });
}

export function createNodePorts(ground: Ground): NodePorts {
  const { db } = ground.house;
  const mayChange = (context: Context, what: string) => {
    if (!isAdmin(context)) throw fault('forbidden', { action: `baremetal:port:${what}`, roles: 'admin' });
  };
  async function find(uuid: string): Promise<Port> {
    const port = isUuid(uuid) ? await portByUuid(db, uuid) : null;
    if (!port) throw fault('port-not-found', { port: uuid });
    return port;
  }
  async function patchOf({ address, node, ...rest }: Partial<NodePortFields>): Promise<PortPatch> {
    const mac = address === undefined ? undefined : readMac(address);
    if (mac === null) throw fault('bad-request', { reason: `Expected valid MAC address for address: ${address}.` });
    const found =
      node === undefined
        ? undefined
        : isUuid(node)
          ? await nodeByUuid(db, node.toLowerCase())
          : await nodeByName(db, node);
    if (node !== undefined && !found) throw fault('node-not-found', { node });
    return { ...rest, ...(mac !== undefined && { address: mac }), ...(found && { nodeUuid: found.uuid }) };
  }
  return {
    find,
    async create(context, fields, tx) {
      mayChange(context, 'create');
      const patch = await patchOf(fields);
      const uuid = randomUUID();
      await uniquely(() => insertPort(tx, uuid, patch), { ports_address: ['MAC', patch.address] });
      return (await portByUuid(tx, uuid)) as Port;
    },
    async update(context, uuid, fields, tx) {
      mayChange(context, 'update');
      const port = await find(uuid);
      await requireIdle(ground, port.nodeUuid);
      const patch = await patchOf(fields);
      await uniquely(() => patchPort(tx, port.uuid, patch), { ports_address: ['MAC', patch.address] });
    },
    async remove(context, uuid, tx) {
      mayChange(context, 'delete');
      const port = await find(uuid);
      const node = await nodeByUuid(db, port.nodeUuid);
      if (node) await requireSpared(ground, node, port);
      await dropPort(ground, tx, port);
    },
  };
}
