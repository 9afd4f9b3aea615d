/** A resource that stands for a stack: its row, its own definition, and its turn in the drive of the outer one. */
import { randomUUID } from 'node:crypto';
import { fault } from '../../core/errors/index.ts';
import type { Resource } from '../language/index.ts';
import { childParameters, childRegistry, registryTree, toPlain } from '../language/index.ts';
import { type Definition, type Plain, stackSubject } from '../model.ts';
import { adoptedLives } from './adoption.ts';
import { same } from './change.ts';
import { convergeNode } from './converge.ts';
import { sealDefinition } from './definition.ts';
import { type Crew, type Failure, failureText, shortId } from './drive.ts';
import type { End } from './forward.ts';
import type { NestedHandler } from './handler.ts';
import type { Live, Properties } from './state.ts';
import { meansOf, nodeOf, type StackNode } from './tree.ts';

/** Heat's own bound is 5; tripleo-heat-templates needs more. */
const deepest = 10;

/** The child's definition as the present properties want it. */
export function childDefinition(
  node: StackNode,
  resource: Resource,
  properties: Properties,
  handler: NestedHandler,
  existing: readonly string[],
  data: Readonly<Record<string, Plain>>,
): Definition {
  const source = resource.templateType?.template?.source;
  const tree = resource.templateType?.template?.tree;
  const child =
    resource.found.kind === 'template'
      ? {
          template: source ?? (toPlain(tree) as { [key: string]: Plain }),
          file: resource.found.file,
          parameters: toPlain(childParameters(resource, node.analysis.scope)) as { [name: string]: Plain },
        }
      : handler.child({
          properties,
          name: resource.name,
          existing,
          removed: (data.removed ?? []) as string[],
          data,
          peer: (reference) => propertiesOf(node, reference),
          file: (name) => node.analysis.files.get(name),
        });
  const { environment } = node.analysis;
  const registry = registryTree(childRegistry(environment.registry, resource.name, resource.found));
  return {
    template: child.template,
    file: child.file,
    environment: {
      parameters: child.parameters,
      parameter_defaults: toPlain(environment.parameterDefaults),
      resource_registry: toPlain(registry),
    },
  };
}

/** A stack that is only being read has no resources yet. */
function propertiesOf({ resources }: Partial<StackNode>, reference: Plain): Properties | undefined {
  for (const { row, state } of resources?.values() ?? [])
    if (row.physical_id === reference || row.name === reference) return state.properties;
  return undefined;
}

const membersOf = (child: StackNode | undefined): string[] => (child ? [...child.resources.keys()] : []);

export function nestedChanged(
  node: StackNode,
  live: Live,
  handler: NestedHandler,
  resource: Resource,
  properties: Properties,
): boolean {
  const child = node.children.get(live.row.id);
  if (child?.row.status !== 'COMPLETE') return true;
  const wanted = childDefinition(node, resource, properties, handler, membersOf(child), live.state.data);
  return !same(wanted as unknown as Plain, child.definition() as unknown as Plain) || child.files !== node.files;
}

export async function driveNested(
  crew: Crew,
  node: StackNode,
  resource: Resource,
  live: Live,
  handler: NestedHandler,
): Promise<{ end: End; failure: Failure | null }> {
  const child = node.children.get(live.row.id) ?? (await start(crew, node, resource, live, handler));
  // An update of the outer resource that this child has not seen yet.
  if (child.row.generation < node.row.generation) await restart(crew, node, resource, live, handler, child);
  const { end, failure } = await convergeNode(crew, child);
  if (end === 'done' || end === 'failed') {
    const status = end === 'done' ? 'COMPLETE' : 'FAILED';
    if (child.row.status !== status) {
      const reason = failure
        ? `Resource ${child.row.action} failed: ${failureText(failure)}`
        : `Stack ${child.row.action} completed successfully`;
      await setStack(crew, child, { status, reason });
    }
  }
  return { end, failure };
}

export async function setStack(
  crew: Crew,
  node: StackNode,
  to: { action?: StackNode['row']['action']; status: StackNode['row']['status']; reason: string },
): Promise<void> {
  node.row = { ...node.row, ...to };
  await crew.session.write({
    stacks: [{ id: node.row.id, patch: { action: node.row.action, status: to.status, reason: to.reason } }],
    events: [
      {
        kind: 'stack.state',
        subject: stackSubject(node.row.id),
        data: { name: node.row.name, action: node.row.action, status: to.status, reason: to.reason },
      },
    ],
    named: { stack: node.row.name, resource: node.row.name, transition: `${node.row.action}_${to.status}` },
  });
}

const depthOf = (node: StackNode): number => (node.parent ? 1 + depthOf(node.parent) : 0);

async function start(
  crew: Crew,
  node: StackNode,
  resource: Resource,
  live: Live,
  handler: NestedHandler,
): Promise<StackNode> {
  if (depthOf(node) >= deepest)
    throw fault('template-invalid', {
      place: '',
      message: `Request limit exceeded: Recursion depth exceeds ${deepest} at ${resource.name}.`,
      remedy: '',
      kind: 'RequestLimitExceeded',
    });
  const { desk } = crew;
  const id = randomUUID();
  const { adopted } = live.state;
  const action = adopted === undefined ? ('CREATE' as const) : ('ADOPT' as const);
  const definition = childDefinition(node, resource, live.state.properties, handler, [], live.state.data);
  const name = live.row.physical_id ?? `${node.row.name}-${live.row.name}-${shortId()}`.slice(-255);
  const row = {
    ...node.row,
    id,
    parent_id: node.row.id,
    parent_resource: live.row.name,
    name,
    description: resource.type.description ?? '',
    action,
    status: 'IN_PROGRESS' as const,
    reason: `Stack ${action} started`,
    definition: sealDefinition(desk.house.secrets, id, definition),
    previous: null,
    previous_files_id: null,
    pending: null,
    created_at: new Date(desk.house.clock.now()),
    updated_at: null,
  };
  const child = nodeOf(meansOf(desk), row, node, node.files);
  live.row.physical_id = id;
  node.children.set(live.row.id, child);
  const members = adoptedLives(child, adopted, desk.house.clock.now());
  for (const member of members) child.resources.set(member.row.name, member);
  await crew.session.write({
    newStacks: [child],
    rows: [live, ...members],
    events: [
      {
        kind: 'stack.state',
        subject: stackSubject(id),
        data: { name, action, status: 'IN_PROGRESS', reason: row.reason },
      },
    ],
    named: { stack: node.row.name, resource: live.row.name, transition: 'NESTED_STARTED' },
  });
  return child;
}

async function restart(
  crew: Crew,
  node: StackNode,
  resource: Resource,
  live: Live,
  handler: NestedHandler,
  child: StackNode,
): Promise<void> {
  const { desk } = crew;
  const definition = childDefinition(node, resource, live.state.properties, handler, membersOf(child), live.state.data);
  const { action } = node.row;
  child.row = {
    ...child.row,
    definition: sealDefinition(desk.house.secrets, child.row.id, definition),
    generation: node.row.generation,
    files_id: node.row.files_id,
    action: action === 'ROLLBACK' ? 'ROLLBACK' : 'UPDATE',
    status: 'IN_PROGRESS',
    reason: `Stack ${action} started`,
  };
  child.forget();
  child.files = node.files;
  await crew.session.write({
    stacks: [
      {
        id: child.row.id,
        patch: {
          definition: child.row.definition,
          generation: child.row.generation,
          files_id: child.row.files_id,
          action: child.row.action,
          status: 'IN_PROGRESS',
          reason: child.row.reason,
          updated_at: new Date(desk.house.clock.now()),
        },
      },
    ],
    events: [
      {
        kind: 'stack.state',
        subject: stackSubject(child.row.id),
        data: { name: child.row.name, action: child.row.action, status: 'IN_PROGRESS', reason: child.row.reason },
      },
    ],
    named: { stack: node.row.name, resource: live.row.name, transition: 'NESTED_UPDATED' },
  });
}
