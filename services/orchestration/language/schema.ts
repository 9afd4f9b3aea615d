import { Fault } from './faults.ts';
import { toInteger, typeError, valueError } from './functions/arguments.ts';
import { compilePattern, execPattern } from './pattern.ts';
import { dumps, text } from './render.ts';
import { asNumber, equal, float, fromPlain, isFloat, isNumber, type Value } from './values.ts';

/** Types and constraints, shared by parameters (with their own names of the types) and properties. */

export type Type = 'String' | 'Number' | 'Integer' | 'Boolean' | 'List' | 'Map' | 'Any';

/** A constraint as data, HOT's form of it. */
export interface Constraint {
  range?: { min?: number; max?: number };
  length?: { min?: number; max?: number };
  modulo?: { step: number; offset: number };
  allowed_values?: readonly unknown[];
  allowed_pattern?: string;
  custom_constraint?: string;
  description?: string | undefined;
}

/** Says what is wrong with a value under a custom constraint; undefined where nothing is; null where it is unknown. */
export type CustomCheck = (name: string, value: Value) => string | undefined | null;

const FITS: Record<string, readonly Type[]> = {
  range: ['Integer', 'Number'],
  modulo: ['Integer', 'Number'],
  length: ['String', 'List', 'Map'],
  allowed_values: ['String', 'Integer', 'Number', 'Boolean', 'List'],
  allowed_pattern: ['String'],
  custom_constraint: ['String', 'Integer', 'Number', 'Boolean', 'List'],
};
const NAMES: Record<string, string> = {
  range: 'Range',
  modulo: 'Modulo',
  length: 'Length',
  allowed_values: 'AllowedValues',
  allowed_pattern: 'AllowedPattern',
  custom_constraint: 'CustomConstraint',
};

/** Which of its keys a constraint uses. */
export function constraintKind(constraint: Constraint): string {
  for (const kind in FITS) if (kind in constraint) return kind;
  return 'custom_constraint';
}

/** Throws InvalidSchemaError where a constraint does not fit the type (a range of a string). */
export function checkConstraintFits(constraint: Constraint, type: Type, typeLabel: string): void {
  const kind = constraintKind(constraint);
  if (!FITS[kind]!.includes(type)) {
    throw new Fault('InvalidSchemaError', `${NAMES[kind]} constraint invalid for ${typeLabel}`);
  }
}

/** A text as a number: an integer where it can be, else a float. Throws ValueError or TypeError. */
export function toNumber(value: Value): Value {
  if (isNumber(value)) return value;
  try {
    return toInteger(value);
  } catch (thrown) {
    if (!(thrown instanceof Fault) || thrown.kind !== 'ValueError') throw thrown;
    return toFloat(value as string);
  }
}

function toFloat(value: string): Value {
  const trimmed = value.trim().replace(/(?<=\d)_(?=\d)/g, '');
  if (/^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$/.test(trimmed)) return float(Number(trimmed));
  const word = /^([-+]?)(inf|infinity|nan)$/i.exec(trimmed);
  if (!word) throw valueError(`could not convert string to float: ${text(dumps(value)).replace(/^"|"$/g, "'")}`);
  if (word[2]!.toLowerCase() === 'nan') return float(Number.NaN);
  return float(word[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY);
}

const TRUE = new Set(['1', 't', 'true', 'on', 'y', 'yes']);
const FALSE = new Set(['0', 'f', 'false', 'off', 'n', 'no']);

/** oslo's strict bool_from_string. Throws ValueError. */
export function toBoolean(value: Value): boolean {
  if (typeof value === 'boolean') return value;
  const shown = text(value);
  const word = shown.trim().toLowerCase();
  if (TRUE.has(word)) return true;
  if (FALSE.has(word)) return false;
  const known = [...TRUE]
    .concat([...FALSE])
    .sort()
    .map((name) => `'${name}'`)
    .join(', ');
  throw valueError(`Unrecognized value '${shown}', acceptable values are: ${known}`);
}

/** The value as the type has it, by the conversions that Heat allows. Throws ValueError. */
export function toType(value: Value, type: Type, typeLabel: string): Value {
  try {
    switch (type) {
      case 'Integer': {
        const number = toNumber(value);
        if (isFloat(number)) throw valueError(`${text(number)} is not an integer.`);
        return number;
      }
      case 'Number':
        return toNumber(value);
      case 'String':
        return text(value);
      case 'Boolean':
        return toBoolean(text(value));
      default:
        return value;
    }
  } catch (thrown) {
    if (thrown instanceof Fault && thrown.kind === 'ValueError') {
      throw valueError(`Value "${text(value)}" is invalid for data type "${typeLabel}".`);
    }
    throw thrown;
  }
}

export interface ConstraintContext {
  type: Type;
  typeLabel: string;
  custom: CustomCheck;
}

/** Throws StackValidationFailed where the value breaks a constraint; TypeError where it cannot even be asked. */
export function checkConstraints(constraints: readonly Constraint[], value: Value, context: ConstraintContext): void {
  for (const constraint of constraints) {
    let problem: string | undefined;
    try {
      problem = CHECKS[constraintKind(constraint)]!(constraint, value, context);
    } catch (thrown) {
      if (!(thrown instanceof Fault) || thrown.kind !== 'ValueError') throw thrown;
      throw new Fault('StackValidationFailed', thrown.reason);
    }
    if (problem !== undefined) throw new Fault('StackValidationFailed', constraint.description ?? problem);
  }
}

type Check = (constraint: Constraint, value: Value, context: ConstraintContext) => string | undefined;

function outside(number: number, bounds: { min?: number; max?: number }): boolean {
  return (bounds.min !== undefined && number < bounds.min) || (bounds.max !== undefined && number > bounds.max);
}

const bound = (value: number | undefined): string => (value === undefined ? 'None' : String(value));

const CHECKS: Record<string, Check> = {
  range({ range }, value) {
    const number = asNumber(toNumber(value) as number);
    if (!outside(number, range!)) return undefined;
    return `${text(value)} is out of range (min: ${bound(range!.min)}, max: ${bound(range!.max)})`;
  },
  length({ length }, value) {
    const size = lengthOf(value);
    if (!outside(size, length!)) return undefined;
    return `length (${size}) is out of range (min: ${bound(length!.min)}, max: ${bound(length!.max)})`;
  },
  modulo({ modulo }, value) {
    const number = asNumber(toNumber(value) as number);
    const { step, offset } = modulo!;
    // Python's % takes the sign of the divisor.
    const rest = number - step * Math.floor(number / step);
    return rest === offset ? undefined : `${text(value)} is not a multiple of ${step} with an offset of ${offset}`;
  },
  allowed_values({ allowed_values }, value, { type, typeLabel }) {
    const allowed = (allowed_values as unknown[]).map(fromPlain);
    let fine: boolean;
    if (Array.isArray(value)) fine = value.every((item) => allowed.some((other) => equal(item, other)));
    else {
      const wanted = allowed.map((item) => toType(item, type, typeLabel));
      const given = toType(value, type, typeLabel);
      fine = wanted.some((item) => equal(item, given));
    }
    return fine
      ? undefined
      : `${dumps(value)} is not an allowed value [${allowed.map((item) => dumps(item)).join(', ')}]`;
  },
  allowed_pattern({ allowed_pattern }, value) {
    if (typeof value !== 'string') throw typeError('expected string or bytes-like object');
    const match = execPattern(compilePattern(allowed_pattern!), value);
    if (match && match[0].length === value.length) return undefined;
    return `"${value}" does not match pattern "${allowed_pattern}"`;
  },
  custom_constraint({ custom_constraint: name }, value, { custom }) {
    const problem = custom(name!, value);
    if (problem === null) return `"${text(value)}" does not validate ${name} (constraint not found)`;
    return problem;
  },
};

function lengthOf(value: Value): number {
  if (typeof value === 'string') return [...value].length;
  if (Array.isArray(value)) return value.length;
  if (value instanceof Map) return value.size;
  throw typeError(`object of type '${typeof value}' has no len()`);
}
