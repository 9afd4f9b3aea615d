/** What is checked before anything is made: the template and the stacks within it, and what it asks of the other services. */
import type { Context } from '../core/context.ts';
import { fault, Fault as HouseFault } from '../core/errors/index.ts';
import type { Desk } from './desk.ts';
import type { Definition } from './model.ts';
import type { Question, Source } from './reading/ask.ts';
import { handlerOf, isNested } from './resources/index.ts';
import { unmadeReason } from './resources/unmade.ts';

export interface Checked {
  readonly definition: Definition;
  readonly description: string;
}

/** The answers come over the network: some at a time. */
const asideAtOnce = 8;

/** @throws Fault `template-invalid`, `template-wish-unmet` with the place in the template where its text is known */
export async function check(desk: Desk, context: Context, source: Source): Promise<Checked> {
  const { definition, description, questions } = await desk.reader.ask('check', source);
  const left = distinct(questions);
  const work = async () => {
    for (let one = left.shift(); one; one = left.shift()) await answer(desk, context, source, one);
  };
  await Promise.all(Array.from({ length: asideAtOnce }, work));
  return { definition, description };
}

/** The members of a group ask the same: once is enough. */
function distinct(questions: readonly Question[]): Question[] {
  const known = new Map<string, Question>();
  for (const one of questions) {
    const key = JSON.stringify([one.type, one.properties]);
    if (!known.has(key)) known.set(key, one);
  }
  return [...known.values()];
}

async function answer(desk: Desk, context: Context, source: Source, question: Question): Promise<void> {
  const { type, resource, stackName, properties, within } = question;
  const handler = handlerOf(type);
  if (handler && (isNested(handler) || !handler.validate)) return;
  try {
    // Before anything of the stack is begun: what else is in it may not need this one.
    if (!handler) throw fault('resource-type-parsed-only', { type, why: unmadeReason(type) });
    await handler.validate?.({ desk, context, name: resource, property: (name) => properties[name] });
  } catch (thrown) {
    if (!(thrown instanceof HouseFault)) throw thrown;
    const { property } = thrown as { property?: string };
    throw fault(
      'template-wish-unmet',
      {
        place: await desk.reader.ask('place', { source, within, resource, ...(property && { property }) }),
        resource,
        stack: stackName,
        reason: thrown.sentence,
        remedy: thrown.remedy,
      },
      thrown,
    );
  }
}
