import { Fault } from './faults.ts';
import { compilePattern } from './pattern.ts';
import { text } from './render.ts';
import {
  type Constraint,
  type CustomCheck,
  checkConstraintFits,
  checkConstraints,
  type Type,
  toNumber,
} from './schema.ts';
import { asNumber, type Dict, isFloat, isInteger, isNumber, truthy, type Value } from './values.ts';
import type { ParameterRules } from './versions.ts';

/** What a template declares of one parameter. */
export interface ParameterSchema {
  type: Type;
  /** The type as the template spells it: "comma_delimited_list", "CommaDelimitedList". */
  typeLabel: string;
  description: Value;
  label: Value;
  default: Value;
  constraints: Constraint[];
  hidden: boolean;
  immutable: boolean;
  tags: Value;
}

const HOT_TYPES: Record<string, Type> = {
  string: 'String',
  number: 'Number',
  comma_delimited_list: 'List',
  json: 'Map',
  boolean: 'Boolean',
};
const CFN_TYPES: Record<string, Type> = {
  String: 'String',
  Number: 'Number',
  CommaDelimitedList: 'List',
  Json: 'Map',
  Boolean: 'Boolean',
};
const HOT_KEYS = ['type', 'description', 'default', 'schema', 'constraints', 'hidden', 'label', 'immutable'];
const CFN_KEYS = [
  ...['Type', 'Default', 'NoEcho', 'AllowedValues', 'AllowedPattern', 'MaxLength', 'MinLength', 'MaxValue', 'MinValue'],
  ...['Description', 'ConstraintDescription', 'Label'],
];
const CONSTRAINT_KEYS = [
  ...['description', 'length', 'range', 'modulo', 'allowed_values', 'allowed_pattern', 'custom_constraint'],
];

function invalid(message: string, path: (string | number)[] = []): Fault {
  return new Fault('InvalidSchemaError', message, { path });
}

/** Reads a parameter's declaration. Throws InvalidSchemaError. */
export function parameterSchema(name: string, declared: Value, rules: ParameterRules): ParameterSchema {
  const hot = rules.style === 'hot';
  const keys = hot ? (rules.tags ? [...HOT_KEYS, 'tags'] : HOT_KEYS) : CFN_KEYS;
  const data = checkKeys(declared, keys, `parameter (${name})`);
  const typeKey = hot ? 'type' : 'Type';
  if (!data.has(typeKey)) throw invalid(`Missing parameter type for parameter: ${name}`);
  const tags = data.get('tags') ?? null;
  if (hot && data.has('tags') && !Array.isArray(tags)) {
    throw invalid(`Tags property should be a list for parameter: ${name}`, ['tags']);
  }
  const constraints = hot ? hotConstraints(name, data, rules) : cfnConstraints(data);
  const typeLabel = data.get(typeKey)!;
  const type = typeof typeLabel === 'string' ? (hot ? HOT_TYPES : CFN_TYPES)[typeLabel] : undefined;
  if (!type) throw invalid(`Invalid type (${text(typeLabel)})`, [typeKey]);
  const field = (hotKey: string, cfnKey: string): Value => data.get(hot ? hotKey : cfnKey) ?? null;
  return {
    type,
    typeLabel: typeLabel as string,
    description: field('description', 'Description'),
    label: field('label', 'Label'),
    default: field('default', 'Default'),
    constraints,
    hidden: hot ? truthy(data.get('hidden')) : text(data.get('NoEcho') ?? 'false').toLowerCase() === 'true',
    immutable: hot && truthy(data.get('immutable')),
    tags,
  };
}

function checkKeys(data: Value | undefined, allowed: readonly string[], what: string): Dict {
  if (!(data instanceof Map)) throw invalid(`Invalid ${what}, expected a mapping`);
  for (const key of data.keys()) {
    if (!allowed.includes(key as string)) throw invalid(`Invalid key '${text(key)}' for ${what}`, [key as string]);
  }
  return data;
}

function hotConstraints(name: string, data: Dict, rules: ParameterRules): Constraint[] {
  const declared = data.get('constraints') ?? null;
  if (declared === null) return [];
  if (!Array.isArray(declared)) {
    throw invalid(`Invalid parameter constraints for parameter ${name}, expected a list`, ['constraints']);
  }
  return declared.map((item) => hotConstraint(checkKeys(item, CONSTRAINT_KEYS, 'parameter constraints'), rules));
}

function hotConstraint(data: Dict, rules: ParameterRules): Constraint {
  const description = describe(data.get('description'));
  if (rules.modulo && data.has('modulo')) {
    const given = checkKeys(data.get('modulo'), ['step', 'offset'], 'modulo constraint');
    return { ...modulo(given.get('step') ?? null, given.get('offset') ?? null), description };
  }
  if (data.has('range')) {
    const given = checkKeys(data.get('range'), ['min', 'max'], 'range constraint');
    return { range: bounds(given.get('min'), given.get('max'), 'range'), description };
  }
  if (data.has('length')) {
    const given = checkKeys(data.get('length'), ['min', 'max'], 'length constraint');
    return { length: bounds(given.get('min'), given.get('max'), 'length'), description };
  }
  if (data.has('allowed_values')) return { allowed_values: allowedValues(data.get('allowed_values')), description };
  if (data.has('allowed_pattern')) return { allowed_pattern: pattern(data.get('allowed_pattern')), description };
  if (data.has('custom_constraint')) {
    return { custom_constraint: text(data.get('custom_constraint') ?? null), description };
  }
  throw invalid('No constraint expressed');
}

function cfnConstraints(data: Dict): Constraint[] {
  const description = describe(data.get('ConstraintDescription'));
  const out: Constraint[] = [];
  if (data.has('MinValue') || data.has('MaxValue')) {
    out.push({ range: bounds(data.get('MinValue'), data.get('MaxValue'), 'range'), description });
  }
  if (data.has('MinLength') || data.has('MaxLength')) {
    out.push({ length: bounds(data.get('MinLength'), data.get('MaxLength'), 'length'), description });
  }
  if (data.has('AllowedValues')) out.push({ allowed_values: allowedValues(data.get('AllowedValues')), description });
  if (data.has('AllowedPattern')) out.push({ allowed_pattern: pattern(data.get('AllowedPattern')), description });
  return out;
}

function describe(value: Value | undefined): string | undefined {
  return truthy(value) ? text(value) : undefined;
}

function bounds(
  min: Value | undefined,
  max: Value | undefined,
  kind: 'range' | 'length',
): { min?: number; max?: number } {
  const [low, high] = [min ?? null, max ?? null].map((value) => (value === null ? null : toNumber(value)));
  if (low === null && high === null) {
    throw invalid(`A ${kind} constraint must have a min value and/or a max value specified.`);
  }
  const out: { min?: number; max?: number } = {};
  for (const [key, value] of [
    ['min', low],
    ['max', high],
  ] as const) {
    if (value === null || value === undefined) continue;
    if (!isNumber(value)) throw invalid('min/max must be numeric');
    if (kind === 'length' && isFloat(value)) throw invalid('min/max length must be integral');
    out[key] = asNumber(value);
  }
  return out;
}

function modulo(step: Value, offset: Value): { modulo: { step: number; offset: number } } {
  if (step === null || offset === null) {
    throw invalid('A modulo constraint must have a step value and an offset value specified.');
  }
  const [by, from] = [step, offset].map((value) => {
    const number = toNumber(value);
    if (!isNumber(number)) throw invalid('step/offset must be numeric');
    if (!isInteger(number) && !Number.isInteger(asNumber(number))) throw invalid('step/offset must be integer');
    return asNumber(number);
  }) as [number, number];
  if (by === 0) throw invalid('step cannot be 0.');
  if (Math.abs(from) >= Math.abs(by)) throw invalid('offset must be smaller (by absolute value) than step.');
  if (by * from < 0) throw invalid('step and offset must be both positive or both negative.');
  return { modulo: { step: by, offset: from } };
}

function allowedValues(value: Value | undefined): Value[] {
  if (!Array.isArray(value)) throw invalid('AllowedValues must be a list');
  return value;
}

function pattern(value: Value | undefined): string {
  if (typeof value !== 'string') throw invalid('AllowedPattern must be a string');
  compilePattern(value);
  return value;
}

/** Checks that the constraints fit the type and the default fits the constraints. Throws InvalidSchemaError. */
export function checkParameterSchema(schema: ParameterSchema, custom: CustomCheck): void {
  for (const constraint of schema.constraints) checkConstraintFits(constraint, schema.type, schema.typeLabel);
  if (schema.default === null) return;
  let value = schema.default;
  if (schema.type === 'List') {
    if (Array.isArray(value)) value = value.map(text);
    else if (typeof value === 'string') value = value.split(',');
    else throw invalid(`Default must be a comma-delimited list string: ${text(value)}`);
  }
  const asked = schema.constraints.filter((constraint) => constraint.custom_constraint === undefined);
  try {
    checkConstraints(asked, value, { type: schema.type, typeLabel: schema.typeLabel, custom });
  } catch (thrown) {
    if (!(thrown instanceof Fault)) throw thrown;
    throw invalid(`Invalid default ${text(schema.default)} (${thrown.heatMessage})`);
  }
}
