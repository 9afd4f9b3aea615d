/** What is told of stacks: resources, outputs, what they wait for. Everything is read from the rows, live or not. */
import { fault } from '../core/errors/index.ts';
import type { Desk } from './desk.ts';
import { openSignal, unsetHook } from './engine/session.ts';
import type { Live } from './engine/state.ts';
import { loadTree, nodeIn, outputsOf, type StackNode } from './engine/tree.ts';
import type { ActiveResource, Plain, StackActivity, StackOutput } from './model.ts';
import { stackSubject } from './model.ts';
import { handlerOf, isNested } from './resources/index.ts';
import { signalsOfTree } from './store/resources.ts';
import type { StackRow } from './store/stacks.ts';

/** The stack in its tree, wherever it is nested. */
export async function showTree(desk: Desk, row: StackRow): Promise<StackNode> {
  const root = await loadTree(desk, desk.house.db, row.root_id);
  const node = root && nodeIn(root, row.id);
  if (!node) throw fault('stack-not-found', { stack: row.name });
  return node;
}

export interface ShownResource {
  readonly node: StackNode;
  readonly live: Live;
  /** How deep below the asked stack: 0 is its own. */
  readonly depth: number;
}

export function resourcesBelow(node: StackNode, depth: number): ShownResource[] {
  const out: ShownResource[] = [];
  const walk = (here: StackNode, at: number) => {
    for (const live of here.resources.values()) out.push({ node: here, live, depth: at });
    if (at < depth) for (const child of here.children.values()) walk(child, at + 1);
  };
  walk(node, 0);
  return out;
}

/** @throws Fault `resource-not-found` */
export function resourceIn(node: StackNode, name: string): Live {
  const live = node.resources.get(name) ?? [...node.resources.values()].find((one) => one.row.physical_id === name);
  if (!live) throw fault('resource-not-found', { resource: name, stack: node.row.name });
  return live;
}

export function showOutputs(node: StackNode): StackOutput[] {
  return [...outputsOf(node)].map(([output_key, { value, error, description }]) => ({
    output_key,
    description,
    output_value: value,
    ...(error !== null && { output_error: error }),
  }));
}

export async function metadataOf(desk: Desk, node: StackNode, live: Live): Promise<Plain> {
  const handler = handlerOf(live.row.type);
  if (!handler || isNested(handler) || !handler.metadata) return live.state.metadata;
  const signals = (await signalsOfTree(desk.house.db, node.row.root_id, 0))
    .filter((row) => row.resource_id === live.row.id)
    .map((row) => openSignal(desk, row))
    .filter(({ body }) => unsetHook(body) === null);
  return handler.metadata(signals, live.state.metadata);
}

export async function stackActivity(desk: Desk, row: StackRow): Promise<StackActivity> {
  const node = await showTree(desk, row);
  const running = await desk.house.operations.activity(stackSubject(row.root_id));
  return {
    id: node.row.id,
    name: node.row.name,
    action: node.row.action,
    status: node.row.status,
    reason: node.row.reason,
    step: running?.title ?? null,
    resources: activeResources(node, desk.house.clock.now()),
  };
}

function activeResources(node: StackNode, now: number): ActiveResource[] {
  const shown = (live: Live): ActiveResource => {
    const { row } = live;
    const child = node.children.get(row.id);
    const until = row.status === 'IN_PROGRESS' ? now : row.updated_at.getTime();
    return {
      name: row.name,
      type: row.type,
      action: row.action,
      status: row.status,
      reason: row.reason,
      physical_id: row.physical_id,
      started_at: row.started_at?.toISOString() ?? null,
      seconds: row.started_at ? Math.round((until - row.started_at.getTime()) / 100) / 10 : null,
      blocked_on: row.blocked_on ?? waitsForOthers(node, live),
      requires: row.requires,
      resources: child ? activeResources(child, now) : [],
    };
  };
  return [...node.resources.values(), ...node.retired].map(shown);
}

/** A resource that was not begun waits for those that it needs: said without asking anybody. */
export function waitsForOthers(node: StackNode, { row }: Live): ActiveResource['blocked_on'] {
  if (row.action !== 'INIT' || node.row.status !== 'IN_PROGRESS') return null;
  const open = row.requires.filter((name) => {
    const other = node.resources.get(name)?.row;
    return other?.status !== 'COMPLETE' || other.action === 'INIT';
  });
  if (open.length === 0) return null;
  return {
    on: `${open.join(', ')} to be complete`,
    since: row.created_at.toISOString(),
    usual_seconds: null,
    remedy: `See what ${open[0]} waits for.`,
  };
}
