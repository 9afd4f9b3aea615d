/** What is checked before anything is made: the template, the stacks within it, and what it asks of the other services. */
import type { Context } from '../core/context.ts';
import { fault, Fault as HouseFault } from '../core/errors/index.ts';
import type { Desk } from './desk.ts';
import { analyse } from './engine/definition.ts';
import { explained, placeIn } from './engine/faults.ts';
import { childDefinition } from './engine/nesting.ts';
import { propertiesOf } from './engine/opening.ts';
import type { StackNode } from './engine/tree.ts';
import { type Analysis, type Resource, references } from './language/index.ts';
import type { Definition, Plain, Stack } from './model.ts';
import { handlerOf, isNested } from './resources/index.ts';

export interface Checked {
  readonly analysis: Analysis;
  readonly description: string;
}

/** Stacks nested deeper than this are checked when they are made. */
const deepest = 5;

export const descriptionOf = (analysis: Analysis): string => {
  const { template } = analysis;
  const text = template.tree.get(template.format.sections.description);
  return typeof text === 'string' && text !== '' ? text : 'No description';
};

export interface CheckWish {
  readonly definition: Definition;
  readonly files: Readonly<Record<string, string>>;
  readonly stack: Pick<Stack, 'id' | 'name' | 'project_id'>;
}

/** @throws Fault `template-invalid`, `template-wish-unmet` with the place in the template where its text is known */
export async function check(desk: Desk, context: Context, wish: CheckWish): Promise<Checked> {
  const analysis = read(desk, wish);
  await checkResources(desk, context, analysis, wish, 0);
  return { analysis, description: descriptionOf(analysis) };
}

/** The language's part alone; not strict: parameters may still be missing. @throws Fault `template-invalid` */
export function read(desk: Desk, { definition, files, stack }: CheckWish, { strict } = { strict: true }): Analysis {
  try {
    const analysis = analyse({
      definition,
      files,
      types: desk.types,
      stack: { id: stack.id, name: stack.name, project: stack.project_id },
    });
    return analysis.validate({ strict });
  } catch (thrown) {
    throw explained(thrown);
  }
}

async function checkResources(
  desk: Desk,
  context: Context,
  analysis: Analysis,
  wish: CheckWish,
  depth: number,
): Promise<void> {
  for (const resource of analysis.resources.values()) {
    const handler = handlerOf(resource.type.name);
    if (!handler) continue;
    if (isNested(handler)) {
      if (depth < deepest && isKnown(analysis, resource))
        await checkNested(desk, context, analysis, resource, wish, depth);
    } else if (handler.validate) await askHandler(desk, context, analysis, resource, wish);
  }
}

const isKnown = (analysis: Analysis, resource: Resource): boolean => {
  let known = true;
  references(resource.definition.properties, analysis.scope, () => {
    known = false;
  });
  return known;
};

async function askHandler(
  desk: Desk,
  context: Context,
  analysis: Analysis,
  resource: Resource,
  wish: CheckWish,
): Promise<void> {
  const handler = handlerOf(resource.type.name);
  if (!handler || isNested(handler)) return;
  const value = (name: string): Plain | undefined => {
    const node = resource.properties.data.get(name);
    if (node === undefined) return undefined;
    let pending = false;
    references(node, analysis.scope, () => {
      pending = true;
    });
    return pending ? undefined : propertiesOf({ ...resource, properties: resource.properties })[name];
  };
  try {
    await handler.validate?.({ desk, context, name: resource.name, property: value });
  } catch (thrown) {
    if (!(thrown instanceof HouseFault)) throw thrown;
    const { template } = analysis;
    const { property } = thrown as { property?: string };
    const path = [template.format.sections.resources, resource.name];
    const keys = template.format.resource;
    throw fault(
      'template-wish-unmet',
      {
        place: placeIn(template, property ? [...path, keys.properties, property] : path),
        resource: resource.name,
        stack: wish.stack.name,
        reason: thrown.sentence,
        remedy: thrown.remedy,
      },
      thrown,
    );
  }
}

async function checkNested(
  desk: Desk,
  context: Context,
  analysis: Analysis,
  resource: Resource,
  wish: CheckWish,
  depth: number,
): Promise<void> {
  const handler = handlerOf(resource.type.name);
  if (!handler || !isNested(handler)) return;
  const standIn = { analysis } as Pick<StackNode, 'analysis'> as StackNode;
  const definition = childDefinition(standIn, resource, propertiesOf(resource), handler, [], []);
  const inner: CheckWish = {
    definition,
    files: wish.files,
    stack: { id: wish.stack.id, project_id: wish.stack.project_id, name: `${wish.stack.name}-${resource.name}` },
  };
  let child: Analysis;
  try {
    child = read(desk, inner);
  } catch (thrown) {
    if (!(thrown instanceof HouseFault) || thrown.code !== 'template-invalid') throw thrown;
    const place = String(thrown.details.place ?? '');
    const outer = placeIn(analysis.template, [analysis.template.format.sections.resources, resource.name]);
    throw fault('template-invalid', {
      ...thrown.details,
      place: place || outer,
      message: `resources.${resource.name}: ${String(thrown.details.message)}`,
    });
  }
  await checkResources(desk, context, child, inner, depth + 1);
}
