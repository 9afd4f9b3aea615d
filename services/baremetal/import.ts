/**
 * Importing an instackenv.json: everything is checked before anything is written, then all nodes are enrolled in one
 * transaction together with their verify operations. Which node an entry is, when the file comes again: by MAC, then by
 * BMC, then by uuid. A node that this import made and that cannot be verified is removed again by its operation.
 */
import { randomUUID } from 'node:crypto';
import type { Context } from '../core/context.ts';
import { fault } from '../core/errors/index.ts';
import { requireIdle } from './busy.ts';
import { requireHardware, requireInterface } from './drivers.ts';
import { type Enrolment, isNodeName } from './enrolment.ts';
import type { Ground } from './ground.ts';
import { bmcIdentity, type EnvEntry, readInstackenv } from './instackenv.ts';
import type { InterfaceName } from './node.ts';
import type { Provision } from './provision.ts';
import { listNodes, type NodeRow, patchNode } from './store/nodes.ts';
import { ownersOf } from './store/ports.ts';

export interface ImportOptions {
  /** Go on to `available`; false stops at `manageable`. Default true. */
  readonly provide?: boolean;
}

export interface ImportedNode {
  readonly uuid: string;
  readonly name: string | null;
  readonly action: 'create' | 'update' | 'keep';
  /** The operation that verifies it; null when there is nothing to verify. */
  readonly operation: string | null;
}

interface Planned {
  readonly entry: EnvEntry;
  readonly node: NodeRow | null;
}

const bmcOfNode = (node: NodeRow): string | null => bmcIdentity(node.driver, node.driverInfo);

async function plan(ground: Ground, entries: readonly EnvEntry[]): Promise<Planned[]> {
  const { db } = ground.house;
  const nodes = await listNodes(db, { includeChildren: true });
  const byUuid = new Map(nodes.map((node) => [node.uuid, node]));
  const byBmc = new Map(nodes.map((node) => [bmcOfNode(node), node]));
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const owners = await ownersOf(
    db,
    entries.flatMap(({ ports }) => ports.map(({ address }) => address)),
  );
  return entries.map((entry) => {
    const owning = new Set(entry.ports.flatMap(({ address }) => owners.get(address) ?? []));
    const refuse = (reason: string, remedy: string) => fault('import-invalid', { where: entry.where, reason, remedy });
    if (owning.size > 1)
      throw refuse(
        `its MACs belong to ${owning.size} enrolled nodes (${[...owning].join(', ')}).`,
        'Correct the MACs, or delete the wrong nodes first.',
      );
    const [byMac] = owning;
    const node =
      (byMac !== undefined ? byUuid.get(byMac) : undefined) ??
      (entry.bmc !== null ? byBmc.get(entry.bmc) : undefined) ??
      (entry.uuid !== null ? byUuid.get(entry.uuid) : undefined) ??
      null;
    // The same MAC behind another BMC or under another uuid is another machine: somebody mistyped.
    const behind = node ? bmcOfNode(node) : null;
    if (node && byMac !== undefined && entry.uuid !== null && entry.uuid !== node.uuid)
      throw refuse(
        `its MAC ${entry.ports.find(({ address }) => owners.get(address) === node.uuid)?.address} is already that of node ${node.name ?? node.uuid}.`,
        'Correct the MAC or the uuid, or delete that node first.',
      );
    if (node && byMac !== undefined && entry.bmc !== null && behind !== null && behind !== entry.bmc)
      throw refuse(
        `its MAC ${entry.ports.find(({ address }) => owners.get(address) === node.uuid)?.address} is already that of node ${node.name ?? node.uuid}, whose BMC is ${behind}.`,
        'Correct the MAC or pm_addr; if the BMC moved, set its address on the node first.',
      );
    if (entry.name !== null && !isNodeName(entry.name))
      throw refuse(`its name ${JSON.stringify(entry.name)} is no host name.`, 'Use letters, digits, dots and hyphens.');
    const named = entry.name === null ? undefined : byName.get(entry.name);
    if (named && named !== node)
      throw refuse(`the name ${entry.name} is already that of node ${named.uuid}.`, 'Give it another name.');
    const hardware = requireHardware(entry.driver);
    for (const [kind, value] of Object.entries(entry.interfaces))
      requireInterface(hardware, kind as InterfaceName, value);
    return { entry, node };
  });
}

export async function importNodes(
  ground: Ground,
  parts: { enrolment: Enrolment; provision: Provision },
  context: Context,
  instackenv: unknown,
  options: ImportOptions = {},
): Promise<ImportedNode[]> {
  const { enrolment, provision } = parts;
  const { db } = ground.house;
  const planned = await plan(ground, readInstackenv(instackenv));
  for (const { node } of planned) if (node) await requireIdle(ground, node.uuid);
  const provide = options.provide ?? true;
  return db.transaction(async (tx) => {
    const imported: ImportedNode[] = [];
    for (const { entry, node } of planned) {
      const fields = {
        name: entry.name ?? node?.name ?? null,
        driver: entry.driver,
        driverInfo: entry.driverInfo,
        properties: { ...node?.properties, ...entry.properties },
        extra: { ...node?.extra, ...entry.extra },
        resourceClass: entry.resourceClass,
        interfaces: { ...node?.interfaces, ...entry.interfaces },
        ports: entry.ports,
        columns: { conductorGroup: entry.conductorGroup },
      };
      if (!node) {
        const made = await enrolment.create(tx, context, { ...fields, uuid: entry.uuid ?? randomUUID() });
        const operation = await provision.verify(tx, context, made.uuid, { provide, removeOnFailure: true });
        imported.push({ uuid: made.uuid, name: made.name, action: 'create', operation });
        continue;
      }
      await enrolment.update(tx, context, node.uuid, fields);
      const unverified = node.provisionState === 'enroll' || node.provisionState === 'manageable';
      if (!unverified) {
        imported.push({ uuid: node.uuid, name: fields.name, action: 'keep', operation: null });
        continue;
      }
      await patchNode(tx, node.uuid, { lastError: null });
      const operation = await provision.verify(tx, context, node.uuid, { provide, removeOnFailure: false });
      imported.push({ uuid: node.uuid, name: fields.name, action: 'update', operation });
    }
    return imported;
  });
}
