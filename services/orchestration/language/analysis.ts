import { attributeReferences, type Facade, type ResourceView, references } from './calls.ts';
import type { TypeCatalog } from './catalog.ts';
import type { Conditions } from './conditions.ts';
import { type Environment, environmentFrom } from './environment.ts';
import { Fault } from './faults.ts';
import { Graph } from './graph.ts';
import { implicitRequirements } from './implicit.ts';
import { DEFAULT_LIMITS, type Limits } from './limits.ts';
import { type Output, readOutputs, validateOutput } from './outputs.ts';
import { Parameters, type StackIdentity, validateParameterGroups } from './parameters.ts';
import { repr, text } from './render.ts';
import { type Resource, ResourceMaker, validateResource } from './resource.ts';
import { requiredNames } from './resources.ts';
import type { CustomCheck } from './schema.ts';
import { type Files, StackScope, unknownView, type Views } from './scope.ts';
import { validateStructure } from './structure.ts';
import { located, type Template } from './template.ts';
import type { Value } from './values.ts';

export interface AnalysisInput {
  template: Template;
  environment?: Environment;
  files?: Files;
  types: TypeCatalog;
  stack: StackIdentity;
  /** For a nested stack: the resource of the parent that it implements. */
  facade?: Facade | undefined;
  availabilityZones?: Value;
  limits?: Limits;
  /** The moment, in milliseconds since 1970, that expiries are held against; without it they are not checked. */
  now?: number | undefined;
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
  readonly now: number | undefined;
  private readonly custom: CustomCheck;
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
    this.now = input.now;
    this.custom = (name, value) => this.types.constraint(name, value, this.now);
    const { template, environment, stack } = this;
    this.parameters = this.at(
      () => new Parameters(template, stack, environment.parameters, environment.parameterDefaults),
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
      const { scope, environment, files, types, custom, limits } = this;
      const maker = new ResourceMaker({ scope, environment, files, types, custom, limits });
      return new Map([...scope.definitions].map(([name, definition]) => [name, maker.make(definition)]));
    });
    return this.resourceMap;
  }

  /** Every output by name; those that a condition switches off have the value null. */
  get outputs(): ReadonlyMap<string, Output> {
    this.outputMap ??= this.at(() => readOutputs(this.scope));
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
      this.scope.see((name) => this.plannedView(name));
      implicitRequirements(this.resources, graph);
      return graph;
    });
    return this.complete;
  }

  /** A resource as it is before creation: referred to as its type says, with the attributes that its type has. */
  private plannedView(name: string): ResourceView | undefined {
    const resource = this.resources.get(name);
    if (!resource) return undefined;
    const { type } = resource;
    const reference = type.reference === 'none' ? null : type.reference === 'none-text' ? 'None' : name;
    const known = (attribute: Value): boolean =>
      type.any_attribute === true || attribute === 'show' || Object.hasOwn(type.attributes, text(attribute));
    return unknownView(name, reference, known);
  }

  /**
   * Throws the first Fault in the order that Heat looks. Returns itself. Not strict: a nested stack, some of whose
   * parameters are only known once its parent's resources exist; values are then taken on trust.
   */
  validate({ strict }: { strict: boolean } = { strict: true }): this {
    this.at(() => {
      validateStructure(this.template);
      this.parameters.validate(this.custom, strict);
      validateParameterGroups(this.template, this.parameters);
      this.conditions.validate();
      this.validateNames();
      this.inOrder(this.explicitGraph, () => void this.outputs);
      if (this.resources.size > 0) this.validateAttributeNames();
      this.inOrder(this.graph, (name) => validateResource(this.resources.get(name)!, this.scope, strict));
      for (const output of this.outputs.values()) validateOutput(this.scope, output);
    });
    return this;
  }

  private inOrder(graph: Graph, visit: (name: string) => void): void {
    try {
      graph.visit(visit);
    } catch (thrown) {
      if (thrown instanceof Fault && thrown.kind === 'CircularDependencyException') {
        thrown.path.unshift(this.template.format.sections.resources);
      }
      throw thrown;
    }
  }

  private validateNames(): void {
    const both = [...this.resources.keys()].filter((name) => this.parameters.all.has(name));
    if (both.length > 0) {
      const path = [this.template.format.sections.resources, both[0]!];
      throw new Fault('StackValidationFailed', `Duplicate names {${both.map(repr).join(', ')}}`, { path });
    }
  }

  /** Throws TypeError where get_attr asks for an attribute whose name is a list or map; what outputs refer to may be missing. */
  private validateAttributeNames(): void {
    const { resources: section, outputs } = this.template.format.sections;
    for (const { definition } of this.resources.values()) {
      const place = [section, definition.name];
      this.placed(place, () => attributeReferences(definition.properties, this.scope, hashable));
      this.placed(place, () => attributeReferences(definition.metadata, this.scope, hashable));
    }
    for (const output of this.outputs.values()) {
      this.placed([outputs, output.name], () => {
        attributeReferences(output.value, this.scope, hashable);
        try {
          references(output.value, this.scope, () => undefined);
        } catch (thrown) {
          if (!(thrown instanceof Fault) || !thrown.kind.startsWith('InvalidTemplate')) throw thrown;
        }
      });
    }
  }

  private placed(path: string[], work: () => void): void {
    try {
      work();
    } catch (thrown) {
      if (thrown instanceof Fault && thrown.path.length === 0) thrown.path = path;
      throw thrown;
    }
  }

  /** The scope of a moment: functions see the resources as `views` has them. For final property values and outputs. */
  live(views: Views): StackScope {
    return this.scope.withViews(views);
  }
}

function hashable(resource: Value, attribute: Value, path: readonly Value[]): void {
  for (const part of [resource, attribute, ...path]) {
    if (part !== null && typeof part === 'object' && (Array.isArray(part) || part instanceof Map)) {
      throw new Fault(
        'TypeError',
        `unhashable type: '${Array.isArray(part) ? 'list' : 'dict'}' in the arguments of get_attr`,
      );
    }
  }
}
