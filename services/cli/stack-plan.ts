/** What a deploy would do, resource by resource, before it does it: Heat's previews, told by what happens to each. */
import type { Client } from './client.ts';
import { table } from './output.ts';
import { findStack, type StackBody, stackPath } from './stack-api.ts';

export type Change = 'make' | 'change' | 'replace' | 'remove' | 'keep';

export interface Planned {
  readonly change: Change;
  readonly name: string;
  readonly type: string;
  readonly resources?: readonly Planned[];
}

export interface StackPlan {
  readonly stack: string;
  /** Null: the stack is new. */
  readonly id: string | null;
  readonly resources: readonly Planned[];
}

interface Previewed {
  resource_name: string;
  resource_type: string;
  resources?: Previewed[];
}

/** Heat lists resources of nested stacks as a list in the list. */
function flat(list: readonly (Previewed | Previewed[])[], change: Change): Planned[] {
  return list.flatMap((one) =>
    Array.isArray(one)
      ? flat(one, change)
      : [
          {
            change,
            name: one.resource_name,
            type: one.resource_type,
            ...(one.resources && { resources: flat(one.resources, change) }),
          },
        ],
  );
}

const kinds: readonly [field: string, change: Change][] = [
  ['deleted', 'remove'],
  ['replaced', 'replace'],
  ['updated', 'change'],
  ['added', 'make'],
  ['unchanged', 'keep'],
];

/** @throws Fault with the template's fault */
export async function planStack(cloud: Client, name: string, body: StackBody): Promise<StackPlan> {
  const present = await findStack(cloud, name);
  if (!present) {
    const answer = await cloud.request<{ stack: { resources: (Previewed | Previewed[])[] } }>(
      'POST',
      'orchestration',
      '/stacks/preview',
      { body: { stack_name: name, ...body } },
    );
    return { stack: name, id: null, resources: flat(answer.body.stack.resources ?? [], 'make') };
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
    id: present.id,
    resources: kinds.flatMap(([field, change]) => flat(changes[field] ?? [], change)),
  };
}

export function planLines(plan: StackPlan): string[] {
  const rows: [string, string, string][] = [];
  const walk = (list: readonly Planned[], depth: number) => {
    for (const one of list) {
      rows.push([one.change, '  '.repeat(depth) + one.name, one.type]);
      walk(one.resources ?? [], depth + 1);
    }
  };
  walk(plan.resources, 0);
  const count = (change: Change) => rows.filter(([what]) => what === change).length;
  const sums = kinds.map(([, change]) => [count(change), change] as const).filter(([n]) => n > 0);
  return [
    ...(rows.length > 0 ? table(['', 'resource', 'type'], rows) : []),
    '',
    `${plan.stack}${plan.id === null ? ' is new' : ''}: ${sums.map(([n, change]) => `${n} to ${change}`).join(', ') || 'nothing to do'}.`,
  ];
}
