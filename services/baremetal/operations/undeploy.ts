/**
 * baremetal.undeploy: deleting → cleaning → available. The machine is switched off, the instance is forgotten, and the
 * disks are erased where the policy wants it; otherwise they are left to the next image, which overwrites them.
 */
import { defineOperation, done, minutes, type Operation } from '../../core/operations/index.ts';
import { fire, intend, requireNode } from '../change.ts';
import type { Ground } from '../ground.ts';
import { nodeSubject } from '../ground.ts';
import { ensureOff } from '../steps/power.ts';
import { keepConfigDrive } from '../store/agents.ts';
import { patchNode } from '../store/nodes.ts';
import { cleaningSteps } from './cleaning.ts';
import { failNode, walk } from './ending.ts';

/** @param erase the policy wants the disks erased: an operation of its own, so that taking back without it has no empty steps. */
export function undeployOperation(ground: Ground, erase: boolean): Operation<null> {
  return defineOperation<null>({
    kind: erase ? 'baremetal.undeploy-and-erase' : 'baremetal.undeploy',
    definition: 1,
    title: 'take the node back',
    steps: [
      ensureOff<null>(ground, { name: 'stop', title: 'switch the machine off' }),
      {
        name: 'forget-instance',
        title: 'forget the instance',
        deadlineMs: minutes(1) * ground.speed,
        async do(run) {
          return done(null, async (tx) => {
            const node = await requireNode(tx, run.subject.id, true);
            await keepConfigDrive(tx, node.uuid, null);
            await intend(ground, tx, node.uuid, 'none', 'its instance was taken off it');
            await patchNode(tx, node.uuid, { instanceInfo: {}, instanceUuid: null, networkData: {} });
            if (node.instanceUuid !== null) {
              const data = { server: node.instanceUuid };
              await ground.house.recorder.append(tx, 'node.released', nodeSubject(node.uuid), data);
            }
            await walk(ground, run, tx, 'clean', { from: ['deleting'] });
          });
        },
        undo: { none: 'the instance is gone; the node rests in a failed state until somebody cleans it' },
      },
      ...(erase
        ? cleaningSteps<null>(ground, {
            target: 'available',
            step: () => ({ interface: 'deploy', step: 'erase_devices_metadata' }),
          })
        : []),
    ],
    async succeeded(run, tx) {
      await intend(ground, tx, run.subject.id, 'none', 'nothing is deployed on it');
      await fire(ground, tx, run.subject.id, 'done', { cause: 'undeploy', with: { lastError: null, cleanStep: {} } });
    },
    failed: (run, error, tx) => failNode(ground, run, error, tx, 'undeploy'),
  });
}
