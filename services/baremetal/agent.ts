/** The conductor's line to the agent of a node. */
import { fault } from '../core/errors/index.ts';
import { type AgentClient, createAgentClient, type JsonObject as WireObject } from '../ipa/index.ts';
import type { Ground } from './ground.ts';
import type { Port } from './node.ts';
import { type AgentRow, agentOf } from './store/agents.ts';
import type { NodeRow } from './store/nodes.ts';

const owner = (uuid: string): string => `node ${uuid} agent token`;

export const sealAgentToken = (ground: Ground, uuid: string, token: string): string =>
  ground.house.secrets.seal(token, owner(uuid));

export const openAgentToken = (ground: Ground, agent: AgentRow): string =>
  ground.house.secrets.open(agent.tokenSealed, owner(agent.nodeUuid));

/** The agent of the node's present power cycle, once it has beaten; null before. */
export async function agentThere(ground: Ground, node: NodeRow): Promise<AgentRow | null> {
  const agent = await agentOf(ground.house.db, node.uuid);
  return agent && agent.powerCycle === node.powerCycle && agent.callbackUrl !== null ? agent : null;
}

/** ms for one exchange: commands that take time are polled, so an answer comes at once or the agent is in trouble. */
const exchangeMs = 30_000;

/** @param fence the operation's: an agent that has seen a higher one refuses. */
export function clientOf(ground: Ground, agent: AgentRow, fence: number): AgentClient {
  if (agent.callbackUrl === null)
    throw fault('internal', { text: `the agent of ${agent.nodeUuid} has no address yet` });
  return createAgentClient({
    callbackUrl: agent.callbackUrl,
    agentToken: openAgentToken(ground, agent),
    ...(agent.verifyCa !== null && { verifyCa: agent.verifyCa }),
    fence,
    timeoutMs: exchangeMs * ground.speed,
    ...(ground.agentTransport && { transport: ground.agentTransport }),
  });
}

/** What the agent is told about its node: what it needs to choose the root disk, and no secret. */
export const nodeForAgent = (node: NodeRow): WireObject =>
  ({
    uuid: node.uuid,
    name: node.name,
    properties: node.properties,
    instance_info: node.instanceInfo,
    driver_info: { agent_verify_ca: null },
    driver_internal_info: node.driverInternalInfo,
  }) as unknown as WireObject;

export const portForAgent = (port: Port): WireObject => ({
  uuid: port.uuid,
  address: port.address,
  pxe_enabled: port.pxeEnabled,
  physical_network: port.physicalNetwork,
});
