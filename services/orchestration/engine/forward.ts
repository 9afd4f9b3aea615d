/**
 * The way forward: every resource of the definition is made, kept, changed or replaced, as soon as all that it needs is
 * complete and durable. What only waited for one resource is begun in the very transaction that completes that one: its
 * work starts when the commit returns. Returns when nothing more can be done now.
 */
import { breathing } from '../../core/breath.ts';
import { fault } from '../../core/errors/index.ts';
import type { Resource } from '../language/index.ts';
import { handlerOf, isNested } from '../resources/index.ts';
import { unmadeReason } from '../resources/unmade.ts';
import {
  type Crew,
  call,
  caught,
  type Failure,
  failureText,
  joinPath,
  newLive,
  transitionTo,
  waited,
  workOf,
} from './drive.ts';
import { placeIn } from './faults.ts';
import type { Handler, NestedHandler } from './handler.ts';
import { hookOn, standsAt } from './hooks.ts';
import { driveNested } from './nesting.ts';
import { create, isBegun, type Opening, open, stepAside, verdictOn, wantedOf } from './opening.ts';
import { type Gates, gatesOf } from './rolling.ts';
import type { Live } from './state.ts';
import type { StackNode } from './tree.ts';

export type End = 'done' | 'wait' | 'failed' | 'blocked';

/** One look at one stack. */
interface Way {
  readonly crew: Crew;
  readonly node: StackNode;
  readonly failures: Failure[];
  /** Complete, and durably so. */
  readonly settled: Set<string>;
  /** Begun together with the end of what they waited for. */
  readonly begun: Map<string, Opening>;
  readonly gates: Gates;
}

export async function forward(crew: Crew, node: StackNode, failures: Failure[]): Promise<End> {
  const { graph } = node.analysis;
  const ends = new Map<string, Promise<End>>();
  const order = graph.order();
  const { promise: launched, resolve: allLaunched } = Promise.withResolvers<void>();
  const way: Way = {
    crew,
    node,
    failures,
    settled: new Set(),
    begun: new Map(),
    gates: gatesOf(crew, node, order, launched, {
      endOf: (name) => ends.get(name),
      fail: (name, error) => failedOf(way, name, error),
    }),
  };
  const breath = breathing();
  for (const name of order) {
    const pause = breath();
    if (pause) await pause;
    const needs = [...graph.required(name)];
    ends.set(name, turn(way, name, needs, ends));
  }
  allLaunched();
  const all = await Promise.all(ends.values());
  if (failures.length > 0) return 'failed';
  return all.every((end) => end === 'done') ? 'done' : 'wait';
}

async function turn(
  way: Way,
  name: string,
  needs: readonly string[],
  ends: ReadonlyMap<string, Promise<End>>,
): Promise<End> {
  for (const need of needs) if ((await ends.get(need)) !== 'done') return 'blocked';
  const gate = way.gates.of(name);
  if (gate && !(await gate)) return 'blocked';
  if (way.crew.session.failed && !way.begun.has(name)) return 'blocked';
  const end = await visit(way, name);
  if (end === 'done') way.settled.add(name);
  return end;
}

async function visit(way: Way, name: string): Promise<End> {
  const { crew, node } = way;
  try {
    const begun = way.begun.get(name);
    if (begun) return begun.kept ? 'done' : await drive(way, begun.live);
    const live = node.resources.get(name);
    if (isBegun(live) && live.row.generation === node.row.generation) {
      if (live.row.status === 'COMPLETE') return 'done';
      if (live.row.status === 'FAILED') return toldAgain(way, live);
      return await drive(way, live);
    }
    if (await standsBefore(way, name)) return 'wait';
    const opening = open(crew, node, name);
    await crew.session.write(opening.transition);
    return opening.kept ? 'done' : await drive(way, opening.live);
  } catch (error) {
    return failedOf(way, name, error);
  }
}

/** Whether a hook of its environment holds the resource before it is begun. */
async function standsBefore({ crew, node }: Way, name: string): Promise<boolean> {
  const live = node.resources.get(name);
  if (!isBegun(live)) {
    if (!hookOn(node, name, 'pre', 'CREATE')) return false;
    const stands = live ?? newLive(node, name, typeOf(node, name), crew.desk.house.clock.now());
    node.resources.set(name, stands);
    return standsAt(crew, node, stands, 'pre', 'CREATE');
  }
  if (!hookOn(node, name, 'pre', 'UPDATE')) return false;
  const resource = node.analysis.resources.get(name) as Resource;
  const { kind } = verdictOn(node, live, resource, wantedOf(resource, node));
  return kind !== 'keep' && kind !== 'resume' && (await standsAt(crew, node, live, 'pre', 'UPDATE'));
}

const typeOf = (node: StackNode, name: string): string => node.analysis.resources.get(name)?.type.name ?? '';

/** Those that nothing but `name` still holds back. One whose properties cannot be worked out finds that out in its own turn. */
function followersOf(way: Way, name: string): Opening[] {
  const { crew, node, settled, begun } = way;
  const { graph } = node.analysis;
  const openings: Opening[] = [];
  if (crew.session.failed) return openings;
  for (const next of graph.requiredBy(name)) {
    const live = node.resources.get(next);
    const ready = [...graph.required(next)].every((need) => need === name || settled.has(need));
    if (
      !ready ||
      begun.has(next) ||
      way.gates.of(next) ||
      (live?.row.generation === node.row.generation && isBegun(live))
    )
      continue;
    if (hookOn(node, next, 'pre', 'CREATE') || hookOn(node, next, 'pre', 'UPDATE')) continue;
    try {
      const opening = open(crew, node, next);
      begun.set(next, opening);
      openings.push(opening);
    } catch {
      // Told by its own turn, which comes next.
    }
  }
  return openings;
}

/** @throws what only ends the look: the process is dead, the stack another's */
async function failedOf(way: Way, name: string, error: unknown): Promise<End> {
  const cause = caught(error);
  return failed(way, name, { path: joinPath(name), fault: cause, place: placeOfResource(way.node, name) });
}

async function failed({ crew, node, failures }: Way, name: string, failure: Failure): Promise<End> {
  crew.session.failed = true;
  failures.push(failure);
  let live = node.resources.get(name);
  if (!live) {
    live = newLive(node, name, typeOf(node, name), crew.desk.house.clock.now());
    node.resources.set(name, live);
  }
  const { generation } = node.row;
  // What was there before this action and could not be taken up by it is still there: it was its update that failed.
  const isBefore = live.row.generation !== generation;
  const action = live.row.action === 'INIT' ? 'CREATE' : isBefore ? 'UPDATE' : live.row.action;
  live.row.generation = generation;
  await crew.session.write(transitionTo(crew, node, live, { action, status: 'FAILED', reason: failureText(failure) }));
  return 'failed';
}

/** A process died between the failure and the end of the action: the row says what was wrong. */
function toldAgain({ crew, failures }: Way, { row }: Live): End {
  const [, path = joinPath(row.name), reason = row.reason] = /^(resources\S*): (.*)$/s.exec(row.reason) ?? [];
  crew.session.failed = true;
  failures.push({ path, fault: fault('bad-request', { reason }), place: '' });
  return 'failed';
}

const placeOfResource = (node: StackNode, name: string): string => {
  const { template } = node.analysis;
  const place = placeIn(template, [template.format.sections.resources, name]);
  return place === '' ? '' : ` (${place.slice(0, -2)})`;
};

async function drive(way: Way, live: Live): Promise<End> {
  const { crew, node } = way;
  const resource = node.analysis.resources.get(live.row.name) as Resource;
  const handler = handlerOf(resource.type.name);
  if (!handler)
    throw fault('resource-type-parsed-only', { type: resource.type.name, why: unmadeReason(resource.type.name) });
  if (isNested(handler)) return driveChild(way, resource, live, handler);
  const work = workOf(crew, node, live);
  const outcome = await call(crew, handler, live, () => act(handler, work, live)).catch(async (error: unknown) => {
    if (handler.toldOnFailure) live.state.attributes = (await handler.attributes?.(work)) ?? {};
    throw error;
  });
  if (outcome.kind === 'wait') {
    await waited(crew, node, live, handler, outcome.wait);
    return 'wait';
  }
  if (outcome.kind === 'replace') {
    const fresh = stepAside(crew, node, live, resource);
    const { properties, metadata } = live.state;
    const opening = create(crew, node, resource, fresh, { properties, metadata }, [live]);
    await crew.session.write(opening.transition);
    return drive(way, fresh);
  }
  live.state.attributes = (await handler.attributes?.(work)) ?? {};
  live.state.changed = [];
  delete live.state.adopted;
  return complete(way, live);
}

async function complete(way: Way, live: Live): Promise<End> {
  const { crew, node } = way;
  if (await standsAt(crew, node, live, 'post', live.row.action)) return 'wait';
  const own = transitionTo(crew, node, live, { status: 'COMPLETE' });
  const followers = followersOf(way, live.row.name);
  await crew.session.write(own, ...followers.map(({ transition }) => transition));
  return 'done';
}

async function act(handler: Handler, work: ReturnType<typeof workOf>, live: Live) {
  const { action } = live.row;
  if (action === 'ADOPT') {
    if (live.row.physical_id === null) throw fault('resource-not-adopted', { resource: live.row.name });
    await handler.check?.(work);
    return { kind: 'done' } as const;
  }
  if (action !== 'UPDATE') return handler.create(work);
  return handler.update && live.state.changed.length > 0
    ? handler.update(work, live.state.changed)
    : ({ kind: 'done' } as const);
}

async function driveChild(way: Way, resource: Resource, live: Live, handler: NestedHandler): Promise<End> {
  const { crew, node } = way;
  const { end, failure } = await driveNested(crew, node, resource, live, handler);
  if (end === 'failed' && failure) {
    const path = joinPath(live.row.name, failure.path);
    const place = failure.place || placeOfResource(node, live.row.name);
    return failed(way, live.row.name, { ...failure, path, place });
  }
  return end === 'done' ? complete(way, live) : end;
}
