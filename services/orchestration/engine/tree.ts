/** A stack with its resources and the stacks nested in it, in memory: what the engine drives and the API shows. */
import { breathing } from '../../core/breath.ts';
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
  type TypeCatalog,
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

/** What a tree is read with: the types, and how a stored definition is opened. */
export interface NodeMeans {
  readonly types: TypeCatalog;
  readonly definitionOf: (row: stackStore.StackRow) => Definition;
}

export const meansOf = (desk: Pick<Desk, 'types' | 'house'>): NodeMeans => ({
  types: desk.types,
  definitionOf: (row) => openDefinition(desk.house.secrets, row.id, row.definition),
});

export function nodeOf(
  means: NodeMeans,
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
    definition: () => means.definitionOf(node.row),
    get analysis() {
      if (!known) {
        const definition = node.definition();
        const facade = parent && facadeOf(parent, node.row.parent_resource ?? '');
        const fresh = analyse({
          definition,
          files: node.files,
          types: means.types,
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
  const means = meansOf(desk);
  const breath = breathing();
  const build = async (row: stackStore.StackRow, parent: StackNode | null): Promise<StackNode> => {
    const node = nodeOf(means, row, parent, files.get(row.files_id) ?? {});
    for (const resource of byStack.get(row.id) ?? []) {
      const pause = breath();
      if (pause) await pause;
      adopt(node, openState(desk.house.secrets, resource));
    }
    for (const child of byParent.get(row.id) ?? []) {
      const own = ownerOf(node, child.id);
      if (own) node.children.set(own.row.id, await build(child, node));
    }
    return node;
  };
  return build(root, null);
}

export function adopt(node: StackNode, live: Live): void {
  if (live.row.current) node.resources.set(live.row.name, live);
  else node.retired.push(live);
}

/** The resource that stands for the stack of that id. */
export function ownerOf(node: StackNode, stackId: string): Live | undefined {
  for (const live of node.resources.values()) if (live.row.physical_id === stackId) return live;
  return node.retired.find((live) => live.row.physical_id === stackId);
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
