/** A stack's definition between its stored form and the language's view of it. */
import { createHash } from 'node:crypto';
import type { Secrets } from '../../core/secrets.ts';
import {
  Analysis,
  type Dict,
  type EnvironmentFile,
  environmentFrom,
  type Facade,
  fromPlain,
  mergeEnvironments,
  parameterSchemas,
  parseEnvironment,
  parseTemplate,
  type Template,
  type TypeCatalog,
  templateFrom,
  toPlain,
} from '../language/index.ts';
import type { Definition, Plain, StackUpdate, StackWish } from '../model.ts';

const owner = (stackId: string): string => `stack ${stackId} definition`;

export const sealDefinition = (secrets: Secrets, stackId: string, definition: Definition): string =>
  secrets.seal(JSON.stringify(definition), owner(stackId));

export const openDefinition = (secrets: Secrets, stackId: string, sealed: string): Definition =>
  JSON.parse(secrets.open(sealed, owner(stackId))) as Definition;

export const filesId = (files: Readonly<Record<string, string>>): string =>
  createHash('sha256')
    .update(JSON.stringify(Object.entries(files).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))))
    .digest('hex');

/** @throws language Fault */
export function templateOf(definition: Pick<Definition, 'template' | 'file'>): Template {
  const { template, file } = definition;
  return typeof template === 'string'
    ? parseTemplate(template, { file })
    : templateFrom(fromPlain(template) as Dict, { file });
}

export interface AnalysisWish {
  readonly definition: Definition;
  readonly files: Readonly<Record<string, string>>;
  readonly types: TypeCatalog;
  readonly stack: { readonly id: string; readonly name: string; readonly project: string };
  readonly facade?: Facade;
}

/**
 * The template with all that is given to it. Requests have it read by a thread of their own (reading/pool.ts); the engine
 * reads here what such a thread has found good. @throws language Fault
 */
export function analyse(wish: AnalysisWish): Analysis {
  return new Analysis({
    template: templateOf(wish.definition),
    environment: environmentFrom(fromPlain(wish.definition.environment) as Dict),
    files: new Map(Object.entries(wish.files)),
    types: wish.types,
    stack: wish.stack,
    now: Date.now(),
    ...(wish.facade && { facade: wish.facade }),
  });
}

type PlainMap = { readonly [key: string]: Plain };
const isMap = (value: Plain | undefined): value is { [key: string]: Plain } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const treeOf = (given: string | PlainMap, file: string): Dict =>
  typeof given === 'string' ? parseEnvironment(given, { file }) : (fromPlain(given) as Dict);

/** What was given, laid over `base`: the request's own environment, then its files in order, then its parameters. */
function environmentOver(base: PlainMap, wish: Omit<StackWish, 'template'>, template: Template): PlainMap {
  const layers: EnvironmentFile[] = [];
  if (wish.environment !== undefined)
    layers.push({ file: 'environment', content: treeOf(wish.environment, 'environment') });
  for (const name of wish.environmentFiles ?? []) {
    const text = wish.files?.[name];
    if (text !== undefined) layers.push({ file: name, content: text });
  }
  const schemas = parameterSchemas(template);
  const merged = toPlain(mergeEnvironments(layers, schemas, { base: fromPlain(base) as Dict })) as PlainMap;
  if (!wish.parameters || Object.keys(wish.parameters).length === 0) return merged;
  const before = isMap(merged.parameters) ? merged.parameters : {};
  return { ...merged, parameters: { ...before, ...wish.parameters } };
}

/** @throws language Fault for a template or an environment that is none */
export function definitionOf(wish: StackWish): Definition {
  const file = wish.file ?? 'template';
  const template = templateOf({ template: wish.template, file });
  return { template: wish.template, file, environment: environmentOver({}, wish, template) };
}

/** The definition after an update, which may keep parts of the present one. @throws language Fault */
export function updatedDefinition(present: Definition, wish: StackUpdate): Definition {
  const source = wish.template ?? present.template;
  const file = wish.file ?? (wish.template === undefined ? present.file : 'template');
  const template = templateOf({ template: source, file });
  const base: { [key: string]: Plain } = wish.existing ? { ...present.environment } : {};
  if (isMap(base.parameters) && wish.clearParameters) {
    const cleared = new Set(wish.clearParameters);
    base.parameters = Object.fromEntries(Object.entries(base.parameters).filter(([name]) => !cleared.has(name)));
  }
  return { template: source, file, environment: environmentOver(base, wish, template) };
}
