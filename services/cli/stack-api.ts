/** Stacks over Heat's API, and its live tree by our extra route; a plain Heat gives the tree from its list of resources. */
import { type Fault, fault } from '../core/errors/index.ts';
import type { Client } from './client.ts';
import type { StackFiles } from './stack-files.ts';
import { type Tree, type TreeResource, treeOf } from './stack-tree.ts';
import { time } from './waits.ts';

export interface StackOutput {
  readonly output_key: string;
  readonly description?: string;
  readonly output_value?: unknown;
  readonly output_error?: string;
}

export interface Stack {
  readonly id: string;
  readonly stack_name: string;
  /** `CREATE_COMPLETE` */
  readonly stack_status: string;
  readonly stack_status_reason: string;
  readonly creation_time: string;
  readonly updated_time: string | null;
  readonly description?: string;
  readonly outputs?: readonly StackOutput[];
  readonly parameters?: Readonly<Record<string, unknown>>;
  readonly timeout_mins?: number | null;
}

export const stackPath = ({ stack_name, id }: Pick<Stack, 'stack_name' | 'id'>): string =>
  `/stacks/${encodeURIComponent(stack_name)}/${id}`;

export const findStack = async (cloud: Client, nameOrId: string): Promise<Stack | undefined> =>
  (await cloud.find<{ stack: Stack }>('orchestration', `/stacks/${encodeURIComponent(nameOrId)}`))?.stack;

/** @throws Fault `stack-not-found` */
export async function requireStack(cloud: Client, nameOrId: string): Promise<Stack> {
  const stack = await findStack(cloud, nameOrId);
  if (!stack) throw fault('stack-not-found', { stack: nameOrId });
  return stack;
}

export interface StackBody {
  template: string;
  template_file: string;
  files: Readonly<Record<string, string>>;
  environment_files: readonly string[];
  parameters: Readonly<Record<string, unknown>>;
}

export const bodyOf = (collected: StackFiles, parameters: Readonly<Record<string, unknown>>): StackBody => ({
  template: collected.template,
  template_file: collected.templateFile,
  files: collected.files,
  environment_files: collected.environmentFiles,
  parameters,
});

/** Undefined when the stack is gone. */
export async function stackTree(cloud: Client, stack: Pick<Stack, 'stack_name' | 'id'>): Promise<Tree | undefined> {
  try {
    const body = await cloud.get('orchestration', `${stackPath(stack)}/activity`);
    return treeOf(body);
  } catch (error) {
    if ((error as Fault).status !== 404) throw error;
  }
  const now = await cloud.find<{ stack: Stack }>('orchestration', stackPath(stack));
  return now && listedTree(cloud, now.stack);
}

interface ListedResource {
  resource_name: string;
  resource_type: string;
  resource_status: string;
  resource_status_reason: string;
  physical_resource_id: string;
  creation_time: string | null;
  updated_time: string | null;
  required_by?: string[];
  parent_resource?: string;
  links?: { rel: string; href: string }[];
}

const split = (status: string): [action: string, status: string] => {
  const at = status.indexOf('_');
  return at < 0 ? [status, ''] : [status.slice(0, at), status.slice(at + 1)];
};

const stackOfLink = (resource: ListedResource): string => {
  const own = resource.links?.find(({ rel }) => rel === 'stack') ?? resource.links?.find(({ rel }) => rel === 'self');
  return own?.href.match(/\/stacks\/[^/]+\/([0-9a-f-]+)/)?.[1] ?? '';
};

async function listedTree(cloud: Client, stack: Stack): Promise<Tree> {
  const { resources } = await cloud.get<{ resources: ListedResource[] }>(
    'orchestration',
    `${stackPath(stack)}/resources?nested_depth=10`,
  );
  const byStack = Map.groupBy(resources, stackOfLink);
  const build = (id: string): TreeResource[] => {
    const list = byStack.get(id) ?? [];
    return list.map((one) => {
      const [action, status] = split(one.resource_status);
      const started = time(one.creation_time);
      const changed = time(one.updated_time);
      const nested = one.physical_resource_id;
      return {
        name: one.resource_name,
        type: one.resource_type,
        action,
        status,
        reason: one.resource_status_reason,
        physicalId: nested || null,
        startedAt: started,
        seconds: status !== 'IN_PROGRESS' && started !== null && changed !== null ? (changed - started) / 1000 : null,
        waiting: null,
        requires: list
          .filter((other) => other.required_by?.includes(one.resource_name))
          .map((other) => other.resource_name),
        resources: nested !== id && byStack.has(nested) ? build(nested) : [],
      };
    });
  };
  const [action, status] = split(stack.stack_status);
  return {
    id: stack.id,
    name: stack.stack_name,
    action,
    status,
    reason: stack.stack_status_reason,
    step: null,
    resources: build(stack.id),
  };
}
