import {
  type Call,
  type Facade,
  type Node,
  type NodeMap,
  parseNode,
  type ResourceView,
  references,
  resolve,
  resolveNullable,
  validateNode,
} from './calls.ts';
import type { ResourceType, TypeCatalog } from './catalog.ts';
import type { Conditions } from './conditions.ts';
import { type Environment, environmentFrom } from './environment.ts';
import { Fault, within } from './faults.ts';
import { Graph } from './graph.ts';
import { implicitRequirements } from './implicit.ts';
import { DEFAULT_LIMITS, type Limits } from './limits.ts';
import { Parameters, type StackIdentity, validateParameterGroups } from './parameters.ts';
import { PropertySet } from './properties.ts';
import { type Found, findType } from './registry.ts';
import { repr, text } from './render.ts';
import { type ResourceDefinition, requiredNames } from './resources.ts';
import type { CustomCheck, Type } from './schema.ts';
import { type Files, StackScope, unknownView, type Views } from './scope.ts';
import { located, sectionOf, type Template } from './template.ts';
import { type TemplateType, templateType } from './template-type.ts';
import { translationOf } from './translation.ts';
import { type Dict, type Key, typeName, type Value } from './values.ts';

export interface AnalysisInput {
  template: Template;
  environment?: Environment;
  files?: Files;
  types: TypeCatalog;
  stack: StackIdentity;
  /** For a nested stack: the resource of the parent that it implements. */
  facade?: Facade;
  availabilityZones?: Value;
  limits?: Limits;
  /** The moment, in milliseconds since 1970, that expiries are held against; without it they are not checked. */
  now?: number;
}

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

export interface Output {
  readonly name: string;
  /** Null where a condition switches the output off. */
  readonly value: Node;
  readonly description: Value;
}

/**
 * A template together with all that is given to it, before anything is created. Parts are worked out when asked for;
 * `validate` asks for all of them in Heat's order and throws the first Fault, told where in the template it is.
 */
export class Analysis {
  readonly template: Template;
  readonly environment: Environment;
  readonly files: Files;
  readonly types: TypeCatalog;
  readonly stack: StackIdentity;
  readonly parameters: Parameters;
  readonly scope: StackScope;
  readonly limits: Limits;
  private readonly custom: CustomCheck;
  private readonly templateTypes = new Map<string, TemplateType>();
  private resourceMap: Map<string, Resource> | undefined;
  private outputMap: Map<string, Output> | undefined;
  private explicit: Graph | undefined;
  private complete: Graph | undefined;

  /** Throws InvalidSchemaError where a parameter's declaration is wrong. */
  constructor(input: AnalysisInput) {
    this.template = input.template;
    this.environment = input.environment ?? environmentFrom();
    this.files = input.files ?? new Map();
    this.types = input.types;
    this.stack = input.stack;
    this.limits = input.limits ?? DEFAULT_LIMITS;
    this.custom = (name, value) => this.types.constraint(name, value, input.now);
    this.parameters = this.at(
      () => new Parameters(this.template, this.stack, this.environment.parameters, this.environment.parameterDefaults),
    );
    this.scope = new StackScope({
      template: this.template,
      parameters: this.parameters,
      files: this.files,
      facade: input.facade,
      availabilityZones: input.availabilityZones ?? ['nova'],
    });
  }

  private at<T>(work: () => T): T {
    return located(this.template.file, this.template.source, this.limits, work);
  }

  get conditions(): Conditions {
    return this.scope.conditions;
  }

  /** Every enabled resource by name, in the template's order. */
  get resources(): ReadonlyMap<string, Resource> {
    this.resourceMap ??= this.at(() => {
      const out = new Map<string, Resource>();
      for (const definition of this.scope.definitions.values()) out.set(definition.name, this.resource(definition));
      return out;
    });
    return this.resourceMap;
  }

  /** Every output by name; those that a condition switches off have the value null. */
  get outputs(): ReadonlyMap<string, Output> {
    this.outputMap ??= this.at(() => this.readOutputs());
    return this.outputMap;
  }

  /** What needs what by the template's own words: depends_on and functions. */
  get explicitGraph(): Graph {
    this.explicit ??= this.at(() => {
      const graph = new Graph();
      for (const { definition } of this.resources.values()) {
        graph.add(definition.name);
        for (const name of requiredNames(definition, this.template, this.scope)) graph.require(definition.name, name);
      }
      return graph;
    });
    return this.explicit;
  }

  /** The explicit graph, and what the types add (a port needs the subnets of its network). */
  get graph(): Graph {
    this.complete ??= this.at(() => {
      const graph = this.explicitGraph;
      this.see();
      implicitRequirements(this.resources, graph);
      return graph;
    });
    return this.complete;
  }

  /** Lets functions see the resources as they are before creation, each as its type says. */
  private see(): void {
    this.scope.see((name) => this.plannedView(name));
  }

  private plannedView(name: string): ResourceView | undefined {
    const resource = this.resources.get(name);
    if (!resource) return undefined;
    const { type } = resource;
    const reference = type.reference === 'none' ? null : type.reference === 'none-text' ? 'None' : name;
    const known = (attribute: Value): boolean =>
      type.any_attribute === true || attribute === 'show' || Object.hasOwn(type.attributes, text(attribute));
    return unknownView(name, reference, known);
  }

  /** Throws the first Fault in the order that Heat looks. Returns itself. */
  validate(): this {
    this.at(() => {
      this.validateTop();
      this.parameters.validate(this.custom);
      validateParameterGroups(this.template, this.parameters);
      this.conditions.validate();
      this.validateNames();
      this.explicitGraph.visit(() => void this.outputs);
      this.graph.visit((name) => this.validateOne(this.resources.get(name)!));
      for (const output of this.outputs.values()) this.validateOutput(output);
    });
    return this;
  }

  private validateTop(): void {
    const { format, tree } = this.template;
    for (const key of tree.keys()) {
      if (!format.topKeys.has(key as string)) {
        throw new Fault('InvalidTemplateSection', `The template section is invalid: ${text(key)}`, {
          path: [text(key)],
        });
      }
    }
    const { resources } = format.sections;
    const keys = Object.values(format.resource);
    for (const [key, item] of sectionOf(this.template, resources)) {
      const path = [resources, text(key)];
      const fail = (reason: string): Fault => new Fault('StackValidationFailed', reason, { path });
      const noType = `Each ${format.family === 'hot' ? 'resource' : 'Resource'} must contain a ${format.resource.type} key.`;
      if (item === null || item === '' || (item instanceof Map && item.size === 0)) throw fail(noType);
      if (!(item instanceof Map)) {
        throw fail(`"${resources}" must contain a map of resource maps. Found a [${typeName(item)}] instead`);
      }
      if (format.family === 'hot') {
        for (const name of item.keys()) {
          if (!keys.includes(name as string) && name !== 'external_id' && name !== 'condition') {
            throw new Fault(
              'StackValidationFailed',
              `"${text(name)}" is not a valid keyword inside a resource definition`,
              {
                path: [...path, text(name)],
              },
            );
          }
        }
      }
      if (!item.get(format.resource.type)) throw fail(noType);
    }
  }

  private validateNames(): void {
    const both = [...this.resources.keys()].filter((name) => this.parameters.all.has(name));
    if (both.length > 0) {
      throw new Fault('StackValidationFailed', `Duplicate names {${both.map(repr).join(', ')}}`, {
        path: [this.template.format.sections.resources, both[0]!],
      });
    }
  }

  private resource(definition: ResourceDefinition): Resource {
    const { name } = definition;
    const path = [this.template.format.sections.resources, name];
    const typePath = [...path, this.template.format.resource.type];
    try {
      const found = this.findType(definition);
      const fromTemplate = found.kind === 'template' ? this.templateTypeOf(found.file) : undefined;
      const type = fromTemplate?.type ?? this.types.type((found as { name: string }).name)!;
      if (name.includes('/')) throw new Fault('StackValidationFailed', 'Resource name may not contain "/"', { path });
      const resource = {
        name,
        definition,
        type,
        found,
        templateType: fromTemplate,
        ...this.propertySets(definition, type),
      };
      for (const property of type.early ?? []) resource.properties.get(property);
      return resource;
    } catch (thrown) {
      if (thrown instanceof Fault && thrown.path.length === 0) thrown.path = typePath;
      throw thrown;
    }
  }

  private findType(definition: ResourceDefinition): Found {
    if (definition.type === '') {
      throw new Fault('StackValidationFailed', `Resource "${definition.name}" has no type`);
    }
    try {
      const builtIn = {
        hasType: (name: string) => this.types.type(name) !== undefined,
        aliases: () => this.types.aliases(),
      };
      return findType(this.environment.registry, builtIn, definition.type, definition.name);
    } catch (thrown) {
      if (!(thrown instanceof Fault) || thrown.kind !== 'EntityNotFound') throw thrown;
      throw new Fault('StackValidationFailed', thrown.reason);
    }
  }

  private templateTypeOf(file: string): TemplateType {
    let known = this.templateTypes.get(file);
    if (!known) {
      known = templateType(file, this.files, this.environment.parameterDefaults, this.limits);
      this.templateTypes.set(file, known);
    }
    return known;
  }

  private propertySets(
    definition: ResourceDefinition,
    type: ResourceType,
  ): { properties: PropertySet; updatePolicy: PropertySet } {
    const context = {
      resolve: (node: Node) => resolveNullable(node, this.scope),
      pending: (node: Node) => this.pending(node),
      custom: this.custom,
      translation: translationOf(type.translation),
    };
    const dataOf = (node: NodeMap | Call | null): ReadonlyMap<Key, Node> | Call => node ?? new Map();
    const description = definition.description ?? undefined;
    let properties = type.any_property
      ? new PropertySet({}, new Map(), context)
      : new PropertySet(type.properties, dataOf(definition.properties), context, { description });
    if (type.typed_by) properties = this.typedBy(type, properties, definition, context);
    return {
      properties,
      updatePolicy: new PropertySet(type.update_policy ?? {}, dataOf(definition.updatePolicy), context),
    };
  }

  private typedBy(
    type: ResourceType,
    properties: PropertySet,
    definition: ResourceDefinition,
    context: ConstructorParameters<typeof PropertySet>[2],
  ): PropertySet {
    const { property, by } = type.typed_by!;
    const wanted = VALUE_TYPES[text(properties.get(by))];
    if (!wanted) return properties;
    const schemas = { ...type.properties, [property]: { ...type.properties[property]!, type: wanted } };
    return new PropertySet(schemas, definition.properties ?? new Map(), context, {
      description: definition.description ?? undefined,
    });
  }

  /** Whether a node needs a resource that does not exist yet: before creation, any. */
  private pending(node: Node): boolean {
    let any = false;
    references(node, this.scope, (name) => {
      any ||= this.scope.resource(name)?.action === 'INIT';
    });
    return any;
  }

  private validateOne(resource: Resource): void {
    try {
      this.validateResource(resource);
    } catch (thrown) {
      if (!(thrown instanceof Fault) || !thrown.isPlain || thrown.kind === 'AssertionError') throw thrown;
      const path = [this.template.format.sections.resources, resource.name];
      throw new Fault('StackValidationFailed', thrown.heatMessage, { error: thrown.kind, path });
    }
  }

  /** Throws StackValidationFailed where the resource's definition cannot work. */
  private validateResource(resource: Resource): void {
    const { definition, type } = resource;
    if (definition.externalId !== null && resolve(definition.externalId, this.scope) !== null) return;
    const keys = this.template.format.resource;
    const path = [this.template.format.sections.resources, definition.name];
    const problem = resource.templateType?.problem;
    if (problem) {
      const fault = new Fault('StackValidationFailed', problem.heatMessage, { path: [...path, keys.type] });
      throw fault;
    }
    const inside = (key: string, work: () => void): void => {
      try {
        work();
      } catch (thrown) {
        if (!(thrown instanceof Fault) || thrown.kind !== 'StackValidationFailed') throw thrown;
        throw within(thrown, [...path, key]);
      }
    };
    inside(keys.properties, () => validateNode(definition.properties, this.scope));
    inside(keys.metadata, () => validateNode(definition.metadata, this.scope));
    inside(keys.updatePolicy, () => validateNode(definition.updatePolicy, this.scope));
    if (keys.externalId) inside(keys.externalId, () => validateNode(definition.externalId, this.scope));
    if (definition.deletionPolicy === 'Snapshot' && type.snapshot !== true) {
      throw new Fault('StackValidationFailed', '"Snapshot" deletion policy not supported', {
        path: [...path, keys.deletionPolicy],
      });
    }
    inside(keys.updatePolicy, () => resource.updatePolicy.validate());
    inside(keys.properties, () => resource.properties.validate());
  }

  private readOutputs(): Map<string, Output> {
    const { format } = this.template;
    const section = format.sections.outputs;
    const out = new Map<string, Output>();
    for (const [key, declared] of sectionOf(this.template, section)) {
      const name = text(key);
      const path = [section, name];
      const fail = (reason: string): Fault =>
        new Fault('StackValidationFailed', reason, { error: 'Output validation error', path });
      if (!(declared instanceof Map))
        throw fail(`Output definitions must be a map. Found a ${typeName(declared)} instead`);
      if (!declared.has(format.output.value))
        throw fail(`Each output definition must contain a ${format.output.value} key.`);
      const description = declared.get(format.output.description) ?? null;
      try {
        const enabled = format.output.condition === undefined || this.outputEnabled(declared, format.output.condition);
        const value = enabled ? parseNode(format.functions, this.scope, declared.get(format.output.value)!) : null;
        out.set(name, { name, value, description });
      } catch (thrown) {
        if (thrown instanceof Fault) thrown.path.unshift(...path, format.output.value);
        throw thrown;
      }
    }
    return out;
  }

  private outputEnabled(declared: Dict, key: string): boolean {
    const condition = resolve(this.scope.parseCondition(declared.get(key) ?? null, []), this.scope);
    try {
      return this.conditions.holds(condition);
    } catch (thrown) {
      if (!(thrown instanceof Fault) || thrown.kind !== 'ValueError') throw thrown;
      throw new Fault('StackValidationFailed', thrown.reason);
    }
  }

  private validateOutput(output: Output): void {
    try {
      validateNode(output.value, this.scope);
    } catch (thrown) {
      if (!(thrown instanceof Fault) || thrown.kind !== 'StackValidationFailed') throw thrown;
      const { sections, output: keys } = this.template.format;
      throw within(thrown, [sections.outputs, output.name, keys.value]);
    }
  }

  /** The scope of a moment: functions see the resources as `views` has them. */
  live(views: Views): StackScope {
    return this.scope.withViews(views);
  }
}

const VALUE_TYPES: Record<string, Type> = {
  string: 'String',
  number: 'Number',
  comma_delimited_list: 'List',
  json: 'Map',
  boolean: 'Boolean',
};
