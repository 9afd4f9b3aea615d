/** /nodes/{id}/states, /maintenance and /validate: what a node is doing, and verbs on it. */
import type { FastifyRequest } from 'fastify';
import { fault, toFault } from '../../core/errors/index.ts';
import type { Api } from '../../core/http/index.ts';
import { requireCapability } from '../../power/index.ts';
import { bmcOf, usesAgent } from '../change.ts';
import { accessOf } from '../driver-info.ts';
import { nodeSubject } from '../ground.ts';
import type { Rooms } from '../index.ts';
import type { JsonObject, Node } from '../node.ts';
import { fieldsFor, statesFields, viewNode } from '../node-view.ts';
import { type NodeRow, nodeByUuid, patchNode } from '../store/nodes.ts';
import { listPorts } from '../store/ports.ts';
import { findVerb, powerActions } from '../verbs.ts';
import { baseOf, record, refuse, requireMinor, requireWrite } from './dialect.ts';
import { findNode, viewContext, visibleNode } from './nodes.ts';

/** What may come with a verb, by version. */
const provisionArguments: Readonly<Record<string, { since: number; verbs: readonly string[] }>> = {
  configdrive: { since: 1, verbs: ['active', 'deploy', 'rebuild'] },
  clean_steps: { since: 15, verbs: ['clean'] },
  deploy_steps: { since: 69, verbs: ['active', 'deploy', 'rebuild'] },
  rescue_password: { since: 38, verbs: ['rescue'] },
  disable_ramdisk: { since: 70, verbs: ['clean', 'service'] },
  service_steps: { since: 87, verbs: ['service'] },
  runbook: { since: 92, verbs: ['clean', 'service'] },
};

function provisionBody(request: FastifyRequest): { verb: string; body: JsonObject } {
  const body = record(request.body) ?? {};
  const verb = body.target;
  if (typeof verb !== 'string' || verb === '') throw refuse('Missing mandatory parameter: target');
  const row = findVerb(verb);
  if (row) requireMinor(request, row.since, false);
  for (const [name, { since, verbs }] of Object.entries(provisionArguments)) {
    if (body[name] === undefined || body[name] === null) continue;
    requireMinor(request, since);
    if (!verbs.includes(verb))
      throw refuse(`"${name}" is only valid when setting target provision state to ${verbs.join(' or ')}`);
  }
  // Both would be refused by the agent later: better now, in a sentence.
  if (body.deploy_steps) throw refuse('deploy_steps are not carried out in this release: leave them out.');
  if (body.configdrive !== undefined && body.configdrive !== null && typeof body.configdrive !== 'string')
    throw refuse(
      'configdrive must be a string (base64 of a gzipped ISO image): this release does not build one from metadata here.',
    );
  return { verb, body: body as JsonObject };
}

export function stateRoutes(api: Api, rooms: Rooms, v: string): void {
  const { ground, baremetal } = rooms;
  const location = (request: FastifyRequest, node: Node) => `${baseOf(rooms, request)}/v1/nodes/${node.uuid}/states`;

  api.get(`${v}/nodes/:node/states`, async (request) => {
    const node = await findNode(rooms, request);
    const context = await viewContext(rooms, request, [node]);
    return viewNode(node, fieldsFor(request.ironicMinor, statesFields), context);
  });

  api.put(`${v}/nodes/:node/states/provision`, async (request, reply) => {
    const { verb, body } = provisionBody(request);
    const node = await findNode(rooms, request);
    requireWrite(request.context, 'baremetal:node:set_provision_state', node);
    await baremetal.setProvisionState(request.context, node.uuid, verb, body);
    return reply.code(202).header('location', location(request, node)).send();
  });

  api.put(`${v}/nodes/:node/states/power`, async (request, reply) => {
    const body = record(request.body) ?? {};
    const { target, timeout } = body;
    if (typeof target !== 'string') throw refuse('Missing mandatory parameter: target');
    const row = powerActions[target];
    if (row && row.since > 1) requireMinor(request, row.since, false);
    if (timeout !== undefined && timeout !== null) {
      requireMinor(request, 27, false);
      if (!Number.isInteger(timeout) || (timeout as number) <= 0) throw refuse('timeout has to be positive integer');
    }
    const node = await findNode(rooms, request);
    requireWrite(request.context, 'baremetal:node:set_power_state', node);
    await baremetal.setPower(request.context, node.uuid, target, (timeout as number | null | undefined) ?? undefined);
    return reply.code(202).header('location', location(request, node)).send();
  });

  for (const [path, extension] of [
    ['raid', 'raid'],
    ['boot_mode', 'set_boot_mode'],
    ['secure_boot', 'set_secure_boot_state'],
  ] as const)
    api.put(`${v}/nodes/:node/states/${path}`, async (request) => {
      const node = await findNode(rooms, request);
      throw fault('node-unsupported', { driver: node.driver, extension });
    });

  async function maintain(request: FastifyRequest, on: boolean, reason: string | null): Promise<void> {
    const node = await findNode(rooms, request);
    requireWrite(request.context, 'baremetal:node:set_maintenance', node);
    await ground.house.db.transaction(async (tx) => {
      if (!(await nodeByUuid(tx, node.uuid, true))) throw fault('node-not-found', { node: node.uuid });
      await patchNode(tx, node.uuid, { maintenance: on, maintenanceReason: reason, ...(!on && { fault: null }) });
      await ground.house.recorder.append(tx, 'node.maintenance', nodeSubject(node.uuid), { on, reason });
    });
  }

  api.put(`${v}/nodes/:node/maintenance`, async (request, reply) => {
    const reason = record(request.body)?.reason;
    await maintain(request, true, typeof reason === 'string' ? reason : null);
    return reply.code(202).send();
  });

  api.delete(`${v}/nodes/:node/maintenance`, async (request, reply) => {
    await maintain(request, false, null);
    return reply.code(202).send();
  });

  async function validate(node: Node): Promise<Record<string, { result: boolean | null; reason?: string }>> {
    const row = (await nodeByUuid(ground.house.db, node.uuid)) as NodeRow;
    const attempt = (work: () => unknown): { result: boolean; reason?: string } => {
      try {
        work();
        return { result: true };
      } catch (error) {
        return { result: false, reason: toFault(error).message };
      }
    };
    const access = attempt(() => accessOf(ground.house.secrets, row));
    const ports = await listPorts(ground.house.db, { nodeUuid: node.uuid });
    const boot = attempt(() => {
      if (usesAgent(row) && !ports.some(({ pxeEnabled }) => pxeEnabled))
        throw refuse(`Node ${node.name ?? node.uuid} has no port that boots from the network.`);
    });
    const deploy = attempt(() => {
      if (usesAgent(row) && !row.instanceInfo.image_source)
        throw refuse(
          `Node ${node.uuid} failed to validate deploy image info. Some parameters were missing. Missing are: ['instance_info.image_source']`,
        );
    });
    const fine = { result: true };
    const speaks = () => requireCapability(bmcOf(ground, row), 'console', accessOf(ground.house.secrets, row));
    const absent = (name: string) => ({
      result: null,
      reason: `Driver ${node.driver} does not support ${name} (disabled or not implemented).`,
    });
    return {
      boot,
      deploy,
      management: access,
      network: fine,
      power: access,
      bios: absent('bios'),
      console: access.result ? attempt(speaks) : access,
      firmware: absent('firmware'),
      inspect: fine,
      raid: absent('raid'),
      rescue: absent('rescue'),
      storage: fine,
    };
  }

  api.get(`${v}/nodes/:node/validate`, async (request) => validate(await findNode(rooms, request)));
  api.get(`${v}/nodes/validate`, async (request) => {
    const { node, node_uuid } = request.query as { node?: string; node_uuid?: string };
    return validate(await visibleNode(rooms, request, node_uuid ?? node ?? ''));
  });
}
