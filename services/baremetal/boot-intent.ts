/**
 * What a machine boots now, and the boot token that lets its agent in. A token is minted for node, MAC and power cycle;
 * firmware and iPXE fetch it as often as they like until the agent's first heartbeat burns it. Then no token is given for
 * that power cycle any more: a machine that comes back without having been switched on by us gets nothing.
 */
import { createHash, randomBytes } from 'node:crypto';
import { type Ground, nodeSubject } from './ground.ts';
import type { Boot, Node } from './node.ts';
import { inventoryOf, keepBootToken } from './store/agents.ts';
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
  /** Maker and product, once it was inspected. */
  readonly model: string | null;
  readonly secureBoot: boolean;
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
  const known = { node, agentArguments: {}, model: await modelOf(ground, node.uuid), secureBoot: bootsSecurely(node) };
  return node.boot === 'agent'
    ? { ...known, ...(await withToken(ground, node, address)) }
    : { ...known, intent: node.boot, reason: node.bootReason };
}

/** As the node's agent saw it: what boots of one machine teach counts for all of its model. */
export async function modelOf(ground: Ground, uuid: string): Promise<string | null> {
  const seen = await inventoryOf(ground.house.db, uuid);
  const vendor = seen?.inventory.system_vendor as { manufacturer?: unknown; product_name?: unknown } | undefined;
  const words = [vendor?.manufacturer, vendor?.product_name].filter((one) => typeof one === 'string' && one !== '');
  return words.length > 0 ? words.join(' ').slice(0, 200) : null;
}

/** Ironic's field, or its capability `secure_boot` of the node or of what is being deployed on it. */
function bootsSecurely(node: NodeRow): boolean {
  const said = [node.instanceInfo.capabilities, node.properties.capabilities].map((capabilities) =>
    typeof capabilities === 'object' && capabilities !== null
      ? String((capabilities as { secure_boot?: unknown }).secure_boot ?? '')
      : /(?:^|,)\s*secure_boot:(\w+)/.exec(typeof capabilities === 'string' ? capabilities : '')?.[1],
  );
  const word = said.find((one) => one !== undefined && one !== '');
  return word === undefined ? node.secureBoot === true : word.toLowerCase() === 'true';
}

async function withToken(
  ground: Ground,
  node: NodeRow,
  mac: string,
): Promise<Pick<BootIntent, 'intent' | 'reason' | 'token' | 'agentArguments'>> {
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
    return { intent: 'none', reason, agentArguments: {} };
  }
  const token = secrets.open(row.sealed, owner(node.uuid, mac));
  return {
    intent: 'agent',
    reason: node.bootReason,
    token,
    agentArguments: { 'uc-boot-token': token },
  };
}
