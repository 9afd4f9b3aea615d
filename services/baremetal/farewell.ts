/** What goes with a node or a port that is deleted: its MACs' addresses are free again, and its BMC's session is let go. */
import type { Tx } from '../core/database/index.ts';
import type { Ground } from './ground.ts';
import type { Port } from './node.ts';
import { type NodeRow, removeNode } from './store/nodes.ts';
import { listPorts, removePort } from './store/ports.ts';

export async function dropNode(ground: Ground, tx: Tx, node: NodeRow): Promise<void> {
  for (const { address } of await listPorts(tx, { nodeUuid: node.uuid })) await ground.forgetAddress(tx, address);
  await removeNode(tx, node.uuid);
  tx.afterCommit(() => ground.power.forget(node.uuid));
}

export async function dropPort(ground: Ground, tx: Tx, port: Port): Promise<void> {
  await ground.forgetAddress(tx, port.address);
  await removePort(tx, port.uuid);
}
