/**
 * The way forward: every resource of the definition is made, kept, changed or replaced, as soon as all that it needs is
 * complete and durable. Returns when nothing more can be done now.
 */
import { fault } from '../../core/errors/index.ts';
import { type Resource, resolve, toPlain } from '../language/index.ts';
import type { Plain } from '../model.ts';
import { handlerOf, isNested } from '../resources/index.ts';
import { isAborted, judge, type Present, type Verdict } from './change.ts';
import {
  type Crew,
  call,
  caught,
  type Failure,
  failureText,
  joinPath,
  move,
  newLive,
  note,
  shortId,
  workOf,
} from './drive.ts';
import { explained, placeIn } from './faults.ts';
import type { Handler, NestedHandler } from './handler.ts';
import { driveNested, nestedChanged } from './nesting.ts';
import type { Live, Properties } from './state.ts';
import type { StackNode } from './tree.ts';

export type End = 'done' | 'wait' | 'failed' | 'blocked';

export async function forward(crew: Crew, node: StackNode, failures: Failure[]): Promise<End> {
  const { graph } = node.analysis;
  const ends = new Map<string, Promise<End>>();
  for (const name of graph.order()) {
    const needs = [...graph.required(name)];
    ends.set(
      name,
      (async () => {
        for (const need of needs) if ((await ends.get(need)) !== 'done') return 'blocked';
        if (crew.session.failed) return 'blocked';
        return visit(crew, node, name, failures);
      })(),
    );
  }
  const all = await Promise.all(ends.values());
  if (failures.length > 0) return 'failed';
  return all.every((end) => end === 'done') ? 'done' : 'wait';
}

async function visit(crew: Crew, node: StackNode, name: string, failures: Failure[]): Promise<End> {
  const resource = node.analysis.resources.get(name) as Resource;
  let live = node.resources.get(name);
  try {
    const { generation } = node.row;
    if (live?.row.generation === generation && live.row.action !== 'INIT') {
      if (live.row.status === 'COMPLETE') return 'done';
      if (live.row.status === 'FAILED') return toldAgain(crew, live, failures);
      return await drive(crew, node, resource, live, failures);
    }
    const wanted = wantedOf(resource, node);
    const requires = [...node.analysis.graph.required(name)];
    if (live && live.row.action !== 'INIT') {
      const verdict = verdictOn(node, live, resource, wanted);
      if (verdict.kind === 'keep') {
        Object.assign(live.row, { generation, requires });
        await crew.session.write({ rows: [live] });
        return 'done';
      }
      if (verdict.kind === 'resume') {
        Object.assign(live.row, { generation, requires });
        await move(crew, node, live, { action: 'CREATE', status: 'IN_PROGRESS' });
        return await drive(crew, node, resource, live, failures);
      }
      if (verdict.kind === 'update') {
        Object.assign(live.row, { generation, requires, retain: isRetained(resource) });
        live.state.properties = wanted.properties;
        live.state.metadata = wanted.metadata;
        live.state.changed = verdict.changed;
        await move(crew, node, live, { action: 'UPDATE', status: 'IN_PROGRESS' });
        return await drive(crew, node, resource, live, failures);
      }
      live = await replace(crew, node, live, resource);
    }
    if (!live) {
      live = newLive(node, name, resource.type.name, crew.desk.house.clock.now());
      node.resources.set(name, live);
    }
    return await begin(crew, node, resource, live, wanted, failures);
  } catch (error) {
    const cause = caught(error);
    return failed(
      crew,
      node,
      name,
      live,
      { path: joinPath(name), fault: cause, place: placeOfResource(node, name) },
      failures,
    );
  }
}

async function failed(
  crew: Crew,
  node: StackNode,
  name: string,
  live: Live | undefined,
  failure: Failure,
  failures: Failure[],
): Promise<End> {
  crew.session.failed = true;
  failures.push(failure);
  let stands = live;
  if (!stands) {
    const type = node.analysis.resources.get(name)?.type.name ?? '';
    stands = newLive(node, name, type, crew.desk.house.clock.now());
    node.resources.set(name, stands);
  }
  const action = stands.row.action === 'INIT' ? 'CREATE' : stands.row.action;
  await move(crew, node, stands, { action, status: 'FAILED', reason: failureText(failure) });
  return 'failed';
}

/** A process died between the failure and the end of the action: the row says what was wrong. */
function toldAgain(crew: Crew, { row }: Live, failures: Failure[]): End {
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

const isRetained = (resource: Resource): boolean => resource.definition.deletionPolicy === 'Retain';

export interface WantedResource {
  readonly properties: Properties;
  readonly metadata: Plain;
}

/** Everything that the definition says of the resource, worked out now and held against its schema. */
function wantedOf(resource: Resource, node: StackNode): WantedResource {
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

function verdictOn(node: StackNode, live: Live, resource: Resource, wanted: WantedResource): Verdict {
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
async function replace(crew: Crew, node: StackNode, old: Live, resource: Resource): Promise<Live> {
  const fresh = newLive(node, old.row.name, resource.type.name, crew.desk.house.clock.now());
  old.row.current = false;
  node.retired.push(old);
  node.resources.set(old.row.name, fresh);
  await crew.session.write({ rows: [old, fresh] });
  return fresh;
}

async function begin(
  crew: Crew,
  node: StackNode,
  resource: Resource,
  live: Live,
  wanted: WantedResource,
  failures: Failure[],
): Promise<End> {
  const handler = handlerOf(resource.type.name);
  Object.assign(live.row, {
    generation: node.row.generation,
    requires: [...node.analysis.graph.required(live.row.name)],
    retain: isRetained(resource),
  });
  live.state.properties = wanted.properties;
  live.state.metadata = wanted.metadata;
  // A stack within bears its name until it is there: clients join the two by it.
  if (handler && (isNested(handler) || handler.named))
    live.row.physical_id ??= `${node.row.name}-${live.row.name}-${shortId()}`.slice(-255);
  await move(crew, node, live, { action: 'CREATE', status: 'IN_PROGRESS' });
  return drive(crew, node, resource, live, failures);
}

async function drive(crew: Crew, node: StackNode, resource: Resource, live: Live, failures: Failure[]): Promise<End> {
  const handler = handlerOf(resource.type.name);
  if (!handler) {
    const why = resource.type.service
      ? `it needs the service ${resource.type.service}, or a part of it that is not here`
      : 'it is not built yet';
    throw fault('resource-type-parsed-only', { type: resource.type.name, why });
  }
  if (isNested(handler)) return driveChild(crew, node, resource, live, handler, failures);
  const work = workOf(crew, node, live);
  const outcome = await call(crew, handler, () => act(handler, work, live));
  if (outcome.kind === 'wait') {
    await note(crew, node, live, outcome.wait);
    return 'wait';
  }
  if (outcome.kind === 'replace') {
    const fresh = await replace(crew, node, live, resource);
    return begin(
      crew,
      node,
      resource,
      fresh,
      { properties: live.state.properties, metadata: live.state.metadata },
      failures,
    );
  }
  live.state.attributes = (await handler.attributes?.(work)) ?? {};
  live.state.changed = [];
  await move(crew, node, live, { status: 'COMPLETE' });
  return 'done';
}

const act = (handler: Handler, work: ReturnType<typeof workOf>, live: Live) =>
  live.row.action === 'UPDATE'
    ? handler.update && live.state.changed.length > 0
      ? handler.update(work, live.state.changed)
      : ({ kind: 'done' } as const)
    : handler.create(work);

async function driveChild(
  crew: Crew,
  node: StackNode,
  resource: Resource,
  live: Live,
  handler: NestedHandler,
  failures: Failure[],
): Promise<End> {
  const { end, failure } = await driveNested(crew, node, resource, live, handler);
  if (end === 'failed' && failure) {
    const whole = {
      ...failure,
      path: joinPath(live.row.name, failure.path),
      place: failure.place || placeOfResource(node, live.row.name),
    };
    return failed(crew, node, live.row.name, live, whole, failures);
  }
  if (end === 'done') await move(crew, node, live, { status: 'COMPLETE' });
  return end;
}
