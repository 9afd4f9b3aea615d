/**
 * The way back: resources that no definition wants are deleted, each before what it needs. A deletion that fails is tried
 * again a few times and then told; it stops none of the others that do not hang on it.
 */
import { handlerOf, isNested } from '../resources/index.ts';
import { convergeNode } from './converge.ts';
import {
  type Crew,
  call,
  caught,
  type Failure,
  failureText,
  joinPath,
  move,
  note,
  stateEvent,
  waited,
  workOf,
} from './drive.ts';
import type { End } from './forward.ts';
import { standsAt } from './hooks.ts';
import { setStack } from './nesting.ts';
import type { Live } from './state.ts';
import type { StackNode } from './tree.ts';

const mostTries = 5;
const tryAgainMs = 2_000;

export async function backward(
  crew: Crew,
  node: StackNode,
  targets: readonly Live[],
  failures: Failure[],
): Promise<End> {
  if (targets.length === 0) return 'done';
  const ends = new Map<string, Promise<End>>();
  for (const live of dependantsFirst(targets)) {
    const users = targets.filter((other) => other !== live && other.row.requires.includes(live.row.name));
    // Promises of a later place in a circle of names (of replaced resources) are not there yet, and not waited for.
    const waitFor = users.flatMap((user) => ends.get(user.row.id) ?? []);
    ends.set(
      live.row.id,
      (async () => {
        for (const user of waitFor) if ((await user) !== 'done') return 'blocked';
        return remove(crew, node, live, failures);
      })(),
    );
  }
  const all = await Promise.all(ends.values());
  if (all.every((end) => end === 'done')) return 'done';
  return all.includes('wait') ? 'wait' : 'failed';
}

/** Each after everything that uses it. */
function dependantsFirst(targets: readonly Live[]): Live[] {
  const users = new Map(targets.map((live) => [live, 0]));
  const byName = Map.groupBy(targets, (live) => live.row.name);
  const needs = (live: Live) =>
    live.row.requires.flatMap((name) => byName.get(name) ?? []).filter((other) => other !== live);
  for (const live of targets) for (const other of needs(live)) users.set(other, (users.get(other) ?? 0) + 1);
  const order = targets.filter((live) => users.get(live) === 0);
  for (let i = 0; i < order.length; i++) {
    for (const other of needs(order[i] as Live)) {
      const left = (users.get(other) ?? 0) - 1;
      users.set(other, left);
      if (left === 0) order.push(other);
    }
  }
  const seen = new Set(order);
  return [...order, ...targets.filter((live) => !seen.has(live))];
}

async function remove(crew: Crew, node: StackNode, live: Live, failures: Failure[]): Promise<End> {
  const { row } = live;
  try {
    // One that was never begun has nothing outside; one that is kept stays there.
    if (row.action === 'INIT' || row.retain) return await forget(crew, node, live);
    if (row.action !== 'DELETE' || row.status !== 'IN_PROGRESS') {
      // A failure that was told already is told once more by a new deletion, not by a new look of the same one.
      if (row.action === 'DELETE' && row.status === 'FAILED' && crew.session.tries.get(row.id) === mostTries)
        return 'failed';
      if (await standsAt(crew, node, live, 'pre', 'DELETE')) return 'wait';
      await move(crew, node, live, { action: 'DELETE', status: 'IN_PROGRESS' });
    }
    const handler = handlerOf(row.type);
    const child = node.children.get(row.id);
    if (child) {
      if (child.row.action !== 'DELETE')
        await setStack(crew, child, { action: 'DELETE', status: 'IN_PROGRESS', reason: 'Stack DELETE started' });
      const { end, failure } = await convergeNode(crew, child);
      if (end === 'failed' && failure)
        return await give(crew, node, live, { ...failure, path: joinPath(row.name, failure.path) }, failures);
      if (end !== 'done') return end;
      return await forget(crew, node, live, [child.row.id]);
    }
    if (handler && !isNested(handler) && handler.delete && row.physical_id !== null) {
      const work = workOf(crew, node, live);
      const remover = handler.delete;
      const outcome = await call(crew, handler, live, () => remover(work));
      if (outcome.kind === 'wait') {
        await waited(crew, node, live, handler, outcome.wait);
        return 'wait';
      }
    }
    return await forget(crew, node, live);
  } catch (error) {
    const cause = caught(error);
    // What took too long was tried all the while.
    const tries = cause.code === 'resource-overdue' ? mostTries : (crew.session.tries.get(row.id) ?? 0) + 1;
    crew.session.tries.set(row.id, tries);
    if (tries >= mostTries)
      return give(crew, node, live, { path: joinPath(row.name), fault: cause, place: '' }, failures);
    await note(crew, node, live, {
      on: `another try to delete it: ${cause.sentence}`,
      remedy: cause.remedy,
      recheckMs: tryAgainMs * tries,
    });
    return 'wait';
  }
}

async function give(crew: Crew, node: StackNode, live: Live, failure: Failure, failures: Failure[]): Promise<End> {
  failures.push(failure);
  await move(crew, node, live, { action: 'DELETE', status: 'FAILED', reason: failureText(failure) });
  return 'failed';
}

async function forget(crew: Crew, node: StackNode, live: Live, stacks: readonly string[] = []): Promise<End> {
  const { row } = live;
  const began = row.started_at?.getTime() ?? crew.desk.house.clock.now();
  const told = row.action === 'DELETE';
  Object.assign(row, { status: 'COMPLETE', reason: '', blocked_on: null });
  await crew.session.write({
    removed: [row.id],
    goneStacks: stacks,
    events: told ? [stateEvent(node, live, crew.desk.house.clock.now() - began)] : [],
    named: { stack: node.row.name, resource: row.name, transition: 'DELETE_COMPLETE' },
  });
  if (node.resources.get(row.name) === live) node.resources.delete(row.name);
  const at = node.retired.indexOf(live);
  if (at >= 0) node.retired.splice(at, 1);
  node.children.delete(row.id);
  return 'done';
}
