/** Plans of stacks: made, saved, and carried out as they were made. */
import type { Context } from '../../core/context.ts';
import { fault } from '../../core/errors/index.ts';
import type { Desk } from '../desk.ts';
import { openDefinition } from '../engine/definition.ts';
import type { Plain, Stack, StackUpdate, StackWish } from '../model.ts';
import type { Source } from '../reading/ask.ts';
import { handOver } from '../reading/hand-over.ts';
import { showTree } from '../show.ts';
import type { Stacks } from '../stacks.ts';
import { usualOfAll } from '../store/resources.ts';
import * as store from '../store/stacks.ts';
import type { Policy } from './policy.ts';
import { openTicket, sealTicket } from './ticket.ts';

export interface MadePlan {
  /** The whole file as JSON text: for a large stack it is read and written by a thread of its own. */
  readonly text: string;
  readonly violations: readonly string[];
}

interface PlanWish {
  readonly name: string;
  readonly wish: StackWish | StackUpdate;
  readonly policy?: Policy | undefined;
}

/** The stack of that name if it is there and not deleted. */
async function present(stacks: Stacks, context: Context, name: string): Promise<store.StackRow | null> {
  try {
    const row = await stacks.find(context, name);
    return row.deleted_at === null ? row : null;
  } catch (error) {
    if ((error as { code?: string }).code === 'stack-not-found') return null;
    throw error;
  }
}

async function sourceOf(desk: Desk, context: Context, row: store.StackRow | null, { name, wish }: PlanWish) {
  const { files: given = {}, ...own } = wish;
  const existing = 'existing' in wish && wish.existing === true;
  const kept = row && existing ? await store.filesOf(desk.house.db, row.files_id) : {};
  const source: Source = {
    wish: own,
    present: row && existing ? openDefinition(desk.house.secrets, row.id, row.definition) : null,
    files: { ...kept, ...given },
    stack: row
      ? { id: row.id, name: row.name, project_id: row.project_id }
      : { id: 'None', name, project_id: context.projectId ?? '' },
  };
  return source;
}

/** @throws Fault `template-invalid` */
export async function makePlan(desk: Desk, stacks: Stacks, context: Context, wanted: PlanWish): Promise<MadePlan> {
  const { secrets, db, clock } = desk.house;
  const row = await present(stacks, context, wanted.name);
  const source = await sourceOf(desk, context, row, wanted);
  const tree = row && handOver(await showTree(desk, row));
  const made = await desk.reader.ask('plan', {
    source,
    tree,
    usual: await usualOfAll(db),
    head: { made_at: new Date(clock.now()).toISOString(), is_new: row === null },
    ...(wanted.policy && { policy: wanted.policy }),
  });
  const sealed = sealTicket(secrets, {
    stack: wanted.name,
    stack_id: row?.id ?? null,
    project: source.stack.project_id,
    generation: row?.generation ?? 0,
    mark: made.mark,
    digest: made.digest,
    definition: made.definition,
    files: source.files,
    ...(wanted.policy && { policy: wanted.policy }),
  });
  // The text ends with the brace of its map: the seal is put before it.
  return { text: `${made.text.slice(0, -1)},"sealed":${JSON.stringify(sealed)}}`, violations: made.violations };
}

/** What a policy says to a change that nobody planned. @throws Fault `plan-refused` */
export async function enforce(
  desk: Desk,
  row: store.StackRow | null,
  source: Source,
  policy: Policy | undefined,
): Promise<void> {
  if (!policy) return;
  const tree = row && handOver(await showTree(desk, row));
  const { violations } = await desk.reader.ask('plan', { source, tree, usual: {}, head: {}, policy });
  refuse(source.stack.name, violations);
}

export function refuse(stack: string, violations: readonly string[]): void {
  if (violations.length > 0) throw fault('plan-refused', { stack, violations: violations.join(' ') });
}

/** Does exactly what the plan says, or nothing. @throws Fault `plan-unreadable`, `plan-tampered`, `plan-stale`, `plan-refused` */
export async function applyPlan(
  desk: Desk,
  stacks: Stacks,
  context: Context,
  given: { readonly file: Plain | undefined; readonly options: Pick<StackWish, 'timeoutMinutes' | 'disableRollback'> },
): Promise<Stack> {
  const ticket = openTicket(desk.house.secrets, given.file);
  const { stack, definition, files, policy, generation } = ticket;
  if (ticket.project !== context.projectId && !context.roles.includes('admin'))
    throw fault('plan-tampered', { what: 'it was made for another project' });
  const stale = (reason: string) => fault('plan-stale', { stack, reason });
  const row = await present(stacks, context, ticket.stack_id ?? stack);
  if (!row && ticket.stack_id) throw stale('the stack is not there any more');
  if (row && !ticket.stack_id) throw stale('a stack of that name is there by now');
  const wish = { ...given.options, template: definition.template, prepared: definition, files };
  if (!row) return stacks.create(context, stack, { ...wish, ...(policy && { policy }) });
  if (row.status === 'IN_PROGRESS') throw stale(`${row.action} is under way`);
  const mark = await desk.reader.ask('mark', handOver(await showTree(desk, row)));
  if (mark !== ticket.mark)
    throw stale(
      row.generation === generation
        ? 'something has happened to its resources since'
        : `it was changed since (${row.action.toLowerCase()} number ${row.generation})`,
    );
  return stacks.update(context, row.id, { ...wish, onlyGeneration: generation, ...(policy && { policy }) });
}
