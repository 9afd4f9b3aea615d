import { type Call, type Node, type NodeMap, references, resolve, resolveNullable, validateNode } from './calls.ts';
import type { ResourceType, TypeCatalog } from './catalog.ts';
import type { Environment } from './environment.ts';
import { Fault, within } from './faults.ts';
import type { Limits } from './limits.ts';
import { type PropertyContext, PropertySet } from './properties.ts';
import { type Found, findType } from './registry.ts';
import { text } from './render.ts';
import type { ResourceDefinition } from './resources.ts';
import type { CustomCheck, Type } from './schema.ts';
import type { Files, StackScope } from './scope.ts';
import { didYouMean } from './suggest.ts';
import { type TemplateType, templateType } from './template-type.ts';
import { Translation, translationOf } from './translation.ts';
import { fromPlain, type Key, truthy, type Value } from './values.ts';

/** A resource with its type found and its properties seen through the type's schema. */
export interface Resource {
  readonly name: string;
  readonly definition: ResourceDefinition;
  readonly type: ResourceType;
  readonly found: Found;
  /** Where the type is a template. */
  readonly templateType: TemplateType | undefined;
  readonly properties: PropertySet;
  readonly updatePolicy: PropertySet;
}

export interface ResourceSources {
  scope: StackScope;
  environment: Environment;
  files: Files;
  types: TypeCatalog;
  custom: CustomCheck;
  limits: Limits;
}

/** What OS::Heat::Value calls the types of its value. */
const VALUE_TYPES: Record<string, Type> = {
  string: 'String',
  number: 'Number',
  comma_delimited_list: 'List',
  json: 'Map',
  boolean: 'Boolean',
};

/** Makes resources of definitions; template types are read once. */
export class ResourceMaker {
  private readonly sources: ResourceSources;
  private readonly templateTypes = new Map<string, TemplateType>();

  constructor(sources: ResourceSources) {
    this.sources = sources;
  }

  /** Throws StackValidationFailed where the type is unknown; ValueError where a property that the type reads early is wrong. */
  make(definition: ResourceDefinition): Resource {
    const { name } = definition;
    const { format } = this.sources.scope.template;
    const path = [format.sections.resources, name];
    try {
      const found = this.find(definition);
      const fromTemplate = found.kind === 'template' ? this.templateTypeOf(found.file) : undefined;
      const type = fromTemplate?.type ?? this.sources.types.type((found as { name: string }).name)!;
      if (name.includes('/')) throw new Fault('StackValidationFailed', 'Resource name may not contain "/"', { path });
      const context = this.context(translationOf(type.translation));
      const properties = this.properties(type, definition, context);
      for (const property of type.early ?? []) properties.get(property);
      const updatePolicy = new PropertySet(type.update_policy ?? {}, definition.updatePolicy ?? new Map(), context);
      return { name, definition, type, found, templateType: fromTemplate, properties, updatePolicy };
    } catch (thrown) {
      if (thrown instanceof Fault && thrown.path.length === 0) thrown.path = [...path, format.resource.type];
      throw thrown;
    }
  }

  private find(definition: ResourceDefinition): Found {
    if (definition.type === '') throw new Fault('StackValidationFailed', `Resource "${definition.name}" has no type`);
    const { types, environment } = this.sources;
    try {
      const builtIn = { hasType: (name: string) => types.type(name) !== undefined, aliases: () => types.aliases() };
      return findType(environment.registry, builtIn, definition.type, definition.name);
    } catch (thrown) {
      if (!(thrown instanceof Fault) || thrown.kind !== 'EntityNotFound') throw thrown;
      throw new Fault('StackValidationFailed', thrown.reason, { hint: didYouMean(definition.type, types.names()) });
    }
  }

  private templateTypeOf(file: string): TemplateType {
    let known = this.templateTypes.get(file);
    if (!known) {
      const { files, environment, limits } = this.sources;
      known = templateType(file, files, environment.parameterDefaults, limits);
      this.templateTypes.set(file, known);
    }
    return known;
  }

  private context(translation: Translation): PropertyContext {
    const { scope, custom } = this.sources;
    return {
      resolve: (node) => resolveNullable(node, scope),
      pending: (node) => this.pending(node),
      custom,
      translation,
    };
  }

  /** Whether a node needs a resource that does not exist yet: before creation, any. */
  private pending(node: Node): boolean {
    const { scope } = this.sources;
    let any = false;
    references(node, scope, (name) => {
      any ||= scope.resource(name)?.action === 'INIT';
    });
    return any;
  }

  private properties(type: ResourceType, definition: ResourceDefinition, context: PropertyContext): PropertySet {
    if (type.any_property) return new PropertySet({}, new Map(), context);
    const data: NodeMap | Call = definition.properties ?? new Map<Key, Node>();
    const description = definition.description ?? undefined;
    const plain = new PropertySet(type.properties, data, context, { description });
    if (type.typed_by) {
      const { property, by } = type.typed_by;
      const wanted = VALUE_TYPES[text(plain.get(by))];
      if (!wanted) return plain;
      const schemas = { ...type.properties, [property]: { ...type.properties[property]!, type: wanted } };
      return new PropertySet(schemas, data, context, { description });
    }
    if (!type.converts) return plain;
    const { from, into, item } = type.converts;
    const value = plain.get(from);
    if (!truthy(value)) return plain;
    const rules = [...(type.translation ?? []), { rule: 'Delete' as const, path: [from] }];
    const added = { rule: 'Add' as const, path: [into ?? from], value: [converted(item, value)] };
    const translation = new Translation(into === undefined ? rules : [added, ...rules]);
    return new PropertySet(type.properties, data, this.context(translation), { description });
  }
}

/** The value in its new form: an entry of a map that holds more, or itself. */
function converted(item: { field: string; rest: Record<string, unknown> } | undefined, value: Value): Value {
  return item ? new Map<Key, Value>([[item.field, value], ...(fromPlain(item.rest) as Map<Key, Value>)]) : value;
}

/** Throws StackValidationFailed where the resource's definition cannot work. */
export function validateResource(resource: Resource, scope: StackScope, withValues = true): void {
  const { definition, type } = resource;
  const { resource: keys, sections } = scope.template.format;
  const path = [sections.resources, definition.name];
  try {
    if (definition.externalId !== null && resolve(definition.externalId, scope) !== null) return;
    const problem = resource.templateType?.problem;
    if (problem) throw new Fault('StackValidationFailed', problem.heatMessage, { path: [keys.type] });
    inside(keys.properties, () => validateNode(definition.properties, scope));
    inside(keys.metadata, () => validateNode(definition.metadata, scope));
    inside(keys.updatePolicy, () => validateNode(definition.updatePolicy, scope));
    if (definition.deletionPolicy === 'Snapshot' && type.snapshot !== true) {
      throw new Fault('StackValidationFailed', '"Snapshot" deletion policy not supported', {
        path: [keys.deletionPolicy],
      });
    }
    inside(keys.updatePolicy, () => resource.updatePolicy.validate());
    inside(keys.properties, () => resource.properties.validate(withValues));
  } catch (thrown) {
    if (!(thrown instanceof Fault) || thrown.kind === 'AssertionError') throw thrown;
    if (thrown.kind === 'StackValidationFailed') throw within(thrown, path);
    if (!thrown.isPlain) throw thrown;
    throw new Fault('StackValidationFailed', thrown.heatMessage, { error: thrown.kind, path });
  }
}

function inside(key: string, work: () => void): void {
  try {
    work();
  } catch (thrown) {
    if (thrown instanceof Fault && thrown.kind === 'StackValidationFailed') throw within(thrown, [key]);
    throw thrown;
  }
}
