/**
 * instackenv.json, the file that TripleO enrolled nodes from. Pure: text in, entries out, or one sentence that names the
 * entry and the value at fault. The mapping is tripleo-common's (nodes.py), as far as this release has drivers.
 */
import { fault } from '../core/errors/index.ts';
import { isUuid } from '../core/uuid.ts';
import { isSecretName } from './driver-info.ts';
import { readMac } from './mac.ts';
import type { JsonObject } from './node.ts';
import { maskedSecret } from './store/nodes.ts';

export interface EnvEntry {
  /** `node 2 (“compute-1”)`: for sentences. */
  readonly where: string;
  readonly uuid: string | null;
  readonly name: string | null;
  readonly driver: 'ipmi' | 'redfish' | 'fake-hardware';
  readonly driverInfo: JsonObject;
  readonly properties: JsonObject;
  readonly extra: JsonObject;
  readonly resourceClass: string;
  readonly conductorGroup: string;
  readonly interfaces: Readonly<Record<string, string>>;
  readonly ports: readonly {
    readonly address: string;
    readonly physicalNetwork: string;
    readonly localLink: JsonObject;
  }[];
  /** `address:port`, with the system behind it where a BMC has several; null where the driver has none. */
  readonly bmc: string | null;
}

interface PmType {
  readonly pattern: RegExp;
  readonly driver: EnvEntry['driver'] | null;
  readonly prefix: string;
}

const pmTypes: readonly PmType[] = [
  { pattern: /^(ipmi|.*_ipmitool)$/, driver: 'ipmi', prefix: 'ipmi' },
  { pattern: /^(fake|fake-hardware)$/, driver: 'fake-hardware', prefix: 'fake' },
  { pattern: /^redfish$/, driver: 'redfish', prefix: 'redfish' },
  { pattern: /^(idrac|.*_drac)$/, driver: null, prefix: 'drac' },
  { pattern: /^(ilo|.*_ilo)$/, driver: null, prefix: 'ilo' },
  { pattern: /^(irmc|.*_irmc)$/, driver: null, prefix: 'irmc' },
  { pattern: /^(xclarity|staging-ovirt|staging-wol|manual-management|fake_pxe|fake_agent)$/, driver: null, prefix: '' },
];

/** More nodes than one file of this size are no enrolment but a mistake. */
const nodesMax = 10_000;
const interfaceKinds =
  /^(bios|boot|console|deploy|inspect|management|network|power|raid|rescue|storage|vendor)_interface$/;

function refuse(where: string, reason: string, remedy: string): never {
  throw fault('import-invalid', { where, reason, remedy });
}

const record = (value: unknown): Record<string, unknown> | null =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : null;

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

function textOf(entry: Record<string, unknown>, key: string, where: string): string | null {
  const value = entry[key];
  if (value === undefined || value === null || value === '') return null;
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return String(value);
  return refuse(
    where,
    `${key} is ${isSecretName(key) ? maskedSecret : shown(value)}, no text.`,
    `Write ${key} as a string.`,
  );
}

/** Numbers come as strings in most files. */
function numberOf(entry: Record<string, unknown>, key: string, where: string): number | null {
  const value = textOf(entry, key, where);
  if (value === null) return null;
  const number = Number(value);
  if (!Number.isInteger(number) || number < 0)
    return refuse(where, `${key} is ${shown(value)}, no whole number.`, `Write ${key} as a whole number.`);
  return number;
}

function macOf(value: unknown, where: string): string {
  const mac = typeof value === 'string' ? readMac(value) : null;
  if (mac === null)
    return refuse(
      where,
      `${shown(value)} is no MAC address.`,
      'Write it as six pairs of hexadecimal digits: 52:54:00:12:34:56.',
    );
  return mac;
}

function portsOf(entry: Record<string, unknown>, where: string): EnvEntry['ports'] {
  const list = entry.ports ?? entry.mac ?? [];
  if (!Array.isArray(list))
    return refuse(where, `ports is ${shown(list)}, no list.`, 'Write "ports": [{"address": "…"}].');
  return list.map((item) => {
    const port = record(item);
    return {
      address: macOf(port ? port.address : item, where),
      physicalNetwork: typeof port?.physical_network === 'string' ? port.physical_network : 'ctlplane',
      localLink: (record(port?.local_link_connection) ?? {}) as JsonObject,
    };
  });
}

function capabilitiesOf(entry: Record<string, unknown>, where: string): string {
  const given = entry.capabilities;
  const object = record(given);
  const parts = object
    ? Object.entries(object).map(([key, value]) => `${key}:${value}`)
    : (textOf(entry, 'capabilities', where) ?? '').split(',').filter(Boolean);
  const profile = textOf(entry, 'profile', where);
  if (profile !== null) parts.push(`profile:${profile}`);
  return parts.join(',');
}

/** TripleO's `pm_system_id`, and the same for the rest of Ironic's fields. A port goes into the URL, which is where Ironic has it. */
function redfishInfo(
  entry: Record<string, unknown>,
  address: string,
  port: number | null,
  where: string,
): Record<string, string> {
  const info: Record<string, string> = { redfish_address: port === null ? address : withPort(address, port, where) };
  for (const name of ['system_id', 'verify_ca', 'auth_type']) {
    const value = entry[`pm_${name}`];
    const given = typeof value === 'boolean' ? (value ? 'True' : 'False') : textOf(entry, `pm_${name}`, where);
    if (given !== null) info[`redfish_${name}`] = given;
  }
  return info;
}

const urlOf = (address: string): URL =>
  new URL(
    /^[a-z]+:\/\//i.test(address) ? address : `https://${/^[^[].*:.*:/.test(address) ? `[${address}]` : address}`,
  );

function withPort(address: string, port: number, where: string): string {
  try {
    const url = urlOf(address);
    url.port = String(port);
    return url.origin;
  } catch {
    return refuse(where, `pm_addr is ${shown(address)}, no URL.`, 'Write https://ADDRESS, or the address alone.');
  }
}

/** What two entries of one machine share: by it a node is known again. Null where the driver has no BMC's address. */
export function bmcIdentity(driver: string, info: Readonly<Record<string, unknown>>): string | null {
  if (driver !== 'redfish') {
    const prefix = driver === 'fake-hardware' ? 'fake' : driver;
    const address = info[`${prefix}_address`];
    return typeof address === 'string' ? `${address}:${info[`${prefix}_port`] ?? 623}` : null;
  }
  if (typeof info.redfish_address !== 'string') return null;
  const system = String(info.redfish_system_id ?? '').replace(/\/+$/, '');
  try {
    const { hostname, port, protocol } = urlOf(info.redfish_address);
    return `${hostname}:${port || (protocol === 'http:' ? 80 : 443)}${system && ` ${system}`}`;
  } catch {
    return `${info.redfish_address} ${system}`;
  }
}

function entryOf(item: unknown, index: number): EnvEntry {
  const entry = record(item);
  if (!entry) return refuse(`node ${index + 1}`, `it is ${shown(item)}, no object.`, 'Write each node as an object.');
  const name = textOf(entry, 'name', `node ${index + 1}`);
  const where = name === null ? `node ${index + 1}` : `node ${index + 1} (“${name}”)`;
  const pmType = textOf(entry, 'pm_type', where);
  if (pmType === null) return refuse(where, 'pm_type is missing.', 'Say how its BMC is spoken to: "pm_type": "ipmi".');
  const type = pmTypes.find(({ pattern }) => pattern.test(pmType));
  if (!type)
    return refuse(
      where,
      `pm_type ${shown(pmType)} is not known.`,
      'Use ipmi or redfish; nearly every BMC speaks one of them.',
    );
  const { driver, prefix } = type;
  if (driver === null)
    return refuse(
      where,
      `pm_type ${shown(pmType)} is not in this release.`,
      'Use ipmi or redfish; nearly every BMC speaks one of them.',
    );
  const address = textOf(entry, 'pm_addr', where);
  if (address === null && driver !== 'fake-hardware')
    return refuse(where, 'pm_addr is missing.', 'Give the address of its BMC: "pm_addr": "192.0.2.33".');
  const port = numberOf(entry, 'pm_port', where);
  if (port !== null && (port < 1 || port > 65_535))
    return refuse(where, `pm_port is ${port}, no port number.`, 'Leave it out: the driver has a default.');
  const uuid = textOf(entry, 'uuid', where);
  if (uuid !== null && !isUuid(uuid))
    return refuse(where, `uuid is ${shown(uuid)}, no UUID.`, 'Leave it out: one is made.');
  const driverInfo: Record<string, string | number> = {};
  for (const [key, to] of [
    ['pm_user', `${prefix}_username`],
    ['pm_password', `${prefix}_password`],
  ] as const) {
    const value = textOf(entry, key, where);
    if (value !== null) driverInfo[to] = value;
  }
  if (driver === 'redfish' && address !== null) Object.assign(driverInfo, redfishInfo(entry, address, port, where));
  else {
    if (address !== null) driverInfo[`${prefix}_address`] = address;
    if (port !== null) driverInfo[`${prefix}_port`] = port;
  }
  for (const [key, to] of [
    ['kernel_id', ['deploy_kernel', 'rescue_kernel']],
    ['ramdisk_id', ['deploy_ramdisk', 'rescue_ramdisk']],
  ] as const) {
    const value = textOf(entry, key, where);
    if (value !== null) for (const field of to) driverInfo[field] = value;
  }
  const properties: Record<string, string | number | JsonObject> = {};
  for (const [key, to] of [
    ['cpu', 'cpus'],
    ['memory', 'memory_mb'],
    ['disk', 'local_gb'],
  ] as const) {
    const value = numberOf(entry, key, where);
    if (value !== null) properties[to] = value;
  }
  const arch = textOf(entry, 'arch', where);
  if (arch !== null) properties.cpu_arch = arch;
  const capabilities = capabilitiesOf(entry, where);
  if (capabilities !== '') properties.capabilities = capabilities;
  const root = record(entry.root_device);
  if (root) properties.root_device = root as JsonObject;
  const platform = textOf(entry, 'platform', where);
  const interfaces: Record<string, string> = {};
  for (const key of Object.keys(entry))
    if (interfaceKinds.test(key)) interfaces[key.replace('_interface', '')] = textOf(entry, key, where) ?? '';
  return {
    where,
    uuid: uuid?.toLowerCase() ?? null,
    name,
    driver,
    driverInfo,
    properties,
    extra: platform === null ? {} : { tripleo_platform: platform },
    resourceClass: textOf(entry, 'resource_class', where) ?? 'baremetal',
    conductorGroup: textOf(entry, 'conductor_group', where) ?? '',
    interfaces,
    ports: portsOf(entry, where),
    bmc: bmcIdentity(driver, driverInfo),
  };
}

/** @throws Fault `import-invalid` */
export function readInstackenv(value: unknown): EnvEntry[] {
  const file = record(value);
  const nodes = file?.nodes;
  if (!Array.isArray(nodes))
    return refuse('the file', 'it has no list “nodes”.', 'Write {"nodes": [{"pm_type": "ipmi", …}]}.');
  if (nodes.length > nodesMax)
    return refuse('the file', `it has ${nodes.length} nodes, more than ${nodesMax}.`, 'Import it in parts.');
  const entries = nodes.map(entryOf);
  const seen = new Map<string, string>();
  const once = (what: string, key: string | null, where: string, remedy: string) => {
    if (key === null) return;
    const before = seen.get(`${what} ${key}`);
    if (before !== undefined) refuse(where, `its ${what} ${key} is also that of ${before}.`, remedy);
    seen.set(`${what} ${key}`, where);
  };
  for (const entry of entries) {
    for (const { address } of entry.ports)
      once('MAC', address, entry.where, 'One network port is in one machine: correct the MAC.');
    once('BMC', entry.bmc, entry.where, 'One BMC is in one machine: correct pm_addr or pm_port.');
    once('name', entry.name, entry.where, 'Give each node a name of its own.');
    once('uuid', entry.uuid, entry.where, 'Give each node a uuid of its own, or none.');
  }
  return entries;
}
