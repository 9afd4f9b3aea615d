/** Heat's shapes: links, times, error bodies. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { isAdmin, mayWrite } from '../../core/context.ts';
import { type Fault, fault } from '../../core/errors/index.ts';
import { baseUrl } from '../../core/http/index.ts';
import type { Desk } from '../desk.ts';
import type { Live } from '../engine/state.ts';
import type { StackNode } from '../engine/tree.ts';
import type { Plain, Stack } from '../model.ts';
import { waitsForOthers } from '../show.ts';
import { heatTime } from '../software/configs.ts';

export { heatTime } from '../software/configs.ts';

export type Query = Readonly<Record<string, string | readonly string[] | undefined>>;
export type StackPath = { Params: { project: string; stack: string; id: string }; Querystring: Query };
export type ResourcePath = { Params: StackPath['Params'] & { resource: string }; Querystring: Query };

export const time = (at: Date | null): string | null => (at ? heatTime(at) : null);

const titles: Readonly<Record<number, [string, string]>> = {
  400: [
    'Bad Request',
    'The server could not comply with the request since it is either malformed or otherwise incorrect.',
  ],
  401: ['Unauthorized', 'This server could not verify that you are authorized to access the document you requested.'],
  403: ['Forbidden', 'Access was denied to this resource.'],
  404: ['Not Found', 'The resource could not be found.'],
  409: ['Conflict', 'There was a conflict when trying to complete your request.'],
  413: ['Request Entity Too Large', 'The body of your request was too large for this server.'],
};

/** Heat's own classes, which clients look at; the rest are named after their status. */
const types: Readonly<Record<string, string>> = {
  'stack-not-found': 'EntityNotFound',
  'resource-type-not-found': 'EntityNotFound',
  'config-not-found': 'NotFound',
  'deployment-not-found': 'NotFound',
  'event-not-found': 'EntityNotFound',
  'stack-exists': 'StackExists',
  'template-wish-unmet': 'StackValidationFailed',
  'stack-name-invalid': 'StackValidationFailed',
  'resource-not-found': 'ResourceNotFound',
  'signal-unsupported': 'ResourceActionNotSupported',
  'output-not-found': 'NotFound',
  'stack-action-running': 'ActionInProgress',
  'subject-busy': 'ActionInProgress',
  'stack-not-running': 'NotSupported',
  'action-unsupported': 'NotSupported',
  'stack-nested': 'NotSupported',
  forbidden: 'Forbidden',
};

export function heatError(error: Fault): unknown {
  // The token is checked before Heat sees the request, and the body is not Heat's.
  if (error.status === 401) return { error: { code: 401, title: 'Unauthorized', message: error.sentence } };
  const [title, explanation] = titles[error.status] ?? [
    'Internal Server Error',
    'The server has either erred or is incapable of performing the requested operation.',
  ];
  const fallback =
    error.status === 404 ? 'HTTPNotFound' : error.status < 500 ? 'HTTPBadRequest' : 'HTTPInternalServerError';
  const kind =
    error.code === 'template-invalid' ? String(error.details.kind ?? fallback) : (types[error.code] ?? fallback);
  return {
    code: error.status,
    title,
    explanation,
    error: { type: kind, message: error.message.trim(), traceback: null },
  };
}

/** As Heat's framework words it, which some clients parse. */
export const accepted = (reply: FastifyReply) =>
  reply.status(202).send({
    message: 'The request is accepted for processing.<br /><br />\n\n\n',
    code: '202 Accepted',
    title: 'Accepted',
  });

export const base = (desk: Desk, request: FastifyRequest, project: string): string =>
  `${baseUrl(request, '/orchestration', desk.publicUrl)}/v1/${project}`;

/** PostgreSQL's codes for a text with the character NUL, which no name or id of ours has. */
const nulCodes = new Set(['22021', '22P05']);

/** What only the database saw was wrong with the request. */
export const refused = (error: unknown): unknown =>
  nulCodes.has(String((error as { code?: unknown } | null)?.code))
    ? fault('bad-request', { reason: 'A text of the request holds the character NUL: leave it out.' }, error as Error)
    : error;

export type Links = (of: Pick<Stack, 'name' | 'id' | 'project_id'>) => string;

/** Links name the project that the caller speaks of, so that an agent's stay in its own. */
export const linksFor =
  (desk: Desk, request: FastifyRequest): Links =>
  (of) =>
    `${base(desk, request, (request.params as { project?: string }).project ?? of.project_id)}/stacks/${encodeURIComponent(of.name)}/${of.id}`;

const self = (href: string) => [{ href, rel: 'self' }];

export const stackLink = (link: Links, stack: Pick<Stack, 'name' | 'id' | 'project_id'>) => ({
  id: stack.id,
  links: self(link(stack)),
});

export function listedStack(link: Links, stack: Stack) {
  return {
    ...stackLink(link, stack),
    project: stack.project_id,
    stack_name: stack.name,
    description: stack.description === 'No description' ? '' : stack.description,
    stack_status: `${stack.action}_${stack.status}`,
    stack_status_reason: stack.reason,
    creation_time: time(stack.created_at),
    updated_time: time(stack.updated_at),
    deletion_time: time(stack.deleted_at),
    stack_owner: stack.owner_name,
    parent: stack.parent_id,
    stack_user_project_id: stack.user_project_id,
    tags: stack.tags.length > 0 ? stack.tags : null,
  };
}

export function detailedStack(link: Links, stack: Stack, parameters: Readonly<Record<string, string>>) {
  return {
    stack_name: stack.name,
    ...stackLink(link, stack),
    creation_time: time(stack.created_at),
    updated_time: time(stack.updated_at),
    deletion_time: time(stack.deleted_at),
    notification_topics: [],
    parameters,
    description: stack.description,
    template_description: stack.description,
    capabilities: [],
    disable_rollback: stack.disable_rollback,
    timeout_mins: stack.timeout_mins,
    stack_owner: stack.owner_name,
    parent: stack.parent_id,
    stack_user_project_id: stack.user_project_id,
    tags: stack.tags,
    stack_status: `${stack.action}_${stack.status}`,
    stack_status_reason: stack.reason,
  };
}

const dependants = new WeakMap<StackNode, Map<string, string[]>>();

/** Worked out once for a tree that is shown: a list of thousands asks for each of them. */
export function requiredBy(node: StackNode, name: string): string[] {
  const known = dependants.get(node) ?? requiredIn([...node.resources.values()].map(({ row }) => row));
  dependants.set(node, known);
  return known.get(name) ?? [];
}

export function requiredIn(all: readonly { readonly name: string; readonly requires: readonly string[] }[]) {
  const out = new Map<string, string[]>();
  for (const { name, requires } of all) {
    for (const need of requires) {
      const list = out.get(need);
      if (list) list.push(name);
      else out.set(need, [name]);
    }
  }
  return out;
}

/** What it waits for: our own word beside Heat's, there while it waits. */
function blockedOn(node: StackNode, live: Live) {
  const blocked = live.row.blocked_on ?? waitsForOthers(node, live);
  return blocked ? { blocked_on: blocked } : {};
}

export function listedResource(link: Links, node: StackNode, live: Live, depth: number) {
  const { row } = live;
  const stack = link(node.row);
  const child = node.children.get(row.id);
  return {
    updated_time: time(row.updated_at),
    creation_time: time(row.created_at),
    logical_resource_id: row.name,
    resource_name: row.name,
    physical_resource_id: row.physical_id ?? '',
    resource_status: `${row.action}_${row.status}`,
    resource_status_reason: row.reason || (row.action === 'INIT' ? '' : 'state changed'),
    resource_type: row.type,
    links: [
      { href: `${stack}/resources/${encodeURIComponent(row.name)}`, rel: 'self' },
      { href: stack, rel: 'stack' },
      ...(child ? [{ href: link(child.row), rel: 'nested' }] : []),
    ],
    required_by: requiredBy(node, row.name),
    ...blockedOn(node, live),
    ...((depth > 0 || node.row.parent_resource !== null) && { parent_resource: node.row.parent_resource }),
  };
}

export const detailedResource = (
  link: Links,
  node: StackNode,
  live: Live,
  attributes: Readonly<Record<string, Plain>>,
) => ({
  ...listedResource(link, node, live, 0),
  description: node.analysis.resources.get(live.row.name)?.definition.description ?? '',
  attributes,
});

/** Writing needs a role that writes, in the project that the path names. */
export async function mayUse(request: FastifyRequest): Promise<void> {
  const { context } = request;
  const { project } = request.params as { project?: string };
  if (project !== undefined && project !== context.projectId && !isAdmin(context))
    throw fault('forbidden', { action: request.url.split('?')[0], roles: 'of the project in the path' });
  const reads = request.method === 'GET' || request.url.includes('/validate');
  if (!reads && !mayWrite(context))
    throw fault('forbidden', { action: request.url.split('?')[0], roles: 'admin, member' });
}

export const list = (value: string | readonly string[] | undefined): string[] =>
  value === undefined ? [] : (typeof value === 'string' ? [value] : [...value]).flatMap((one) => one.split(','));

export const one = (value: string | readonly string[] | undefined): string | undefined =>
  typeof value === 'string' || value === undefined ? value : value.at(-1);

export const flag = (value: string | readonly string[] | undefined): boolean =>
  /^(true|1|yes|t)$/i.test(one(value) ?? '');

/** @throws Fault for what is no whole number */
export function number(query: Query, name: string): number | undefined {
  const text = one(query[name]);
  if (text === undefined || text === '') return undefined;
  if (!/^\d+$/.test(text)) throw fault('bad-request', { reason: `${name} has to be a whole number, not “${text}”.` });
  const found = Number(text);
  if (found > 2 ** 31 - 1) throw fault('bad-request', { reason: `${name} is at most ${2 ** 31 - 1}, not ${text}.` });
  return found;
}
