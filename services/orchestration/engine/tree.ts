/** A stack with its resources and the stacks nested in it, in memory: what the engine drives and the API shows. */
import type { Desk } from '../desk.ts';
import {
  type Analysis,
  type Facade,
  Fault,
  fromPlain,
  type Node,
  type ResourceView,
  resolve,
  selectFromAttribute,
  stackArn,
  text,
  toPlain,
  unknownView,
  type Value,
} from '../language/index.ts';
import type { Definition, Plain } from '../model.ts';
import { handlerOf, isNested } from '../resources/index.ts';
import type { Where } from '../store/query.ts';
import * as resourceStore from '../store/resources.ts';
import * as stackStore from '../store/stacks.ts';
import { analyse, openDefinition } from './definition.ts';
import { nestedAttribute } from './nested.ts';
import { type Live, openState } from './state.ts';

export interface StackNode {
  row: stackStore.StackRow;
  readonly parent: StackNode | null;
  /** The current resource of each name. */
  readonly resources: Map<string, Live>;
  /** Replaced or removed ones that still are to be deleted. */
  readonly retired: Live[];
  /** By the id of the resource that stands for the stack. */
  readonly children: Map<string, StackNode>;
  files: Readonly<Record<string, string>>;
  /** As it is stored. */
  definition(): Definition;
  /** Read when first asked for; forgotten when the definition changes. @throws language Fault */
  readonly analysis: Analysis;
  forget(): void;
}

export function nodeOf(
  desk: Desk,
  row: stackStore.StackRow,
  parent: StackNode | null,
  files: Readonly<Record<string, string>>,
): StackNode {
  let known: Analysis | null = null;
  const node: StackNode = {
    row,
    parent,
    resources: new Map(),
    retired: [],
    children: new Map(),
    files,
    definition: () => openDefinition(desk.house.secrets, node.row.id, node.row.definition),
    get analysis() {
      if (!known) {
        const definition = node.definition();
        const facade = parent && facadeOf(parent, node.row.parent_resource ?? '');
        const fresh = analyse({
          definition,
          files: node.files,
          types: desk.types,
          stack: { id: node.row.id, name: node.row.name, project: node.row.project_id },
          ...(facade && { facade }),
        });
        // Working the graph out sets the views to those before creation; from here on functions see what is there.
        fresh.graph.order();
        fresh.scope.see((name) => viewOf(node, name));
        known = fresh;
      }
      return known;
    },
    forget() {
      known = null;
    },
  };
  return node;
}

function facadeOf(parent: StackNode, name: string): Facade {
  const definition = () => parent.analysis.resources.get(name)?.definition;
  return {
    metadata: () => fromPlain(parent.resources.get(name)?.state.metadata ?? {}),
    deletionPolicy: () => definition()?.deletionPolicy ?? 'Delete',
    updatePolicy: () => new Map(),
  };
}

/** @returns null when there is no such stack */
export async function loadTree(desk: Desk, where: Where, rootId: string): Promise<StackNode | null> {
  const rows = await stackStore.stackTree(where, rootId);
  const root = rows.find((row) => row.id === rootId);
  if (!root) return null;
  const files = new Map<string, Readonly<Record<string, string>>>();
  for (const id of new Set(rows.map((row) => row.files_id))) files.set(id, await stackStore.filesOf(where, id));
  const byStack = Map.groupBy(
    await resourceStore.resourcesOf(
      where,
      rows.map((row) => row.id),
    ),
    (row) => row.stack_id,
  );
  const byParent = Map.groupBy(rows, (row) => row.parent_id);
  const build = (row: stackStore.StackRow, parent: StackNode | null): StackNode => {
    const node = nodeOf(desk, row, parent, files.get(row.files_id) ?? {});
    for (const resource of byStack.get(row.id) ?? []) {
      const live = openState(desk.house.secrets, resource);
      if (resource.current) node.resources.set(resource.name, live);
      else node.retired.push(live);
    }
    for (const child of byParent.get(row.id) ?? []) {
      const own = [...node.resources.values(), ...node.retired].find((live) => live.row.physical_id === child.id);
      if (own) node.children.set(own.row.id, build(child, node));
    }
    return node;
  };
  return build(root, null);
}

/** The stack of `id` within a tree. */
export function nodeIn(node: StackNode, id: string): StackNode | null {
  if (node.row.id === id) return node;
  for (const child of node.children.values()) {
    const found = nodeIn(child, id);
    if (found) return found;
  }
  return null;
}

export function* nodesOf(node: StackNode): Iterable<StackNode> {
  yield node;
  for (const child of node.children.values()) yield* nodesOf(child);
}

export const arnOf = (node: StackNode): string =>
  stackArn({ project: node.row.project_id, name: node.row.name, id: node.row.id });

export function referenceOf(node: StackNode, live: Live): Plain {
  const handler = handlerOf(live.row.type);
  const child = node.children.get(live.row.id);
  if (child) return arnOf(child);
  if (handler && !isNested(handler) && handler.reference)
    return handler.reference({ physicalId: live.row.physical_id, name: live.row.name, data: live.state.data });
  return live.row.physical_id ?? live.row.name;
}

/** A resource as get_resource and get_attr see it: what it was when it was last completed, or nothing yet. */
export function viewOf(node: StackNode, name: string): ResourceView | undefined {
  const type = node.analysis.resources.get(name)?.type;
  if (!type) return undefined;
  const known = (attribute: Value): boolean =>
    type.any_attribute === true || attribute === 'show' || Object.hasOwn(type.attributes, text(attribute));
  const live = node.resources.get(name);
  const made = live && live.row.action !== 'INIT' && live.row.physical_id !== null;
  if (!made) {
    const reference = type.reference === 'none' ? null : type.reference === 'none-text' ? 'None' : name;
    return unknownView(name, reference, known);
  }
  const child = node.children.get(live.row.id);
  const attribute = (key: Value): Value => {
    if (!known(key))
      throw new Fault('InvalidTemplateAttribute', `The Referenced Attribute (${name} ${text(key)}) is incorrect.`);
    return fromPlain(live.state.attributes[text(key)] ?? null);
  };
  return {
    name,
    action: live.row.action,
    status: live.row.status,
    reference: () => fromPlain(referenceOf(node, live)),
    hasAttribute: known,
    attribute: (key, path) =>
      child ? nestedAttribute(child, live, key, path) : selectFromAttribute(attribute(key), path),
    attributes: () => new Map(Object.entries(live.state.attributes).map(([key, value]) => [key, fromPlain(value)])),
  };
}

/** The outputs of a stack as they can be worked out now; one that cannot says why. */
export function outputsOf(node: StackNode): Map<string, { value: Plain; error: string | null; description: string }> {
  const out = new Map<string, { value: Plain; error: string | null; description: string }>();
  const { analysis } = node;
  for (const output of analysis.outputs.values()) {
    const description = output.description === null ? 'No description given' : text(output.description);
    try {
      out.set(output.name, { value: analysisValue(analysis, output.value), error: null, description });
    } catch (thrown) {
      if (!(thrown instanceof Fault)) throw thrown;
      out.set(output.name, { value: null, error: thrown.heatMessage, description });
    }
  }
  return out;
}

export const analysisValue = (analysis: Analysis, node: Node): Plain => toPlain(resolve(node, analysis.scope));
