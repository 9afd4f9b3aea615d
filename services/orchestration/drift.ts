/**
 * What has changed behind a stack's back: each resource as it was made, held against the world as it is. Nothing is written;
 * the next update does not set it right by itself unless the resource is marked unhealthy or its template changes.
 */
import type { Context } from '../core/context.ts';
import { fault, toFault } from '../core/errors/index.ts';
import type { Desk } from './desk.ts';
import { same } from './engine/change.ts';
import { pathTo } from './engine/drive.ts';
import type { Work } from './engine/handler.ts';
import { createLimit } from './engine/limits.ts';
import type { Live } from './engine/state.ts';
import { nodesOf, type StackNode } from './engine/tree.ts';
import type { Plain } from './model.ts';
import { masked } from './plan/resources.ts';
import { handlerOf, isNested } from './resources/index.ts';

export type DriftState = 'in sync' | 'drifted' | 'gone' | 'unwell' | 'not looked at';

export interface Drift {
  /** `group[0].server` */
  readonly path: string;
  readonly type: string;
  readonly physical_id: string | null;
  readonly state: DriftState;
  readonly reason: string;
  readonly properties: readonly { readonly name: string; readonly expected: Plain; readonly actual: Plain }[];
}

/** Looks at once, in all: each takes a database connection. */
const atOnce = 4;

/** A look at a resource outside any action: it may ask, and commits nothing. */
function lookAt(desk: Desk, context: Context, node: StackNode, live: Live): Work {
  const { row, state } = live;
  const now = desk.house.clock.now();
  return {
    desk,
    context,
    stack: { id: node.row.id, rootId: node.row.root_id, name: node.row.name, projectId: node.row.project_id },
    id: row.id,
    name: row.name,
    type: row.type,
    action: 'CHECK',
    properties: state.properties,
    metadata: state.metadata,
    physicalId: row.physical_id,
    data: { ...state.data },
    attributes: state.attributes,
    signals: [],
    startedAt: now,
    now,
    physicalName: row.physical_id ?? row.name,
    peer: () => undefined,
    commit: () => Promise.reject(fault('internal', { text: `looking at ${row.name} tried to change it` })),
  };
}

async function driftOf(desk: Desk, context: Context, node: StackNode, live: Live): Promise<Drift> {
  const { row, state } = live;
  const base = { path: pathTo(node, row.name), type: row.type, physical_id: row.physical_id, properties: [] };
  const handler = handlerOf(row.type);
  if (!handler || isNested(handler) || row.physical_id === null || !(handler.observe ?? handler.check))
    return { ...base, state: 'not looked at', reason: 'its type has nothing to look at' };
  const work = lookAt(desk, context, node, live);
  try {
    const observed = handler.observe ? await handler.observe(work) : {};
    if (observed === null) return { ...base, state: 'gone', reason: `${row.physical_id} is not there any more` };
    const properties = Object.entries(observed)
      // What the template leaves open may be anything.
      .filter(([name]) => state.properties[name] !== null && state.properties[name] !== undefined)
      .filter(([name, actual]) => !same(state.properties[name], actual))
      .map(([name, actual]) => ({
        name,
        expected: masked(name, state.properties[name] ?? null),
        actual: masked(name, actual),
      }));
    if (properties.length > 0)
      return { ...base, state: 'drifted', reason: properties.map(({ name }) => name).join(', '), properties };
    await handler.check?.(work);
    return { ...base, state: 'in sync', reason: '' };
  } catch (error) {
    const { sentence, status } = toFault(error);
    return { ...base, state: status === 404 ? 'gone' : 'unwell', reason: sentence };
  }
}

export async function drift(desk: Desk, context: Context, root: StackNode): Promise<Drift[]> {
  const limit = createLimit(atOnce);
  const all = [...nodesOf(root)].flatMap((node) =>
    [...node.resources.values()]
      .filter(({ row }) => row.action !== 'INIT')
      // What stands for a stack is told by what is in it.
      .filter(({ row }) => !node.children.has(row.id))
      .map((live) => limit.run(() => driftOf(desk, context, node, live))),
  );
  return Promise.all(all);
}
