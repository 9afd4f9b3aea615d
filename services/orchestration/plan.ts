/**
 * What a definition would do to a stack, before it does it: for each resource create, keep, update, replace or delete,
 * with the property that forces it. Pure: it looks at the tree as it is and asks nobody.
 */
import { judge, same } from './engine/change.ts';
import { explained } from './engine/faults.ts';
import { metadataOf, presentOf, propertiesOf } from './engine/opening.ts';
import type { Properties } from './engine/state.ts';
import { type StackNode, viewOf } from './engine/tree.ts';
import { type Analysis, type Node, type Resource, references } from './language/index.ts';
import type { Plain } from './model.ts';
import { handlerOf, isNested } from './resources/index.ts';

export type Change = 'create' | 'keep' | 'update' | 'replace' | 'delete';

export interface PropertyChange {
  readonly name: string;
  readonly from: Plain;
  /** `null` with `unknown`: it depends on something that does not exist yet. */
  readonly to: Plain;
  readonly unknown: boolean;
}

export interface PlannedResource {
  readonly name: string;
  readonly type: string;
  readonly change: Change;
  /** The property that forces a replacement, or why else. */
  readonly because: string | null;
  readonly properties: readonly PropertyChange[];
  readonly requires: readonly string[];
  readonly physical_id: string | null;
}

const secretName = /passw|secret|token|credential|private/i;
const hidden = '******';

const shown = (name: string, value: Plain): Plain => (value !== null && secretName.test(name) ? hidden : value);

/** The names that a property's value needs. */
function needsOf(node: Node | undefined, analysis: Analysis): string[] {
  const names: string[] = [];
  if (node !== undefined) references(node, analysis.scope, (name) => void names.push(name));
  return names;
}

/** @param present the stack as it is; null for one that is not there. @throws Fault `template-invalid` */
export function plan(present: StackNode | null, analysis: Analysis): PlannedResource[] {
  try {
    return planned(present, analysis);
  } catch (thrown) {
    throw explained(thrown);
  }
}

function planned(present: StackNode | null, analysis: Analysis): PlannedResource[] {
  const order = analysis.graph.order();
  const node = present && { ...present, analysis };
  if (node) analysis.scope.see((name) => viewOf(node as StackNode, name));
  /** What will have another identity or other attributes than now. */
  const moving = new Set<string>();
  const out: PlannedResource[] = [];
  for (const name of order) {
    const resource = analysis.resources.get(name) as Resource;
    const entry = planOne(present, analysis, resource, moving);
    if (entry.change !== 'keep') moving.add(name);
    out.push(entry);
  }
  for (const [name, live] of present?.resources ?? []) {
    if (analysis.resources.has(name)) continue;
    out.push({
      name,
      type: live.row.type,
      change: 'delete',
      because: live.row.retain
        ? 'it is no longer in the template; deletion_policy keeps what it stands for'
        : 'it is no longer in the template',
      properties: [],
      requires: live.row.requires,
      physical_id: live.row.physical_id,
    });
  }
  return out;
}

function planOne(
  present: StackNode | null,
  analysis: Analysis,
  resource: Resource,
  moving: ReadonlySet<string>,
): PlannedResource {
  const { name, type } = resource;
  const requires = [...analysis.graph.required(name)];
  const live = present?.resources.get(name);
  const base = { name, type: type.name, requires, physical_id: live?.row.physical_id ?? null };
  const unknown = new Set(
    Object.keys(type.properties).filter((property) =>
      needsOf(resource.properties.data.get(property), analysis).some((need) => moving.has(need)),
    ),
  );
  if (!live || live.row.action === 'INIT') {
    const given = [...resource.properties.data.keys()].map(String);
    const properties = given.map((property) => ({
      name: property,
      from: null,
      to: unknown.has(property) ? null : shown(property, propertiesOf(resource)[property] ?? null),
      unknown: unknown.has(property),
    }));
    return { ...base, change: 'create', because: null, properties };
  }
  const wanted: Properties = withUnknown(propertiesOf(resource), live.state.properties, unknown);
  const handler = handlerOf(type.name);
  const nested = handler !== undefined && isNested(handler);
  const verdict = judge(presentOf(live), {
    type: type.name,
    properties: wanted,
    metadata: metadataOf(resource, { ...(present as StackNode), analysis } as StackNode),
    schemas: type.properties,
    updatable: nested || (handler !== undefined && 'update' in handler && handler.update !== undefined),
  });
  if (verdict.kind === 'resume')
    return { ...base, change: 'update', because: 'its making was cut short and goes on', properties: [] };
  if (verdict.kind === 'keep') {
    // What it is told may change with what it is told by: then it is visited, and perhaps updated.
    if (unknown.size === 0) return { ...base, change: 'keep', because: null, properties: [] };
    const forced = [...unknown].find((property) => type.properties[property]?.update_allowed !== true);
    return {
      ...base,
      change: forced ? 'replace' : 'update',
      because: forced ?? `${requires.filter((need) => moving.has(need)).join(', ')} changes`,
      properties: [...unknown].map((property) => change(property, live.state.properties, wanted, true)),
    };
  }
  const properties = [...new Set([...verdict.changed, ...unknown])].map((property) =>
    change(property, live.state.properties, wanted, unknown.has(property)),
  );
  return { ...base, change: verdict.kind, because: verdict.kind === 'replace' ? verdict.because : null, properties };
}

const change = (name: string, from: Properties, to: Properties, unknown: boolean): PropertyChange => ({
  name,
  from: shown(name, from[name] ?? null),
  to: unknown ? null : shown(name, to[name] ?? null),
  unknown,
});

/** What is not known yet is held to be as it was. */
function withUnknown(wanted: Properties, before: Properties, unknown: ReadonlySet<string>): Properties {
  const out: { [name: string]: Plain } = { ...wanted };
  for (const name of unknown) if (!same(out[name], before[name])) out[name] = before[name] ?? null;
  return out;
}
