/** Looks whether everything that a stack made is still there and well; what is not will be replaced by the next update. */
import { fault } from '../../core/errors/index.ts';
import { defineOperation, done, minutes, type Operation, type Run } from '../../core/operations/index.ts';
import type { Desk } from '../desk.ts';
import { type Crew, call, caught, move, workOf } from '../engine/drive.ts';
import { createLimit } from '../engine/limits.ts';
import { openSession } from '../engine/session.ts';
import type { Live } from '../engine/state.ts';
import { nodesOf, type StackNode } from '../engine/tree.ts';
import { stackSubject } from '../model.ts';
import { handlerOf, isNested } from '../resources/index.ts';
import * as stackStore from '../store/stacks.ts';

export type CheckParams = { readonly stack: string; readonly began: number };

export function checkOperation(desk: Desk): Operation<CheckParams> {
  const limits = { compute: createLimit(2), network: createLimit(2), database: createLimit(2) };

  async function checkOne(crew: Crew, node: StackNode, live: Live): Promise<string | null> {
    const handler = handlerOf(live.row.type);
    if (!handler || isNested(handler) || !handler.check || live.row.physical_id === null) return null;
    const { check } = handler;
    try {
      await call(crew, handler, live, () => check(workOf(crew, node, live)));
      await move(crew, node, live, { action: 'CHECK', status: 'COMPLETE' });
      return null;
    } catch (error) {
      const reason = `resources.${live.row.name}: ${caught(error).sentence}`;
      await move(crew, node, live, { action: 'CHECK', status: 'FAILED', reason });
      return reason;
    }
  }

  async function end(
    run: Run<CheckParams>,
    tx: Parameters<typeof stackStore.lockStack>[0],
    status: 'COMPLETE' | 'FAILED',
    text: string,
  ) {
    const row = await stackStore.lockStack(tx, run.params.stack);
    if (!row) return;
    const reason = status === 'COMPLETE' ? 'Stack CHECK completed successfully' : text;
    await stackStore.patchStack(tx, row.id, { status, reason });
    const data = { name: row.name, action: 'CHECK', status, reason };
    await desk.house.recorder.append(tx, 'stack.state', stackSubject(row.id), data, {
      durationMs: Math.max(0, desk.house.clock.now() - run.params.began),
    });
  }

  return defineOperation<CheckParams>({
    kind: 'orchestration.check',
    definition: 1,
    title: 'check the stack',
    steps: [
      {
        name: 'look',
        title: 'look at every resource',
        deadlineMs: minutes(30),
        async do(run) {
          const session = await openSession(desk, run);
          const crew: Crew = { desk, run, session, limits };
          const all = [...nodesOf(session.root)].flatMap((node) =>
            [...node.resources.values()].map((live) => checkOne(crew, node, live)),
          );
          const failures = (await Promise.all(all)).filter((one) => one !== null);
          return done({ failures });
        },
        undo: { none: 'a look changes nothing' },
      },
      {
        name: 'judge',
        title: 'say what was found',
        deadlineMs: minutes(1),
        async do(run) {
          const { failures } = run.results.look as { failures: string[] };
          if (failures.length > 0)
            throw fault('bad-request', { reason: `Resource CHECK failed: ${failures.join('; ')}` });
          return done();
        },
        undo: { none: 'a look changes nothing' },
      },
    ],
    succeeded: (run, tx) => end(run, tx, 'COMPLETE', ''),
    failed: (run, error, tx) => end(run, tx, 'FAILED', error.message),
  });
}
