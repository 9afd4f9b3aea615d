import { Call, type Node, type NodeMap, parseNode, references, resolve } from './calls.ts';
import type { Conditions } from './conditions.ts';
import { Fault, keyError, type Path } from './faults.ts';
import { text } from './render.ts';
import type { StackScope } from './scope.ts';
import type { Template } from './template.ts';
import { sectionOf } from './template.ts';
import type { Dict, Value } from './values.ts';
import type { DeletionPolicy } from './versions.ts';

/** A resource as its template defines it: functions recognised, nothing resolved. */
export interface ResourceDefinition {
  readonly name: string;
  readonly type: string;
  readonly properties: NodeMap | Call | null;
  readonly metadata: NodeMap | Call | null;
  /** depends_on. */
  readonly dependsOn: readonly string[] | null;
  readonly deletionPolicy: DeletionPolicy;
  readonly updatePolicy: NodeMap | Call | null;
  readonly description: string | null;
  readonly externalId: Node | null;
}

/** The definitions of all enabled resources. Throws StackValidationFailed with the path of the wrong one. */
export function resourceDefinitions(
  template: Template,
  scope: StackScope,
  conditions: Conditions,
): Map<string, ResourceDefinition> {
  const section = template.format.sections.resources;
  const out = new Map<string, ResourceDefinition>();
  for (const [key, snippet] of sectionOf(template, section)) {
    const name = text(key);
    const path: Path = [section, name];
    let reader: DefinitionReader;
    let definition: ResourceDefinition;
    try {
      reader = new DefinitionReader(template, scope, name, snippet);
      definition = reader.read();
    } catch (thrown) {
      throw explained(thrown, path);
    }
    if (reader.enabled(conditions)) out.set(name, definition);
  }
  return out;
}

function explained(thrown: unknown, path: Path): unknown {
  if (!(thrown instanceof Fault)) return thrown;
  if (thrown.kind === 'ValueError' || thrown.kind === 'TypeError' || thrown.kind === 'KeyError') {
    return new Fault('StackValidationFailed', thrown.heatMessage, { path: [...path, ...thrown.path] });
  }
  thrown.path.unshift(...path);
  return thrown;
}

class DefinitionReader {
  private readonly template: Template;
  private readonly scope: StackScope;
  private readonly name: string;
  private readonly data: Dict;
  private condition: Node | undefined;

  constructor(template: Template, scope: StackScope, name: string, data: Value) {
    if (!(data instanceof Map)) throw new Fault('TypeError', `Resource ${name} must be a map`);
    this.template = template;
    this.scope = scope;
    this.name = name;
    this.data = data;
  }

  read(): ResourceDefinition {
    const { format } = this.template;
    const keys = format.resource;
    if (format.family === 'hot') {
      const known = Object.values(keys);
      const unknown = [...this.data.keys()].filter((key) => !known.includes(key as string));
      if (unknown.length > 0) {
        throw new Fault(
          'ValueError',
          `Invalid keyword(s) inside a resource definition: ${unknown.map(text).join(', ')}`,
          {
            path: [text(unknown[0])],
          },
        );
      }
    }
    if (!this.data.has(keys.type)) throw keyError(`Resource ${this.name} is missing "${keys.type}"`);
    const type = this.field(keys.type, 'string', (node) => typeof node === 'string') as string;
    const properties = this.object(keys.properties);
    const metadata = this.object(keys.metadata);
    const dependsOn = this.dependsOn(keys.dependsOn);
    const deletionPolicy = this.deletionPolicy(keys.deletionPolicy);
    const updatePolicy = this.object(keys.updatePolicy);
    const description = this.data.get(keys.description);
    if (description !== undefined && typeof description !== 'string') throw this.wrongType(keys.description, 'string');
    const textual = (node: Node): boolean => typeof node === 'string' || node instanceof Call;
    const externalId = keys.externalId === undefined ? null : (this.field(keys.externalId, 'string', textual) ?? null);
    this.condition = keys.condition === undefined ? undefined : this.readCondition(keys.condition);
    return {
      name: this.name,
      type,
      properties,
      metadata,
      dependsOn,
      deletionPolicy: externalId === null ? deletionPolicy : 'Retain',
      updatePolicy,
      description: description ?? null,
      externalId,
    };
  }

  private wrongType(key: string, wanted: string): Fault {
    return new Fault('TypeError', `Resource ${this.name} ${key} type must be ${wanted}`, { path: [key] });
  }

  private field(key: string, wanted: string, fits: (node: Node) => boolean): Node | undefined {
    const value = this.data.get(key);
    if (value === undefined) return undefined;
    let node: Node;
    try {
      node = parseNode(this.template.format.functions, this.scope, value);
    } catch (thrown) {
      if (thrown instanceof Fault) thrown.path.unshift(key);
      throw thrown;
    }
    if (!fits(node)) throw this.wrongType(key, wanted);
    return node;
  }

  private object(key: string): NodeMap | Call | null {
    const node = this.field(key, 'object', (value) => value instanceof Map || value instanceof Call);
    return (node as NodeMap | Call | undefined) ?? null;
  }

  private dependsOn(key: string): string[] | null {
    const value = this.data.get(key);
    if (value === undefined) return null;
    if (typeof value === 'string') return [value];
    if (!Array.isArray(value)) throw this.wrongType(key, 'list or string');
    if (!value.every((item) => typeof item === 'string')) {
      throw new Fault('StackValidationFailed', `Resource ${this.name} ${key} must be a list of strings`, {
        path: [key],
      });
    }
    return value as string[];
  }

  private deletionPolicy(key: string): DeletionPolicy {
    const node = this.field(key, 'string', (value) => typeof value === 'string' || value instanceof Call);
    if (node === undefined) return 'Delete';
    const value = resolve(node, this.scope);
    if (value === null) return 'Delete';
    const policy = typeof value === 'string' ? this.template.format.deletionPolicies.get(value) : undefined;
    if (!policy) throw new Fault('StackValidationFailed', `Invalid deletion policy "${text(value)}"`, { path: [key] });
    return policy;
  }

  private readCondition(key: string): Node | undefined {
    const value = this.data.get(key);
    if (value === undefined) return undefined;
    let condition: Node;
    try {
      condition = this.scope.parseCondition(value, []);
    } catch (thrown) {
      if (thrown instanceof Fault) thrown.path.unshift(key);
      throw thrown;
    }
    if (typeof condition === 'string' || typeof condition === 'boolean' || condition instanceof Call) return condition;
    throw this.wrongType(key, 'string_or_boolean');
  }

  /** Whether the resource's condition holds. Throws StackValidationFailed for an unknown one. */
  enabled(conditions: Conditions): boolean {
    const { resource, sections } = this.template.format;
    const path = [sections.resources, this.name, resource.condition ?? ''];
    let condition: Value;
    try {
      condition = resolve(this.condition ?? null, this.scope);
    } catch (thrown) {
      if (thrown instanceof Fault && thrown.path.length === 0) thrown.path = path;
      throw thrown;
    }
    try {
      return conditions.holds(condition);
    } catch (thrown) {
      if (!(thrown instanceof Fault) || thrown.kind !== 'ValueError') throw thrown;
      throw new Fault('StackValidationFailed', thrown.reason, { path });
    }
  }
}

/**
 * The names of all resources that a definition needs: depends_on, and what its properties and metadata refer to. Throws
 * InvalidTemplateReference for a name that the template lacks (depends_on may name a disabled one).
 */
export function requiredNames(definition: ResourceDefinition, template: Template, scope: StackScope): Set<string> {
  const names = new Set<string>();
  const section = template.format.sections.resources;
  const keys = template.format.resource;
  const found = (name: string): void => void names.add(name);
  for (const [node, key, label] of [
    [definition.properties, keys.properties, 'Properties'],
    [definition.metadata, keys.metadata, 'Metadata'],
  ] as const) {
    try {
      references(node, scope, found, `${definition.name}.${label}`);
    } catch (thrown) {
      if (thrown instanceof Fault) thrown.path.unshift(section, definition.name, key);
      throw thrown;
    }
  }
  if (definition.externalId !== null && resolve(definition.externalId, scope)) {
    if (definition.dependsOn?.length) {
      throw new Fault(
        'InvalidExternalResourceDependency',
        `Invalid dependency with external ${definition.type} resource: ${text(resolve(definition.externalId, scope))}`,
        { path: [section, definition.name, keys.dependsOn] },
      );
    }
    return new Set();
  }
  const declared = sectionOf(template, section);
  for (const name of definition.dependsOn ?? []) {
    if (scope.hasResource(name)) names.add(name);
    else if (!declared.has(name)) {
      throw new Fault(
        'InvalidTemplateReference',
        `The specified reference "${name}" (in ${definition.name}) is incorrect.`,
        { path: [section, definition.name, keys.dependsOn] },
      );
    }
  }
  return names;
}
