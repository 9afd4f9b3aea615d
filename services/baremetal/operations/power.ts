/** baremetal.power: on, off, reboot, each hard or soft. A reboot is off, then on: both are seen, neither is believed. */
import { defineOperation, minutes, type Operation, seconds } from '../../core/operations/index.ts';
import type { Ground } from '../ground.ts';
import { powerStep } from '../steps/power.ts';
import { nodeByUuid, patchNode } from '../store/nodes.ts';
import type { PowerAction } from '../verbs.ts';

export interface PowerParams {
  readonly action: PowerAction;
  /** How long a soft shut-down may take; null is ten minutes. */
  readonly timeoutSeconds: number | null;
  readonly [key: string]: PowerAction | number | null;
}

const soft: readonly PowerAction[] = ['soft power off', 'soft rebooting'];
const hard: readonly PowerAction[] = ['power off', 'rebooting'];
const on: readonly PowerAction[] = ['power on', 'rebooting', 'soft rebooting'];

export function powerOperation(ground: Ground): Operation<PowerParams> {
  return defineOperation<PowerParams>({
    kind: 'baremetal.power',
    definition: 1,
    title: 'change the power state',
    steps: [
      powerStep<PowerParams>(ground, {
        name: 'soft-off',
        title: 'shut the system down',
        target: 'soft off',
        when: (run) => soft.includes(run.params.action),
        deadlineMs: (run) =>
          (run.params.timeoutSeconds === null ? minutes(10) : seconds(run.params.timeoutSeconds)) * ground.speed,
      }),
      powerStep<PowerParams>(ground, {
        name: 'off',
        title: 'switch the machine off',
        target: 'off',
        when: (run) => hard.includes(run.params.action),
      }),
      powerStep<PowerParams>(ground, {
        name: 'on',
        title: 'switch the machine on',
        target: 'on',
        when: (run) => on.includes(run.params.action),
      }),
    ],
    succeeded: (run, tx) => patchNode(tx, run.subject.id, { targetPowerState: null }),
    async failed(run, error, tx) {
      if (await nodeByUuid(tx, run.subject.id, true))
        await patchNode(tx, run.subject.id, { targetPowerState: null, lastError: error.message });
    },
  });
}
