import { Analysis } from './analysis.ts';
import { type Facade, resolve, resolveNullable } from './calls.ts';
import { Fault, within } from './faults.ts';
import { childEnvironment } from './merge.ts';
import { text } from './render.ts';
import type { Resource } from './resource.ts';
import type { StackScope } from './scope.ts';
import type { Dict, Key, Value } from './values.ts';

/** Stacks within stacks: what a resource whose type is a template hands to it. */

/**
 * The parameters that a template resource gives to its stack, from its properties as `scope` has them: lists as
 * comma-delimited texts (of maps: flattened as AWS does), the rest as it is; what is not set is left out.
 */
export function childParameters(resource: Resource, scope: StackScope): Dict {
  const out: Dict = new Map();
  const data = resource.definition.properties;
  if (!(data instanceof Map)) return out;
  for (const [name, schema] of Object.entries(resource.properties.schemas)) {
    const node = data.get(name);
    if (node === undefined) continue;
    const given = resolveNullable(node, scope);
    if (typeof given === 'symbol') continue;
    const value = resource.properties.typedValue(name, given);
    if (value === null) continue;
    out.set(name, schema.type === 'List' ? delimited(value as Value[]) : value);
  }
  return out;
}

function delimited(list: Value[]): string {
  if (!(list[0] instanceof Map)) return list.map((item) => (item === null ? '' : text(item))).join(',');
  const flat: string[] = [];
  for (const [index, item] of list.entries()) {
    for (const [key, value] of item as Map<Key, Value>) flat.push(`.member.${index}.${text(key)}=${text(value)}`);
  }
  return flat.join(',');
}

/** What the nested template's resource_facade sees of the resource. */
export function facadeOf(resource: Resource, scope: StackScope): Facade {
  const { metadata, deletionPolicy, updatePolicy } = resource.definition;
  return {
    metadata: () => resolve(metadata ?? new Map(), scope),
    deletionPolicy: () => deletionPolicy,
    updatePolicy: () => resolve(updatePolicy ?? new Map(), scope),
  };
}

/** The analysis of a template resource's own stack, undefined where the resource is none. Throws as Analysis does. */
export function nestedAnalysis(
  parent: Analysis,
  resource: Resource,
  stackName: string,
  scope = parent.scope,
): Analysis | undefined {
  const { templateType } = resource;
  if (!templateType?.template) return undefined;
  return new Analysis({
    template: templateType.template,
    environment: childEnvironment(parent.environment, childParameters(resource, scope), resource.name, resource.found),
    files: parent.files,
    types: parent.types,
    stack: { ...parent.stack, name: stackName },
    facade: facadeOf(resource, scope),
    availabilityZones: parent.scope.availabilityZones(),
    limits: parent.limits,
    now: parent.now,
  });
}

/**
 * Validates a stack and, below it, every stack that its template resources stand for. A parameter that a nested stack
 * will only get when its parent's resources exist passes. Throws the first Fault, its path led through the resources
 * ("resources.a<b.yaml>.resources.c"), its place that in the nested template.
 */
export function validateDeep(analysis: Analysis): void {
  validateLevel(analysis, 0, { resources: analysis.limits.resources });
}

function validateLevel(analysis: Analysis, depth: number, left: { resources: number }): void {
  analysis.validate({ strict: depth === 0 });
  left.resources -= analysis.resources.size;
  if (left.resources < 0) {
    const most = analysis.limits.resources;
    throw new Fault('RequestLimitExceeded', `Request limit exceeded: Maximum resources per stack exceeded (${most}).`);
  }
  for (const resource of analysis.resources.values()) {
    if (!resource.templateType?.template) continue;
    if (depth >= analysis.limits.stackDepth) {
      throw new Fault(
        'RequestLimitExceeded',
        `Request limit exceeded: Recursion depth exceeds ${analysis.limits.stackDepth}.`,
        {
          path: [analysis.template.format.sections.resources, resource.name],
        },
      );
    }
    const step = [analysis.template.format.sections.resources, `${resource.name}<${resource.templateType.file}>`];
    try {
      const nested = nestedAnalysis(analysis, resource, `${analysis.stack.name}-${resource.name}`);
      if (nested) validateLevel(nested, depth + 1, left);
    } catch (thrown) {
      if (!(thrown instanceof Fault) || thrown.kind === 'RequestLimitExceeded') throw thrown;
      throw within(thrown, step, thrown.kind);
    }
  }
}
