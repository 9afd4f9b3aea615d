/**
 * Members of a group in batches: `batch_create` while the group is made, `rolling_update` while it changes. A batch begins
 * when every member of the one before is complete, is well when it is looked at, and the pause between the two is over.
 * Which members are done is in their rows, so a killed process goes on with the batch that it was at.
 */
import { fault, toFault } from '../../core/errors/index.ts';
import { type Resource, resolve, toPlain } from '../language/index.ts';
import type { Plain } from '../model.ts';
import { handlerOf, isNested } from '../resources/index.ts';
import { type Crew, call, isFatal, pathTo, workOf } from './drive.ts';
import type { End } from './forward.ts';
import { isBegun, verdictOn, wantedOf } from './opening.ts';
import { nodesOf, type StackNode } from './tree.ts';

export interface Gates {
  /** Resolves to whether the member may begin now; undefined for one that nothing holds. */
  of(name: string): Promise<boolean> | undefined;
}

const open: Gates = { of: () => undefined };

export interface Batching {
  readonly size: number;
  readonly pauseSeconds: number;
  readonly minInService: number;
}

type Map_ = { readonly [key: string]: Plain };
const mapOf = (value: Plain | undefined): Map_ | null =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? value : null;

/** `PT1M30S` or a number of seconds. */
export function secondsOf(value: Plain | undefined): number {
  if (typeof value === 'number') return value;
  const text = String(value ?? '0');
  const parts = /^PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?$/.exec(text);
  if (!parts) return Number(text) || 0;
  const [hours = 0, minutes = 0, seconds = 0] = parts.slice(1).map((part) => Number(part ?? 0));
  return hours * 3600 + minutes * 60 + seconds;
}

/** What an update policy says for the action; null: all at once. */
export function batchingOf(policy: Plain, action: string): Batching | null {
  const all = mapOf(policy);
  const section =
    action === 'CREATE'
      ? mapOf(all?.batch_create)
      : (mapOf(all?.rolling_update) ?? mapOf(all?.rolling_updates) ?? mapOf(all?.AutoScalingRollingUpdate));
  if (!section) return null;
  return {
    size: Math.max(1, Number(section.max_batch_size ?? section.MaxBatchSize ?? 1)),
    pauseSeconds: secondsOf(section.pause_time ?? section.PauseTime),
    minInService: Number(section.min_in_service ?? section.MinInstancesInService ?? 0),
  };
}

export function policyOf(node: StackNode): Plain {
  const resource = node.parent?.analysis.resources.get(node.row.parent_resource ?? '');
  if (!resource || !node.parent) return null;
  return toPlain(resolve(resource.definition.updatePolicy, node.parent.analysis.scope)) ?? null;
}

export function batchesOf<T>(members: readonly T[], total: number, { size, minInService }: Batching): T[][] {
  // At least one moves at a time, or a group that must wholly stay in service could never change.
  const most = Math.max(1, Math.min(size, total - minInService));
  return Array.from({ length: Math.ceil(members.length / most) }, (_, at) => members.slice(at * most, (at + 1) * most));
}

export function gatesOf(
  crew: Crew,
  node: StackNode,
  order: readonly string[],
  /** Resolves when every member has its promise. */
  launched: Promise<void>,
  {
    endOf,
    fail,
  }: { endOf(name: string): Promise<End> | undefined; fail(name: string, error: unknown): Promise<unknown> },
): Gates {
  const batching = node.parent && batchingOf(policyOf(node), node.row.action);
  if (!batching) return open;
  const moving = order.filter((name) => moves(node, name));
  // What is under way stays in the first batch, whatever its number.
  const first = moving.filter((name) => isUnderWay(node, name));
  const rest = moving.filter((name) => !first.includes(name));
  const batches = batchesOf([...first, ...rest], order.length, batching);
  const done = order.filter((name) => !moving.includes(name) && isOfThisAction(node, name));
  const gates = new Map<string, Promise<boolean>>();
  let before: readonly string[] = done;
  let started: Promise<unknown> | null = null;
  for (const [at, batch] of batches.entries()) {
    const previous = before;
    const after = started;
    const gate =
      at === 0 && (done.length === 0 || first.length > 0)
        ? null
        : (async () => {
            await after;
            await launched;
            for (const name of previous) if (at > 0 && (await endOf(name)) !== 'done') return false;
            return mayGoOn(crew, node, previous, batching, batch, fail);
          })();
    if (gate) for (const name of batch) gates.set(name, gate);
    before = batch;
    started = gate;
  }
  return { of: (name) => gates.get(name) };
}

const isOfThisAction = (node: StackNode, name: string): boolean => {
  const live = node.resources.get(name);
  return isBegun(live) && live.row.generation === node.row.generation;
};

const isUnderWay = (node: StackNode, name: string): boolean =>
  isOfThisAction(node, name) && node.resources.get(name)?.row.status === 'IN_PROGRESS';

function moves(node: StackNode, name: string): boolean {
  const live = node.resources.get(name);
  if (!isBegun(live)) return true;
  if (live.row.generation === node.row.generation) return live.row.status !== 'COMPLETE';
  const resource = node.analysis.resources.get(name) as Resource;
  try {
    return verdictOn(node, live, resource, wantedOf(resource, node)).kind !== 'keep';
  } catch {
    return true;
  }
}

async function mayGoOn(
  crew: Crew,
  node: StackNode,
  previous: readonly string[],
  { pauseSeconds }: Batching,
  batch: readonly string[],
  fail: (name: string, error: unknown) => Promise<unknown>,
): Promise<boolean> {
  for (const name of previous) {
    try {
      await checkHealth(crew, node, name);
    } catch (error) {
      if (isFatal(error)) throw error;
      await fail(name, error);
      return false;
    }
  }
  const last = Math.max(0, ...previous.map((name) => node.resources.get(name)?.row.updated_at.getTime() ?? 0));
  const left = last + pauseSeconds * 1000 - crew.desk.house.clock.now();
  if (pauseSeconds <= 0 || left <= 0) return true;
  const wait = {
    on: `the pause of ${pauseSeconds} s between batches, before ${batch.join(', ')}`,
    remedy: 'Nothing needs doing.',
    recheckMs: left,
  };
  crew.session.waits.push({ path: pathTo(node, batch[0] ?? ''), wait, since: last });
  return false;
}

/** Of the member, or of all that is in it. @throws Fault `resource-unhealthy` */
async function checkHealth(crew: Crew, node: StackNode, name: string): Promise<void> {
  const live = node.resources.get(name);
  if (!live) return;
  const child = node.children.get(live.row.id);
  const all = child
    ? [...nodesOf(child)].flatMap((at) => [...at.resources.values()].map((one) => ({ at, one })))
    : [{ at: node, one: live }];
  for (const { at, one } of all) {
    const handler = handlerOf(one.row.type);
    if (!handler || isNested(handler) || !handler.check) continue;
    const { check } = handler;
    try {
      await call(crew, handler, one, () => check(workOf(crew, at, one)));
    } catch (error) {
      if (isFatal(error)) throw error;
      const { sentence, remedy } = toFault(error);
      throw fault('resource-unhealthy', { resource: pathTo(at, one.row.name), reason: sentence, remedy }, error);
    }
  }
}
