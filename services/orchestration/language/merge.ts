import { type Environment, environmentFrom, parseEnvironment } from './environment.ts';
import { Fault } from './faults.ts';
import { parseJson } from './json.ts';
import type { Limits } from './limits.ts';
import type { ParameterSchema } from './parameter-schema.ts';
import { childRegistry, type Found } from './registry.ts';
import { text } from './render.ts';
import { asNumber, type Dict, float, integer, isInteger, isNumber, truthy, type Value } from './values.ts';

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
        const merger = new ParameterMerger(schemas, strategies instanceof Map ? strategies : undefined, chosen, file);
        out.set(section, merger.merge(asMap(old, section), asMap(value, section)));
      } else if (Array.isArray(value)) out.set(section, [...(Array.isArray(old) ? old : []), ...value]);
      else out.set(section, mergeMaps(asMap(old, section), asMap(value, section), false));
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
function mergeMaps(old: Dict, fresh: Dict, deep: boolean): Dict {
  const out: Dict = new Map(old);
  for (const [key, value] of fresh) {
    if (value === null) continue;
    out.set(key, deep ? mergeDeep(out.get(key) ?? null, value) : value);
  }
  return out;
}

function mergeDeep(old: Value, fresh: Value): Value {
  if (fresh instanceof Map) return truthy(old) && old instanceof Map ? mergeMaps(old, fresh, true) : fresh;
  if (Array.isArray(fresh)) return truthy(old) ? mergeLists(old, fresh) : fresh;
  if (typeof fresh !== 'string') return fresh;
  if (old !== null && typeof old !== 'string') {
    throw new Fault('TypeError', `The text "${fresh}" cannot be merged with a value that is none.`);
  }
  return (old ?? '') + fresh;
}

/** Lists are put together, and comma-delimited texts with a comma between. */
function mergeLists(old: Value, fresh: Value): Value {
  if (!truthy(old)) return fresh;
  if (Array.isArray(fresh)) {
    if (!Array.isArray(old)) throw new Fault('AttributeError', 'A list cannot be merged with a comma-delimited text.');
    return [...old, ...fresh];
  }
  if (typeof old !== 'string' || typeof fresh !== 'string') {
    throw new Fault('TypeError', 'A comma-delimited text cannot be merged with a list.');
  }
  return `${old},${fresh}`;
}

class ParameterMerger {
  private readonly schemas: ReadonlyMap<string, ParameterSchema>;
  private readonly strategies: Dict | undefined;
  /** The strategy of each parameter, fixed by the first file that gives it. */
  private readonly chosen: Map<string, string>;
  private readonly file: string;

  constructor(
    schemas: ReadonlyMap<string, ParameterSchema>,
    strategies: Dict | undefined,
    chosen: Map<string, string>,
    file: string,
  ) {
    this.schemas = schemas;
    this.strategies = strategies;
    this.chosen = chosen;
    this.file = file;
  }

  private strategy(name: string): string {
    if (!this.strategies) return 'overwrite';
    const fallback = text(this.strategies.get('default') ?? 'overwrite');
    const wanted = text(this.strategies.get(name) ?? this.chosen.get(name) ?? fallback);
    return STRATEGIES.includes(wanted) ? wanted : fallback;
  }

  merge(old: Dict, fresh: Dict): Dict {
    for (const [key, value] of fresh) {
      const name = text(key);
      if (!this.schemas.has(name) || value === null) continue;
      const wanted = this.strategy(name);
      const known = this.chosen.get(name);
      if (known === undefined) this.chosen.set(name, wanted);
      else if (known !== wanted) {
        throw new Fault(
          'ConflictingMergeStrategyForParam',
          `Conflicting merge strategy '${wanted}' for parameter '${name}' in file '${this.file}'.`,
        );
      }
    }
    if (old.size === 0) return new Map(fresh);
    const out: Dict = new Map(old);
    for (const [key, value] of fresh) {
      const name = text(key);
      const schema = this.schemas.get(name);
      if (!schema || value === null) continue;
      const strategy = this.chosen.get(name);
      out.set(
        key,
        strategy === 'overwrite' ? value : merged(name, schema, out.get(key) ?? null, value, strategy === 'deep_merge'),
      );
    }
    return out;
  }
}

function merged(name: string, schema: ParameterSchema, old: Value, fresh: Value, deep: boolean): Value {
  switch (schema.type) {
    case 'Map': {
      const [one, other] = [parsedMap(old ?? new Map()), parsedMap(fresh)];
      if (!(other instanceof Map)) return other;
      return one instanceof Map && one.size > 0 ? mergeMaps(one, other, deep) : other;
    }
    case 'List':
      if (typeof fresh !== 'string' && !Array.isArray(fresh)) throw invalid(name);
      return mergeLists(old, fresh);
    case 'String':
      if (typeof fresh !== 'string') throw invalid(name);
      return text(old ?? '') + fresh;
    case 'Number':
      if (!isNumber(fresh) || !isNumber(old ?? 0)) throw invalid(name);
      if (isInteger(fresh) && isInteger(old ?? 0)) return integer(BigInt(fresh) + BigInt((old ?? 0) as number));
      return float(asNumber(fresh) + asNumber((old ?? 0) as number));
    default:
      throw new Fault('InvalidMergeStrategyForParam', `Invalid merge strategy 'merge' for parameter '${name}'.`);
  }
}

function invalid(name: string): Fault {
  return new Fault('ValueError', `Invalid parameter in environment: the value of ${name} cannot be merged.`);
}

function parsedMap(value: Value): Value {
  if (typeof value !== 'string') return value;
  if (value === '') return new Map();
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
