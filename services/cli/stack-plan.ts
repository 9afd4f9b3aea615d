/** What a deploy would do, resource by resource, before it does it: our own plan, or a plain Heat's previews. */
import type { Fault } from '../core/errors/index.ts';
import type { Client } from './client.ts';
import { table } from './output.ts';
import { findStack, type StackBody, stackPath } from './stack-api.ts';

export type Change = 'create' | 'update' | 'replace' | 'delete' | 'keep';

export interface Planned {
  readonly change: Change;
  readonly name: string;
  readonly type: string;
  /** What forces it. */
  readonly because: string | null;
  /** Properties that differ. */
  readonly properties: readonly {
    readonly name: string;
    readonly from: unknown;
    readonly to: unknown;
    readonly unknown: boolean;
  }[];
}

export interface StackPlan {
  readonly stack: string;
  readonly isNew: boolean;
  readonly resources: readonly Planned[];
}

/** @throws Fault with the template's fault */
export async function planStack(cloud: Client, name: string, body: StackBody): Promise<StackPlan> {
  const present = await findStack(cloud, name);
  try {
    const answer = await cloud.request<{ resources: Planned[] }>(
      'POST',
      'orchestration',
      `/stacks/${encodeURIComponent(name)}/plan`,
      { body, repeatable: true },
    );
    return { stack: name, isNew: !present, resources: answer.body.resources };
  } catch (error) {
    if ((error as Fault).status !== 404) throw error;
  }
  if (!present) {
    const answer = await cloud.request<{ stack: { resources: Previewed[] } }>(
      'POST',
      'orchestration',
      '/stacks/preview',
      {
        body: { stack_name: name, ...body },
      },
    );
    return { stack: name, isNew: true, resources: flat(answer.body.stack.resources ?? [], 'create') };
  }
  const answer = await cloud.request<{ resource_changes: Record<string, Previewed[]> }>(
    'PUT',
    'orchestration',
    `${stackPath(present)}/preview`,
    { body },
  );
  const changes = answer.body.resource_changes ?? {};
  return {
    stack: name,
    isNew: false,
    resources: previews.flatMap(([field, change]) => flat(changes[field] ?? [], change)),
  };
}

type Previewed = { resource_name: string; resource_type: string } | Previewed[];

const previews: readonly [field: string, change: Change][] = [
  ['deleted', 'delete'],
  ['replaced', 'replace'],
  ['updated', 'update'],
  ['added', 'create'],
  ['unchanged', 'keep'],
];

/** Heat lists the resources of nested stacks as a list in the list. */
const flat = (list: readonly Previewed[], change: Change): Planned[] =>
  list.flatMap((one) =>
    Array.isArray(one)
      ? flat(one, change)
      : [{ change, name: one.resource_name, type: one.resource_type, because: null, properties: [] }],
  );

const words: Readonly<Record<Change, string>> = {
  create: 'to make',
  update: 'to change',
  replace: 'to replace',
  delete: 'to remove',
  keep: 'kept',
};
const order: readonly Change[] = ['delete', 'replace', 'update', 'create', 'keep'];

function why({ change, because, properties }: Planned): string {
  const changed = properties.map(({ name }) => name);
  if (change === 'replace') return because === null ? '' : `because of ${because}`;
  if (change === 'update') return because ?? changed.join(', ');
  return because ?? '';
}

export function planLines({ stack, isNew, resources }: StackPlan): string[] {
  const sums = order
    .map((change) => [resources.filter((one) => one.change === change).length, words[change]] as const)
    .filter(([count]) => count > 0);
  const rows = resources.map((one) => [one.change, one.name, one.type, why(one) || ' ']);
  return [
    ...(rows.length > 0 ? [...table(['', 'resource', 'type', ''], rows), ''] : []),
    `${stack}${isNew ? ' is new' : ''}: ${sums.map(([count, what]) => `${count} ${what}`).join(', ') || 'nothing to do'}.`,
  ];
}
