import { type Facade, type Node, parseNode, type ResourceView, type Scope } from './calls.ts';
import { Conditions } from './conditions.ts';
import { Fault, type Path } from './faults.ts';
import type { Parameters } from './parameters.ts';
import { type ResourceDefinition, resourceDefinitions } from './resources.ts';
import { sectionOf, type Template } from './template.ts';
import { type Dict, type Key, typeName, type Value } from './values.ts';

/** Files that came with a template: URL or path to text. Nothing is ever read from elsewhere. */
export type Files = ReadonlyMap<string, string>;

/** Looks up what is known of a live resource; undefined where nothing is yet. */
export type Views = (name: string) => ResourceView | undefined;

export interface ScopeInput {
  template: Template;
  parameters: Parameters;
  files: Files;
  facade?: Facade | undefined;
  availabilityZones?: Value;
}

/** A stack's definition as its functions see it; definitions and conditions are worked out when first asked for. */
export class StackScope implements Scope {
  readonly template: Template;
  readonly parameters: Parameters;
  readonly facade: Facade | undefined;
  private readonly files: Files;
  private readonly zones: Value;
  private readonly mappings: Dict;
  private loaded: Map<string, ResourceDefinition> | undefined;
  private known: Conditions | undefined;
  private loading = false;
  private views: Views;

  constructor(input: ScopeInput, views: Views = () => undefined) {
    this.template = input.template;
    this.parameters = input.parameters;
    this.files = input.files;
    this.facade = input.facade;
    this.zones = input.availabilityZones ?? ['nova'];
    this.mappings = sectionOf(this.template, this.template.format.sections.mappings);
    this.views = views;
  }

  /** The same definition with another knowledge of its resources: the live ones, for final values and outputs. */
  withViews(views: Views): StackScope {
    const copy = new StackScope(
      {
        template: this.template,
        parameters: this.parameters,
        files: this.files,
        facade: this.facade,
        availabilityZones: this.zones,
      },
      views,
    );
    copy.loaded = this.loaded;
    copy.known = this.known;
    return copy;
  }

  /** Replaces the knowledge of resources from here on. */
  see(views: Views): void {
    this.views = views;
  }

  get conditions(): Conditions {
    this.known ??= new Conditions(this.template, this);
    return this.known;
  }

  get definitions(): Map<string, ResourceDefinition> {
    if (this.loaded) return this.loaded;
    if (this.loading) {
      throw new Fault(
        'RecursionError',
        'A deletion policy or condition refers to a resource, which cannot be known while the resources are being read',
      );
    }
    this.loading = true;
    try {
      this.loaded = resourceDefinitions(this.template, this, this.conditions);
      return this.loaded;
    } finally {
      this.loading = false;
    }
  }

  parameter(name: string): Value {
    return this.parameters.value(name);
  }

  hasResource(name: unknown): boolean {
    if (typeof name === 'object' && name !== null) {
      const type = Array.isArray(name) || name instanceof Map ? typeName(name) : name.constructor.name;
      throw new Fault('TypeError', `unhashable type: '${type}'`);
    }
    // While the definitions are being parsed, the section says which names are resources.
    if (this.loaded) return this.loaded.has(name as string);
    return sectionOf(this.template, this.template.format.sections.resources).has(name as Key);
  }

  resource(name: unknown): ResourceView | undefined {
    const definition = typeof name === 'string' ? this.definitions.get(name) : undefined;
    if (!definition) return undefined;
    return this.views(definition.name) ?? unknownView(definition.name);
  }

  condition(name: unknown): boolean {
    return this.conditions.holds(name);
  }

  parseCondition(expression: Value, path: Path): Node {
    try {
      return parseNode(this.template.format.conditionFunctions, this, expression);
    } catch (thrown) {
      if (thrown instanceof Fault) thrown.path.unshift(...path);
      throw thrown;
    }
  }

  file(name: string): string | undefined {
    return this.files.get(name);
  }

  mapping(name: unknown): Value | undefined {
    return this.mappings.get(name as Key);
  }

  availabilityZones(): Value {
    return this.zones;
  }
}

/** A resource of which nothing is known but its name: not created, referred to by name. */
export function unknownView(
  name: string,
  reference: Value = name,
  hasAttribute: (name: Value) => boolean = () => false,
): ResourceView {
  return {
    name,
    action: 'INIT',
    status: 'COMPLETE',
    reference: () => reference,
    hasAttribute,
    attribute: () => null,
    attributes: () => new Map(),
  };
}
