import { Fault, keyError } from './faults.ts';
import { split, valueError } from './functions/arguments.ts';
import { quote } from './functions/url.ts';
import { parseJson } from './json.ts';
import { checkParameterSchema, type ParameterSchema, parameterSchema } from './parameter-schema.ts';
import { dumps, text } from './render.ts';
import { type CustomCheck, checkConstraints, toBoolean, toNumber } from './schema.ts';
import { didYouMean } from './suggest.ts';
import { sectionOf, type Template } from './template.ts';
import { type Dict, equal, type Key, type Value } from './values.ts';

/** Whose parameters these are: the pseudo parameters come from here. */
export interface StackIdentity {
  name: string;
  id: string;
  project: string;
}

/** One parameter with what the user, the environment and the template say of it. */
export class Parameter {
  readonly name: string;
  readonly schema: ParameterSchema;
  /** From the environment's `parameters`; null where there is none. */
  readonly userValue: Value;
  /** From the environment's `parameter_defaults`; null where there is none. */
  userDefault: Value = null;
  private parsed: Value | undefined;

  constructor(name: string, schema: ParameterSchema, userValue: Value) {
    this.name = name;
    this.schema = schema;
    this.userValue = userValue;
  }

  get default(): Value {
    return this.userDefault ?? this.schema.default;
  }

  get hasValue(): boolean {
    return this.userValue !== null || this.default !== null;
  }

  /** The typed value. Throws UserParameterMissing where there is none, ValueError where it cannot be of the type. */
  value(): Value {
    if (this.parsed === undefined) this.parsed = this.parse();
    return this.parsed;
  }

  private parse(): Value {
    const raw = this.userValue ?? this.default;
    if (this.schema.type === 'Boolean') return toBoolean(text(raw));
    if (raw === null) throw new Fault('UserParameterMissing', `The Parameter (${this.name}) was not provided.`);
    switch (this.schema.type) {
      case 'Number':
        return toNumber(raw);
      case 'String':
        return text(raw);
      case 'List':
        return parseList(raw);
      default:
        return parseMap(raw);
    }
  }

  /** Throws StackValidationFailed, InvalidSchemaError or UserParameterMissing where schema or value are wrong. */
  validate(custom: CustomCheck, withValue = true): void {
    try {
      checkParameterSchema(this.schema, custom);
      if (!withValue) return;
      const raw = this.userValue ?? this.default;
      if (raw === null) throw new Fault('UserParameterMissing', `The Parameter (${this.name}) was not provided.`);
      const { type, typeLabel } = this.schema;
      checkConstraints(this.schema.constraints, this.checked(raw), { type, typeLabel, custom });
    } catch (thrown) {
      if (!(thrown instanceof Fault)) throw thrown;
      if (thrown.kind !== 'StackValidationFailed' && thrown.kind !== 'InvalidSchemaError') throw thrown;
      throw new Fault(thrown.kind, `Parameter '${this.name}' is invalid: ${thrown.heatMessage}`);
    }
  }

  /** The value in the form that constraints are asked about: parsed for lists and maps, as given for the rest. */
  private checked(raw: Value): Value {
    try {
      switch (this.schema.type) {
        case 'Number':
          toNumber(raw);
          return raw;
        case 'Boolean':
          toBoolean(raw);
          return raw;
        case 'List':
          return parseList(raw);
        case 'Map':
          return parseMap(raw);
        default:
          return raw;
      }
    } catch (thrown) {
      if (thrown instanceof Fault && (thrown.kind === 'ValueError' || thrown.kind === 'TypeError')) {
        throw new Fault('StackValidationFailed', thrown.reason);
      }
      throw thrown;
    }
  }

  /** The value as a text for people: "******" where hidden. */
  shown(): string {
    if (this.schema.hidden) return '******';
    const value = this.value();
    if (this.schema.type === 'List') return (value as string[]).join(',');
    return this.schema.type === 'Map' ? dumps(value) : text(value);
  }
}

function parseList(raw: Value): Value {
  if (Array.isArray(raw)) return raw.map(text);
  if (raw === '') return [];
  try {
    return split(raw, ',');
  } catch (thrown) {
    if (!(thrown instanceof Fault) || thrown.kind !== 'AttributeError') throw thrown;
    throw valueError(`Value must be a comma-delimited list string: ${thrown.reason}`);
  }
}

function parseMap(raw: Value): Value {
  if (raw === '') return raw;
  // Data goes through JSON as well, which makes texts of its keys.
  if (typeof raw !== 'string') return throughJson(raw);
  try {
    return parseJson(raw);
  } catch (thrown) {
    throw valueError(`Value must be valid JSON: ${(thrown as Error).message}`);
  }
}

function throughJson(value: Value): Value {
  if (Array.isArray(value)) return value.map(throughJson);
  if (!(value instanceof Map)) return value;
  const out: Dict = new Map();
  for (const [key, item] of value) out.set(typeof key === 'string' ? key : jsonKey(key), throughJson(item));
  return out;
}

function jsonKey(key: Key): string {
  return dumps(new Map([[key, null]])).slice(2, -8);
}

/** The stack's ARN, which CFN templates know as AWS::StackId. */
export function stackArn({ project, name, id }: StackIdentity): string {
  return `arn:openstack:heat::${quote(project, '')}:stacks/${quote(name, '')}/${quote(id, '')}`;
}

const CFN_REGIONS = [
  'us-east-1',
  'us-west-1',
  'us-west-2',
  'sa-east-1',
  'eu-west-1',
  'ap-southeast-1',
  'ap-northeast-1',
];

function pseudo(name: string, value: string, constraints: ParameterSchema['constraints'] = []): Parameter {
  const schema: ParameterSchema = {
    type: 'String',
    typeLabel: 'String',
    description: null,
    label: null,
    default: value,
    constraints,
    hidden: false,
    immutable: false,
    tags: null,
  };
  return new Parameter(name, schema, null);
}

function pseudoParameters(template: Template, stack: StackIdentity): Parameter[] {
  if (template.format.family === 'hot') {
    return [
      pseudo('OS::stack_id', stack.id),
      pseudo('OS::project_id', stack.project),
      ...(stack.name ? [pseudo('OS::stack_name', stack.name)] : []),
    ];
  }
  const all = [pseudo('AWS::StackId', stackArn(stack))];
  if (!stack.name) return all;
  all.push(pseudo('AWS::StackName', stack.name));
  all.push(pseudo('AWS::Region', 'ap-southeast-1', [{ allowed_values: CFN_REGIONS }]));
  return all;
}

/** The declared schemas of a template's parameters. Throws InvalidSchemaError with the path. */
export function parameterSchemas(template: Template): Map<string, ParameterSchema> {
  const section = template.format.sections.parameters;
  const schemas = new Map<string, ParameterSchema>();
  for (const [key, declared] of sectionOf(template, section)) {
    const name = text(key);
    try {
      schemas.set(name, parameterSchema(name, declared, template.format.parameters));
    } catch (thrown) {
      if (thrown instanceof Fault) thrown.path.unshift(section, name);
      throw thrown;
    }
  }
  return schemas;
}

/** A stack's parameters: the pseudo ones first, then the template's in its order. */
export class Parameters {
  readonly all = new Map<string, Parameter>();
  readonly pseudoNames: ReadonlySet<string>;
  private readonly template: Template;
  private readonly given: Dict;

  /** Throws InvalidSchemaError where a declaration is wrong. */
  constructor(template: Template, stack: StackIdentity, given: Dict, defaults: Dict) {
    this.template = template;
    this.given = given;
    const pseudos = pseudoParameters(template, stack);
    this.pseudoNames = new Set(pseudos.map((parameter) => parameter.name));
    for (const parameter of pseudos) this.all.set(parameter.name, parameter);
    for (const [name, schema] of parameterSchemas(template)) {
      this.all.set(name, new Parameter(name, schema, given.get(name) ?? null));
    }
    for (const [name, value] of defaults) {
      const parameter = this.all.get(name as string);
      if (parameter) parameter.userDefault = value;
    }
  }

  /** A parameter's typed value. Throws KeyError for an unknown name. */
  value(name: string): Value {
    const parameter = this.all.get(name);
    if (!parameter) throw keyError(text(name));
    return parameter.value();
  }

  /** Throws UnknownUserParameter, UserParameterMissing, StackValidationFailed or InvalidSchemaError. */
  validate(custom: CustomCheck, withValues = true): void {
    for (const name of this.given.keys()) {
      if (typeof name !== 'string' || !this.all.has(name) || this.pseudoNames.has(name)) {
        throw new Fault('UnknownUserParameter', `The Parameter (${text(name)}) was not defined in template.`, {
          hint: didYouMean(text(name), this.all.keys()),
        });
      }
    }
    const section = this.template.format.sections.parameters;
    for (const parameter of this.all.values()) {
      try {
        parameter.validate(custom, withValues);
      } catch (thrown) {
        if (thrown instanceof Fault && thrown.path.length === 0) thrown.path = [section, parameter.name];
        throw thrown;
      }
    }
  }

  /** Names of immutable parameters whose value differs from the one in `previous`. */
  immutableChanges(previous: Parameters): string[] {
    const changed: string[] = [];
    for (const [name, parameter] of this.all) {
      const old = previous.all.get(name);
      if (!old || this.pseudoNames.has(name) || !parameter.schema.immutable) continue;
      if (!equal(old.value(), parameter.value())) changed.push(name);
    }
    return changed;
  }
}

/** Throws where parameter_groups is no list of groups of distinct, declared parameters. */
export function validateParameterGroups(template: Template, parameters: Parameters): Dict[] {
  const section = template.format.sections.parameterGroups;
  const groups = section === undefined ? undefined : template.tree.get(section);
  if (groups === undefined || groups === null || (groups instanceof Map && groups.size === 0)) return [];
  const fail = (reason: string, path: (string | number)[]): Fault =>
    new Fault('StackValidationFailed', reason, { error: 'Parameter Groups error', path: [section!, ...path] });
  if (!Array.isArray(groups)) throw fail('The parameter_groups should be a list.', []);
  const seen = new Set<Value>();
  for (const group of groups) {
    if (!(group instanceof Map))
      throw new Fault('AttributeError', 'Each of parameter_groups must be a map.', { path: [section!] });
    const label = text(group.get('label') ?? '');
    const names = group.get('parameters') ?? null;
    if (names === null) throw fail('The parameters must be provided for each parameter group.', [label]);
    if (!Array.isArray(names)) throw fail('The parameters of parameter group should be a list.', [label]);
    for (const name of names) {
      if (seen.has(name))
        throw fail(`The ${text(name)} parameter must be assigned to one parameter group only.`, [label]);
      seen.add(name);
      if (typeof name !== 'string' || !parameters.all.has(name) || name === 'OS::stack_name') {
        throw fail(`The grouped parameter ${text(name)} does not reference a valid parameter.`, [label]);
      }
    }
  }
  return groups as Dict[];
}
