/**
 * The agent's side of the API: lookup, heartbeat, inspection data. An agent that brings a boot token is let in by it, and
 * repeated lookups get the same agent token until its first heartbeat. A stock agent is found by its addresses, and shown
 * its token once; that way in is shut for a power cycle in which a boot token was handed out.
 */
import { timingSafeEqual } from 'node:crypto';
import { fault } from '../core/errors/index.ts';
import {
  type Heartbeat,
  type InspectionCallback,
  type LookupAnswer,
  type LookupQuery,
  MASKED_TOKEN,
} from '../ipa/index.ts';
import { openAgentToken, sealAgentToken } from './agent.ts';
import { hashToken, mintToken } from './boot-intent.ts';
import { requireNode } from './change.ts';
import { isSecretName } from './driver-info.ts';
import { type Ground, nodeSubject } from './ground.ts';
import { recordInventory } from './inspection.ts';
import type { JsonObject } from './node.ts';
import { lookupStates } from './states.ts';
import { agentOf, bootTokenByHash, bootTokens, burnBootTokens, insertAgent, recordHeartbeat } from './store/agents.ts';
import { listNodes, type NodeRow, nodeByUuid } from './store/nodes.ts';

/** s between heartbeats at most; an agent beats at 0.3 to 0.6 of it. Ironic's callback default is 300: we look sooner. */
const heartbeatSeconds = 60;

function masked(object: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(object).map(([name, value]) => [name, isSecretName(name) ? MASKED_TOKEN : value]),
  );
}

/** @throws Fault `agent-not-found`: whoever may not know gets no reason */
async function findByAddresses(ground: Ground, query: LookupQuery): Promise<NodeRow> {
  const { db } = ground.house;
  const found = query.nodeUuid !== undefined ? await nodeByUuid(db, query.nodeUuid) : null;
  if (query.nodeUuid !== undefined) {
    if (!found) throw fault('agent-not-found');
    return found;
  }
  const nodes = await listNodes(db, { addresses: query.addresses, includeChildren: true });
  // Two nodes for one machine's addresses: an enrolment mistake that nobody may profit from.
  if (nodes.length !== 1 || !nodes[0]) throw fault('agent-not-found');
  return nodes[0];
}

async function answer(ground: Ground, node: NodeRow, token: string): Promise<LookupAnswer & { config: object }> {
  return {
    node: {
      uuid: node.uuid,
      properties: node.properties as never,
      instance_info: masked(node.instanceInfo) as never,
      driver_internal_info: masked(node.driverInternalInfo) as never,
    },
    config: {
      heartbeat_timeout: Math.round(heartbeatSeconds * Math.max(1, ground.speed)),
      agent_token: token,
      agent_token_required: true,
      undercloud: { extensions: 1 },
    },
  };
}

export async function lookup(ground: Ground, query: LookupQuery, bootToken: string | null): Promise<LookupAnswer> {
  const { db, recorder } = ground.house;
  const tokenRow = bootToken === null ? null : await bootTokenByHash(db, hashToken(bootToken));
  if (bootToken !== null && (!tokenRow || tokenRow.burntAt !== null)) throw fault('agent-not-found');
  // The token belongs to one MAC: an agent that does not have it is another machine.
  if (tokenRow && query.addresses.length > 0 && !query.addresses.includes(tokenRow.mac)) throw fault('agent-not-found');
  const uuid = tokenRow?.nodeUuid ?? (await findByAddresses(ground, query)).uuid;
  return db.transaction(async (tx) => {
    const node = await nodeByUuid(tx, uuid, true);
    if (!node || !lookupStates.includes(node.provisionState)) throw fault('agent-not-found');
    if (tokenRow && tokenRow.powerCycle !== node.powerCycle) throw fault('agent-not-found');
    const agent = await agentOf(tx, uuid);
    const current = agent && agent.powerCycle === node.powerCycle ? agent : null;
    if (tokenRow) {
      if (current?.bootTokenHash === tokenRow.hash && current.firstHeartbeatAt === null)
        return answer(ground, node, openAgentToken(ground, current));
      // Another NIC's token of the same cycle: the first one to beat wins, the other is burnt with it.
      if (current?.firstHeartbeatAt) throw fault('agent-not-found');
    } else {
      const handedOut = (await bootTokens(tx, uuid)).some(({ powerCycle }) => powerCycle === node.powerCycle);
      if (handedOut) throw fault('agent-not-found');
      if (current) return answer(ground, node, MASKED_TOKEN);
    }
    const token = mintToken();
    await insertAgent(tx, {
      nodeUuid: uuid,
      powerCycle: node.powerCycle,
      tokenSealed: sealAgentToken(ground, uuid, token),
      tokenHash: hashToken(token),
      bootTokenHash: tokenRow?.hash ?? null,
    });
    const by = tokenRow ? 'boot token' : 'addresses';
    await recorder.append(tx, 'node.agent-lookup', nodeSubject(uuid), { by, powerCycle: node.powerCycle });
    return answer(ground, node, token);
  });
}

const sameHash = (a: string, b: string): boolean => timingSafeEqual(Buffer.from(a), Buffer.from(b));

/** @throws Fault `node-not-found`, `agent-token`, `agent-token-missing`, `agent-moved` */
export async function heartbeat(ground: Ground, uuid: string, beat: Heartbeat): Promise<void> {
  const { db, recorder } = ground.house;
  await db.transaction(async (tx) => {
    const node = await requireNode(tx, uuid, true);
    if (beat.agent_token === undefined) throw fault('agent-token-missing');
    const agent = await agentOf(tx, uuid);
    if (!agent || agent.powerCycle !== node.powerCycle || !sameHash(agent.tokenHash, hashToken(beat.agent_token)))
      throw fault('agent-token');
    if (agent.callbackUrl !== null && agent.callbackUrl !== beat.callback_url)
      throw fault('agent-moved', { node: node.name ?? uuid, old: agent.callbackUrl, new: beat.callback_url });
    const first = agent.firstHeartbeatAt === null;
    if (first) await burnBootTokens(tx, uuid);
    await recordHeartbeat(tx, uuid, {
      callbackUrl: beat.callback_url,
      // The certificate that came first is the pinned one: later beats cannot change it.
      verifyCa: first ? (beat.agent_verify_ca ?? null) : null,
      version: beat.agent_version ?? null,
      clockSkewSeconds: beat.clock_skew_s ?? null,
      progress: beat.progress ?? null,
    });
    await recorder.append(tx, 'node.agent-heartbeat', nodeSubject(uuid), {
      first,
      version: beat.agent_version ?? null,
      callbackUrl: beat.callback_url,
      clockSkewSeconds: beat.clock_skew_s ?? null,
    });
  });
}

/** Data that a stock ramdisk's inspection sends by itself: kept where the node is being inspected. */
export async function continueInspection(ground: Ground, data: InspectionCallback): Promise<string> {
  const { db } = ground.house;
  const nodes = await listNodes(db, { addresses: data.addresses, includeChildren: true });
  const node = nodes.length === 1 ? nodes[0] : undefined;
  if (!node || (node.provisionState !== 'inspecting' && node.provisionState !== 'inspect wait'))
    throw fault('agent-not-found');
  await db.transaction((tx) =>
    recordInventory(ground, tx, node.uuid, data.inventory as JsonObject, data.pluginData as JsonObject),
  );
  return node.uuid;
}
