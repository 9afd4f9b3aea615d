/**
 * Hardware types as a table: Ironic's names, the BMC driver behind each, and the interfaces that a node may choose.
 * The names are Ironic's so that nodes written for it can be enrolled unchanged; what each stands for here is ours.
 */
import { fault } from '../core/errors/index.ts';
import { type BmcDriver, bmcDrivers } from '../power/index.ts';
import type { InterfaceName } from './node.ts';

export interface Property {
  readonly text: string;
  readonly required: boolean;
}

export interface HardwareType {
  readonly name: string;
  readonly bmc: BmcDriver;
  /** `ipmi` of `ipmi_address`. */
  readonly prefix: string;
  /** The first is the default. */
  readonly interfaces: Readonly<Record<InterfaceName, readonly string[]>>;
  readonly properties: Readonly<Record<string, Property>>;
  /** Fields of driver_info without which the BMC cannot be reached. */
  readonly required: readonly string[];
}

const optional = (text: string): Property => ({ text: `${text} Optional.`, required: false });
const required = (text: string): Property => ({ text: `${text} Required.`, required: true });

const agentProperties = {
  deploy_kernel: optional('Kept for nodes that name one; the appliance boots its own deploy ramdisk.'),
  deploy_ramdisk: optional('Kept for nodes that name one; the appliance boots its own deploy ramdisk.'),
  kernel_append_params: optional('More kernel arguments for the deploy ramdisk.'),
};

const ipmiProperties = {
  ipmi_address: required('IP address or hostname of the node.'),
  ipmi_port: optional('Remote IPMI RMCP port. Default 623.'),
  ipmi_username: optional('Username; default is NULL user.'),
  ipmi_password: optional('Password.'),
  ipmi_priv_level: optional('Privilege level: ADMINISTRATOR, CALLBACK, OPERATOR, USER. Default ADMINISTRATOR.'),
  ipmi_cipher_suite: optional('The one cipher suite to use. Default: 17, then 3.'),
  ipmi_hex_kg_key: optional('Kg key for IPMIv2 authentication, 40 hexadecimal digits.'),
  ipmi_terminal_port: optional('Kept for nodes that name one; the console is reached by serial over LAN.'),
};

const redfishProperties = {
  redfish_address: required(
    'The URL of the Redfish service; without a scheme https is assumed: https://bmc.example.com[:port].',
  ),
  redfish_system_id: optional(
    'The path of the system, /redfish/v1/Systems/1, or its id; needed where the BMC has more than one.',
  ),
  redfish_username: optional('User account with administrator rights.'),
  redfish_password: optional('Password of that account.'),
  redfish_verify_ca: optional(
    'True: the BMC’s certificate is held against the CAs of the undercloud’s system; False: any is taken; or the path of the file of the CA. Default True.',
  ),
  redfish_auth_type: optional('auto, session or basic. Default auto: a session, and basic where the BMC has none.'),
};

const common = {
  console: ['no-console'],
  firmware: ['no-firmware'],
  network: ['noop', 'flat', 'neutron'],
  storage: ['noop'],
  raid: ['no-raid'],
  rescue: ['no-rescue'],
  bios: ['no-bios'],
  vendor: ['no-vendor'],
} as const;

export const hardwareTypes: readonly HardwareType[] = [
  {
    name: 'ipmi',
    bmc: 'ipmi',
    prefix: 'ipmi',
    interfaces: {
      ...common,
      // Ironic's name, as with power and management: what answers is our own serial over LAN.
      console: ['ipmitool-socat', 'no-console'],
      boot: ['ipxe', 'pxe'],
      deploy: ['direct'],
      inspect: ['agent', 'no-inspect'],
      management: ['ipmitool', 'noop'],
      power: ['ipmitool'],
    },
    properties: { ...ipmiProperties, ...agentProperties },
    required: ['ipmi_address'],
  },
  {
    name: 'fake-hardware',
    bmc: 'fake',
    prefix: 'fake',
    interfaces: {
      bios: ['fake', 'no-bios'],
      boot: ['fake', 'ipxe', 'pxe'],
      console: ['fake', 'no-console'],
      // `fake` needs no agent: the deploy is over at once. `direct` goes the whole way, against a simulated agent.
      deploy: ['fake', 'direct'],
      firmware: ['fake', 'no-firmware'],
      inspect: ['fake', 'agent', 'no-inspect'],
      management: ['fake', 'noop'],
      network: ['noop', 'flat', 'neutron'],
      power: ['fake'],
      raid: ['fake', 'no-raid'],
      rescue: ['fake', 'no-rescue'],
      storage: ['noop', 'fake'],
      vendor: ['fake', 'no-vendor'],
    },
    properties: { fake_delay_ms: optional('Milliseconds from a power command to its effect. Default 0.') },
    required: [],
  },
  {
    name: 'redfish',
    bmc: 'redfish',
    prefix: 'redfish',
    interfaces: {
      ...common,
      // Serial over LAN of the same BMC, where Redfish names it.
      console: ['ipmitool-socat', 'no-console'],
      boot: ['ipxe', 'pxe'],
      deploy: ['direct'],
      inspect: ['agent', 'no-inspect'],
      management: ['redfish', 'noop'],
      power: ['redfish'],
    },
    properties: { ...redfishProperties, ...agentProperties },
    required: ['redfish_address'],
  },
];

/** Those whose BMC driver is in this release. */
export const hardwareTypesThere = hardwareTypes.filter(({ bmc }) => bmcDrivers[bmc].there);

export const knownDrivers = (): string => hardwareTypesThere.map(({ name }) => name).join(', ');

/** @throws Fault `driver-no-conductor` */
export function requireHardware(driver: string, group = ''): HardwareType {
  const found = hardwareTypesThere.find(({ name }) => name === driver);
  if (!found) throw fault('driver-no-conductor', { driver, group, known: knownDrivers() });
  return found;
}

export const interfaceOf = (driver: string, kind: InterfaceName, chosen: string | undefined): string =>
  chosen ?? hardwareTypes.find(({ name }) => name === driver)?.interfaces[kind][0] ?? `no-${kind}`;

/** @throws Fault `interface-unknown` */
export function requireInterface(hardware: HardwareType, kind: InterfaceName, value: string): void {
  const known = hardware.interfaces[kind];
  if (!known.includes(value))
    throw fault('interface-unknown', {
      kind,
      value,
      known: `[${[...known]
        .sort()
        .map((name) => `'${name}'`)
        .join(', ')}]`,
    });
}
