/**
 * baremetal.check-bmc: the report card of a node's BMC. The machine's power is left alone; its boot device is set, read back and
 * set as it was, which is why the node is leased. What is learnt holds for all BMCs of this vendor, model and firmware.
 */
import { defineOperation, done, type Json, minutes, type Operation } from '../../core/operations/index.ts';
import { bootQuirks, bootsRow, cardChecks, examine } from '../../power/index.ts';
import { bmcOf, requireNode } from '../change.ts';
import { type Ground, nodeSubject } from '../ground.ts';
import { bootsOf } from '../store/boots.ts';
import { bmcFields, keepCard, modelOf, teachNodes } from '../store/cards.ts';
import { nodeByUuid, patchNode } from '../store/nodes.ts';

export function checkBmcOperation(ground: Ground): Operation<null> {
  return defineOperation<null>({
    kind: 'baremetal.check-bmc',
    definition: 1,
    title: 'examine the BMC',
    steps: [
      {
        name: 'examine',
        title: 'examine the BMC',
        deadlineMs: minutes(10) * ground.speed,
        async do(run) {
          const { db, clock, recorder } = ground.house;
          const node = await requireNode(db, run.subject.id);
          const card = await examine(bmcOf(ground, node), {
            now: () => clock.now(),
            signal: run.signal,
            began: (check) => run.progress(cardChecks.indexOf(check), cardChecks.length, 'checks'),
          });
          const its = modelOf(card.info);
          const boots = await bootsOf(db, its);
          const quirks = { ...card.quirks, ...bootQuirks(boots) };
          const wrong = [...card.rows, bootsRow(boots)].flatMap(({ check, wrong }) =>
            wrong === null ? [] : [`${check}: ${wrong}`],
          );
          return done({ ...its } as Json, async (tx) => {
            const fresh = await requireNode(tx, node.uuid, true);
            await patchNode(tx, node.uuid, {
              driverInternalInfo: {
                ...fresh.driverInternalInfo,
                bmc: card.info.description,
                ...bmcFields(its, quirks),
              },
            });
            await keepCard(tx, { ...its, rows: card.rows, quirks, node: node.uuid });
            await recorder.append(tx, 'node.bmc-checked', nodeSubject(node.uuid), { ...its, wrong });
            for (const uuid of await teachNodes(tx, its, quirks))
              await recorder.append(tx, 'node.updated', nodeSubject(uuid), { fields: ['driverInternalInfo'] });
          });
        },
        undo: { none: 'the examination sets the boot device as it was' },
      },
    ],
    async failed(run, error, tx) {
      if (await nodeByUuid(tx, run.subject.id, true)) await patchNode(tx, run.subject.id, { lastError: error.message });
    },
  });
}
