/** What clients may write of a node: the body of POST and the document that PATCH works on, checked field by field. */
import { fault } from '../core/errors/index.ts';
import { isUuid } from '../core/uuid.ts';
import { requireHardware } from './drivers.ts';
import type { NewNode } from './enrolment.ts';
import type { InterfaceName, JsonObject } from './node.ts';
import { fieldNamed } from './node-view.ts';
import { applyPatch, type PatchStep, python } from './patch.ts';
import { record, refuse, truth } from './routes/dialect.ts';
import type { NodePatch, NodeRow } from './store/nodes.ts';

type Kind = 'text' | 'object' | 'truth' | 'uuid' | 'truth or null';

/** Writable fields beside those that NewNode has: column, kind, whether POST takes it, whether PATCH does. */
const columns: Readonly<Record<string, { column: keyof NodePatch; kind: Kind; post: boolean }>> = {
  automated_clean: { column: 'automatedClean', kind: 'truth or null', post: true },
  chassis_uuid: { column: 'chassisUuid', kind: 'uuid', post: true },
  conductor_group: { column: 'conductorGroup', kind: 'text', post: true },
  description: { column: 'description', kind: 'text', post: true },
  disable_power_off: { column: 'disablePowerOff', kind: 'truth', post: true },
  instance_uuid: { column: 'instanceUuid', kind: 'uuid', post: true },
  lessee: { column: 'lessee', kind: 'text', post: true },
  maintenance: { column: 'maintenance', kind: 'truth', post: false },
  maintenance_reason: { column: 'maintenanceReason', kind: 'text', post: false },
  network_data: { column: 'networkData', kind: 'object', post: true },
  owner: { column: 'owner', kind: 'text', post: true },
  parent_node: { column: 'parentNode', kind: 'uuid', post: true },
  protected: { column: 'protected', kind: 'truth', post: false },
  protected_reason: { column: 'protectedReason', kind: 'text', post: false },
  retired: { column: 'retired', kind: 'truth', post: true },
  retired_reason: { column: 'retiredReason', kind: 'text', post: true },
  shard: { column: 'shard', kind: 'text', post: true },
};

const own: Readonly<Record<string, Kind>> = {
  driver: 'text',
  driver_info: 'object',
  extra: 'object',
  instance_info: 'object',
  name: 'text',
  properties: 'object',
  resource_class: 'text',
};

const interfaceKinds = [
  'bios',
  'boot',
  'console',
  'deploy',
  'firmware',
  'inspect',
  'management',
  'network',
  'power',
  'raid',
  'rescue',
  'storage',
  'vendor',
] as const satisfies readonly InterfaceName[];
const interfaceField = (name: string): InterfaceName | null =>
  interfaceKinds.find((kind) => name === `${kind}_interface`) ?? null;

const allPatchable = [
  ...Object.keys(own),
  ...Object.keys(columns),
  ...interfaceKinds.map((kind) => `${kind}_interface`),
];
const knownIn = (minor: number) => (name: string) => (fieldNamed.get(name)?.since ?? 1) <= minor;

export const patchableFields = (minor: number): { shown: string[]; hidden: string[] } => ({
  shown: allPatchable.filter(knownIn(minor)),
  hidden: allPatchable.filter((name) => !knownIn(minor)(name)),
});

function checked(name: string, kind: Kind, value: unknown, what: 'node' | 'patch'): unknown {
  if (value === null || value === undefined) return kind === 'object' ? {} : kind === 'truth' ? false : null;
  switch (kind) {
    case 'object':
      if (!record(value)) throw refuse(`Schema error for ${what}: ${python(value)} is not of type 'object', 'null'`);
      return value;
    case 'truth':
    case 'truth or null':
      return truth(value, name);
    case 'uuid':
      if (typeof value !== 'string' || !isUuid(value)) throw refuse(`Expected UUID for ${name}: ${value}`);
      return value.toLowerCase();
    default:
      if (typeof value !== 'string')
        throw refuse(`Schema error for ${what}: ${python(value)} is not of type 'string', 'null'`);
      return value;
  }
}

function writtenOf(
  body: Record<string, unknown>,
  what: 'node' | 'patch',
): Omit<NewNode, 'driver'> & { driver?: string } {
  const columnValues: Record<string, unknown> = {};
  const interfaces: Partial<Record<InterfaceName, string>> = {};
  const plain: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(body)) {
    const kind = interfaceField(name);
    const column = columns[name];
    if (kind) {
      if (value !== null) interfaces[kind] = String(checked(name, 'text', value, what));
    } else if (column) columnValues[column.column] = checked(name, column.kind, value, what);
    else if (own[name]) plain[name] = checked(name, own[name], value, what);
  }
  return {
    ...('driver' in plain && { driver: plain.driver as string }),
    ...('name' in plain && { name: plain.name === '' ? null : (plain.name as string | null) }),
    ...('driver_info' in plain && { driverInfo: plain.driver_info as JsonObject }),
    ...('properties' in plain && { properties: plain.properties as JsonObject }),
    ...('extra' in plain && { extra: plain.extra as JsonObject }),
    ...('instance_info' in plain && { instanceInfo: plain.instance_info as JsonObject }),
    ...('resource_class' in plain && { resourceClass: plain.resource_class as string | null }),
    interfaces,
    columns: columnValues as NodePatch,
  };
}

/** @throws Fault `bad-request` in Ironic's words */
export function newNodeOf(body: unknown, minor: number): NewNode {
  const given = record(body) ?? {};
  if (given.driver === undefined) throw refuse("Schema error for node: 'driver' is a required property");
  for (const name of Object.keys(given)) {
    const known = name === 'uuid' || own[name] || interfaceField(name) || columns[name]?.post;
    if (!known) throw refuse(`Schema error for node: Additional properties are not allowed ('${name}' was unexpected)`);
    if ((fieldNamed.get(name)?.since ?? 1) > minor)
      throw Object.assign(refuse('Request not acceptable.'), { status: 406 });
  }
  const { uuid } = given;
  if (uuid !== undefined && uuid !== null && (typeof uuid !== 'string' || !isUuid(uuid)))
    throw refuse(`Expected UUID for uuid: ${uuid}`);
  const fields = writtenOf(given, 'node');
  const driver = String(checked('driver', 'text', given.driver, 'node'));
  requireHardware(driver, typeof given.conductor_group === 'string' ? given.conductor_group : '');
  return {
    ...fields,
    driver,
    ...(typeof uuid === 'string' && { uuid }),
    columns: {
      ...fields.columns,
      // Before 1.11 a node began its life available, and old clients count on it.
      ...(minor < 11 && { provisionState: 'available' as const }),
    },
  };
}

/** The fields of a node that PATCH sees, by their API names. */
function documentOf(node: NodeRow): Record<string, unknown> {
  const document: Record<string, unknown> = {
    driver: node.driver,
    driver_info: { ...node.driverInfo },
    extra: node.extra,
    instance_info: node.instanceInfo,
    name: node.name,
    properties: node.properties,
    resource_class: node.resourceClass,
  };
  for (const [name, { column }] of Object.entries(columns)) document[name] = node[column as keyof NodeRow] ?? null;
  for (const kind of interfaceKinds) document[`${kind}_interface`] = node.interfaces[kind] ?? null;
  return document;
}

/** What changes by the patch, as fields to write. @throws Fault `bad-request`, `node-associated`, `node-state-forbids` */
export function patchedNode(node: NodeRow, steps: readonly PatchStep[], resetInterfaces: boolean): Partial<NewNode> {
  const before = documentOf(node);
  // A column that is null is there for Ironic: `remove` of an unset name is fine.
  const after = applyPatch(before, steps);
  const touched = new Set(steps.map(({ path }) => path.split('/')[1] as string));
  const changed: Record<string, unknown> = {};
  for (const name of touched) changed[name] = name in after ? after[name] : null;
  if (touched.has('driver') && typeof changed.driver !== 'string')
    throw refuse("Schema error for patch: 'driver' is a required property");
  const fields = writtenOf(changed, 'patch');
  const instance = fields.columns?.instanceUuid;
  if (instance && node.instanceUuid && instance !== node.instanceUuid)
    throw fault('node-associated', { node: node.uuid, instance: node.instanceUuid });
  if (fields.columns?.protected === true && node.provisionState !== 'active' && node.provisionState !== 'rescue')
    throw Object.assign(
      refuse(
        `Node ${node.uuid} can only be made protected in provision states 'active' or 'rescue', the current state is '${node.provisionState}'`,
      ),
      { status: 409 },
    );
  const interfaces: Partial<Record<InterfaceName, string>> = resetInterfaces ? {} : { ...node.interfaces };
  for (const name of touched) {
    const kind = interfaceField(name);
    if (!kind) continue;
    if (typeof changed[name] === 'string') interfaces[kind] = changed[name];
    else delete interfaces[kind];
  }
  const columnsChanged = { ...fields.columns };
  if (columnsChanged.maintenance === false) Object.assign(columnsChanged, { maintenanceReason: null, fault: null });
  if (columnsChanged.retired === false) columnsChanged.retiredReason = null;
  if (columnsChanged.protected === false) columnsChanged.protectedReason = null;
  const { interfaces: _dropped, ...rest } = fields;
  return { ...rest, interfaces, columns: columnsChanged };
}
