/** /nodes: create, list, show, change, delete. */
import type { FastifyRequest } from 'fastify';
import { fault } from '../../core/errors/index.ts';
import type { Api } from '../../core/http/index.ts';
import { isUuid } from '../../core/uuid.ts';
import { requireIdle } from '../busy.ts';
import { nodeSubject } from '../ground.ts';
import type { Rooms } from '../index.ts';
import type { Node } from '../node.ts';
import { newNodeOf, patchableFields, patchedNode } from '../node-body.ts';
import { type Field, fieldNamed, fieldsFor, listFields, type ViewContext, viewNode } from '../node-view.ts';
import { readPatch } from '../patch.ts';
import { isProvisionState } from '../states.ts';
import { listNodes, listNodesBriefly, type NodeQuery, nodeByUuid, shardCounts } from '../store/nodes.ts';
import { baseOf, refuse, requireMinor, requireRoute, requireWrite, truth } from './dialect.ts';
import { nextLink, type Query, queryOf, readPage, requireKnown } from './paging.ts';

/** Filters by the version that brought them. */
const filters: Readonly<Record<string, number>> = {
  instance_uuid: 1,
  associated: 1,
  maintenance: 1,
  retired: 1,
  description_contains: 1,
  project: 1,
  chassis_uuid: 1,
  provision_state: 9,
  driver: 16,
  resource_class: 21,
  fault: 42,
  conductor_group: 46,
  conductor: 49,
  owner: 50,
  lessee: 65,
  shard: 82,
  sharded: 82,
  parent_node: 83,
  include_children: 83,
};
const paging = ['limit', 'marker', 'sort_key', 'sort_dir'];

const sortable: Readonly<Record<string, string>> = Object.fromEntries(
  'id uuid name driver provision_state power_state instance_uuid maintenance created_at updated_at provision_updated_at resource_class owner lessee conductor_group shard fault target_provision_state target_power_state last_error description retired protected automated_clean inspection_started_at inspection_finished_at'
    .split(' ')
    .map((name) => [name, name]),
);

/** Two queries for any number of nodes, and none where the fields do not need them. */
export async function viewContext(
  rooms: Rooms,
  request: FastifyRequest,
  nodes: readonly Node[],
  fields: readonly Field[] | null = null,
): Promise<ViewContext> {
  const needs = (name: string) => fields === null || fields.some((field) => field.name === name);
  const uuids = nodes.map(({ uuid }) => uuid);
  const { looks } = rooms;
  const [traits, busy] = await Promise.all([
    request.ironicMinor >= 37 && needs('traits') ? looks.traits(uuids) : new Map<string, string[]>(),
    needs('reservation') ? looks.activities(uuids) : new Map<string, never>(),
  ]);
  return {
    base: baseOf(rooms, request),
    minor: request.ironicMinor,
    hostname: rooms.ground.hostname,
    traits,
    busy,
    consoles: rooms.consoles,
  };
}

/** Admins see all; a project sees what it owns or rents. Names only from version 1.5 on. @throws Fault `node-not-found` */
export async function visibleNode(rooms: Rooms, request: FastifyRequest, idOrName: string): Promise<Node> {
  if (request.ironicMinor < 5 && !isUuid(idOrName)) throw fault('node-not-found', { node: idOrName });
  const node = await rooms.enrolment.find(idOrName);
  const { roles, projectId } = request.context;
  const own = projectId !== null && (node.owner === projectId || node.lessee === projectId);
  if (!roles.includes('admin') && !own) throw fault('node-not-found', { node: idOrName });
  return node;
}

export const findNode = (rooms: Rooms, request: FastifyRequest): Promise<Node> =>
  visibleNode(rooms, request, (request.params as { node: string }).node);

/** Of a node that was made this instant: nobody works on it, and it has no traits. */
const bareContext = (rooms: Rooms, request: FastifyRequest): ViewContext => ({
  base: baseOf(rooms, request),
  minor: request.ironicMinor,
  hostname: rooms.ground.hostname,
  traits: new Map(),
  busy: new Map(),
  consoles: rooms.consoles,
});

function fieldsOf(request: FastifyRequest, query: Query, plain: readonly string[] | null): Field[] {
  const { fields } = query;
  if (fields === undefined) return fieldsFor(request.ironicMinor, plain);
  requireMinor(request, 8, false);
  const names = fields.split(',').map((name) => name.trim());
  for (const name of names) {
    const field = fieldNamed.get(name);
    if (!field) throw refuse(`Field ${name} is not a valid field.`);
    requireMinor(request, field.since, false);
  }
  return fieldsFor(request.ironicMinor, [...names, 'links']);
}

function nodeQuery(request: FastifyRequest, query: Query): NodeQuery {
  for (const [name, since] of Object.entries(filters))
    if (query[name] !== undefined) requireMinor(request, since, since !== 9);
  const { provision_state: state, instance_uuid: instance, chassis_uuid: chassis } = query;
  if (state !== undefined && !isProvisionState(state)) throw refuse(`Provision state "${state}" is not valid`);
  if (instance !== undefined && !isUuid(instance)) throw refuse(`Expected UUID for instance_uuid: ${instance}`);
  if (chassis !== undefined) throw Object.assign(refuse(`Chassis ${chassis} could not be found.`), { status: 404 });
  const flag = (name: string) => (query[name] === undefined ? undefined : truth(query[name], name));
  return {
    provisionState: state as NodeQuery['provisionState'],
    driver: query.driver,
    resourceClass: query.resource_class,
    instanceUuid: instance,
    associated: flag('associated'),
    maintenance: flag('maintenance'),
    retired: flag('retired'),
    owner: query.owner,
    lessee: query.lessee,
    fault: query.fault,
    conductorGroup: query.conductor_group,
    shards: query.shard?.split(','),
    sharded: flag('sharded'),
    descriptionContains: query.description_contains,
    parentNode: query.parent_node,
    includeChildren: flag('include_children'),
    project: query.project,
  };
}

async function list(rooms: Rooms, request: FastifyRequest, query: Query, fields: Field[], url: string) {
  const page = readPage(query, sortable);
  const { db } = rooms.ground.house;
  if (page.marker !== undefined && !(await nodeByUuid(db, page.marker)))
    throw fault('node-not-found', { node: page.marker });
  const wanted = nodeQuery(request, query);
  // This process is the one conductor that a client can name.
  if (query.conductor !== undefined && query.conductor !== rooms.ground.hostname) return { nodes: [] };
  const { roles, projectId } = request.context;
  const scope = roles.includes('admin') ? {} : { project: projectId ?? '' };
  const asked = { ...wanted, ...scope, ...page };
  const brief = fields.every(({ name }) => listFields.includes(name));
  const nodes = brief ? ((await listNodesBriefly(db, asked)) as Node[]) : await listNodes(db, asked);
  const context = await viewContext(rooms, request, nodes, fields);
  return { nodes: nodes.map((node) => viewNode(node, fields, context)), ...nextLink(url, query, page, nodes) };
}

export function nodeRoutes(api: Api, rooms: Rooms, v: string): void {
  const { ground, enrolment, baremetal } = rooms;
  const show = async (request: FastifyRequest, node: Node, names: readonly string[] | null = null) =>
    viewNode(node, fieldsFor(request.ironicMinor, names), await viewContext(rooms, request, [node]));

  api.get(`${v}/nodes`, async (request) => {
    const query = queryOf(request);
    requireKnown(query, [...Object.keys(filters), ...paging, 'fields', 'detail']);
    const detail = query.detail === undefined ? false : truth(query.detail, 'detail');
    if (query.detail !== undefined && request.ironicMinor < 43)
      throw refuse('Invalid query parameter ?detail=True received.');
    if (detail && query.fields !== undefined)
      throw refuse('Can not specify ?detail=True and fields in the same request.');
    const fields = detail ? fieldsFor(request.ironicMinor, null) : fieldsOf(request, query, listFields);
    return list(rooms, request, query, fields, `${baseOf(rooms, request)}/v1/nodes`);
  });

  api.get(`${v}/nodes/detail`, async (request) => {
    const query = queryOf(request);
    requireKnown(query, [...Object.keys(filters), ...paging]);
    const fields = fieldsFor(request.ironicMinor, null);
    return list(rooms, request, query, fields, `${baseOf(rooms, request)}/v1/nodes/detail`);
  });

  api.post(`${v}/nodes`, async (request, reply) => {
    requireWrite(request.context, 'baremetal:node:create');
    const fields = newNodeOf(request.body, request.ironicMinor);
    const node = await ground.house.db.transaction((tx) => enrolment.create(tx, request.context, fields));
    return reply
      .code(201)
      .header('location', `${baseOf(rooms, request)}/v1/nodes/${node.uuid}`)
      .send(viewNode(node, fieldsFor(request.ironicMinor, null), bareContext(rooms, request)));
  });

  api.get(`${v}/nodes/:node`, async (request) => {
    const query = queryOf(request);
    requireKnown(query, ['fields']);
    const fields = fieldsOf(request, query, null);
    const node = await findNode(rooms, request);
    return viewNode(node, fields, await viewContext(rooms, request, [node]));
  });

  api.patch(`${v}/nodes/:node`, async (request) => {
    const query = queryOf(request);
    requireKnown(query, ['reset_interfaces']);
    if (query.reset_interfaces !== undefined) requireMinor(request, 45, false);
    const reset = query.reset_interfaces !== undefined && truth(query.reset_interfaces, 'reset_interfaces');
    const node = await findNode(rooms, request);
    requireWrite(request.context, 'baremetal:node:update', node);
    const { shown, hidden } = patchableFields(request.ironicMinor);
    const steps = readPatch(request.body, shown, hidden);
    await requireIdle(ground, node.uuid);
    const changed = await ground.house.db.transaction(async (tx) => {
      const locked = await nodeByUuid(tx, node.uuid, true);
      if (!locked) throw fault('node-not-found', { node: node.uuid });
      const fields = patchedNode(locked, steps, reset);
      const updated = await enrolment.update(tx, request.context, node.uuid, fields);
      if (locked.maintenance !== updated.maintenance)
        await ground.house.recorder.append(tx, 'node.maintenance', nodeSubject(node.uuid), {
          on: updated.maintenance,
          reason: updated.maintenanceReason,
        });
      return updated;
    });
    return show(request, changed);
  });

  api.delete(`${v}/nodes/:node`, async (request, reply) => {
    const node = await findNode(rooms, request);
    requireWrite(request.context, 'baremetal:node:delete', node);
    await baremetal.deleteNode(request.context, node.uuid);
    return reply.code(204).send();
  });

  api.get(`${v}/shards`, async (request) => {
    requireRoute(request, 82);
    const shards = await shardCounts(ground.house.db);
    return { shards: shards.map(({ name, count }) => ({ name: name ?? 'None', count })) };
  });
}
