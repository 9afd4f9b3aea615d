/** baremetal.inspect: in band, through the agent. What it finds goes into properties, the whole of it into the inventory. */
import { fault } from '../../core/errors/index.ts';
import { defineOperation, minutes, type Operation } from '../../core/operations/index.ts';
import { fire, intend } from '../change.ts';
import type { Ground } from '../ground.ts';
import { recordInventory } from '../inspection.ts';
import type { JsonObject } from '../node.ts';
import { agentStep } from '../steps/agent.ts';
import { leaveAgent } from '../steps/leave.ts';
import { agentSession } from '../steps/session.ts';
import { failNode } from './ending.ts';

export function inspectOperation(ground: Ground): Operation<null> {
  return defineOperation<null>({
    kind: 'baremetal.inspect',
    definition: 1,
    title: 'inspect',
    steps: [
      ...agentSession<null>(ground, {
        reason: 'inspecting: the agent is awaited',
        working: 'inspecting',
        waiting: 'inspect wait',
      }),
      agentStep<null>(ground, {
        name: 'read-inventory',
        title: 'say what is in the machine',
        deadlineMs: minutes(10),
        undo: { none: 'reading changes nothing' },
        remedy: '`manage` brings the node back; look at its console first.',
        command: async () => ({ command: 'poll.get_hardware_info', params: {} }),
        async commit(run, tx, result) {
          const inventory = result?.command_result as JsonObject | null | undefined;
          if (!inventory)
            throw fault('agent-failed', {
              node: run.subject.id,
              step: 'say what is in the machine',
              text: 'its answer is empty.',
              remedy: 'Inspect again.',
            });
          await recordInventory(ground, tx, run.subject.id, inventory, {});
        },
      }),
      leaveAgent<null>(ground, { name: 'leave-agent' }),
    ],
    async succeeded(run, tx) {
      await intend(ground, tx, run.subject.id, 'none', 'inspected');
      await fire(ground, tx, run.subject.id, 'done', {
        cause: 'inspect',
        with: { lastError: null, inspectionFinishedAt: new Date() },
      });
    },
    failed: (run, error, tx) => failNode(ground, run, error, tx, 'inspect'),
  });
}
