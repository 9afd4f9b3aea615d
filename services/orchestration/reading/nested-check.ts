/** The stacks within a stack, as far as what is given to them is known before anything is made. */
import { fault, Fault as HouseFault } from '../../core/errors/index.ts';
import { explained, placeIn } from '../engine/faults.ts';
import type { NestedHandler } from '../engine/handler.ts';
import { childDefinition } from '../engine/nesting.ts';
import { propertiesOf } from '../engine/opening.ts';
import type { StackNode } from '../engine/tree.ts';
import { type Analysis, DEFAULT_LIMITS, Fault, type Resource, references } from '../language/index.ts';
import type { Definition, Stack } from '../model.ts';
import { handlerOf, isNested } from '../resources/index.ts';
import type { Question } from './ask.ts';
import { analysisOf, questionsOf } from './perform.ts';

interface Walk {
  readonly files: Readonly<Record<string, string>>;
  readonly stack: Pick<Stack, 'id' | 'name' | 'project_id'>;
  /** Resources of the whole tree may still come to this many: small templates multiply without end. */
  left: number;
  readonly questions: Question[];
  /** Stacks that are known to be good: the members of a group are alike. */
  readonly known: Set<string>;
}

const isKnown = (analysis: Analysis, resource: Resource): boolean => {
  let known = true;
  references(resource.definition.properties, analysis.scope, () => {
    known = false;
  });
  return known;
};

/** @throws Fault `template-invalid` @returns what the types within want to be asked */
export function checkTree(analysis: Analysis, files: Walk['files'], stack: Walk['stack']): Question[] {
  const walk: Walk = { files, stack, left: DEFAULT_LIMITS.resources, questions: [], known: new Set() };
  checkLevel(walk, analysis, []);
  return walk.questions;
}

function checkLevel(walk: Walk, analysis: Analysis, within: readonly string[]): void {
  walk.left -= analysis.resources.size;
  if (walk.left < 0)
    throw new Fault(
      'RequestLimitExceeded',
      `Request limit exceeded: Maximum resources per stack exceeded (${DEFAULT_LIMITS.resources}).`,
    );
  for (const resource of analysis.resources.values()) {
    const handler = handlerOf(resource.type.name);
    if (handler && isNested(handler) && isKnown(analysis, resource))
      checkOne(walk, analysis, resource, handler, within);
  }
}

function checkOne(
  walk: Walk,
  analysis: Analysis,
  resource: Resource,
  handler: NestedHandler,
  within: readonly string[],
): void {
  const section = analysis.template.format.sections.resources;
  if (within.length >= DEFAULT_LIMITS.stackDepth)
    throw new Fault(
      'RequestLimitExceeded',
      `Request limit exceeded: Recursion depth exceeds ${DEFAULT_LIMITS.stackDepth} at ${[...within, resource.name].join('.')}.`,
    );
  const standIn = { analysis } as Pick<StackNode, 'analysis'> as StackNode;
  const definition = childDefinition(standIn, resource, propertiesOf(resource), handler, [], {});
  const { stack } = walk;
  const name = [stack.name, ...within, resource.name].join('-');
  const path = [...within, resource.name];
  try {
    checkStack(walk, definition, name, path);
  } catch (thrown) {
    const told = explained(thrown);
    if (!(told instanceof HouseFault) || told.code !== 'template-invalid' || within.length > 0) throw told;
    throw fault('template-invalid', {
      ...told.details,
      place: String(told.details.place ?? '') || placeIn(analysis.template, [section, resource.name]),
      message: `${path.map((one) => `resources.${one}`).join('.')}: ${String(told.details.message)}`,
    });
  }
}

function checkStack(walk: Walk, definition: Definition, name: string, path: readonly string[]): void {
  // What was checked once need not be again, but its resources count.
  const key = JSON.stringify(definition);
  const analysis = analysisOf({ definition, files: walk.files, stack: { ...walk.stack, name } });
  if (!walk.known.has(key)) {
    analysis.validate({ strict: true });
    walk.questions.push(...questionsOf(analysis, name, path));
    if (key.length < 4096) walk.known.add(key);
  }
  checkLevel(walk, analysis, path);
}
