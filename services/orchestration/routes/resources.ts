/** A stack's resources, their metadata and signals. */
import { isAdmin } from '../../core/context.ts';
import { fault } from '../../core/errors/index.ts';
import type { Api } from '../../core/http/index.ts';
import type { Desk } from '../desk.ts';
import { unsetHook } from '../engine/session.ts';
import { type Live, sealState } from '../engine/state.ts';
import { type StackNode, viewOf } from '../engine/tree.ts';
import { fromPlain, toPlain } from '../language/index.ts';
import type { Plain } from '../model.ts';
import { metadataOf, resourceIn, resourcesBelow, showTree } from '../show.ts';
import { clearHook, signal } from '../signals.ts';
import { ensureCredential } from '../software/credentials.ts';
import { newerDocument } from '../software/long-poll.ts';
import { collectors, serverDocument } from '../software/metadata.ts';
import type { Stacks } from '../stacks.ts';
import { writeResources } from '../store/resources.ts';
import {
  detailedResource,
  flag,
  linksFor,
  list,
  listedResource,
  number,
  type Query,
  type ResourcePath,
  type StackPath,
} from './dialect.ts';
import { bodyOf } from './wishes.ts';

const deepest = 50;

/** Nested resources are asked for by depth; Heat's clients give numbers, `true` and negative ones. */
export function depthOf(query: Query): number {
  const text = query.nested_depth;
  if (text === undefined) return 0;
  if (/^true$/i.test(String(text))) return deepest;
  return Math.min(number(query, 'nested_depth') ?? 0, deepest);
}

export function attributesOf(node: StackNode, live: Live, wanted: readonly string[]): Record<string, Plain> {
  const view = viewOf(node, live.row.name);
  const type = node.analysis.resources.get(live.row.name)?.type;
  const names = new Set([...Object.keys(type?.attributes ?? {}), ...Object.keys(live.state.attributes), ...wanted]);
  if (!flagShow(wanted)) names.delete('show');
  const out: Record<string, Plain> = {};
  for (const name of names) {
    try {
      out[name] = view ? toPlain(view.attribute(fromPlain(name), [])) : null;
    } catch {
      out[name] = null;
    }
  }
  return out;
}

const flagShow = (wanted: readonly string[]): boolean => wanted.includes('show');

/** A machine that was there already gets the same document: everything about it is software. */
const deployed = 'OS::Heat::DeployedServer';

/** The document that an agent on the resource's server reads. */
export async function documentOf(desk: Desk, node: StackNode, live: Live): Promise<Plain> {
  const { type } = live.row;
  if ((type !== 'OS::Nova::Server' && type !== deployed) || live.row.physical_id === null)
    return metadataOf(desk, node, live);
  const holder = {
    id: live.row.id,
    name: live.row.name,
    stack: { id: node.row.id, rootId: node.row.root_id, name: node.row.name, projectId: node.row.project_id },
  };
  const { properties } = live.state;
  const software = type === deployed || properties.user_data_format === 'SOFTWARE_CONFIG';
  const credential = software
    ? await desk.house.db.transaction((tx) => ensureCredential(desk, tx, holder, { user: true }))
    : null;
  const busy = node.row.status === 'IN_PROGRESS';
  const transport = String(properties.software_config_transport ?? 'POLL_SERVER_CFN');
  return serverDocument(desk, desk.house.db, {
    serverId: live.row.physical_id,
    own: live.state.metadata,
    collect: credential ? collectors(desk, holder, credential, transport, busy) : null,
    busy,
  });
}

export function resourceRoutes(api: Api, desk: Desk, stacks: Stacks): void {
  for (const path of ['/stacks/:stack', '/stacks/:stack/:id']) {
    api.get<StackPath>(`${path}/resources`, async (request, reply) => {
      const row = await stacks.find(request.context, request.params.id ?? request.params.stack);
      const link = linksFor(desk, request);
      reply.header('location', `${link(row)}/resources`);
      const node = await showTree(desk, row);
      const { query } = request;
      const detail = flag(query.with_detail);
      const kept = resourcesBelow(node, depthOf(query)).filter(
        ({ live }) =>
          fits(query.type, live.row.type) &&
          fits(query.name, live.row.name) &&
          fits(query.action, live.row.action) &&
          fits(query.status, live.row.status) &&
          fits(query.physical_resource_id, live.row.physical_id ?? '') &&
          fits(query.id, live.row.name),
      );
      return {
        resources: kept.map(({ node: at, live, depth }) => ({
          ...listedResource(link, at, live, depth),
          ...(detail && { description: '', attributes: attributesOf(at, live, []) }),
        })),
      };
    });
  }

  api.get<ResourcePath>('/stacks/:stack/:id/resources/:resource', async (request) => {
    const node = await showTree(desk, await stacks.find(request.context, request.params.id));
    const live = resourceIn(node, request.params.resource);
    const attributes = attributesOf(node, live, list(request.query.with_attr));
    return { resource: detailedResource(linksFor(desk, request), node, live, attributes) };
  });

  api.get<ResourcePath>('/stacks/:stack/:id/resources/:resource/metadata', async (request, reply) => {
    const row = await stacks.find(request.context, request.params.id, { agents: true });
    const text = await newerDocument(desk, request, reply, async () => {
      const node = await showTree(desk, row);
      const live = resourceIn(node, request.params.resource);
      return { server: live.row.physical_id, text: JSON.stringify({ metadata: await documentOf(desk, node, live) }) };
    });
    return text === null ? reply : reply.type('application/json').send(text);
  });

  api.post<ResourcePath>('/stacks/:stack/:id/resources/:resource/signal', async (request, reply) => {
    const row = await stacks.find(request.context, request.params.id, { agents: true });
    const node = await showTree(desk, row);
    const live = resourceIn(node, request.params.resource);
    const body = (request.body ?? null) as Plain;
    const target = { ...live.row, stack_id: row.id, root_id: row.root_id };
    const hook = unsetHook(body);
    if (hook === null) await signal(desk, target, body, request.context);
    else await clearHook(desk, target, live, { hook, by: request.context });
    return reply.header('content-type', 'application/json').send('null');
  });

  api.patch<ResourcePath>('/stacks/:stack/:id/resources/:resource', async (request, reply) => {
    const row = await stacks.find(request.context, request.params.id);
    const body = bodyOf(request.body);
    if (!isAdmin(request.context) && row.project_id !== request.context.projectId)
      throw fault('stack-not-found', { stack: row.name });
    if (row.status === 'IN_PROGRESS') throw fault('stack-action-running', { stack: row.name, action: row.action });
    const unhealthy = body.mark_unhealthy;
    if (typeof unhealthy !== 'boolean')
      throw fault('bad-request', { reason: 'mark_unhealthy has to be true or false.' });
    const live = resourceIn(await showTree(desk, row), request.params.resource);
    const reason =
      typeof body.resource_status_reason === 'string'
        ? body.resource_status_reason
        : 'state changed by resource_mark_unhealthy api';
    Object.assign(live.row, {
      action: 'CHECK',
      status: unhealthy ? 'FAILED' : 'COMPLETE',
      reason: unhealthy ? reason : 'state changed',
      updated_at: new Date(desk.house.clock.now()),
    });
    await desk.house.db.transaction((tx) => writeResources(tx, [sealState(desk.house.secrets, live)]));
    return reply.header('content-type', 'application/json').send('null');
  });
}

const fits = (wanted: string | readonly string[] | undefined, value: string): boolean => {
  const names = list(wanted);
  return names.length === 0 || names.includes(value);
};
