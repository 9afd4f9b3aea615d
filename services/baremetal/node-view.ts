/**
 * A node as Ironic's API shows it: a table of fields with the version that brought each. Masks, filters of `fields` and
 * refusals all read this one table.
 */

import { isSecretName } from './driver-info.ts';
import { interfaceOf } from './drivers.ts';
import type { InterfaceName, JsonObject, Node } from './node.ts';
import { maskedSecret } from './store/nodes.ts';

export interface ViewContext {
  /** `http://host/baremetal` */
  readonly base: string;
  readonly minor: number;
  readonly hostname: string;
  readonly traits: ReadonlyMap<string, readonly string[]>;
  /** Nodes that an operation works on. */
  readonly busy: { has(uuid: string): boolean };
  /** Consoles that are kept open. */
  readonly consoles: { enabled(uuid: string): boolean };
}

type Read = (node: Node, context: ViewContext) => unknown;
export interface Field {
  readonly name: string;
  readonly since: number;
  readonly read: Read;
}

const time = (date: Date | null): string | null => (date ? date.toISOString().replace('Z', '+00:00') : null);
const power = (state: string | null): string | null => (state === null ? null : `power ${state}`);
const collection =
  (name: string): Read =>
  (node, { base }) => [
    { href: `${base}/v1/nodes/${node.uuid}/${name}`, rel: 'self' },
    { href: `${base}/nodes/${node.uuid}/${name}`, rel: 'bookmark' },
  ];
const chosen =
  (kind: InterfaceName): Read =>
  (node) =>
    interfaceOf(node.driver, kind, node.interfaces[kind]);

function masked(object: JsonObject): JsonObject {
  const names = Object.keys(object);
  if (!names.some(isSecretName)) return object;
  return Object.fromEntries(names.map((name) => [name, isSecretName(name) ? maskedSecret : object[name]]));
}

/** In the order of Ironic's answers. */
export const nodeFields: readonly Field[] = (
  [
    ['uuid', 1, (n) => n.uuid],
    ['created_at', 1, (n) => time(n.createdAt)],
    ['updated_at', 1, (n) => time(n.updatedAt)],
    ['automated_clean', 47, (n) => n.automatedClean],
    ['bios_interface', 40, chosen('bios')],
    ['boot_interface', 31, chosen('boot')],
    ['boot_mode', 75, (n) => n.bootMode],
    ['clean_step', 7, (n) => n.cleanStep],
    ['conductor_group', 46, (n) => n.conductorGroup],
    ['console_enabled', 1, (n, { consoles }) => consoles.enabled(n.uuid)],
    ['console_interface', 31, chosen('console')],
    ['deploy_interface', 31, chosen('deploy')],
    ['deploy_step', 44, (n) => n.deployStep],
    ['description', 51, (n) => n.description],
    ['disable_power_off', 95, (n) => n.disablePowerOff],
    ['driver', 1, (n) => n.driver],
    ['driver_info', 1, (n) => masked(n.driverInfo)],
    ['driver_internal_info', 3, (n) => masked(n.driverInternalInfo)],
    ['extra', 1, (n) => n.extra],
    ['fault', 42, (n) => n.fault],
    ['firmware_interface', 86, chosen('firmware')],
    ['inspection_finished_at', 6, (n) => time(n.inspectionFinishedAt)],
    ['inspection_started_at', 6, (n) => time(n.inspectionStartedAt)],
    ['inspect_interface', 31, chosen('inspect')],
    ['instance_info', 1, (n) => masked(n.instanceInfo)],
    ['instance_uuid', 1, (n) => n.instanceUuid],
    ['last_error', 1, (n) => n.lastError],
    ['lessee', 65, (n) => n.lessee],
    ['maintenance', 1, (n) => n.maintenance],
    ['maintenance_reason', 1, (n) => n.maintenanceReason],
    ['management_interface', 31, chosen('management')],
    ['name', 5, (n) => n.name],
    ['network_data', 66, (n) => n.networkData],
    ['network_interface', 20, chosen('network')],
    ['owner', 50, (n) => n.owner],
    ['parent_node', 83, (n) => n.parentNode],
    ['power_interface', 31, chosen('power')],
    ['power_state', 1, (n) => power(n.powerState)],
    ['properties', 1, (n) => n.properties],
    ['protected', 48, (n) => n.protected],
    ['protected_reason', 48, (n) => n.protectedReason],
    // Before 1.2 an available node had no state at all.
    ['provision_state', 1, (n, { minor }) => (minor < 2 && n.provisionState === 'available' ? null : n.provisionState)],
    ['provision_updated_at', 1, (n) => time(n.provisionUpdatedAt)],
    ['raid_config', 12, (n) => n.raidConfig],
    ['raid_interface', 31, chosen('raid')],
    ['rescue_interface', 38, chosen('rescue')],
    ['reservation', 1, (n, { busy, hostname }) => (busy.has(n.uuid) ? hostname : null)],
    ['resource_class', 21, (n) => n.resourceClass],
    ['retired', 61, (n) => n.retired],
    ['retired_reason', 61, (n) => n.retiredReason],
    ['secure_boot', 75, (n) => n.secureBoot],
    ['service_step', 87, () => ({})],
    ['shard', 82, (n) => n.shard],
    ['storage_interface', 33, chosen('storage')],
    ['target_power_state', 1, (n) => n.targetPowerState],
    ['target_provision_state', 1, (n) => n.targetProvisionState],
    ['target_raid_config', 12, (n) => n.targetRaidConfig],
    ['traits', 37, (n, { traits }) => traits.get(n.uuid) ?? []],
    ['vendor_interface', 31, chosen('vendor')],
    [
      'links',
      1,
      (n, { base }) => [
        { href: `${base}/v1/nodes/${n.uuid}`, rel: 'self' },
        { href: `${base}/nodes/${n.uuid}`, rel: 'bookmark' },
      ],
    ],
    ['conductor', 49, (_n, { hostname }) => hostname],
    ['allocation_uuid', 52, (n) => n.allocationUuid],
    ['chassis_uuid', 1, (n) => n.chassisUuid],
    ['ports', 1, collection('ports')],
    ['states', 14, collection('states')],
    ['portgroups', 24, collection('portgroups')],
    ['volume', 32, collection('volume')],
  ] as [string, number, Read][]
).map(([name, since, read]) => ({ name, since, read }));

export const fieldNamed: ReadonlyMap<string, Field> = new Map(nodeFields.map((field) => [field.name, field]));

/** What a list shows of each node when nothing is asked for. */
export const listFields: readonly string[] = [
  'uuid',
  'instance_uuid',
  'maintenance',
  'power_state',
  'provision_state',
  'name',
  'links',
];

export const statesFields: readonly string[] = [
  'console_enabled',
  'last_error',
  'power_state',
  'provision_state',
  'target_power_state',
  'target_provision_state',
  'provision_updated_at',
  'raid_config',
  'target_raid_config',
  'boot_mode',
  'secure_boot',
];

/** Fields by name, in the table's order, as far as the version has them. */
export function fieldsFor(minor: number, names: readonly string[] | null): Field[] {
  const wanted = names && new Set(names);
  return nodeFields.filter(({ name, since }) => since <= minor && (wanted === null || wanted.has(name)));
}

export function viewNode(node: Node, fields: readonly Field[], context: ViewContext): Record<string, unknown> {
  const shown: Record<string, unknown> = {};
  for (const field of fields) shown[field.name] = field.read(node, context);
  return shown;
}
