/** Steps of cleaning, shared by clean and undeploy: an agent session in which disks forget what they were. */
import type { Step } from '../../core/operations/index.ts';
import { minutes } from '../../core/operations/index.ts';
import { nodeForAgent, portForAgent } from '../agent.ts';
import { usesAgent } from '../change.ts';
import type { Ground } from '../ground.ts';
import type { ProvisionState } from '../states.ts';
import { agentStep } from '../steps/agent.ts';
import { leaveAgent } from '../steps/leave.ts';
import { agentSession } from '../steps/session.ts';
import { type NodeRow, patchNode } from '../store/nodes.ts';
import { listPorts } from '../store/ports.ts';

/** Whether the policy wants the disks erased before the node is given away: the node's own word, else the appliance's. */
export const wantsCleaning = (ground: Ground, node: NodeRow): boolean =>
  usesAgent(node) && node.used && (node.automatedClean ?? ground.automatedClean);

export function cleaningSteps<Params>(
  ground: Ground,
  options: {
    target: ProvisionState;
    /** Of the agent's clean steps. */
    step: (params: Params) => { interface: string; step: string; args?: unknown };
  },
): Step<Params>[] {
  return [
    ...agentSession<Params>(ground, {
      reason: 'cleaning: the agent is awaited',
      working: 'cleaning',
      waiting: 'clean wait',
      target: options.target,
    }),
    agentStep<Params>(ground, {
      name: 'erase',
      title: 'erase what is on the disks',
      deadlineMs: minutes(120),
      undo: { none: 'what is erased is gone' },
      remedy: 'Look at the disk that it names; `manage` brings the node back to be cleaned again.',
      async command(run, node) {
        const ports = await listPorts(ground.house.db, { nodeUuid: node.uuid });
        return {
          command: 'clean.execute_clean_step',
          params: { step: options.step(run.params), node: nodeForAgent(node), ports: ports.map(portForAgent) },
        };
      },
      commit: (run, tx) => patchNode(tx, run.subject.id, { used: false }),
    }),
    leaveAgent<Params>(ground, { name: 'leave-agent' }),
  ];
}
