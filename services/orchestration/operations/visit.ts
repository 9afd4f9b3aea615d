/**
 * What is done to a stack as it stands, resource by resource, without a new definition: CHECK, SUSPEND, RESUME, SNAPSHOT.
 * As in the other actions the rows say how far it is: a resource that bears the action's end since the action began is not
 * visited again.
 *
 *   SUSPEND   dependants first        RESUME   requirements first        CHECK, SNAPSHOT   in no order
 */
import { fault } from '../../core/errors/index.ts';
import { defineOperation, done, minutes, type Operation, type Run, waitFor } from '../../core/operations/index.ts';
import type { Desk } from '../desk.ts';
import {
  type Crew,
  call,
  caught,
  type Failure,
  failureFault,
  failureText,
  joinPath,
  move,
  waited,
  workOf,
} from '../engine/drive.ts';
import type { End } from '../engine/forward.ts';
import { done as finished, type Handler, type Outcome } from '../engine/handler.ts';
import { createLimit } from '../engine/limits.ts';
import { setStack } from '../engine/nesting.ts';
import { openSession, type Session } from '../engine/session.ts';
import type { Live } from '../engine/state.ts';
import type { StackNode } from '../engine/tree.ts';
import { sealSnapshot } from '../export.ts';
import { stackSubject } from '../model.ts';
import { handlerOf, isNested } from '../resources/index.ts';
import { failInProgress } from '../store/resources.ts';
import { endSnapshot } from '../store/snapshots.ts';
import * as stackStore from '../store/stacks.ts';
import { waitingOutcome } from './waiting.ts';

export type Visit = 'CHECK' | 'SUSPEND' | 'RESUME' | 'SNAPSHOT';
export type VisitParams = {
  readonly stack: string;
  readonly began: number;
  readonly minutes: number;
  readonly snapshot?: string;
};

const order: Readonly<Record<Visit, 'dependants first' | 'requirements first' | 'none'>> = {
  SUSPEND: 'dependants first',
  RESUME: 'requirements first',
  CHECK: 'none',
  SNAPSHOT: 'none',
};

const verbs: Readonly<Record<Visit, string>> = {
  CHECK: 'check',
  SUSPEND: 'suspend',
  RESUME: 'resume',
  SNAPSHOT: 'take a snapshot of',
};

interface Tour {
  readonly crew: Crew;
  readonly visit: Visit;
  readonly began: number;
  readonly failures: Failure[];
  /** Whether some type had nothing to check by. */
  partly: boolean;
}

async function tourStack(tour: Tour, node: StackNode): Promise<End> {
  const lives = [...node.resources.values()];
  const byName = new Map(lives.map((live) => [live.row.name, live]));
  const ends = new Map<string, Promise<End>>();
  const before = (live: Live): string[] => {
    if (order[tour.visit] === 'none') return [];
    if (order[tour.visit] === 'requirements first') return live.row.requires.filter((name) => byName.has(name));
    return lives.filter((other) => other.row.requires.includes(live.row.name)).map((other) => other.row.name);
  };
  const turn = (live: Live): Promise<End> => {
    const known = ends.get(live.row.name);
    if (known) return known;
    const { promise, resolve, reject } = Promise.withResolvers<End>();
    // Noted before it is worked out: a circle of names from older templates must not turn for ever.
    ends.set(live.row.name, promise);
    (async () => {
      for (const name of before(live)) {
        const end = await turn(byName.get(name) as Live);
        if (end !== 'done') return 'blocked' as const;
      }
      return visitOne(tour, node, live);
    })().then(resolve, reject);
    return promise;
  };
  const all = await Promise.all(lives.map(turn));
  if (all.every((end) => end === 'done')) return 'done';
  return all.includes('wait') ? 'wait' : 'failed';
}

async function visitOne(tour: Tour, node: StackNode, live: Live): Promise<End> {
  const { crew, visit, began } = tour;
  const { row } = live;
  if (row.action === 'INIT') return 'done';
  const isOurs = row.action === visit && row.updated_at.getTime() >= began;
  if (isOurs && row.status === 'COMPLETE') return 'done';
  const fail = async (failure: Failure): Promise<End> => {
    tour.failures.push(failure);
    await move(crew, node, live, { action: visit, status: 'FAILED', reason: failureText(failure) });
    return 'failed';
  };
  const handler = handlerOf(row.type);
  try {
    const child = node.children.get(row.id);
    if (child) return await visitChild(tour, node, live, child);
    if (!handler || isNested(handler)) return 'done';
    if (visit === 'CHECK' && !handler.check) {
      tour.partly = true;
      await move(crew, node, live, {
        action: 'CHECK',
        status: 'COMPLETE',
        reason: `CHECK not supported for ${row.type}`,
      });
      return 'done';
    }
    if (!isOurs) await move(crew, node, live, { action: visit, status: 'IN_PROGRESS' });
    const outcome = await call(crew, handler, live, () => act(tour, handler, node, live));
    if (outcome.kind === 'wait') {
      await waited(crew, node, live, handler, outcome.wait);
      return 'wait';
    }
    await move(crew, node, live, { status: 'COMPLETE' });
    return 'done';
  } catch (error) {
    return fail({ path: joinPath(row.name), fault: caught(error), place: '' });
  }
}

async function act({ crew, visit }: Tour, handler: Handler, node: StackNode, live: Live): Promise<Outcome> {
  const work = workOf(crew, node, live);
  if (visit === 'CHECK') await handler.check?.(work);
  if (visit === 'SUSPEND') return (await handler.suspend?.(work)) ?? finished;
  if (visit === 'RESUME') return (await handler.resume?.(work)) ?? finished;
  if (visit === 'SNAPSHOT' && handler.snapshot) live.state.data.snapshot = await handler.snapshot(work);
  return finished;
}

async function visitChild(tour: Tour, node: StackNode, live: Live, child: StackNode): Promise<End> {
  const { crew, visit } = tour;
  if (child.row.action !== visit || child.row.status !== 'IN_PROGRESS') {
    await setStack(crew, child, { action: visit, status: 'IN_PROGRESS', reason: `Stack ${visit} started` });
    await move(crew, node, live, { action: visit, status: 'IN_PROGRESS' });
  }
  const failed = tour.failures.length;
  const end = await tourStack(tour, child);
  if (end !== 'done' && end !== 'failed') return end;
  const inner = tour.failures[failed];
  const status = end === 'done' ? 'COMPLETE' : 'FAILED';
  const reason = inner ? failureText(inner) : '';
  if (inner) tour.failures[failed] = { ...inner, path: joinPath(live.row.name, inner.path) };
  await setStack(crew, child, {
    status,
    reason: inner ? `Resource ${visit} failed: ${reason}` : `Stack ${visit} completed successfully`,
  });
  await move(crew, node, live, { action: visit, status, reason });
  return end;
}

type VisitRun = Run<VisitParams>;

export function visitOperations(
  desk: Desk,
  afterEnd: (stackId: string) => void,
): Readonly<Record<Visit, Operation<VisitParams>>> {
  const limits = { compute: createLimit(2), network: createLimit(2), database: createLimit(2) };
  const sessions = new Map<string, Session>();
  const keyOf = (run: VisitRun): string => `${run.id} ${run.fence}`;

  async function look(run: VisitRun, visit: Visit) {
    const session = sessions.get(keyOf(run)) ?? (await openSession(desk, run));
    sessions.set(keyOf(run), session);
    session.waits.length = 0;
    const crew: Crew = { desk, run, session, limits };
    const tour: Tour = { crew, visit, began: run.params.began, failures: [], partly: false };
    try {
      const end = await tourStack(tour, session.root);
      if (end === 'wait') return waitFor(waitingOutcome(session.waits));
      const [first] = tour.failures;
      if (!first) return done({ partly: tour.partly });
      const told = failureFault(visit, first);
      return done({
        failure: tour.failures.length > 1 ? `${told.sentence} (and ${tour.failures.length - 1} more)` : told.sentence,
        remedy: told.remedy,
      });
    } catch (error) {
      sessions.delete(keyOf(run));
      throw error;
    }
  }

  /** What a snapshot holds is worked out from the tree, of which this process has the newest copy. */
  async function judge(run: VisitRun) {
    const session = sessions.get(keyOf(run));
    const { failure } = run.results.look as { failure?: string };
    if (failure) throw fault('bad-request', { reason: failure });
    const { snapshot } = run.params;
    if (!snapshot) return done();
    const root = session?.root ?? (await openSession(desk, run)).root;
    const body = sealSnapshot(desk.house.secrets, snapshot, root);
    const reason = 'Stack SNAPSHOT completed successfully';
    return done(null, (tx) => endSnapshot(tx, snapshot, { status: 'COMPLETE', reason, body }));
  }

  async function end(
    run: VisitRun,
    tx: Parameters<typeof stackStore.lockStack>[0],
    visit: Visit,
    to: { status: 'COMPLETE' | 'FAILED'; reason: string },
  ) {
    sessions.delete(keyOf(run));
    const row = await stackStore.lockStack(tx, run.params.stack);
    if (!row) return;
    await stackStore.patchStack(tx, row.id, to);
    const { snapshot } = run.params;
    if (to.status === 'FAILED') {
      await failInProgress(tx, row.id, `aborted: ${to.reason}`);
      if (snapshot) await endSnapshot(tx, snapshot, { ...to, status: 'FAILED', body: null });
    }
    const data = { name: row.name, action: visit, ...to };
    await desk.house.recorder.append(tx, 'stack.state', stackSubject(row.id), data, {
      durationMs: Math.max(0, desk.house.clock.now() - run.params.began),
    });
    tx.afterCommit(() => afterEnd(row.id));
  }

  const define = (visit: Visit): Operation<VisitParams> =>
    defineOperation<VisitParams>({
      kind: `orchestration.${visit.toLowerCase()}`,
      definition: 1,
      title: `${verbs[visit]} the stack`,
      steps: [
        {
          name: 'look',
          title: `${verbs[visit]} every resource`,
          deadlineMs: (run) => minutes(run.params.minutes),
          do: (run) => look(run, visit),
          undo: { none: 'the rows say what was done; the same action goes on from there' },
        },
        {
          name: 'judge',
          title: 'say what was found',
          deadlineMs: minutes(5),
          do: judge,
          undo: { none: 'it only says what was found' },
        },
      ],
      succeeded: (run, tx) => {
        const { partly } = run.results.look as { partly?: boolean };
        const more = partly ? `. '${visit}' not fully supported (see resources)` : '';
        return end(run, tx, visit, { status: 'COMPLETE', reason: `Stack ${visit} completed successfully${more}` });
      },
      failed: (run, error, tx) => end(run, tx, visit, { status: 'FAILED', reason: error.sentence }),
    });
  return { CHECK: define('CHECK'), SUSPEND: define('SUSPEND'), RESUME: define('RESUME'), SNAPSHOT: define('SNAPSHOT') };
}
