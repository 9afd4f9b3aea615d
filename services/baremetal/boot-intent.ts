/**
 * What a machine boots now, and the boot token that lets its agent in. A token is minted for node, MAC and power cycle;
 * firmware and iPXE fetch it as often as they like until the agent's first heartbeat burns it. Then no token is given for
 * that power cycle any more: a machine that comes back without having been switched on by us gets nothing.
 */
import { createHash, randomBytes } from 'node:crypto';
import { type Ground, nodeSubject } from './ground.ts';
import type { Boot, Node } from './node.ts';
import { keepBootToken } from './store/agents.ts';
import { type NodeRow, nodeByMac } from './store/nodes.ts';

export interface BootIntent {
  readonly node: Node;
  readonly intent: Boot;
  /** Why, in words: `deploying: the agent is awaited`. */
  readonly reason: string;
  /** With intent `agent`: the same at every call until it is burnt. */
  readonly token?: string;
  /** Kernel arguments of the agent beside those that boot adds itself. */
  readonly agentArguments: Readonly<Record<string, string>>;
}

export const hashToken = (token: string): string => createHash('sha256').update(token).digest('hex');

/** 32 bytes as 43 characters: as long as Ironic's own agent tokens, and safe on a kernel command line. */
export const mintToken = (): string => randomBytes(32).toString('base64url');

const owner = (uuid: string, mac: string): string => `node ${uuid} boot token ${mac}`;

/** Null when no node has this MAC. */
export async function bootIntent(ground: Ground, mac: string): Promise<BootIntent | null> {
  const address = mac.toLowerCase().replaceAll('-', ':');
  const node = await nodeByMac(ground.house.db, address);
  if (!node) return null;
  const plain = { node, intent: node.boot, reason: node.bootReason, agentArguments: {} };
  return node.boot === 'agent' ? withToken(ground, node, address) : plain;
}

async function withToken(ground: Ground, node: NodeRow, mac: string): Promise<BootIntent> {
  const { db, secrets, recorder } = ground.house;
  const fresh = mintToken();
  const row = await db.transaction((tx) =>
    keepBootToken(tx, {
      nodeUuid: node.uuid,
      mac,
      powerCycle: node.powerCycle,
      sealed: secrets.seal(fresh, owner(node.uuid, mac)),
      hash: hashToken(fresh),
    }),
  );
  if (row.burntAt !== null) {
    const reason = 'the boot token of this power cycle is burnt: an agent has started with it already';
    recorder.emit('node.agent-refused', nodeSubject(node.uuid), { mac, reason });
    return { node, intent: 'none', reason, agentArguments: {} };
  }
  const token = secrets.open(row.sealed, owner(node.uuid, mac));
  return {
    node,
    intent: 'agent',
    reason: node.bootReason,
    token,
    agentArguments: { 'uc-boot-token': token },
  };
}
