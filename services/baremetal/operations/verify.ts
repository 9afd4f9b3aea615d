/**
 * baremetal.verify: enroll → manageable (→ available). The BMC is asked who it is and whether the machine is on, with the
 * node's credentials; nothing of the machine changes. An import that made the node takes it away again when it fails.
 */
import { defineOperation, done, minutes, type Operation } from '../../core/operations/index.ts';
import { bootQuirks } from '../../power/index.ts';
import { bmcOf, fire, recordPower, requireNode } from '../change.ts';
import { dropNode } from '../farewell.ts';
import { type Ground, nodeSubject } from '../ground.ts';
import { bootsOf } from '../store/boots.ts';
import { bmcFields, cardOf, modelOf } from '../store/cards.ts';
import { nodeByUuid, patchNode } from '../store/nodes.ts';
import { failNode } from './ending.ts';

export interface VerifyParams {
  /** Go on to `available`: a node that was never used has nothing to clean. */
  readonly provide: boolean;
  /** The node is there only because of this: remove it when it cannot be verified. */
  readonly removeOnFailure: boolean;
  readonly [key: string]: boolean;
}

export function verifyOperation(ground: Ground): Operation<VerifyParams> {
  return defineOperation<VerifyParams>({
    kind: 'baremetal.verify',
    definition: 1,
    title: 'verify the node',
    steps: [
      {
        name: 'ask-bmc',
        title: 'ask the BMC with the node’s credentials',
        deadlineMs: minutes(1) * ground.speed,
        async do(run) {
          const node = await requireNode(ground.house.db, run.subject.id);
          const bmc = bmcOf(ground, node);
          const power = await bmc.power(run.signal);
          const info = await bmc.info(run.signal);
          const its = modelOf(info);
          // What was learnt of one BMC of this kind is used for this one from the start.
          const card = await cardOf(ground.house.db, its);
          const learnt = bootQuirks(await bootsOf(ground.house.db, its));
          return done({ power, bmc: info.description, firmware: info.firmware }, async (tx) => {
            await recordPower(ground, tx, node.uuid, power, 'verify');
            const fresh = await requireNode(tx, node.uuid, true);
            await patchNode(tx, node.uuid, {
              driverInternalInfo: {
                ...fresh.driverInternalInfo,
                bmc: info.description,
                ...bmcFields(its, { ...info.spoken, ...card?.quirks, ...learnt }),
              },
            });
            if (fresh.provisionState === 'verifying')
              await fire(ground, tx, node.uuid, 'done', { cause: 'verify', with: { lastError: null } });
          });
        },
        undo: { none: 'asking changes nothing' },
      },
      {
        name: 'provide',
        title: 'make it available',
        deadlineMs: minutes(1) * ground.speed,
        when: (run) => run.params.provide,
        async do(run) {
          return done(null, async (tx) => {
            const node = await requireNode(tx, run.subject.id, true);
            if (node.provisionState !== 'manageable') return;
            await fire(ground, tx, node.uuid, 'provide', { cause: 'verify' });
            await fire(ground, tx, node.uuid, 'done', { cause: 'verify' });
          });
        },
        undo: { none: 'the operation’s end says what becomes of the node' },
      },
    ],
    async failed(run, error, tx) {
      if (!run.params.removeOnFailure) return failNode(ground, run, error, tx, 'verify');
      const node = await nodeByUuid(tx, run.subject.id, true);
      if (!node) return;
      await dropNode(ground, tx, node);
      const data = { name: node.name, reason: error.message };
      await ground.house.recorder.append(tx, 'node.deleted', nodeSubject(node.uuid), data);
    },
  });
}
