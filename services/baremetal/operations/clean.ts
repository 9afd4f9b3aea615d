/**
 * baremetal.clean: `provide` (manageable → available, as the policy says) and `clean` (the steps that were asked for, back
 * to manageable). A node that was never used, or whose policy wants nothing, passes through `cleaning` for an instant and
 * without an operation: provision.ts.
 */
import { defineOperation, type Operation } from '../../core/operations/index.ts';
import { fire, intend } from '../change.ts';
import type { Ground } from '../ground.ts';
import { cleaningSteps } from './cleaning.ts';
import { failNode } from './ending.ts';

export interface CleanParams {
  readonly manual: boolean;
  /** The agent's clean step: `erase_devices_metadata`, `erase_devices`. */
  readonly step: string;
  readonly interface: string;
  readonly [key: string]: string | boolean;
}

export function cleanOperation(ground: Ground): Operation<CleanParams> {
  return defineOperation<CleanParams>({
    kind: 'baremetal.clean',
    definition: 1,
    title: 'clean',
    steps: [
      ...cleaningSteps<CleanParams>(ground, {
        target: 'available',
        step: (params) => ({ interface: params.interface, step: params.step }),
      }),
    ],
    async succeeded(run, tx) {
      await intend(ground, tx, run.subject.id, 'none', 'nothing is on its disk');
      await fire(ground, tx, run.subject.id, run.params.manual ? 'manage' : 'done', {
        cause: 'clean',
        with: { lastError: null, cleanStep: {} },
      });
    },
    failed: (run, error, tx) => failNode(ground, run, error, tx, 'clean'),
  });
}
