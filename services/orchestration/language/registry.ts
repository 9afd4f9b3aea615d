import { Fault } from './faults.ts';
import { compareText, text } from './render.ts';
import type { Dict, Value } from './values.ts';

/** The resource_registry of an environment: which template or type stands behind a resource's type or name. */

export const HOOKS = ['pre-create', 'pre-update', 'pre-delete', 'post-create', 'post-update', 'post-delete'] as const;
export const RESTRICTED_ACTIONS = ['update', 'replace'] as const;

/** One line of a registry. */
export interface Mapping {
  readonly path: readonly string[];
  readonly name: string;
  /** A type, a type with a trailing "*", or a template's URL. */
  readonly value: string;
  /** Whether it comes from the user's environment, not from the product's own table. */
  readonly user: boolean;
}

/** A level of the registry: types at the top, and under "resources" a level for each resource's name. */
export type RegistryEntry = Map<string, RegistryEntry | Mapping | Value>;

/** What a type is found to be. */
export type Found =
  | { kind: 'type'; name: string }
  | { kind: 'template'; file: string; name: string; path: readonly string[]; user: boolean };

export function isTemplateName(name: string): boolean {
  return name.endsWith('.yaml') || name.endsWith('.template');
}

/** Reads the registry's tree. Throws InvalidBreakPointHook, InvalidRestrictedAction. */
export function loadRegistry(tree: Dict): RegistryEntry {
  const root: RegistryEntry = new Map([['resources', new Map() as RegistryEntry]]);
  loadLevel(root, [], tree);
  return root;
}

function loadLevel(root: RegistryEntry, path: string[], tree: Dict): void {
  for (const [key, value] of tree) {
    const name = text(key);
    const here = [...path, name];
    if (value === null) remove(levelAt(root, path), name);
    else if (name === 'hooks' || name === 'restricted_actions') {
      checkBreakpoint(name, value);
      levelAt(root, path).set(name, value);
    } else if (value instanceof Map) loadLevel(root, here, value);
    else levelAt(root, path).set(name, { path: here, name, value: text(value), user: true } satisfies Mapping);
  }
}

function levelAt(root: RegistryEntry, path: readonly string[]): RegistryEntry {
  let level = root;
  for (const step of path) {
    let next = level.get(step);
    if (!(next instanceof Map)) {
      next = new Map() as RegistryEntry;
      level.set(step, next);
    }
    level = next as RegistryEntry;
  }
  return level;
}

function remove(level: RegistryEntry, name: string): void {
  if (!name.endsWith('*')) level.delete(name);
  else
    for (const key of [...level.keys()])
      if (isMapping(level.get(key)) && key.startsWith(name.slice(0, -1))) level.delete(key);
}

function checkBreakpoint(name: 'hooks' | 'restricted_actions', value: Value): void {
  const known: readonly string[] = name === 'hooks' ? HOOKS : RESTRICTED_ACTIONS;
  const items = Array.isArray(value) ? value : [value];
  if (items.every((item) => known.includes(item as string))) return;
  const types = `(${known.map((item) => `'${item}'`).join(', ')})`;
  throw name === 'hooks'
    ? new Fault(
        'InvalidBreakPointHook',
        `Invalid hook type "${text(value)}" for resource breakpoint, acceptable hook types are: ${types}`,
      )
    : new Fault(
        'InvalidRestrictedAction',
        `Invalid restricted_action type "${text(value)}" for resource, acceptable restricted_action types are: ${types}`,
      );
}

function isMapping(entry: unknown): entry is Mapping {
  return typeof entry === 'object' && entry !== null && 'path' in entry && 'user' in entry;
}

/** What the product itself knows: its types, and names that stand for others ("OS::Quantum*" for "OS::Neutron*"). */
export interface BuiltIn {
  hasType(name: string): boolean;
  aliases(): ReadonlyMap<string, string>;
}

const MAX_STEPS = 50;

/**
 * What stands behind a resource's type: the environment first, a mapping for this resource's name before one for all.
 * Throws EntityNotFound where nothing does, RequestLimitExceeded where mappings lead in a circle.
 */
export function findType(
  root: RegistryEntry,
  builtIn: BuiltIn,
  type: string,
  resource?: string,
  only?: 'template',
): Found {
  const found = search(root, builtIn, type, resource, only, 0);
  if (found) return found;
  throw new Fault('EntityNotFound', `The Resource Type (${type}) could not be found.`);
}

function search(
  root: RegistryEntry,
  builtIn: BuiltIn,
  type: string,
  resource: string | undefined,
  only: 'template' | undefined,
  step: number,
): Found | undefined {
  if (step > MAX_STEPS) {
    throw new Fault('RequestLimitExceeded', `Request limit exceeded: the resource type ${type} is mapped in a circle`);
  }
  const matches = [...userMatches(root, type, resource), ...builtInMatches(builtIn, type)].sort(precedence);
  for (const match of matches) {
    const found = follow(match, root, builtIn, type, resource, only, step);
    if (found && (only === undefined || found.kind === only)) return found;
  }
  return undefined;
}

function follow(
  match: Mapping,
  root: RegistryEntry,
  builtIn: BuiltIn,
  type: string,
  resource: string | undefined,
  only: 'template' | undefined,
  step: number,
): Found | undefined {
  const { name, value, path, user } = match;
  if (isTemplateName(name)) return { kind: 'template', file: name, name, path, user };
  if (isTemplateName(value)) return { kind: 'template', file: value, name, path, user };
  if (!user && value === '') return { kind: 'type', name };
  const next = name.endsWith('*') && value.endsWith('*') ? value.slice(0, -1) + type.slice(name.length - 1) : value;
  return search(root, builtIn, next, resource, only, step + 1);
}

function userMatches(root: RegistryEntry, type: string, resource: string | undefined): Mapping[] {
  const out: Mapping[] = [];
  // A type that names a template is registered by being used.
  if (isTemplateName(type)) {
    const known = root.get(type);
    out.push(isMapping(known) ? known : { path: [type], name: type, value: type, user: true });
  }
  const named =
    resource === undefined ? undefined : (root.get('resources') as RegistryEntry | undefined)?.get(resource);
  if (named instanceof Map) {
    const entry = (named as RegistryEntry).get(type);
    if (isMapping(entry)) out.push(entry);
  }
  const direct = root.get(type);
  if (isMapping(direct) && !out.includes(direct)) out.push(direct);
  for (const [pattern, entry] of root) {
    if (!pattern.endsWith('*') || !isMapping(entry) || isTemplateName(entry.value)) continue;
    if (type !== entry.value && type.startsWith(pattern.slice(0, -1))) out.push(entry);
  }
  return out;
}

function builtInMatches(builtIn: BuiltIn, type: string): Mapping[] {
  const out: Mapping[] = [];
  if (builtIn.hasType(type)) out.push({ path: [type], name: type, value: '', user: false });
  for (const [pattern, value] of builtIn.aliases()) {
    const matches = pattern.endsWith('*') ? type !== value && type.startsWith(pattern.slice(0, -1)) : pattern === type;
    if (matches) out.push({ path: [pattern], name: pattern, value, user: false });
  }
  return out;
}

/** The user's before the product's, longer paths (named resources) before shorter ones. */
function precedence(a: Mapping, b: Mapping): number {
  if (a.user !== b.user) return a.user ? -1 : 1;
  if (a.path.length !== b.path.length) return b.path.length - a.path.length;
  for (let i = 0; i < a.path.length; i++) {
    const order = compareText(a.path[i]!, b.path[i]!);
    if (order !== 0) return order;
  }
  return 0;
}

/** Matches a resource's name against the registry's patterns, as fnmatch does: * ? [abc] [!abc]. */
export function matchesPattern(name: string, pattern: string): boolean {
  const source = pattern
    .replace(/\[!/g, '[^')
    .replace(/[.+(){}|\\$]/g, '\\$&')
    .replace(/\*/g, '.*')
    .replace(/\?/g, '.');
  try {
    return new RegExp(`^(?:${source})$`, 's').test(name);
  } catch {
    return name === pattern;
  }
}

/** The hooks or restricted actions that the registry sets for a resource's name. */
export function breakpoints(root: RegistryEntry, resource: string, kind: 'hooks' | 'restricted_actions'): Set<string> {
  const out = new Set<string>();
  for (const [pattern, entry] of (root.get('resources') as RegistryEntry | undefined) ?? []) {
    if (!(entry instanceof Map) || !matchesPattern(resource, pattern)) continue;
    const value = (entry as RegistryEntry).get(kind) as Value | undefined;
    for (const item of Array.isArray(value) ? value : value === undefined ? [] : [value]) out.add(text(item));
  }
  return out;
}

/** The registry as data again: what the user gave, for storing. */
export function registryTree(level: RegistryEntry): Dict {
  const out: Dict = new Map();
  for (const [name, entry] of level) {
    if (entry instanceof Map) out.set(name, registryTree(entry as RegistryEntry));
    else out.set(name, isMapping(entry) ? entry.value : (entry as Value));
  }
  return out;
}

/**
 * The registry of a resource's nested stack: the parent's, with "resources" narrowed to what matches this resource, and
 * without the entry that the nested template stands for (a template that uses its own type must not be itself again).
 */
export function childRegistry(root: RegistryEntry, resource: string, implementing?: Found): RegistryEntry {
  const copy = loadRegistry(registryTree(root));
  if (implementing?.kind === 'template') {
    const level = levelAt(copy, implementing.path.slice(0, -1));
    level.delete(implementing.path.at(-1)!);
  }
  const kept: RegistryEntry = new Map();
  const resources = copy.get('resources') as RegistryEntry;
  for (const [pattern, entry] of resources) {
    if (entry instanceof Map && matchesPattern(resource, pattern)) {
      for (const [name, item] of entry as RegistryEntry) kept.set(name, item);
    }
  }
  copy.set('resources', kept);
  return copy;
}
