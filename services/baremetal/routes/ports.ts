/** /ports: the MACs by which machines are known. */
import { randomUUID } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { fault } from '../../core/errors/index.ts';
import type { Api } from '../../core/http/index.ts';
import { isUuid } from '../../core/uuid.ts';
import { requireIdle } from '../busy.ts';
import { isNodeName, uniquely } from '../enrolment.ts';
import { dropPort } from '../farewell.ts';
import type { Rooms } from '../index.ts';
import { readMac } from '../mac.ts';
import type { JsonObject, Port } from '../node.ts';
import { requireSpared } from '../node-ports.ts';
import { applyPatch, python, readPatch } from '../patch.ts';
import { nodeByUuid } from '../store/nodes.ts';
import { insertPort, listPorts, type PortPatch, patchPort, portByName, portByUuid } from '../store/ports.ts';
import { baseOf, linksOf, record, refuse, requireMinor, requireWrite, truth } from './dialect.ts';
import { findNode, visibleNode } from './nodes.ts';
import { nextLink, type Query, queryOf, readPage, requireKnown } from './paging.ts';

interface PortField {
  readonly name: string;
  readonly since: number;
  readonly read: (port: Port) => unknown;
}

const time = (date: Date | null): string | null => (date ? date.toISOString().replace('Z', '+00:00') : null);

const portFields: readonly PortField[] = (
  [
    ['uuid', 1, (p) => p.uuid],
    ['created_at', 1, (p) => time(p.createdAt)],
    ['updated_at', 1, (p) => time(p.updatedAt)],
    ['address', 1, (p) => p.address],
    ['extra', 1, (p) => p.extra],
    ['internal_info', 18, (p) => p.internalInfo],
    ['is_smartnic', 53, (p) => p.isSmartnic],
    ['local_link_connection', 19, (p) => p.localLinkConnection],
    ['physical_network', 34, (p) => p.physicalNetwork],
    ['pxe_enabled', 19, (p) => p.pxeEnabled],
    ['node_uuid', 1, (p) => p.nodeUuid],
    ['name', 88, (p) => p.name],
    ['portgroup_uuid', 24, () => null],
  ] as [string, number, (port: Port) => unknown][]
).map(([name, since, read]) => ({ name, since, read }));

const writable = [
  'address',
  'extra',
  'is_smartnic',
  'local_link_connection',
  'name',
  'node_uuid',
  'physical_network',
  'pxe_enabled',
];
const sortable = Object.fromEntries(
  ['id', 'uuid', 'address', 'created_at', 'updated_at', 'name', 'pxe_enabled', 'physical_network'].map((n) => [n, n]),
);

function portPatchOf(body: Record<string, unknown>): PortPatch {
  const patch: Record<string, unknown> = {};
  const object = (value: unknown) => {
    if (value !== null && !record(value))
      throw refuse(`Schema error for port: ${python(value)} is not of type 'object', 'null'`);
    return (value ?? {}) as JsonObject;
  };
  const text = (value: unknown) => {
    if (value !== null && typeof value !== 'string')
      throw refuse(`Schema error for port: ${python(value)} is not of type 'string', 'null'`);
    return value;
  };
  for (const [name, value] of Object.entries(body)) {
    switch (name) {
      case 'address': {
        const mac = readMac(String(value));
        if (mac === null) throw refuse(`Expected valid MAC address for address: ${value}`);
        patch.address = mac;
        break;
      }
      case 'node_uuid':
        if (typeof value !== 'string' || !isUuid(value)) throw refuse(`Expected UUID for node_uuid: ${value}`);
        patch.nodeUuid = value.toLowerCase();
        break;
      case 'name':
        if (typeof value === 'string' && !isNodeName(value))
          throw refuse(`Cannot create port with invalid name '${value}'`);
        patch.name = text(value);
        break;
      case 'extra':
        patch.extra = object(value);
        break;
      case 'local_link_connection':
        patch.localLinkConnection = object(value);
        break;
      case 'physical_network':
        patch.physicalNetwork = text(value);
        break;
      case 'pxe_enabled':
        patch.pxeEnabled = value === null ? true : truth(value, name);
        break;
      default:
        patch.isSmartnic = value === null ? false : truth(value, name);
    }
  }
  return patch as PortPatch;
}

export function portRoutes(api: Api, rooms: Rooms, v: string): void {
  const { ground } = rooms;
  const { db } = ground.house;

  function view(request: FastifyRequest, port: Port, names: readonly string[] | null) {
    const shown: Record<string, unknown> = {};
    for (const { name, since, read } of portFields)
      if (since <= request.ironicMinor && (names === null || names.includes(name))) shown[name] = read(port);
    return { ...shown, links: linksOf(baseOf(rooms, request), `ports/${port.uuid}`) };
  }

  const summary = ['uuid', 'address'];
  function namesOf(request: FastifyRequest, query: Query, plain: readonly string[] | null): readonly string[] | null {
    if (query.fields === undefined) return plain;
    requireMinor(request, 8, false);
    const names = query.fields.split(',');
    for (const name of names)
      if (name !== 'links' && !portFields.some((field) => field.name === name && field.since <= request.ironicMinor))
        throw refuse(`Field ${name} is not a valid field.`);
    return names;
  }

  async function list(request: FastifyRequest, names: readonly string[] | null, path: string, nodeUuid?: string) {
    const query = queryOf(request);
    const page = readPage(query, sortable);
    if (query.shard !== undefined) requireMinor(request, 82);
    if (query.portgroup !== undefined) {
      requireMinor(request, 24, false);
      throw Object.assign(refuse(`Portgroup ${query.portgroup} could not be found.`), { status: 404 });
    }
    const asked = query.node_uuid ?? query.node;
    if (query.node !== undefined && !isUuid(query.node)) requireMinor(request, 5, false);
    const node = asked === undefined ? nodeUuid : (await visibleNode(rooms, request, asked)).uuid;
    const { roles, projectId } = request.context;
    const ports = await listPorts(db, {
      nodeUuid: node,
      address: query.address?.toLowerCase(),
      shards: query.shard?.split(','),
      ...(!roles.includes('admin') && { project: projectId ?? '' }),
      ...page,
    });
    const url = `${baseOf(rooms, request)}/v1/${path}`;
    return { ports: ports.map((port) => view(request, port, names)), ...nextLink(url, query, page, ports) };
  }

  const known = ['limit', 'marker', 'sort_key', 'sort_dir', 'address', 'node', 'node_uuid', 'portgroup', 'shard'];
  const named = async (request: FastifyRequest) => {
    const { port: ident } = request.params as { port: string };
    if (!isUuid(ident) && !isNodeName(ident)) throw refuse(`Expected UUID or name for port_ident: ${ident}`);
    const port = isUuid(ident) ? await portByUuid(db, ident) : await portByName(db, ident);
    if (!port) throw fault('port-not-found', { port: ident });
    const node = await visibleNode(rooms, request, port.nodeUuid);
    return { port, node };
  };

  api.get(`${v}/ports`, async (request) => {
    const query = queryOf(request);
    requireKnown(query, [...known, 'fields', 'detail']);
    const detail = query.detail !== undefined && truth(query.detail, 'detail');
    if (query.detail !== undefined && request.ironicMinor < 43)
      throw refuse('Invalid query parameter ?detail=True received.');
    if (detail && query.fields !== undefined)
      throw refuse('Can not specify ?detail=True and fields in the same request.');
    return list(request, detail ? null : namesOf(request, query, summary), 'ports');
  });
  api.get(`${v}/ports/detail`, async (request) => {
    requireKnown(queryOf(request), known);
    return list(request, null, 'ports/detail');
  });
  api.get(`${v}/nodes/:node/ports`, async (request) => {
    const node = await findNode(rooms, request);
    return list(request, namesOf(request, queryOf(request), summary), `nodes/${node.uuid}/ports`, node.uuid);
  });
  api.get(`${v}/nodes/:node/ports/detail`, async (request) => {
    const node = await findNode(rooms, request);
    return list(request, null, `nodes/${node.uuid}/ports/detail`, node.uuid);
  });
  api.get(`${v}/ports/:port`, async (request) => {
    const query = queryOf(request);
    requireKnown(query, ['fields']);
    const { port } = await named(request);
    return view(request, port, namesOf(request, query, null));
  });

  api.post(`${v}/ports`, async (request, reply) => {
    const { uuid, portgroup_uuid: group, ...body } = record(request.body) ?? {};
    for (const required of ['address', 'node_uuid'])
      if (body[required] === undefined) throw refuse(`Schema error for port: '${required}' is a required property`);
    for (const name of Object.keys(body)) {
      if (!writable.includes(name))
        throw refuse(`Schema error for port: Additional properties are not allowed ('${name}' was unexpected)`);
      const since = portFields.find((field) => field.name === name)?.since ?? 1;
      if (since > request.ironicMinor) throw Object.assign(refuse('Request not acceptable.'), { status: 406 });
    }
    if (group !== undefined && group !== null)
      throw Object.assign(refuse(`Portgroup ${group} could not be found.`), { status: 404 });
    if (uuid !== undefined && (typeof uuid !== 'string' || !isUuid(uuid)))
      throw refuse(`Expected UUID for uuid: ${uuid}`);
    const fields = portPatchOf(body);
    const node = await visibleNode(rooms, request, fields.nodeUuid ?? '').catch((error) => {
      throw Object.assign(error, { status: 400 });
    });
    requireWrite(request.context, 'baremetal:port:create', node);
    const id = typeof uuid === 'string' ? uuid.toLowerCase() : randomUUID();
    await db.transaction((tx) =>
      uniquely(() => insertPort(tx, id, fields), {
        ports_address: ['MAC', fields.address],
        ports_name: ['name', fields.name],
        ports_uuid: ['UUID', id],
      }),
    );
    const port = await portByUuid(db, id);
    return reply
      .code(201)
      .header('location', `${baseOf(rooms, request)}/v1/ports/${id}`)
      .send(port && view(request, port, null));
  });

  api.patch(`${v}/ports/:port`, async (request) => {
    const { port, node } = await named(request);
    requireWrite(request.context, 'baremetal:port:update', node);
    const steps = readPatch(request.body, [...writable, 'portgroup_uuid']);
    await requireIdle(ground, node.uuid);
    const before: Record<string, unknown> = { portgroup_uuid: null };
    for (const field of portFields) if (writable.includes(field.name)) before[field.name] = field.read(port);
    const after = applyPatch(before, steps);
    if (after.portgroup_uuid)
      throw Object.assign(refuse(`Portgroup ${after.portgroup_uuid} could not be found.`), { status: 404 });
    const touched = [...new Set(steps.map(({ path }) => path.split('/')[1] as string))].filter((name) =>
      writable.includes(name),
    );
    const fields = portPatchOf(Object.fromEntries(touched.map((name) => [name, after[name] ?? null])));
    if (fields.nodeUuid !== undefined && !(await nodeByUuid(db, fields.nodeUuid)))
      throw Object.assign(fault('node-not-found', { node: fields.nodeUuid }), { status: 400 });
    await db.transaction((tx) =>
      uniquely(() => patchPort(tx, port.uuid, fields), {
        ports_address: ['MAC', fields.address],
        ports_name: ['name', fields.name],
      }),
    );
    const changed = await portByUuid(db, port.uuid);
    return changed && view(request, changed, null);
  });

  api.delete(`${v}/ports/:port`, async (request, reply) => {
    const { port, node } = await named(request);
    requireWrite(request.context, 'baremetal:port:delete', node);
    await requireSpared(ground, node, port);
    await db.transaction((tx) => dropPort(ground, tx, port));
    return reply.code(204).send();
  });
}
