/**
 * A stack as data: what `export`, `abandon` and snapshots give, in Heat's shape, and what `adopt` takes. It carries what the
 * stack's types noted of their resources (a generated text, say), so it is as secret as the stack.
 */
import { fault } from '../core/errors/index.ts';
import type { Secrets } from '../core/secrets.ts';
import type { StackNode } from './engine/tree.ts';
import { registryTree, toPlain } from './language/index.ts';
import type { Definition, Plain } from './model.ts';
import type { SnapshotRow } from './store/snapshots.ts';

type PlainMap = { readonly [key: string]: Plain };
export const isMap = (value: Plain | undefined): value is PlainMap =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export function exportOf(node: StackNode): PlainMap {
  const { row, analysis } = node;
  const { environment } = analysis;
  const given = node.definition().environment;
  return {
    name: row.name,
    id: row.id,
    action: row.action,
    environment: {
      resource_registry: { resources: {}, ...(toPlain(registryTree(environment.registry)) as object) },
      parameters: given.parameters ?? {},
      parameter_defaults: toPlain(environment.parameterDefaults),
      event_sinks: toPlain(environment.eventSinks),
    },
    files: { ...node.files },
    status: row.status,
    template: toPlain(analysis.template.tree),
    resources: Object.fromEntries([...node.resources.keys()].map((name) => [name, resourceOf(node, name)])),
    project_id: row.project_id,
    stack_user_project_id: row.user_project_id,
    tags: [...row.tags],
  };
}

function resourceOf(node: StackNode, name: string): PlainMap {
  const live = node.resources.get(name);
  if (!live) throw fault('resource-not-found', { resource: name, stack: node.row.name });
  const child = node.children.get(live.row.id);
  // The files are the outer stack's; each inner copy of them would only make it long.
  if (child) return { ...exportOf(child), files: {} };
  return {
    name,
    resource_id: live.row.physical_id,
    type: live.row.type,
    action: live.row.action,
    status: live.row.status,
    metadata: live.state.metadata,
    resource_data: live.state.data,
  };
}

/** What is adopted, by resource name. */
export interface Adoption {
  readonly template: PlainMap;
  readonly environment: PlainMap;
  readonly files: { readonly [name: string]: string };
  readonly resources: PlainMap;
}

/** @param given the data as text or as it is. @throws Fault `bad-request` */
export function adoptionFrom(given: Plain): Adoption {
  const refuse = (reason: string) => fault('bad-request', { reason: `The data to adopt cannot be used: ${reason}` });
  let data = given;
  if (typeof data === 'string') {
    try {
      data = JSON.parse(data) as Plain;
    } catch (error) {
      throw refuse(`it is not JSON: ${(error as Error).message}.`);
    }
  }
  if (!isMap(data)) throw refuse('it has to be a map, as `stack abandon` gives it.');
  const { template, environment = {}, files = {}, resources = {} } = data;
  if (!isMap(template)) throw refuse('it has no "template".');
  if (!isMap(environment) || !isMap(files) || !isMap(resources))
    throw refuse('"environment", "files" and "resources" have to be maps.');
  const texts = Object.fromEntries(Object.entries(files).map(([name, text]) => [name, String(text)]));
  return { template, environment, files: texts, resources };
}

interface SnapshotBody {
  readonly data: PlainMap;
  readonly definition: Definition;
  readonly files: Readonly<Record<string, string>>;
}

const owner = (id: string): string => `snapshot ${id}`;

export const sealSnapshot = (secrets: Secrets, id: string, node: StackNode): string => {
  const data = { ...exportOf(node), action: 'SNAPSHOT', status: 'COMPLETE' };
  return secrets.seal(JSON.stringify({ data, definition: node.definition(), files: node.files }), owner(id));
};

/** Null while it is not complete. */
export const openSnapshot = (secrets: Secrets, row: SnapshotRow): SnapshotBody | null =>
  row.body === null ? null : (JSON.parse(secrets.open(row.body, owner(row.id))) as SnapshotBody);
