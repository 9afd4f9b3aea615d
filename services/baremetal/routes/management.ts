/** What hangs on a node: boot device, traits, VIFs, inventory, and lists that clients read and find empty. */
import type { FastifyRequest } from 'fastify';
import { fault } from '../../core/errors/index.ts';
import type { Api } from '../../core/http/index.ts';
import { bootDeviceNames, requireCapability } from '../../power/index.ts';
import { requireIdle } from '../busy.ts';
import { bmcOf, orderBoot } from '../change.ts';
import { accessOf } from '../driver-info.ts';
import { nodeSubject } from '../ground.ts';
import type { Rooms } from '../index.ts';
import { python } from '../patch.ts';
import { inventoryOf } from '../store/agents.ts';
import { listNodes, type NodeRow, nodeByUuid } from '../store/nodes.ts';
import { addTraits, insertVif, listPorts, listVifs, removeTraits, removeVif, traitsOf } from '../store/ports.ts';
import { baseOf, record, refuse, requireMinor, requireRoute, requireWrite, truth } from './dialect.ts';
import { findNode } from './nodes.ts';

/** Standard traits of os-traits begin so; the rest are the operator's own. */
const traitPattern = /^(CUSTOM_[A-Z0-9_]+|(HW|COMPUTE|STORAGE|MISC|OWNER)_[A-Z0-9_]+)$/;
const traitsMax = 50;

const indicatorName = 'identify@chassis';
const indicatorStates = ['on', 'off', 'blinking'] as const;

function checkTrait(trait: unknown): string {
  if (typeof trait === 'string' && trait.length <= 255 && traitPattern.test(trait)) return trait;
  throw refuse(
    `Schema error for trait: ${python(trait)} is not valid under any of the given schemas. Possible root cause: ${python(trait)} does not match '^CUSTOM_[A-Z0-9_]+$'`,
  );
}

export function managementRoutes(api: Api, rooms: Rooms, v: string): void {
  const { ground } = rooms;
  const { db, recorder, secrets } = ground.house;
  const at = `${v}/nodes/:node`;
  const rowOf = async (request: FastifyRequest): Promise<NodeRow> => {
    const { uuid } = await findNode(rooms, request);
    const row = await nodeByUuid(db, uuid);
    if (!row) throw fault('node-not-found', { node: uuid });
    return row;
  };

  api.get(`${at}/management/boot_device`, async (request) => {
    const found = await bmcOf(ground, await rowOf(request)).bootDevice();
    return { boot_device: found?.device ?? null, persistent: found?.persistent ?? null };
  });
  api.get(`${at}/management/boot_device/supported`, async (request) => {
    await rowOf(request);
    return { supported_boot_devices: bootDeviceNames };
  });
  api.put(`${at}/management/boot_device`, async (request, reply) => {
    const body = record(request.body) ?? {};
    const device = bootDeviceNames.find((name) => name === body.boot_device);
    if (body.boot_device === undefined) throw refuse('Missing mandatory parameter: boot_device');
    if (!device) throw refuse(`Invalid boot device ${body.boot_device} specified.`);
    const persistent = body.persistent === undefined ? false : truth(body.persistent, 'persistent');
    const node = await rowOf(request);
    requireWrite(request.context, 'baremetal:node:set_boot_device', node);
    await requireIdle(ground, node.uuid);
    const ordered = await orderBoot(ground, node, { device, persistent });
    recorder.emit('node.boot-device', nodeSubject(node.uuid), ordered, { requestId: request.id });
    return reply.code(204).send();
  });
  api.put(`${at}/management/inject_nmi`, async (request, reply) => {
    requireRoute(request, 29);
    const node = await rowOf(request);
    requireWrite(request.context, 'baremetal:node:inject_nmi', node);
    await requireCapability(bmcOf(ground, node), 'interrupt', accessOf(secrets, node)).inject();
    return reply.code(204).send();
  });
  // One light: the one by which a person in front of the rack finds the machine. Ironic names indicators `name@component`.
  const indicatorOf = (node: NodeRow) => requireCapability(bmcOf(ground, node), 'indicator', accessOf(secrets, node));
  const requireIndicator = (request: FastifyRequest) => {
    const { indicator } = request.params as { indicator: string };
    if (indicator !== indicatorName) throw fault('not-found', { what: `Indicator ${indicator}` });
  };
  api.get(`${at}/management/indicators`, async (request) => {
    const node = await rowOf(request);
    if (!bmcOf(ground, node).indicator) return { indicators: [] };
    const [name, component] = indicatorName.split('@');
    const href = `${baseOf(rooms, request)}/v1/nodes/${node.uuid}/management/indicators/${indicatorName}`;
    const one = { name, component, readonly: false, states: indicatorStates, links: [{ href, rel: 'self' }] };
    return { indicators: [one] };
  });
  api.get(`${at}/management/indicators/:indicator`, async (request) => {
    requireRoute(request, 63);
    requireIndicator(request);
    return { state: (await indicatorOf(await rowOf(request)).state()) ?? 'unknown' };
  });
  api.put(`${at}/management/indicators/:indicator`, async (request, reply) => {
    requireRoute(request, 63);
    requireIndicator(request);
    const wanted = String(record(request.body)?.state).toLowerCase();
    const state = indicatorStates.find((one) => one === wanted);
    if (!state) throw refuse(`Invalid indicator state ${wanted}; it is one of ${indicatorStates.join(', ')}.`);
    const node = await rowOf(request);
    requireWrite(request.context, 'baremetal:node:set_indicator_state', node);
    await indicatorOf(node).set(state);
    return reply.code(204).send();
  });

  api.get(`${at}/traits`, async (request) => {
    requireMinor(request, 37, false);
    const { uuid } = await rowOf(request);
    return { traits: (await traitsOf(db, [uuid])).get(uuid) ?? [] };
  });
  const changeTraits = async (request: FastifyRequest) => {
    requireMinor(request, 37, false);
    const node = await rowOf(request);
    requireWrite(request.context, 'baremetal:node:traits', node);
    await requireIdle(ground, node.uuid);
    return node;
  };
  api.put(`${at}/traits`, async (request, reply) => {
    const node = await changeTraits(request);
    const traits = record(request.body)?.traits;
    if (!Array.isArray(traits)) throw refuse("Schema error for body: 'traits' is a required property");
    if (traits.length > traitsMax) throw refuse(`A node may have ${traitsMax} traits, not ${traits.length}.`);
    const checked = traits.map(checkTrait);
    await db.transaction(async (tx) => {
      await removeTraits(tx, node.uuid, null);
      await addTraits(tx, node.uuid, checked);
    });
    return reply.code(204).send();
  });
  api.put(`${at}/traits/:trait`, async (request, reply) => {
    const node = await changeTraits(request);
    const trait = checkTrait((request.params as { trait: string }).trait);
    await db.transaction((tx) => addTraits(tx, node.uuid, [trait]));
    return reply.code(204).send();
  });
  api.delete(`${at}/traits`, async (request, reply) => {
    const node = await changeTraits(request);
    await db.transaction((tx) => removeTraits(tx, node.uuid, null));
    return reply.code(204).send();
  });
  api.delete(`${at}/traits/:trait`, async (request, reply) => {
    const node = await changeTraits(request);
    const { trait } = request.params as { trait: string };
    const gone = await db.transaction((tx) => removeTraits(tx, node.uuid, trait));
    if (gone === 0) throw fault('trait-not-found', { node: node.uuid, trait });
    return reply.code(204).send();
  });

  api.get(`${at}/vifs`, async (request) => {
    requireRoute(request, 28);
    const { uuid } = await rowOf(request);
    return { vifs: (await listVifs(db, uuid)).map(({ vif }) => ({ id: vif })) };
  });
  api.post(`${at}/vifs`, async (request, reply) => {
    requireRoute(request, 28);
    const { id, port_uuid: wantedPort } = record(request.body) ?? {};
    if (typeof id !== 'string' || id === '') throw refuse("Schema error for vif: 'id' is a required property");
    const node = await rowOf(request);
    requireWrite(request.context, 'baremetal:node:vif:attach', node);
    const vifs = await listVifs(db, node.uuid);
    const attached = vifs.find(({ vif }) => vif === id);
    if (attached) throw fault('vif-attached', { vif: id, port: attached.portUuid });
    const ports = await listPorts(db, { nodeUuid: node.uuid });
    // With the noop interface there may be no port at all: the VIF is then only remembered, as Ironic's noop does.
    const free = ports.find(
      ({ uuid }) =>
        !vifs.some(({ portUuid }) => portUuid === uuid) && (wantedPort === undefined || uuid === wantedPort),
    );
    if (!free && ports.length > 0) throw fault('vif-no-port', { vif: id, node: node.uuid });
    await db.transaction((tx) => insertVif(tx, node.uuid, id, free?.uuid ?? null));
    return reply.code(204).send();
  });
  api.delete(`${at}/vifs/:vif`, async (request, reply) => {
    requireRoute(request, 28);
    const node = await rowOf(request);
    requireWrite(request.context, 'baremetal:node:vif:detach', node);
    const { vif } = request.params as { vif: string };
    if ((await db.transaction((tx) => removeVif(tx, node.uuid, vif))) === 0)
      throw fault('vif-not-attached', { vif, node: node.uuid });
    return reply.code(204).send();
  });

  api.get(`${at}/inventory`, async (request) => {
    requireRoute(request, 81);
    const { uuid } = await rowOf(request);
    const found = await inventoryOf(db, uuid);
    if (!found) throw fault('inventory-not-found', { node: uuid });
    return found;
  });
  api.get(`${at}/children`, async (request) => {
    requireRoute(request, 83);
    const { uuid } = await rowOf(request);
    const children = await listNodes(db, { parentNode: uuid });
    return {
      children: children.map((child) => child.uuid),
      links: { href: `${baseOf(rooms, request)}/v1/nodes?parent_node=${uuid}`, rel: 'children' },
    };
  });

  // Kinds of settings that no driver of this release has: clients list them and expect a list.
  for (const [path, key, since] of [
    ['bios', 'bios', 40],
    ['firmware', 'firmware', 86],
    ['history', 'history', 78],
    ['portgroups', 'portgroups', 24],
    ['portgroups/detail', 'portgroups', 24],
  ] as const)
    api.get(`${at}/${path}`, async (request) => {
      requireRoute(request, since);
      await rowOf(request);
      return { [key]: [] };
    });
  api.get(`${at}/vendor_passthru/methods`, async (request) => {
    await rowOf(request);
    return {};
  });
  api.get(`${at}/vmedia`, async (request) => {
    requireRoute(request, 89);
    const { driver } = await rowOf(request);
    throw fault('node-unsupported', { driver, extension: 'get_virtual_media' });
  });
}
