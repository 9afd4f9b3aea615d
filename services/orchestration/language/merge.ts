import { type Environment, environmentFrom, parseEnvironment } from './environment.ts';
import { Fault } from './faults.ts';
import { parseJson } from './json.ts';
import type { Limits } from './limits.ts';
import type { ParameterSchema } from './parameter-schema.ts';
import { childRegistry, type Found } from './registry.ts';
import { text } from './render.ts';
import { type Dict, truthy, typeName, type Value } from './values.ts';

/** Several environments laid over each other, in the ways that `parameter_merge_strategies` names. */

export type MergeStrategy = 'overwrite' | 'merge' | 'deep_merge';
const STRATEGIES: readonly string[] = ['overwrite', 'merge', 'deep_merge'];

export interface EnvironmentFile {
  /** Name for messages. */
  file: string;
  /** The text, or the tree where it was read already. */
  content: string | Dict;
}

/**
 * One environment of many: later files win, unless a strategy says to merge a parameter. `schemas` are the parameters
 * that the template (and its nested ones) declare; strategies hold for those alone. `base` is what came with the request
 * itself, under all files. Throws ValueError, ConflictingMergeStrategyForParam, InvalidMergeStrategyForParam.
 */
export function mergeEnvironments(
  files: readonly EnvironmentFile[],
  schemas: ReadonlyMap<string, ParameterSchema>,
  options: { base?: Dict; limits?: Limits } = {},
): Dict {
  const out: Dict = new Map(options.base ?? []);
  const chosen = new Map<string, string>();
  for (const { file, content } of files) {
    const tree = typeof content === 'string' ? parseEnvironment(content, { file, ...limitsOf(options) }) : content;
    const strategies = tree.get('parameter_merge_strategies');
    for (const [section, value] of tree) {
      if (section === 'parameter_merge_strategies' || !truthy(value)) continue;
      const old = out.get(section) ?? null;
      if (section === 'parameters' || section === 'parameter_defaults') {
        const merger = new ParameterMerger(schemas, strategies instanceof Map ? strategies : new Map(), chosen, file);
        out.set(section, merger.merge(asMap(old, section), asMap(value, section)));
      } else if (Array.isArray(value)) out.set(section, [...(Array.isArray(old) ? old : []), ...value]);
      else out.set(section, mergeMaps(asMap(old, section), asMap(value, section), false) as Dict);
    }
  }
  return out;
}

function limitsOf(options: { limits?: Limits }): { limits?: Limits } {
  return options.limits ? { limits: options.limits } : {};
}

function asMap(value: Value, section: Value): Dict {
  if (value === null) return new Map();
  if (!(value instanceof Map)) throw new Fault('ValueError', `The environment's "${text(section)}" must be a map.`);
  return value;
}

/** Lays `fresh` over `old`; nulls do not overwrite. Deep: maps and lists within are merged, texts put together. */
function mergeMaps(old: Value, fresh: Value, deep: boolean): Value {
  if (!truthy(old)) return fresh;
  if (!(fresh instanceof Map)) throw attributeError(fresh, 'items');
  const given = [...fresh].filter(([, value]) => value !== null);
  if (!(old instanceof Map)) {
    if (given.length === 0) return old;
    const container = Array.isArray(given[0]![1]) || given[0]![1] instanceof Map || typeof given[0]![1] === 'string';
    throw deep && container
      ? attributeError(old, 'get')
      : new Fault('TypeError', `'${typeName(old)}' object does not support item assignment`);
  }
  const out: Dict = new Map(old);
  for (const [key, value] of given) out.set(key, deep ? mergeDeep(out.get(key) ?? null, value) : value);
  return out;
}

function mergeDeep(old: Value, fresh: Value): Value {
  if (fresh instanceof Map) return truthy(old) ? mergeMaps(old, fresh, true) : fresh;
  if (Array.isArray(fresh)) return truthy(old) ? mergeLists(old, fresh) : fresh;
  return typeof fresh === 'string' ? mergeTexts(old ?? '', fresh) : fresh;
}

/** Lists are put together, and comma-delimited texts with a comma between. */
function mergeLists(old: Value, fresh: Value): Value {
  if (!truthy(old)) return fresh;
  if (Array.isArray(fresh)) {
    if (!Array.isArray(old)) throw attributeError(old, 'extend');
    return [...old, ...fresh];
  }
  return mergeTexts(old, fresh, ',');
}

function mergeTexts(old: Value, fresh: Value, between = ''): string {
  for (const [index, part] of [old, fresh].entries()) {
    if (typeof part === 'string') continue;
    throw new Fault('TypeError', `sequence item ${index}: expected str instance, ${typeName(part)} found`);
  }
  return `${old as string}${between}${fresh as string}`;
}

function attributeError(value: Value, attribute: string): Fault {
  return new Fault('AttributeError', `'${typeName(value)}' object has no attribute '${attribute}'`);
}

class ParameterMerger {
  private readonly schemas: ReadonlyMap<string, ParameterSchema>;
  private readonly strategies: Dict;
  /** The strategy of each parameter, fixed by the first file that gives it. */
  private readonly chosen: Map<string, string>;
  private readonly file: string;

  constructor(
    schemas: ReadonlyMap<string, ParameterSchema>,
    strategies: Dict,
    chosen: Map<string, string>,
    file: string,
  ) {
    this.schemas = schemas;
    this.strategies = strategies;
    this.chosen = chosen;
    this.file = file;
  }

  /** The file's own word for the parameter, else the strategy that it already has, else the file's default. */
  private strategy(name: string): string {
    const fallback = text(this.strategies.get('default') ?? 'overwrite');
    const wanted = text(this.strategies.get(name) ?? this.chosen.get(name) ?? fallback);
    return STRATEGIES.includes(wanted) ? wanted : fallback;
  }

  merge(old: Dict, fresh: Dict): Dict {
    const declared = [...fresh].flatMap(([key, value]) => {
      const schema = typeof key === 'string' && value !== null ? this.schemas.get(key) : undefined;
      return schema ? [{ name: key as string, value, schema }] : [];
    });
    for (const { name } of declared) this.choose(name);
    if (old.size === 0) return new Map(fresh);
    const out: Dict = new Map(old);
    for (const { name, value, schema } of declared) {
      const strategy = this.chosen.get(name);
      const merges = strategy === 'merge' || strategy === 'deep_merge';
      out.set(name, merges ? merged(name, schema, out.get(name), value, strategy === 'deep_merge') : value);
    }
    return out;
  }

  private choose(name: string): void {
    const wanted = this.strategy(name);
    const known = this.chosen.get(name);
    if (known !== undefined && known !== wanted) {
      const reason = `Conflicting merge strategy '${wanted}' for parameter '${name}' in file '${this.file}'.`;
      throw new Fault('ConflictingMergeStrategyForParam', reason);
    }
    this.chosen.set(name, wanted);
  }
}

function merged(name: string, schema: ParameterSchema, old: Value | undefined, fresh: Value, deep: boolean): Value {
  if (schema.type === 'Map') return mergeMaps(old ?? null, parsedMap(fresh), deep);
  if (typeof fresh !== 'string' && !Array.isArray(fresh)) {
    throw new Fault('ValueError', `Invalid parameter in environment: the value of ${name} cannot be merged.`);
  }
  if (schema.type === 'List') return mergeLists(old ?? null, fresh);
  if (schema.type === 'String') return mergeTexts(old === undefined ? '' : old, fresh);
  if (schema.type !== 'Number') {
    throw new Fault('InvalidMergeStrategyForParam', `Invalid merge strategy 'merge' for parameter '${name}'.`);
  }
  // Heat refuses numbers above, takes their texts for texts, and cannot add those to a number.
  if (typeof old === 'string' && typeof fresh === 'string') return old + fresh;
  throw new Fault('TypeError', `unsupported operand type(s) for +: '${typeName(old ?? 0)}' and '${typeName(fresh)}'`);
}

function parsedMap(value: Value): Value {
  if (typeof value !== 'string' || value === '') return value;
  try {
    return parseJson(value);
  } catch (thrown) {
    throw new Fault('ValueError', `Invalid parameter in environment ${(thrown as Error).message}.`);
  }
}

/**
 * The environment of a resource's nested stack: the parent's defaults and registry (narrowed to this resource), and the
 * parameters that the resource gives. `implementing` is what the resource was found to be, so that its template does not
 * become its own type again.
 */
export function childEnvironment(
  parent: Environment,
  parameters: Dict,
  resource: string,
  implementing?: Found,
): Environment {
  return {
    ...environmentFrom(),
    parameters,
    parameterDefaults: new Map(parent.parameterDefaults),
    registry: childRegistry(parent.registry, resource, implementing),
    eventSinks: [...parent.eventSinks],
  };
}
