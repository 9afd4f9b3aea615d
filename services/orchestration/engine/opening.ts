/** What is about to happen to a resource, worked out from its definition and from what is there, before anything is written. */
import { fault } from '../../core/errors/index.ts';
import { breakpoints, type Resource, resolve, toPlain } from '../language/index.ts';
import type { Plain } from '../model.ts';
import { handlerOf, isNested } from '../resources/index.ts';
import { isAborted, judge, type Present, type Verdict } from './change.ts';
import { type Crew, newLive, shortId, transitionTo } from './drive.ts';
import { explained } from './faults.ts';
import { nestedChanged } from './nesting.ts';
import type { Transition } from './session.ts';
import type { Live, Properties } from './state.ts';
import type { StackNode } from './tree.ts';

export interface Opening {
  readonly live: Live;
  /** To be written before anything else is done. */
  readonly transition: Transition;
  /** Nothing is to be done: the resource is what it should be. */
  readonly kept: boolean;
}

/** What waits before the opening: nothing, or a hook. */
export type Intent = { readonly action: 'CREATE' | 'UPDATE'; readonly live: Live };

export interface WantedResource {
  readonly properties: Properties;
  readonly metadata: Plain;
}

/** Everything that the definition says of the resource, worked out now and held against its schema. */
export function wantedOf(resource: Resource, node: StackNode): WantedResource {
  try {
    resource.properties.validate();
    return { properties: propertiesOf(resource), metadata: metadataOf(resource, node) };
  } catch (thrown) {
    throw explained(thrown);
  }
}

export function propertiesOf(resource: Resource): { [name: string]: Plain } {
  const properties: { [name: string]: Plain } = {};
  for (const name of Object.keys(resource.properties.schemas))
    properties[name] = toPlain(resource.properties.get(name));
  return properties;
}

export const metadataOf = (resource: Resource, node: StackNode): Plain =>
  toPlain(resolve(resource.definition.metadata, node.analysis.scope)) ?? {};

export const isRetained = (resource: Resource): boolean => resource.definition.deletionPolicy === 'Retain';

/** A row that was begun, by this action or one before it. */
export const isBegun = (live: Live | undefined): live is Live => live !== undefined && live.row.action !== 'INIT';

export function verdictOn(node: StackNode, live: Live, resource: Resource, wanted: WantedResource): Verdict {
  const handler = handlerOf(resource.type.name);
  const nested = handler !== undefined && isNested(handler);
  const verdict = judge(presentOf(live), {
    type: resource.type.name,
    ...wanted,
    schemas: resource.type.properties,
    updatable: nested || handler?.update !== undefined,
  });
  // A stack within is another matter than the properties given to it: its template may have changed, or part of it failed.
  if (
    nested &&
    verdict.kind === 'replace' &&
    live.row.type === resource.type.name &&
    live.row.physical_id !== null &&
    live.row.status !== 'COMPLETE'
  )
    return { kind: 'update', changed: verdict.changed };
  if (nested && verdict.kind === 'keep' && nestedChanged(node, live, handler, resource, wanted.properties))
    return { kind: 'update', changed: [] };
  return verdict;
}

export const presentOf = (live: Live): Present => ({
  type: live.row.type,
  action: live.row.action,
  status: live.row.status,
  properties: live.state.properties,
  metadata: live.state.metadata,
  unfinished: live.state.changed,
  aborted: isAborted(live.row),
});

/** The old one steps aside and is deleted once everything that uses it uses the new one. */
export function stepAside(crew: Crew, node: StackNode, old: Live, resource: Resource): Live {
  const fresh = newLive(node, old.row.name, resource.type.name, crew.desk.house.clock.now());
  old.row.current = false;
  node.retired.push(old);
  node.resources.set(old.row.name, fresh);
  return fresh;
}

/** What an update of this resource may not do, by its stack's environment. @throws Fault `resource-action-restricted` */
function refuseRestricted(node: StackNode, name: string, verdict: Verdict): void {
  if (verdict.kind !== 'update' && verdict.kind !== 'replace') return;
  if (breakpoints(node.analysis.environment.registry, name, 'restricted_actions').has(verdict.kind))
    throw fault('resource-action-restricted', { action: verdict.kind, resource: name });
}

/**
 * Takes the resource to its next state in memory and says what is to be written. Once it was called its transition must be
 * written before the resource is asked again. @throws Fault for properties that cannot be worked out
 */
export function open(crew: Crew, node: StackNode, name: string): Opening {
  const resource = node.analysis.resources.get(name) as Resource;
  const { generation } = node.row;
  const wanted = wantedOf(resource, node);
  const requires = [...node.analysis.graph.required(name)];
  const live = node.resources.get(name);
  if (!isBegun(live)) return create(crew, node, resource, live ?? made(crew, node, resource), wanted, []);
  const verdict = verdictOn(node, live, resource, wanted);
  refuseRestricted(node, name, verdict);
  if (verdict.kind === 'replace')
    return create(crew, node, resource, stepAside(crew, node, live, resource), wanted, [live]);
  Object.assign(live.row, { generation, requires });
  if (verdict.kind === 'keep') return { live, transition: { rows: [live] }, kept: true };
  if (verdict.kind === 'resume')
    return {
      live,
      transition: transitionTo(crew, node, live, { action: 'CREATE', status: 'IN_PROGRESS' }),
      kept: false,
    };
  live.row.retain = isRetained(resource);
  live.state.properties = wanted.properties;
  live.state.metadata = wanted.metadata;
  live.state.changed = verdict.changed;
  return { live, transition: transitionTo(crew, node, live, { action: 'UPDATE', status: 'IN_PROGRESS' }), kept: false };
}

function made(crew: Crew, node: StackNode, resource: Resource): Live {
  const live = newLive(node, resource.name, resource.type.name, crew.desk.house.clock.now());
  node.resources.set(resource.name, live);
  return live;
}

/** @param aside written first, so that the name is free */
export function create(
  crew: Crew,
  node: StackNode,
  resource: Resource,
  live: Live,
  wanted: WantedResource,
  aside: readonly Live[],
): Opening {
  const handler = handlerOf(resource.type.name);
  Object.assign(live.row, {
    // One that was laid out and not begun may have been meant for something else.
    type: resource.type.name,
    generation: node.row.generation,
    requires: [...node.analysis.graph.required(live.row.name)],
    retain: isRetained(resource),
  });
  live.state.properties = wanted.properties;
  live.state.metadata = wanted.metadata;
  const nested = handler !== undefined && isNested(handler);
  // In a stack that is adopted nothing is made: what was not handed over is missing.
  const action = live.state.adopted !== undefined || node.row.action === 'ADOPT' ? 'ADOPT' : 'CREATE';
  // A stack within bears its name until it is there: clients join the two by it.
  if (handler && (nested || (handler.named && action === 'CREATE')))
    live.row.physical_id ??= `${node.row.name}-${live.row.name}-${shortId()}`.slice(-255);
  const transition = transitionTo(crew, node, live, { action, status: 'IN_PROGRESS' });
  return { live, transition: { ...transition, rows: [...aside, live] }, kept: false };
}
