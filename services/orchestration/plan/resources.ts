/**
 * What a definition would do to a stack, before it does it: for each resource create, keep, update, replace or delete,
 * with the property that forces it, what that means for the machine behind it, and the same of the stacks within. Pure: it
 * looks at the tree as it is and asks nobody.
 */
import { judge, same } from '../engine/change.ts';
import { analyse } from '../engine/definition.ts';
import { joinPath } from '../engine/drive.ts';
import type { Impact } from '../engine/handler.ts';
import { childDefinition } from '../engine/nesting.ts';
import { metadataOf, presentOf, propertiesOf } from '../engine/opening.ts';
import type { Live, Properties } from '../engine/state.ts';
import { type StackNode, viewOf } from '../engine/tree.ts';
import {
  type Analysis,
  DEFAULT_LIMITS,
  Fault,
  type Node,
  type Resource,
  references,
  toPlain,
} from '../language/index.ts';
import type { Plain } from '../model.ts';
import { handlerOf, isNested } from '../resources/index.ts';

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
  /** For the machine behind it; null: nothing, or there is none. */
  readonly impact: Impact | null;
  readonly properties: readonly PropertyChange[];
  readonly requires: readonly string[];
  readonly physical_id: string | null;
  /** Of the stack that it stands for. */
  readonly resources: readonly PlannedResource[];
}

type Files = Readonly<Record<string, string>>;

const secretName = /passw|secret|token|credential|private|_key$|^key$/i;
const hidden = '******';
/** Of all stacks within a stack together: small templates multiply without end. */
interface Budget {
  left: number;
}

const exceeded = (reason: string) => new Fault('RequestLimitExceeded', `Request limit exceeded: ${reason}.`);

/** Secrets are told by their names, wherever in a value they stand. */
export function masked(name: string, value: Plain): Plain {
  if (value === null) return null;
  if (secretName.test(name) && typeof value !== 'boolean') return hidden;
  if (Array.isArray(value)) return value.map((item) => masked('', item));
  if (typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, masked(key, item)]));
}

/** The names that a property's value needs. */
function needsOf(node: Node | undefined, analysis: Analysis): string[] {
  const names: string[] = [];
  if (node !== undefined) references(node, analysis.scope, (name) => void names.push(name));
  return names;
}

/** Shorter ones are told by being the whole of a value: they are part of too much else. */
const leastPart = 4;

/** The values of hidden parameters, those within lists and maps too. */
export function hiddenValues(analysis: Analysis): string[] {
  const out = new Set<string>();
  const add = (value: Plain): void => {
    if (Array.isArray(value)) for (const item of value) add(item);
    else if (typeof value === 'object' && value !== null) for (const item of Object.values(value)) add(item);
    else if (value !== null && typeof value !== 'boolean' && value !== '') out.add(String(value));
  };
  for (const parameter of analysis.parameters.all.values()) {
    if (!parameter.schema.hidden) continue;
    try {
      add(toPlain(parameter.value()));
    } catch {
      // It was never given.
    }
  }
  return [...out];
}

/** A value that a hidden parameter went into is as secret as the parameter, however deep it lies. */
function veiled(value: Plain, secrets: readonly string[]): Plain {
  if (secrets.length === 0 || value === null || typeof value === 'boolean') return value;
  if (Array.isArray(value)) return value.map((item) => veiled(item, secrets));
  if (typeof value === 'object')
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, veiled(item, secrets)]));
  const text = String(value);
  const tells = (secret: string) => text === secret || (secret.length >= leastPart && text.includes(secret));
  return secrets.some(tells) ? hidden : value;
}

/** @param present the stack as it is; null for one that is not there. @throws language Fault */
export const plan = (present: StackNode | null, analysis: Analysis, files: Files): PlannedResource[] =>
  planLevel({ present, analysis, files, depth: 0, secrets: [], budget: { left: DEFAULT_LIMITS.resources } });

interface Level extends Pick<Here, 'analysis' | 'files' | 'depth' | 'budget' | 'secrets'> {
  readonly present: StackNode | null;
}

function planLevel({ present, analysis, files, depth, budget, secrets: known }: Level): PlannedResource[] {
  const order = analysis.graph.order();
  budget.left -= order.length;
  if (budget.left < 0) throw exceeded(`Maximum resources per stack exceeded (${DEFAULT_LIMITS.resources})`);
  const node = present && ({ ...present, analysis } as StackNode);
  if (node) analysis.scope.see((name) => viewOf(node, name));
  // What was secret stays so when the parameter gets another value.
  const secrets = [
    ...new Set([...hiddenValues(analysis), ...(present ? hiddenValues(present.analysis) : []), ...known]),
  ];
  /** What will have another identity or other attributes than now. */
  const moving = new Set<string>();
  const out: PlannedResource[] = [];
  for (const name of order) {
    const entry = planOne(
      { node, analysis, files, depth, budget, secrets, moving },
      analysis.resources.get(name) as Resource,
    );
    if (entry.change !== 'keep') moving.add(name);
    out.push(entry);
  }
  for (const [name, live] of present?.resources ?? [])
    if (!analysis.resources.has(name))
      out.push(deletion(present as StackNode, live, 'it is no longer in the template'));
  for (const live of present?.retired ?? [])
    out.push(deletion(present as StackNode, live, 'it was replaced and is not deleted yet'));
  return out;
}

/** What the deletion of a whole stack takes with it. */
export const deletions = (node: StackNode, because: string): PlannedResource[] =>
  [...node.resources.values(), ...node.retired].map((live) => deletion(node, live, because));

function deletion(node: StackNode, live: Live, because: string): PlannedResource {
  const { row } = live;
  const child = node.children.get(row.id);
  const handler = handlerOf(row.type);
  const kept = row.retain;
  return {
    name: row.name,
    type: row.type,
    change: 'delete',
    because: kept ? `${because}; deletion_policy keeps what it stands for` : because,
    impact: kept || !handler || isNested(handler) ? null : (handler.impact?.('delete', []) ?? null),
    properties: [],
    requires: row.requires,
    physical_id: row.physical_id,
    resources: child && !kept ? deletions(child, because) : [],
  };
}

interface Here {
  readonly node: StackNode | null;
  readonly analysis: Analysis;
  readonly files: Files;
  readonly depth: number;
  readonly budget: Budget;
  /** Values that are shown to nobody, those of the stacks around this one included. */
  readonly secrets: readonly string[];
  readonly moving: ReadonlySet<string>;
}

function planOne(here: Here, resource: Resource): PlannedResource {
  const { node, analysis, moving } = here;
  const { name, type } = resource;
  const live = node?.resources.get(name);
  const unknown = new Set(
    [...resource.properties.data.keys()]
      .map(String)
      .filter((property) => needsOf(resource.properties.data.get(property), analysis).some((need) => moving.has(need))),
  );
  const shown = (property: string, value: Plain): Plain => masked(property, veiled(value, here.secrets));
  const handler = handlerOf(type.name);
  const entry = (
    change: Change,
    because: string | null,
    properties: readonly PropertyChange[],
    resources: readonly PlannedResource[] = [],
  ): PlannedResource => ({
    name,
    type: type.name,
    change,
    because,
    impact:
      change === 'keep' || !handler || isNested(handler)
        ? null
        : (handler.impact?.(
            change,
            properties.map((one) => one.name),
          ) ?? null),
    properties,
    requires: [...analysis.graph.required(name)],
    physical_id: live?.row.physical_id ?? null,
    resources,
  });
  const given = propertiesOf(resource);
  const within = unknown.size === 0 ? nested(here, resource, given, live) : [];
  if (!live || live.row.action === 'INIT') {
    const properties = [...resource.properties.data.keys()].map(String).map((property) => ({
      name: property,
      from: null,
      to: unknown.has(property) ? null : shown(property, given[property] ?? null),
      unknown: unknown.has(property),
    }));
    return entry('create', null, properties, within);
  }
  const before = live.state.properties;
  const wanted: Properties = withUnknown(given, before, unknown);
  const diff = (property: string): PropertyChange => ({
    name: property,
    from: shown(property, before[property] ?? null),
    to: unknown.has(property) ? null : shown(property, wanted[property] ?? null),
    unknown: unknown.has(property),
  });
  const stack = handler !== undefined && isNested(handler);
  const verdict = judge(presentOf(live), {
    type: type.name,
    properties: wanted,
    metadata: metadataOf(resource, node as StackNode),
    schemas: type.properties,
    updatable: stack || (handler !== undefined && 'update' in handler && handler.update !== undefined),
  });
  if (verdict.kind === 'resume') return entry('update', 'its making was cut short and goes on', [], within);
  const moved = within.some((inner) => inner.change !== 'keep');
  const changed = verdict.kind === 'keep' ? [...unknown] : [...new Set([...verdict.changed, ...unknown])];
  if (verdict.kind === 'keep') {
    // What it is told may change with what it is told by: then it is visited, and perhaps updated.
    if (unknown.size === 0)
      return moved ? entry('update', 'what is in it changes', [], within) : entry('keep', null, [], within);
    const forced = changed.find((property) => type.properties[property]?.update_allowed !== true);
    const movers = entry('keep', null, []).requires.filter((need) => moving.has(need));
    return entry(forced ? 'replace' : 'update', forced ?? `${movers.join(', ')} changes`, changed.map(diff), within);
  }
  // A stack that did not end well is gone on with, not made anew.
  if (stack && verdict.kind === 'replace' && verdict.because !== 'type')
    return entry('update', verdict.because, changed.map(diff), within);
  if (verdict.kind === 'replace') return entry('replace', verdict.because, changed.map(diff), within);
  const late = handler && !isNested(handler) ? handler.replacedBy?.(verdict.changed, wanted) : undefined;
  return late ? entry('replace', late, changed.map(diff), within) : entry('update', null, changed.map(diff), within);
}

/** What happens in the stack that the resource stands for; empty where its properties cannot be told yet. */
function nested(here: Here, resource: Resource, properties: Properties, live: Live | undefined): PlannedResource[] {
  const handler = handlerOf(resource.type.name);
  if (!handler || !isNested(handler)) return [];
  // As the engine would refuse it when it comes there.
  if (here.depth >= DEFAULT_LIMITS.stackDepth)
    throw exceeded(`Recursion depth exceeds ${DEFAULT_LIMITS.stackDepth} at ${resource.name}`);
  const pending = needsOf(resource.definition.properties as Node, here.analysis).some((need) => here.moving.has(need));
  if (pending) return [];
  const node = (here.node ?? { analysis: here.analysis }) as StackNode;
  const child = (live && here.node?.children.get(live.row.id)) ?? null;
  const existing = child ? [...child.resources.keys()] : [];
  const definition = childDefinition(node, resource, properties, handler, existing, live?.state.data ?? {});
  const { stack, types } = here.analysis;
  const analysis = analyse({
    definition,
    files: here.files,
    types,
    stack: { ...stack, name: `${stack.name}-${resource.name}` },
  });
  return planLevel({ ...here, present: child, analysis, depth: here.depth + 1 });
}

/** What is not known yet is held to be as it was. */
function withUnknown(wanted: Properties, before: Properties, unknown: ReadonlySet<string>): Properties {
  const out: { [name: string]: Plain } = { ...wanted };
  for (const name of unknown) if (!same(out[name], before[name])) out[name] = before[name] ?? null;
  return out;
}

/** Every resource with Heat's path, the nested ones too. */
export function* flat(
  resources: readonly PlannedResource[],
  above: readonly string[] = [],
): Iterable<{ readonly path: string; readonly resource: PlannedResource }> {
  for (const resource of resources) {
    const names = [...above, resource.name];
    yield { path: names.map((one) => joinPath(one)).join('.'), resource };
    yield* flat(resource.resources, names);
  }
}
