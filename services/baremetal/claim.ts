/** Who gets which node: an atomic pick under a row lock, and a sentence with counts when there is none. */
import type { Tx } from '../core/database/index.ts';
import { fault } from '../core/errors/index.ts';
import { type Ground, nodeSubject } from './ground.ts';
import type { Node } from './node.ts';
import { claimCounts, lockFreeNode, nodeByUuid, patchNode } from './store/nodes.ts';

export interface ClaimWanted {
  readonly resourceClass?: string | null;
  readonly traits?: readonly string[];
  /** properties.capabilities that must be there with these values. */
  readonly capabilities?: Readonly<Record<string, string>>;
  readonly projectId: string | null;
  readonly serverId: string;
  /** For sentences. */
  readonly serverName?: string;
  /** This very node. */
  readonly nodeId?: string;
}

/** @throws Fault `no-valid-host` */
export async function claim(ground: Ground, tx: Tx, wanted: ClaimWanted): Promise<Node> {
  const criteria = {
    resourceClass: wanted.resourceClass ?? null,
    traits: wanted.traits ?? [],
    capabilities: wanted.capabilities ?? {},
    nodeUuid: wanted.nodeId ?? null,
    project: wanted.projectId,
  };
  const node = await lockFreeNode(tx, criteria);
  if (!node) {
    const { total, reasons } = await claimCounts(tx, criteria);
    const told = Object.entries(reasons).map(([reason, count]) => `${count} ${count === 1 ? 'is' : 'are'} ${reason}`);
    throw fault('no-valid-host', {
      server: wanted.serverName ?? wanted.serverId,
      wanted: describe(wanted),
      total,
      reasons: told.join(', ') || 'none is enrolled',
    });
  }
  await patchNode(tx, node.uuid, { instanceUuid: wanted.serverId });
  const data = { server: wanted.serverId, project: wanted.projectId };
  await ground.house.recorder.append(tx, 'node.claimed', nodeSubject(node.uuid), data);
  return { ...node, instanceUuid: wanted.serverId };
}

/** A claim that came to nothing, or the end of an instance: the node is free for the next one once it is available. */
export async function release(ground: Ground, tx: Tx, uuid: string): Promise<void> {
  const node = await nodeByUuid(tx, uuid, true);
  if (!node || node.instanceUuid === null) return;
  await patchNode(tx, uuid, { instanceUuid: null });
  await ground.house.recorder.append(tx, 'node.released', nodeSubject(uuid), { server: node.instanceUuid });
}

function describe(wanted: ClaimWanted): string {
  const parts = [
    wanted.resourceClass ? `resource class ${wanted.resourceClass}` : 'any resource class',
    ...(wanted.traits?.length ? [`traits ${wanted.traits.join(', ')}`] : []),
    ...Object.entries(wanted.capabilities ?? {}).map(([name, value]) => `capability ${name}:${value}`),
    ...(wanted.nodeId ? [`node ${wanted.nodeId}`] : []),
  ];
  return `it wants ${parts.join(', ')}`;
}
