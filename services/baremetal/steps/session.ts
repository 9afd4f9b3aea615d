/** An agent session as a run of steps: off, next boot from the network, on, and wait until the agent has spoken. */
import type { Step } from '../../core/operations/index.ts';
import type { Ground } from '../ground.ts';
import { walk } from '../operations/ending.ts';
import type { ProvisionState } from '../states.ts';
import { awaitAgent } from './agent.ts';
import { bootAgent, ensureOff, powerStep, switchOffAfterFailure } from './power.ts';

export interface AgentSession {
  /** What it is for, in the reason of the boot intent. */
  readonly reason: string;
  /** The working state and the one that is shown while the machine boots. */
  readonly working: ProvisionState;
  readonly waiting: ProvisionState;
  readonly target?: ProvisionState;
}

export function agentSession<Params>(ground: Ground, session: AgentSession): Step<Params>[] {
  const target = session.target ? { target: session.target } : {};
  return [
    ensureOff<Params>(ground, { name: 'power-off' }),
    bootAgent<Params>(ground, { name: 'boot-device', reason: session.reason }),
    powerStep<Params>(ground, {
      name: 'power-on',
      title: 'switch the machine on',
      target: 'on',
      undo: (run) => switchOffAfterFailure(ground, run),
      commit: (run, tx) => walk(ground, run, tx, 'wait', { from: [session.working], ...target }),
    }),
    awaitAgent<Params>(ground, {
      name: 'await-agent',
      commit: (run, tx) => walk(ground, run, tx, 'resume', { from: [session.waiting], ...target }),
    }),
  ];
}
