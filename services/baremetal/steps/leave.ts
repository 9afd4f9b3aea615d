/** The agent switches its machine off in good order; where it does not, the BMC does. */
import { done, minutes, type Step, seconds, waitFor } from '../../core/operations/index.ts';
import { AgentCallError } from '../../ipa/index.ts';
import { agentThere, clientOf } from '../agent.ts';
import { bmcOf, recordPower, requireNode } from '../change.ts';
import type { Ground } from '../ground.ts';
import { agentLeaves } from '../store/agents.ts';

/** ms, times speed, after which the BMC switches it off: its disk was flushed before its last command ended. */
const graceMs = seconds(30);

export function leaveAgent<Params>(ground: Ground, step: { name: string; when?: Step<Params>['when'] }): Step<Params> {
  return {
    name: step.name,
    title: 'switch the machine off',
    deadlineMs: minutes(5) * ground.speed,
    ...(step.when && { when: step.when }),
    undo: { none: 'what it left is what a failure leaves: a machine that is off' },
    async do(run) {
      const node = await requireNode(ground.house.db, run.subject.id);
      const bmc = bmcOf(ground, node);
      const finish = () => done('off', (tx) => recordPower(ground, tx, node.uuid, 'off', 'the agent left'));
      if ((await bmc.power(run.signal)) === 'off') return finish();
      const agent = await agentThere(ground, node);
      const patience = ground.house.clock.now() - run.stepStartedAt < graceMs * ground.speed;
      let heard = false;
      // Told once: a machine that has gone off answers nothing, and asking it again would only wait for a time-out.
      if (agent?.leaving && patience) heard = true;
      else if (agent && patience) {
        try {
          await run.transaction((tx) => agentLeaves(tx, node.uuid));
          const request = `${run.id}/${step.name}`;
          await clientOf(ground, agent, run.fence).execute('standby.power_off', {}, { request });
          heard = true;
        } catch (error) {
          // An agent that refuses is switched off by the BMC.
          if (!(error instanceof AgentCallError) || error.fenced) throw error;
        }
      }
      if (!heard) {
        await run.assertHeld(12_000);
        await bmc.setPower('off', run.signal);
      }
      if ((await bmc.power(run.signal)) === 'off') return finish();
      return waitFor({
        on: 'the BMC to report that the machine is off',
        remedy: 'Look at the machine: a BMC that takes the command and does nothing may need a reset or mains power.',
        recheckMs: 500 * Math.min(1, ground.speed),
      });
    },
  };
}
