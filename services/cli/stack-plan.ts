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
  /** For the machine behind it: boot, reboot, rewrite, wipe. */
  readonly impact?: string | null;
  /** Of the stack that it stands for. */
  readonly resources?: readonly Planned[];
}

export interface StackPlan {
  readonly stack: string;
  readonly isNew: boolean;
  readonly resources: readonly Planned[];
  /** Sentences of what a policy forbids. */
  readonly violations: readonly string[];
  /** As it can be kept and carried out; a plain Heat gives none. */
  readonly file?: PlanFile;
}

export interface PlanFile {
  readonly resources: Planned[];
  readonly violations: string[];
  readonly expected: { readonly minutes: number; readonly known: number; readonly unknown: number };
  readonly at_once: number;
}

/** @throws Fault with the template's fault */
export async function planStack(cloud: Client, name: string, body: StackBody): Promise<StackPlan> {
  const present = await findStack(cloud, name);
  try {
    const answer = await cloud.request<PlanFile>('POST', 'orchestration', `/stacks/${encodeURIComponent(name)}/plan`, {
      body,
      repeatable: true,
    });
    const { resources, violations } = answer.body;
    return { stack: name, isNew: !present, resources, violations, file: answer.body };
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
    return { stack: name, isNew: true, resources: flat(answer.body.stack.resources ?? [], 'create'), violations: [] };
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
    violations: [],
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

/** A nested stack's resources below the one that stands for it. */
const all = (resources: readonly Planned[], above = ''): Planned[] =>
  resources.flatMap((one) => [
    { ...one, name: `${above}${one.name}` },
    ...all(one.resources ?? [], `${above}${one.name}.`),
  ]);

const shown = (value: unknown): string => {
  const text = typeof value === 'string' ? value : JSON.stringify(value ?? null);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
};

/** Old and new values of what is changed or replaced. */
const differences = ({ name, change, properties }: Planned): string[] =>
  change === 'update' || change === 'replace'
    ? properties.map(
        (one) =>
          `  ${name}.${one.name}: ${shown(one.from)} → ${one.unknown ? '(known once it is made)' : shown(one.to)}`,
      )
    : [];

export function planLines({ stack, isNew, resources: top, violations, file }: StackPlan): string[] {
  const resources = all(top);
  const sums = order
    .map((change) => [resources.filter((one) => one.change === change).length, words[change]] as const)
    .filter(([count]) => count > 0);
  const rows = resources.map((one) => [one.change, one.name, one.type, one.impact ?? ' ', why(one) || ' ']);
  const minutes = file?.expected.minutes ?? 0;
  const atOnce = file && file.at_once > 1 ? ` At most ${file.at_once} at once.` : '';
  const timing = `${atOnce}${minutes >= 0.1 ? ` Usually ${minutes.toFixed(1)} min here.` : ''}`;
  const sum = sums.map(([count, what]) => `${count} ${what}`).join(', ') || 'nothing to do';
  return [
    ...(rows.length > 0 ? [...table(['', 'resource', 'type', 'machine', ''], rows), ''] : []),
    ...resources.flatMap(differences),
    `${stack}${isNew ? ' is new' : ''}: ${sum}.${timing}`,
    ...violations.map((one) => `Refused by the policy: ${one}`),
  ];
}
