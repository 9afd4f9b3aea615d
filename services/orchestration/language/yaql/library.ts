import { Float, isFloat, isInteger, isNumber } from '../values.ts';
import { Context, isList, Lambda, limited, Regex, Rule, type Y, YSet } from './runtime.ts';

/** How the functions of yaql are declared: one line of a table each, chosen by name and by the types of what is given. */

export type Kind =
  | 'any'
  | 'value'
  | 'text'
  | 'text?'
  | 'int'
  | 'number'
  | 'number?'
  | 'bool'
  | 'list'
  | 'sequence'
  | 'set'
  | 'map'
  | 'lambda'
  | 'rule'
  | 'regex'
  | 'context'
  | 'null';

export interface Parameter {
  name: string;
  kind: Kind;
  optional: boolean;
  /** Takes all further arguments. */
  rest: boolean;
}

export type Run = (args: Y[], context: Context) => Y;

export interface Definition {
  name: string;
  /** Called as $.name(...), as name(...), or either way. */
  form: 'method' | 'function' | 'both';
  parameters: Parameter[];
  run: Run;
}

const FITS: Record<Kind, (value: Y) => boolean> = {
  any: () => true,
  value: (value) => value !== null,
  text: (value) => typeof value === 'string',
  'text?': (value) => value === null || typeof value === 'string',
  int: (value) => isInteger(value),
  number: (value) => isNumber(value) && typeof value !== 'boolean',
  'number?': (value) => value === null || (isNumber(value) && typeof value !== 'boolean'),
  bool: (value) => typeof value === 'boolean',
  list: isList,
  sequence: (value) => Array.isArray(value),
  set: (value) => value instanceof YSet,
  map: (value) => value instanceof Map,
  lambda: (value) => value instanceof Lambda,
  rule: (value) => value instanceof Rule,
  regex: (value) => value instanceof Regex,
  context: (value) => value instanceof Context,
  null: (value) => value === null,
};

export function fits(kind: Kind, value: Y): boolean {
  return FITS[kind](value);
}

/** What a function of this parameter gets: collections within the limit. */
export function converted(kind: Kind, value: Y): Y {
  return kind === 'list' ? limited(value as Y[]) : value;
}

const definitions = new Map<string, Definition[]>();

/** Declares functions: "collection:list predicate:lambda? rest:any*" are the parameters, "?" optional, "*" all the rest. */
export function define(form: Definition['form'], names: string, parameters: string, run: Run): void {
  const list = parameters
    .split(' ')
    .filter((part) => part !== '')
    .map(parameter);
  for (const name of names.split(' ')) {
    definitions.set(name, [...(definitions.get(name) ?? []), { name, form, parameters: list, run }]);
  }
}

function parameter(text: string): Parameter {
  const [name, spec] = text.split(':') as [string, string];
  const optional = spec.endsWith('=');
  const rest = spec.endsWith('*');
  return { name, kind: (optional || rest ? spec.slice(0, -1) : spec) as Kind, optional, rest };
}

export function overloads(name: string): readonly Definition[] {
  return definitions.get(name) ?? [];
}

/** Shorthands for the tables. */
export const items = (value: Y | undefined): Iterable<Y> => value as Y[];
export const lambda = (value: Y | undefined): ((...args: Y[]) => Y) | undefined =>
  value instanceof Lambda ? (...args) => value.call(args) : undefined;
export const numberOf = (value: Y | undefined): number => (value instanceof Float ? value.number : Number(value));
export const isReal = (value: Y): boolean => isFloat(value);
