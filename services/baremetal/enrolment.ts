/** Nodes come, change and go: the rules of their records. Ports and traits come with them. */
import { randomUUID } from 'node:crypto';
import type { Context } from '../core/context.ts';
import type { Tx } from '../core/database/index.ts';
import { fault } from '../core/errors/index.ts';
import { isUuid } from '../core/uuid.ts';
import { requireIdle } from './busy.ts';
import { requireNode } from './change.ts';
import { sealDriverInfo } from './driver-info.ts';
import { requireHardware, requireInterface } from './drivers.ts';
import { dropNode } from './farewell.ts';
import { type Ground, nodeSubject } from './ground.ts';
import type { NodeLooks } from './looks.ts';
import type { InterfaceName, JsonObject } from './node.ts';
import { deletableStates } from './states.ts';
import { insertNode, type NodePatch, type NodeRow, nodeByName, patchedRow } from './store/nodes.ts';
import { addTraits, insertPort, ownersOf } from './store/ports.ts';

export interface NewNode {
  readonly uuid?: string;
  readonly name?: string | null;
  readonly driver: string;
  /** With its secrets open: they are sealed here. */
  readonly driverInfo?: JsonObject;
  readonly properties?: JsonObject;
  readonly extra?: JsonObject;
  readonly instanceInfo?: JsonObject;
  readonly resourceClass?: string | null;
  readonly interfaces?: Readonly<Partial<Record<InterfaceName, string>>>;
  readonly traits?: readonly string[];
  readonly ports?: readonly { readonly address: string; readonly physicalNetwork?: string | null }[];
  /** Further columns, checked by whoever hands them in. */
  readonly columns?: NodePatch;
}

/** A host name, as Ironic wants it: it goes into URLs, and must not look like a UUID. */
const namePattern = /^[A-Za-z0-9._~-]{1,255}$/;
const reservedNames = ['maintenance', 'management', 'ports', 'portgroups', 'states', 'detail', 'validate', 'import'];
export const isNodeName = (name: string): boolean =>
  namePattern.test(name) && !isUuid(name) && !reservedNames.includes(name);

/** @throws Fault `node-exists` instead of PostgreSQL's unique violation */
export async function uniquely<T>(
  work: () => Promise<T>,
  what: Readonly<Record<string, [what: string, value: unknown]>>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { code, constraint } = error as { code?: string; constraint?: string };
    const named = code === '23505' ? Object.entries(what).find(([part]) => constraint?.includes(part))?.[1] : undefined;
    if (!named) throw error;
    if (named[0] === 'MAC') throw fault('mac-exists', { mac: named[1] });
    throw fault('node-exists', { what: named[0], value: named[1] });
  }
}

export interface Enrolment {
  create(tx: Tx, context: Context, fields: NewNode): Promise<NodeRow>;
  update(tx: Tx, context: Context, uuid: string, fields: Partial<NewNode>): Promise<NodeRow>;
  /** @throws Fault `node-state-forbids`, `node-associated`, `node-busy` */
  remove(context: Context, uuid: string): Promise<void>;
  find(idOrName: string): Promise<NodeRow>;
}

export function createEnrolment(ground: Ground, looks: NodeLooks): Enrolment {
  const { db, recorder, secrets } = ground.house;

  function checkInterfaces(driver: string, chosen: Readonly<Partial<Record<InterfaceName, string>>>): void {
    const hardware = requireHardware(driver);
    for (const [kind, value] of Object.entries(chosen)) requireInterface(hardware, kind as InterfaceName, value);
  }

  return {
    async create(tx, context, fields) {
      const uuid = (fields.uuid ?? randomUUID()).toLowerCase();
      if (!isUuid(uuid)) throw fault('bad-request', { reason: `Expected UUID for uuid: ${fields.uuid}` });
      requireHardware(fields.driver);
      checkInterfaces(fields.driver, fields.interfaces ?? {});
      const { name } = fields;
      if (typeof name === 'string' && !isNodeName(name)) throw fault('node-name-invalid', { name });
      const node = await uniquely(
        () =>
          insertNode(tx, uuid, {
            ...fields.columns,
            driver: fields.driver,
            ...sealDriverInfo(secrets, uuid, fields.driverInfo ?? {}),
            ...(name != null && { name }),
            ...(fields.properties && { properties: fields.properties }),
            ...(fields.extra && { extra: fields.extra }),
            ...(fields.instanceInfo && { instanceInfo: fields.instanceInfo }),
            ...(fields.resourceClass != null && { resourceClass: fields.resourceClass }),
            ...(fields.interfaces && { interfaces: fields.interfaces }),
          }),
        {
          nodes_uuid: ['UUID', uuid],
          nodes_name: ['name', name],
          instance_uuid: ['instance', fields.columns?.instanceUuid],
        },
      );
      for (const port of fields.ports ?? [])
        await uniquely(
          () =>
            insertPort(tx, randomUUID(), {
              nodeUuid: uuid,
              address: port.address,
              ...(port.physicalNetwork != null && { physicalNetwork: port.physicalNetwork }),
            }),
          { ports_address: ['MAC', port.address] },
        );
      if (fields.traits?.length) await addTraits(tx, uuid, fields.traits);
      const data = { driver: fields.driver, name: name ?? null };
      await recorder.append(tx, 'node.created', nodeSubject(uuid), data, { requestId: context.requestId });
      return node;
    },
    async update(tx, context, uuid, fields) {
      const node = await requireNode(tx, uuid, true);
      const driver = fields.driver ?? node.driver;
      checkInterfaces(driver, fields.interfaces ?? {});
      const { name } = fields;
      if (typeof name === 'string' && !isNodeName(name))
        throw fault('bad-request', {
          reason: `Node ${node.name ?? uuid}: Cannot change name to invalid name '${name}'`,
        });
      const patch: NodePatch = {
        ...fields.columns,
        ...(fields.driver !== undefined && { driver }),
        ...(fields.driverInfo && sealDriverInfo(secrets, uuid, fields.driverInfo, node.driverSecrets)),
        ...(name !== undefined && { name }),
        ...(fields.properties && { properties: fields.properties }),
        ...(fields.extra && { extra: fields.extra }),
        ...(fields.instanceInfo && { instanceInfo: fields.instanceInfo }),
        ...(fields.resourceClass !== undefined && { resourceClass: fields.resourceClass }),
        ...(fields.interfaces && { interfaces: fields.interfaces }),
      };
      const changed = await uniquely(() => patchedRow(tx, uuid, patch), {
        nodes_name: ['name', name],
        instance_uuid: ['instance', fields.columns?.instanceUuid],
      });
      const addresses = (fields.ports ?? []).map(({ address }) => address);
      const known = addresses.length > 0 ? await ownersOf(tx, addresses) : new Map<string, string>();
      for (const port of fields.ports ?? []) {
        const owner = known.get(port.address);
        if (owner === uuid) continue;
        if (owner !== undefined) throw fault('mac-exists', { mac: port.address });
        await insertPort(tx, randomUUID(), {
          nodeUuid: uuid,
          address: port.address,
          ...(port.physicalNetwork != null && { physicalNetwork: port.physicalNetwork }),
        });
      }
      if (fields.traits?.length) await addTraits(tx, uuid, fields.traits);
      const data = { fields: Object.keys(patch) };
      await recorder.append(tx, 'node.updated', nodeSubject(uuid), data, { requestId: context.requestId });
      return changed;
    },
    async remove(context, uuid) {
      await requireIdle(ground, uuid);
      await db.transaction(async (tx) => {
        const node = await requireNode(tx, uuid, true);
        if (node.protected) throw fault('node-protected', { node: uuid });
        if (node.instanceUuid !== null && !node.maintenance)
          throw fault('node-associated', { node: uuid, instance: node.instanceUuid });
        // In maintenance an operator may remove what is broken in any state, as with Ironic.
        if (!deletableStates.includes(node.provisionState) && !node.maintenance)
          throw fault('node-state-forbids', {
            node: uuid,
            action: 'deleted',
            state: node.provisionState,
            remedy: 'Take it back with `baremetal node undeploy`, or set maintenance to remove its record alone.',
          });
        await dropNode(ground, tx, node);
        const data = { name: node.name, reason: null };
        await recorder.append(tx, 'node.deleted', nodeSubject(uuid), data, { requestId: context.requestId });
      });
    },
    async find(idOrName) {
      const node = isUuid(idOrName) ? await looks.node(idOrName.toLowerCase()) : await nodeByName(db, idOrName);
      if (!node) throw fault('node-not-found', { node: idOrName });
      return node;
    },
  };
}
