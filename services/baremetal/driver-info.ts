/** driver_info comes in with its secrets; they are sealed apart from it, name by name, and shown as `******`. */
import { fault } from '../core/errors/index.ts';
import type { Secrets } from '../core/secrets.ts';
import type { BmcAccess, BmcDriver } from '../power/index.ts';
import { hardwareTypes } from './drivers.ts';
import type { JsonObject } from './node.ts';
import { maskedSecret, type NodeRow } from './store/nodes.ts';

/** Ironic masks by the same words (strutils.mask_dict_password, `kg_key`). */
const secretName = /passw(or)?d|secret|token|kg_key|credential|_key$/i;

export const isSecretName = (name: string): boolean => secretName.test(name);

const owner = (uuid: string, name: string): string => `node ${uuid} ${name}`;

/** A value of `******` keeps the secret that is there: a client that writes back what it has read changes nothing. */
export function sealDriverInfo(
  secrets: Secrets,
  uuid: string,
  info: JsonObject,
  kept: Readonly<Record<string, string>> = {},
): { driverInfo: JsonObject; driverSecrets: Record<string, string> } {
  const driverInfo: Record<string, JsonObject[string]> = {};
  const driverSecrets: Record<string, string> = {};
  for (const [name, value] of Object.entries(info)) {
    const before = kept[name];
    if (!isSecretName(name) || value === null || value === undefined || typeof value === 'object')
      driverInfo[name] = value;
    else if (value === maskedSecret && before !== undefined) driverSecrets[name] = before;
    else driverSecrets[name] = secrets.seal(String(value), owner(uuid, name));
  }
  return { driverInfo, driverSecrets };
}

function text(value: unknown): string {
  return typeof value === 'string'
    ? value
    : typeof value === 'number' || typeof value === 'boolean'
      ? String(value)
      : '';
}

const ipmiPort = 623;

type Options = Readonly<Record<string, string | number | boolean>>;

/** A driver's own settings; `open` gives a field with its secret open. */
const optionsOf: Readonly<Record<BmcDriver, (info: JsonObject, open: (name: string) => string) => Options>> = {
  fake: (info) => ({ delayMs: Number(info.fake_delay_ms ?? 0) || 0 }),
  ipmi(info, open) {
    const kg = open('ipmi_hex_kg_key');
    return {
      cipherSuite: text(info.ipmi_cipher_suite),
      privilege: text(info.ipmi_priv_level),
      kg: kg === '' ? '' : `0x${kg}`,
    };
  },
  redfish: (info) => ({
    systemId: text(info.redfish_system_id),
    verifyCa: text(info.redfish_verify_ca),
    authType: text(info.redfish_auth_type),
  }),
};

/** Of its URL; what is none is refused with its field by the driver. */
function redfishPort(address: string): number {
  try {
    const url = new URL(address.includes('://') ? address : `https://${address}`);
    return Number(url.port) || (url.protocol === 'http:' ? 80 : 443);
  } catch {
    return 443;
  }
}

/** What the report card of its BMC's kind says (operations/check-bmc.ts). */
function learnt({ bmc_quirks: quirks }: JsonObject): Options {
  if (typeof quirks !== 'object' || quirks === null || Array.isArray(quirks)) return {};
  const { bootNotKept, bootWay, suite, lan15 } = quirks as JsonObject;
  return {
    ...(bootNotKept === true && { bootNotKept }),
    ...(typeof bootWay === 'string' && { bootWay }),
    ...(typeof suite === 'number' && { suite }),
    ...(lan15 === true && { lan15 }),
  };
}

/** `ipmi_password`: where a node's driver keeps the password of its BMC. */
export function passwordField(node: Pick<NodeRow, 'driver'>): string {
  const hardware = hardwareTypes.find(({ name }) => name === node.driver);
  return `${hardware?.prefix ?? node.driver}_password`;
}

/** A password sealed for its place in driver_info, before it stands there. */
export const sealPassword = {
  seal: (secrets: Secrets, node: Pick<NodeRow, 'uuid' | 'driver'>, password: string): string =>
    secrets.seal(password, owner(node.uuid, passwordField(node))),
  open: (secrets: Secrets, node: Pick<NodeRow, 'uuid' | 'driver'>, sealed: string): string =>
    secrets.open(sealed, owner(node.uuid, passwordField(node))),
};

/** How the node's BMC is reached, with its password open. @throws Fault `bmc-access-incomplete`, `driver-unknown` */
export function accessOf(
  secrets: Secrets,
  node: Pick<NodeRow, 'uuid' | 'name' | 'driver' | 'driverInfo' | 'driverInternalInfo' | 'driverSecrets'>,
): BmcAccess {
  const hardware = hardwareTypes.find(({ name }) => name === node.driver);
  const named = node.name ?? node.uuid;
  if (!hardware)
    throw fault('driver-unknown', {
      driver: node.driver,
      node: named,
      known: hardwareTypes.map(({ name }) => name).join(', '),
    });
  const { prefix } = hardware;
  const info = node.driverInfo;
  for (const missing of hardware.required)
    if (text(info[missing]) === '') throw fault('bmc-access-incomplete', { node: named, missing });
  const open = (name: string): string => {
    const sealed = node.driverSecrets[name];
    return sealed === undefined ? text(info[name]) : secrets.open(sealed, owner(node.uuid, name));
  };
  const options = optionsOf[hardware.bmc](info, open);
  const port =
    hardware.bmc === 'redfish' ? redfishPort(text(info.redfish_address)) : Number(info[`${prefix}_port`] ?? ipmiPort);
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw fault('bad-request', {
      reason: `Node ${named}: ${prefix}_port is ${text(info[`${prefix}_port`])}, no port number.`,
    });
  return {
    key: node.uuid,
    ...(node.name !== null && { name: node.name }),
    driver: hardware.bmc,
    address: text(info[`${prefix}_address`]),
    port,
    username: text(info[`${prefix}_username`]),
    password: open(`${prefix}_password`),
    options: { ...options, ...learnt(node.driverInternalInfo) },
  };
}
