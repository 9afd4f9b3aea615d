/**
 * A stack's action is one long operation of few steps; its converge step drives the whole tree. The rows of the
 * resources say how far it is, so that a killed process loses nothing but its looks.
 *
 *   prepare    the template is read again as the rows have it; every resource gets its row
 *   converge   see engine/converge.ts
 *   roll-back  after a failure, where the stack asks for it: back to what was before, or to nothing
 *   finish     what belongs to the stack as a whole
 */

import type { Tx } from '../../core/database/index.ts';
import { type Fault, fault } from '../../core/errors/index.ts';
import {
  defineOperation,
  done,
  minutes,
  type Operation,
  type Outcome,
  type Run,
  waitFor,
} from '../../core/operations/index.ts';
import type { Desk } from '../desk.ts';
import { convergeNode, leavesNothing } from '../engine/converge.ts';
import { type Crew, failureFault, newLive } from '../engine/drive.ts';
import { explained } from '../engine/faults.ts';
import { createLimit } from '../engine/limits.ts';
import { setStack } from '../engine/nesting.ts';
import { openSession, type Session } from '../engine/session.ts';
import { type Action, stackSubject } from '../model.ts';
import { failInProgress } from '../store/resources.ts';
import * as stackStore from '../store/stacks.ts';
import { waitingOutcome } from './waiting.ts';

export type ActionParams = {
  readonly stack: string;
  readonly generation: number;
  readonly minutes: number;
  readonly began: number;
};

/** Heat's stack_action_timeout is an hour; a rack of bare metal takes longer. */
export const defaultMinutes = 240;
/** Rows that are laid out in one go, so that the event loop gets its turn between. */
const rowsAtOnce = 250;
const none = { none: 'the rows say where to go on; a failed action is told, and cured by the next one' } as const;

export interface ActionTools {
  readonly desk: Desk;
  /** Starts what waited for the end of this action. */
  readonly afterEnd: (stackId: string) => void;
}

type ActionRun = Run<ActionParams>;

export function createActions({
  desk,
  afterEnd,
}: ActionTools): Readonly<Record<'CREATE' | 'UPDATE' | 'DELETE', Operation<ActionParams>>> {
  const sessions = new Map<string, Session>();
  const limits = { compute: createLimit(2), network: createLimit(2), database: createLimit(2) };

  async function crewOf(run: ActionRun): Promise<Crew> {
    const key = `${run.id} ${run.fence}`;
    let session = sessions.get(key);
    if (!session) {
      session = await openSession(desk, run);
      sessions.set(key, session);
    }
    return { desk, run, session, limits };
  }

  const leave = (run: ActionRun) => sessions.delete(`${run.id} ${run.fence}`);

  /** A session whose look was broken off may know more than the rows do. */
  async function within<T>(run: ActionRun, work: (crew: Crew) => Promise<T>): Promise<T> {
    try {
      return await work(await crewOf(run));
    } catch (error) {
      leave(run);
      throw error;
    }
  }

  async function prepare(run: ActionRun): Promise<Outcome> {
    return within(run, async (crew) => {
      const { root } = crew.session;
      if (leavesNothing(root)) return done();
      let names: string[];
      try {
        names = root.analysis.graph.order();
      } catch (error) {
        throw explained(error, undefined);
      }
      const now = desk.house.clock.now();
      const missing = names.filter((name) => !root.resources.has(name));
      for (let at = 0; at < missing.length; at += rowsAtOnce) {
        const fresh = missing.slice(at, at + rowsAtOnce).map((name) => {
          const live = newLive(root, name, root.analysis.resources.get(name)?.type.name ?? '', now);
          live.row.requires = [...root.analysis.graph.required(name)];
          root.resources.set(name, live);
          return live;
        });
        await crew.session.write({ rows: fresh });
      }
      return done({ resources: names.length });
    });
  }

  /** One look; `rolls` says that a failure is not the end. */
  async function look(run: ActionRun, rolls: boolean): Promise<Outcome> {
    return within(run, async (crew) => {
      const { session } = crew;
      session.waits.length = 0;
      await session.refreshSignals();
      const { end, failure } = await convergeNode(crew, session.root);
      if (end === 'done') return done({});
      if (end === 'failed' && failure) {
        const told = failureFault(session.root.row.action, failure);
        if (!rolls) throw told;
        session.failed = false;
        return done({ failure: told.sentence, remedy: told.remedy });
      }
      return waitFor(waitingOutcome(session.waits));
    });
  }

  async function rollBack(run: ActionRun): Promise<Outcome> {
    await within(run, async (crew) => {
      const { root } = crew.session;
      if (root.row.action === 'ROLLBACK') return;
      const definition = root.row.previous ?? root.row.definition;
      const files_id = root.row.previous_files_id ?? root.row.files_id;
      const generation = root.row.generation + 1;
      await crew.session.write({ stacks: [{ id: root.row.id, patch: { generation, definition, files_id } }] });
      if (files_id !== root.row.files_id) root.files = await stackStore.filesOf(desk.house.db, files_id);
      root.row = { ...root.row, generation, definition, files_id };
      root.forget();
      await setStack(crew, root, {
        action: 'ROLLBACK',
        status: 'IN_PROGRESS',
        reason: failureOf(run)?.failure ?? 'Stack ROLLBACK started',
      });
    });
    return look(run, false);
  }

  const failureOf = (run: ActionRun) =>
    run.results.converge as { failure?: string; remedy?: string } | null | undefined;

  async function finish(run: ActionRun): Promise<Outcome> {
    leave(run);
    const row = await stackStore.stack(desk.house.db, run.params.stack);
    const gone = row?.action === 'DELETE' || (row?.action === 'ROLLBACK' && row.previous === null);
    const project = row?.user_project_id;
    if (gone && project)
      await run.transaction(async (tx) => {
        await desk.identity.deleteStackUser(tx, '', project);
        await stackStore.patchStack(tx, run.params.stack, { user_project_id: null });
      });
    const failure = failureOf(run);
    if (failure?.failure) throw fault('bad-request', { reason: failure.failure });
    return done();
  }

  async function end(
    run: ActionRun,
    tx: Tx,
    to: { status: 'COMPLETE' | 'FAILED'; reason: (action: Action) => string },
  ): Promise<void> {
    leave(run);
    const row = await stackStore.lockStack(tx, run.params.stack);
    if (!row) return;
    const { action } = row;
    const { status } = to;
    tx.afterCommit(() => afterEnd(row.id));
    // Another action takes its place, so the stack goes on: as in Heat, nobody who waits for that one is told of an end.
    if (row.pending && !(action === 'DELETE' && status === 'COMPLETE')) return;
    const reason = to.reason(action);
    const at = new Date(desk.house.clock.now());
    await stackStore.patchStack(tx, row.id, {
      status,
      reason,
      previous: null,
      previous_files_id: null,
      ...(action === 'DELETE' && status === 'COMPLETE' && { deleted_at: at }),
    });
    await desk.house.recorder.append(
      tx,
      'stack.state',
      stackSubject(row.id),
      { name: row.name, action, status, reason },
      { durationMs: Math.max(0, at.getTime() - run.params.began) },
    );
  }

  async function failed(run: ActionRun, error: Fault, tx: Tx): Promise<void> {
    const cancelled = error.code === 'operation-cancelled';
    const stopped = await failInProgress(
      tx,
      run.params.stack,
      cancelled ? 'aborted (user triggered cancel)' : `aborted: ${error.sentence}`,
    );
    await desk.house.recorder.appendAll(
      tx,
      stopped.map((one) => ({
        kind: 'resource.state' as const,
        subject: stackSubject(one.stack_id),
        data: {
          name: one.name,
          type: one.type,
          action: one.action,
          status: 'FAILED',
          reason: `${one.action} ${cancelled ? 'aborted (user triggered cancel)' : `aborted: ${error.sentence}`}`,
          physicalId: one.physical_id,
        },
      })),
    );
    const rolledBack = run.results['roll-back'] !== undefined;
    await end(run, tx, {
      status: rolledBack ? 'COMPLETE' : 'FAILED',
      reason: (action) =>
        cancelled
          ? `Stack ${action} cancelled`
          : rolledBack
            ? `Stack ROLLBACK completed successfully; ${error.sentence}`
            : error.message,
    });
  }

  const define = (action: 'CREATE' | 'UPDATE' | 'DELETE'): Operation<ActionParams> => {
    const rolls = async (run: ActionRun): Promise<boolean> => {
      if (action === 'DELETE') return false;
      const row = await stackStore.stack(desk.house.db, run.params.stack);
      return row !== undefined && !row.disable_rollback;
    };
    const deadlineMs = (run: ActionRun) => minutes(run.params.minutes);
    return defineOperation<ActionParams>({
      kind: `orchestration.${action.toLowerCase()}`,
      definition: 1,
      title: `${action.toLowerCase()} the stack`,
      steps: [
        {
          name: 'prepare',
          title: action === 'DELETE' ? 'see what there is to delete' : 'lay out the resources',
          deadlineMs: minutes(10),
          do: prepare,
          undo: none,
        },
        {
          name: 'converge',
          title: action === 'DELETE' ? 'delete the resources' : 'make the resources what the template says',
          deadlineMs,
          do: async (run) => look(run, await rolls(run)),
          undo: none,
        },
        {
          name: 'roll-back',
          title: 'go back to what was before',
          deadlineMs,
          when: (run) => failureOf(run)?.failure !== undefined,
          do: rollBack,
          undo: none,
        },
        { name: 'finish', title: 'close the action', deadlineMs: minutes(2), do: finish, undo: none },
      ],
      succeeded: (run, tx) =>
        end(run, tx, { status: 'COMPLETE', reason: (done) => `Stack ${done} completed successfully` }),
      failed,
    });
  };
  return { CREATE: define('CREATE'), UPDATE: define('UPDATE'), DELETE: define('DELETE') };
}
