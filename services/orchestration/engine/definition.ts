/** A stack's definition between its stored form and the language's view of it. */
import { createHash } from 'node:crypto';
import type { Secrets } from '../../core/secrets.ts';
import {
  Analysis,
  type Dict,
  environmentFrom,
  type Facade,
  fromPlain,
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
 * The template with all that is given to it. Everything that parses passes through here, so that a worker thread can
 * take it over for large templates without the callers noticing. @throws language Fault
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

/** Later sections win name by name; registries are merged level by level; lists are replaced. */
function mergeEnvironment(first: PlainMap, second: PlainMap): PlainMap {
  const out: { [key: string]: Plain } = { ...first };
  for (const [section, value] of Object.entries(second)) {
    const before = out[section];
    out[section] = isMap(before) && isMap(value) ? mergeEnvironmentSection(section, before, value) : value;
  }
  return out;
}

function mergeEnvironmentSection(section: string, first: PlainMap, second: PlainMap): { [key: string]: Plain } {
  const out: { [key: string]: Plain } = { ...first };
  for (const [name, value] of Object.entries(second)) {
    const before = out[name];
    out[name] =
      section === 'resource_registry' && isMap(before) && isMap(value)
        ? mergeEnvironmentSection(section, before, value)
        : value;
  }
  return out;
}

const readEnvironment = (given: string | PlainMap, file: string): PlainMap =>
  typeof given === 'string' ? (toPlain(parseEnvironment(given, { file })) as PlainMap) : given;

/** @throws language Fault for an environment that is none */
export function environmentOf(wish: Omit<StackWish, 'template'>): PlainMap {
  let merged: PlainMap = {};
  for (const name of wish.environmentFiles ?? []) {
    const text = wish.files?.[name];
    if (text !== undefined) merged = mergeEnvironment(merged, readEnvironment(text, name));
  }
  if (wish.environment !== undefined)
    merged = mergeEnvironment(merged, readEnvironment(wish.environment, 'environment'));
  if (wish.parameters && Object.keys(wish.parameters).length > 0) {
    merged = mergeEnvironment(merged, { parameters: wish.parameters });
  }
  return merged;
}

export const definitionOf = (wish: StackWish): Definition => ({
  template: wish.template,
  file: wish.file ?? 'template',
  environment: environmentOf(wish),
});

/** The definition after an update, which may keep parts of the present one. */
export function updatedDefinition(present: Definition, wish: StackUpdate): Definition {
  const fresh = environmentOf(wish);
  if (!wish.existing) {
    return { template: wish.template ?? present.template, file: wish.file ?? present.file, environment: fresh };
  }
  const merged = mergeEnvironment(present.environment, fresh);
  const parameters = isMap(merged.parameters) ? { ...merged.parameters } : {};
  for (const name of wish.clearParameters ?? []) delete parameters[name];
  return {
    template: wish.template ?? present.template,
    file: wish.file ?? (wish.template === undefined ? present.file : 'template'),
    environment: { ...merged, parameters },
  };
}
