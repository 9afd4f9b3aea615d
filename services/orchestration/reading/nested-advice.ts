/** What is probably not meant in a template and in those that it uses, and the parameters of the stacks within. */
import { placeIn, placeOf } from '../engine/faults.ts';
import type { NestedHandler } from '../engine/handler.ts';
import { childDefinition } from '../engine/nesting.ts';
import { propertiesOf } from '../engine/opening.ts';
import type { StackNode } from '../engine/tree.ts';
import { type Analysis, DEFAULT_LIMITS, describeParameters, lint, type Resource } from '../language/index.ts';
import type { Plain } from '../model.ts';
import { handlerOf, isNested } from '../resources/index.ts';
import type { Advice } from './ask.ts';
import { checkTree } from './nested-check.ts';
import { analysisOf, descriptionOf } from './perform.ts';

type Files = Readonly<Record<string, string>>;

/** The stack within, as far as it can be read before anything is known; undefined where it cannot. */
function within(analysis: Analysis, files: Files, resource: Resource, handler: NestedHandler): Analysis | undefined {
  try {
    const standIn = { analysis } as Pick<StackNode, 'analysis'> as StackNode;
    const definition = childDefinition(standIn, resource, propertiesOf(resource), handler, [], {});
    const stack = { id: 'None', name: resource.name, project_id: '' };
    return analysisOf({ definition, files, stack }).validate({ strict: false });
  } catch {
    // Its mistakes are told by the check of the tree, with their place; this is about what is valid.
    return undefined;
  }
}

function* below(analysis: Analysis, files: Files): Generator<{ resource: Resource; child: Analysis }> {
  for (const resource of analysis.resources.values()) {
    const handler = handlerOf(resource.type.name);
    const child = handler && isNested(handler) ? within(analysis, files, resource, handler) : undefined;
    if (child) yield { resource, child };
  }
}

/** Each file is read once, however many resources are made of it. */
export function adviceOn(
  analysis: Analysis,
  files: Files,
  depth: number = DEFAULT_LIMITS.stackDepth,
  seen = new Set<string>(),
): Advice[] {
  const { template } = analysis;
  const own = lint(analysis).map(({ message, position }) => ({ message, place: placeOf(position, template.file) }));
  // What a group made up for its members has no text that anybody wrote.
  const advice = template.source === undefined && seen.size > 0 ? [] : own;
  seen.add(template.source ?? '');
  if (depth === 0) return advice;
  for (const { child } of below(analysis, files)) {
    const { source } = child.template;
    if (source === undefined || !seen.has(source)) advice.push(...adviceOn(child, files, depth - 1, seen));
  }
  return advice;
}

/**
 * Checks values as the creation of a stack does; where a value is missing, what of it is told and the rest left unchecked.
 * @throws language Fault
 */
export function valuesOf(analysis: Analysis, files: Files, stack: Parameters<typeof checkTree>[2]): Advice[] {
  const { template, parameters } = analysis;
  const missing = [...parameters.all.values()].filter(({ hasValue }) => !hasValue);
  if (missing.length === 0) {
    analysis.validate({ strict: true });
    checkTree(analysis, files, stack);
  }
  return missing.map(({ name }) => ({
    message: `The parameter ${name} has no default and was not given: what depends on values was not checked. Give it with --parameter NAME=VALUE or in an environment file.`,
    place: placeIn(template, [template.format.sections.parameters, name]),
  }));
}

/** Heat's NestedParameters: the tree of the stacks within, with what is given to each; nothing where there are none. */
export function nestedParameters(
  analysis: Analysis,
  files: Files,
  left = { resources: DEFAULT_LIMITS.resources, depth: DEFAULT_LIMITS.stackDepth },
): { [resource: string]: Plain } | undefined {
  const out: { [resource: string]: Plain } = {};
  left.resources -= analysis.resources.size;
  if (left.resources < 0 || left.depth === 0) return undefined;
  for (const { resource, child } of below(analysis, files)) {
    left.depth -= 1;
    const deeper = nestedParameters(child, files, left);
    left.depth += 1;
    out[resource.name] = {
      Type: resource.definition.type,
      Description: descriptionOf(child),
      Parameters: describeParameters(child.parameters) as unknown as Plain,
      ...(deeper && { NestedParameters: deeper }),
    };
  }
  return Object.keys(out).length > 0 ? out : undefined;
}
