import { Call, type Node, OMIT, type Omit } from './calls.ts';
import { Fault, keyError, within } from './faults.ts';
import { toInteger, typeError, valueError } from './functions/arguments.ts';
import { dumps, repr, text } from './render.ts';
import { type Constraint, type CustomCheck, checkConstraints, type Type, toNumber } from './schema.ts';
import { didYouMean } from './suggest.ts';
import { NO_TRANSLATION, type Translation, type TranslationSource } from './translation.ts';
import { fromPlain, isInteger, type Key, truthy, type Value } from './values.ts';

/** What a resource type says of one property. Data: it is read from JSON, or made from a template's parameters. */
export interface PropertySchema {
  type: Type;
  required?: boolean;
  default?: unknown;
  constraints?: readonly Constraint[];
  /** A map's properties by name, or under "*" a list's items. */
  schema?: Readonly<Record<string, PropertySchema>>;
  update_allowed?: boolean;
  immutable?: boolean;
  implemented?: boolean;
  /** Takes JSON and comma-delimited texts: a property made from a parameter. */
  allow_conversion?: boolean;
  description?: string;
  support?: { status?: string; version?: string; message?: string };
}
export type PropertySchemas = Readonly<Record<string, PropertySchema>>;

export interface PropertyContext {
  /** The value of a node now; OMIT where it is to be taken as not given. */
  resolve(node: Node): Value | Omit;
  /** Whether the node needs something that does not exist yet, so that its value says nothing. Throws as the node does. */
  pending(node: Node): boolean;
  custom: CustomCheck;
  translation: Translation;
}

/** A context for values without functions. */
export function plainContext(custom: CustomCheck, translation: Translation = NO_TRANSLATION): PropertyContext {
  return { resolve: (node) => node as Value, pending: () => false, custom, translation };
}

const has = (schemas: PropertySchemas, name: unknown): name is string =>
  typeof name === 'string' && Object.hasOwn(schemas, name);

/** The properties of a resource (or of a map within one): data seen through its schema. */
export class PropertySet implements TranslationSource {
  readonly schemas: PropertySchemas;
  /** What was given; a function in place of a map has no properties to look at, and Heat refuses it. */
  readonly data: ReadonlyMap<Key, Node>;
  private readonly functional: Call | undefined;
  private readonly context: PropertyContext;
  private readonly path: string;
  private readonly root: PropertySet;
  /** What `description` gives where it is not set but could be: the resource's own. */
  private readonly description: string | undefined;

  constructor(
    schemas: PropertySchemas,
    data: ReadonlyMap<Key, Node> | Call,
    context: PropertyContext,
    options: { path?: string; root?: PropertySet; description?: string | undefined } = {},
  ) {
    this.schemas = schemas;
    this.data = data instanceof Call ? new Map() : data;
    this.functional = data instanceof Call ? data : undefined;
    this.context = context;
    this.path = options.path ?? '';
    this.root = options.root ?? this;
    this.description = options.description;
  }

  private pathOf(name: string): string {
    return this.path === '' || this.path.endsWith('.') ? this.path + name : `${this.path}.${name}`;
  }

  /**
   * Throws StackValidationFailed at the first property that is unknown, missing, of the wrong type or out of bounds. What
   * is neither given nor needed is not looked at: defaults are right by the catalog's own test.
   */
  validate(withValues = true): void {
    this.checkData();
    this.checkNames();
    if (!withValues) return;
    for (const name of requiredNames(this.schemas)) if (!this.data.has(name)) this.check(name);
    for (const name of this.context.translation.targets(this.path)) {
      if (!this.data.has(name) && has(this.schemas, name)) this.check(name);
    }
    for (const name of this.data.keys()) this.check(name as string);
  }

  private checkNames(): void {
    for (const key of this.data.keys()) {
      if (has(this.schemas, key)) continue;
      const path = [text(key)];
      throw new Fault('StackValidationFailed', `Unknown Property ${text(key)}`, {
        path,
        error: 'Property error',
        hint: didYouMean(text(key), Object.keys(this.schemas)),
      });
    }
  }

  /** The value of one property, checked; null where another stands for it. */
  private check(name: string): Value {
    const schema = this.schemas[name]!;
    if (this.context.translation.hides(this.pathOf(name))) return null;
    let value: Value;
    try {
      value = this.value(name, true);
    } catch (thrown) {
      throw this.explained(thrown, name, schema);
    }
    if (schema.implemented === false && this.data.has(name)) {
      const reason = `Property ${name} not implemented yet`;
      throw new Fault('StackValidationFailed', reason, { path: [name], error: 'Property error' });
    }
    return value;
  }

  /** Every property's value, given or not. */
  private all(validate: boolean): Map<Key, Value> {
    if (validate) this.checkNames();
    const out = new Map<Key, Value>();
    for (const name in this.schemas) out.set(name, validate ? this.check(name) : this.value(name, false));
    return out;
  }

  private explained(thrown: unknown, name: string, schema: PropertySchema): unknown {
    if (!(thrown instanceof Fault)) return thrown;
    if (thrown.kind === 'StackValidationFailed') return within(thrown, [name], 'Property error');
    if (thrown.kind !== 'ValueError') return thrown;
    const path = schema.required && !this.data.has(name) ? [] : [name];
    return new Fault('StackValidationFailed', thrown.reason, { path, error: 'Property error' });
  }

  /** The property's value: as given, by default, or null. Throws ValueError where it has none and needs one. */
  get(name: string): Value {
    return this.value(name, false);
  }

  /** A given value converted to the property's type, unchecked. Throws ValueError, TypeError. */
  typedValue(name: string, value: Value): Value {
    return this.typed(this.schemas[name]!, this.pathOf(name), value, false);
  }

  valueAt(path: readonly string[]): Value {
    const [name, ...rest] = path;
    if (name === undefined || !has(this.schemas, name)) return null;
    return pick(this.value(name, false), rest);
  }

  private checkData(): void {
    if (this.functional) throw typeError(`'${this.functional.name}' cannot stand for all properties`);
  }

  private value(name: string, validate: boolean): Value {
    this.checkData();
    const schema = this.schemas[name];
    if (!schema) throw keyError(`Invalid Property ${name}`);
    const path = this.pathOf(name);
    const given = this.given(name, schema, path, validate);
    if (given !== undefined) return given;
    const { translation } = this.context;
    const withDefault = schema.default !== undefined && schema.default !== null;
    if (translation.has(path)) {
      const value = translation.apply(path, null, this.siblings(), this.root);
      if (value !== null || withDefault) return this.typed(schema, path, value, false);
    }
    if (withDefault) return this.typed(schema, path, null, validate);
    if (schema.required) throw valueError(`Property ${name} not assigned`);
    return name === 'description' && schema.update_allowed && this.description !== undefined ? this.description : null;
  }

  /** The value that was given, or undefined where none was. */
  private given(name: string, schema: PropertySchema, path: string, validate: boolean): Value | undefined {
    const node = this.data.get(name);
    if (node === undefined && !this.data.has(name)) return undefined;
    const { translation } = this.context;
    if (translation.hides(path)) return undefined;
    try {
      const check = validate && !this.context.pending(node!);
      let value = this.context.resolve(node!);
      if (value === OMIT) return undefined;
      if (translation.has(path)) value = translation.apply(path, value, this.siblings(), this.root);
      return this.typed(schema, path, value, check);
    } catch (thrown) {
      if (!(thrown instanceof Fault) || thrown.kind === 'StackValidationFailed') throw thrown;
      throw valueError(thrown.heatMessage);
    }
  }

  /** The data as given, for rules that take a sibling's value. */
  private siblings(): TranslationSource {
    return { valueAt: (path) => pick(fromData(this.data), path) };
  }

  /** The value converted to the schema's type. Throws ValueError, TypeError, StackValidationFailed. */
  private typed(schema: PropertySchema, path: string, given: Value, validate: boolean): Value {
    const value = this.converted(schema, path, given ?? defaultOf(schema), validate);
    if (validate && schema.constraints) {
      checkConstraints(schema.constraints, value, {
        type: schema.type,
        typeLabel: schema.type,
        custom: this.context.custom,
      });
    }
    return value;
  }

  private converted(schema: PropertySchema, path: string, value: Value, validate: boolean): Value {
    switch (schema.type) {
      case 'String':
        return toText(value);
      case 'Integer':
        return toWhole(value);
      case 'Number':
        return toNumber(value ?? 0);
      case 'Boolean':
        return toFlag(value);
      case 'Map':
        return this.map(schema, path, value ?? new Map(), validate);
      case 'List':
        return this.list(schema, path, value ?? [], validate);
      default:
        return value;
    }
  }

  private map(schema: PropertySchema, path: string, value: Value, validate: boolean): Value {
    if (!(value instanceof Map)) {
      if (schema.allow_conversion) {
        if (typeof value === 'string') return value;
        if (Array.isArray(value)) return dumps(value);
      }
      throw typeError(`"${text(value)}" is not a map`);
    }
    if (!schema.schema) return value;
    return this.children(schema.schema, path, value, validate);
  }

  private list(schema: PropertySchema, path: string, given: Value, validate: boolean): Value {
    const value = schema.allow_conversion && typeof given === 'string' ? (given === '' ? [] : given.split(',')) : given;
    if (!Array.isArray(value)) throw typeError(`"${repr(value)}" is not a list`);
    const item = schema.schema?.['*'];
    if (!item) return value;
    return value.map((entry, index) => this.item(item, path, entry, index, validate));
  }

  private item(schema: PropertySchema, path: string, entry: Value, index: number, validate: boolean): Value {
    try {
      const value = this.typed(schema, `${path}.${index}`, entry, validate);
      if (validate && schema.implemented === false) throw valueError(`Property ${index} not implemented yet`);
      return value;
    } catch (thrown) {
      if (!(thrown instanceof Fault) || !validate) throw thrown;
      if (thrown.kind === 'StackValidationFailed') throw within(thrown, [index], 'Property error');
      throw new Fault('StackValidationFailed', thrown.heatMessage, { path: [index], error: 'Property error' });
    }
  }

  private children(schemas: PropertySchemas, path: string, data: ReadonlyMap<Key, Value>, validate: boolean): Value {
    const context = plainContext(this.context.custom, this.context.translation);
    return new PropertySet(schemas, data, context, { path, root: this.root }).all(validate);
  }
}

const required = new WeakMap<PropertySchemas, string[]>();

/** The properties that must be given, worked out once for each type. */
function requiredNames(schemas: PropertySchemas): string[] {
  let names = required.get(schemas);
  if (!names) {
    names = Object.keys(schemas).filter((name) => schemas[name]!.required && schemas[name]!.default === undefined);
    required.set(schemas, names);
  }
  return names;
}

function fromData(data: ReadonlyMap<Key, Node>): Value {
  return data as unknown as Value;
}

function pick(value: Value, path: readonly string[]): Value {
  let here = value;
  for (let i = 0; i < path.length; i++) {
    if (here === null) return null;
    if (Array.isArray(here)) return here.map((item) => pick(item, path.slice(i)));
    if (!(here instanceof Map)) return null;
    here = here.get(path[i]!) ?? null;
  }
  return here;
}

function defaultOf(schema: PropertySchema): Value {
  const value = schema.default === undefined ? null : fromPlain(schema.default);
  // An empty default of a list may be written as any empty thing.
  return schema.type === 'List' && !truthy(value) ? null : value;
}

function toText(value: Value): Value {
  if (value === null) return '';
  if (typeof value === 'string') return value;
  if (isInteger(value)) return text(value);
  throw valueError(`Value must be a string; got ${repr(value)}`);
}

function toWhole(value: Value): Value {
  try {
    return toInteger(truthy(value) || value !== null ? value : 0);
  } catch (thrown) {
    if (!(thrown instanceof Fault) || thrown.kind !== 'ValueError') throw thrown;
    throw typeError(`Value '${text(value)}' is not an integer`);
  }
}

function toFlag(value: Value): Value {
  if (value === null) return false;
  if (typeof value === 'boolean') return value;
  if (typeof value !== 'string') throw typeError(`"${text(value)}" is not a valid boolean`);
  const word = value.toLowerCase();
  if (word !== 'true' && word !== 'false') throw valueError(`"${word}" is not a valid boolean`);
  return word === 'true';
}
