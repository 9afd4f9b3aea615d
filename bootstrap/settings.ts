/** What the operator asked for, as the configuration that `serve` and the supervisor read. */
import { existsSync } from 'node:fs';
import { BlockList, isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import {
  type Config,
  dhcpModes,
  type FurtherInterface,
  type ProvisioningConfig,
  readConfig,
  statePaths,
  type WirePolicies,
} from '../services/core/config.ts';
import { fault } from '../services/core/errors/index.ts';
import { labAddresses, provisioningInterface } from '../services/lab/index.ts';
import { type ImageStoreWish, imageStoreOf } from './image-store.ts';
import { embeddedDatabaseUrl, embeddedRedisUrl } from './run-dir.ts';

export interface BootstrapOptions extends ImageStoreWish {
  stateDir: string;
  /** `127.0.0.1:6385` */
  listen: string;
  publicUrl?: string;
  provisioningInterface?: string;
  /** `192.0.2.1/24`; default: the interface's own address. */
  provisioningAddress?: string;
  /** Interfaces beside that one, each with a subnet of its own. */
  furtherInterfaces?: readonly FurtherWish[];
  lab: boolean;
  databaseUrl?: string;
  redisUrl?: string;
  region: string;
  /** What nodes and strangers find on the provisioning network; what is not said stays as it was. */
  wire?: WirePolicies;
}

export interface FurtherWish {
  readonly interface: string;
  /** `198.51.100.1/24`; default: the interface's own address. */
  readonly address?: string;
}

export function configOf(options: BootstrapOptions): Config {
  const { stateDir } = options;
  const known = existsSync(statePaths(stateDir).config) ? readConfig(stateDir) : null;
  const s3 = imageStoreOf(stateDir, options);
  return {
    stateDir,
    listen: options.listen,
    ...(options.publicUrl && { publicUrl: options.publicUrl }),
    databaseUrl: options.databaseUrl ?? embeddedDatabaseUrl(stateDir),
    redisUrl: options.redisUrl ?? embeddedRedisUrl(stateDir),
    lab: options.lab,
    provisioning: withPolicies(provisioningOf(options), known?.provisioning ?? null, options),
    region: options.region,
    ...(s3 && { s3 }),
    // No flags say these: the operator wrote them into the file.
    ...(known?.fleet && { fleet: known.fleet }),
    ...(known?.console && { console: known.console }),
    ...(known?.images && { images: known.images }),
  };
}

/** Addresses and names under which clients reach the API. */
export function listeningNames(options: BootstrapOptions): string[] {
  const { publicUrl } = options;
  const host = hostOf(options.listen);
  const provisioning = provisioningOf(options);
  return [
    ...(isWildcard(host) ? ownAddresses() : [host]),
    ...(provisioning ? [provisioning.address] : []),
    ...(publicUrl ? [new URL(publicUrl).hostname.replace(/^\[|\]$/g, '')] : []),
  ];
}

/** Where clients of this machine find the API. */
export const apiUrlOf = ({ publicUrl, listen }: BootstrapOptions): string =>
  publicUrl ??
  `https://${isWildcard(hostOf(listen)) ? `localhost:${listen.slice(listen.lastIndexOf(':') + 1)}` : listen}`;

const isWildcard = (host: string): boolean => host === '0.0.0.0' || host === '::';
const hostOf = (listen: string): string => listen.slice(0, listen.lastIndexOf(':')).replace(/^\[|\]$/g, '');

/** @throws Fault `usage` */
export function checkUsage(options: BootstrapOptions): void {
  const { listen, publicUrl, databaseUrl, redisUrl } = options;
  const refuse = (reason: string): never => {
    throw fault('usage', { reason });
  };
  const port = Number(/:(\d{1,5})$/.exec(listen)?.[1] ?? 0);
  const host = hostOf(listen);
  const isAddress = isIP(host) === 4 || host === 'localhost' || (isIP(host) === 6 && listen.startsWith('['));
  if (!isAddress || port < 1 || port > 65_535)
    refuse(`--listen is ADDRESS:PORT (127.0.0.1:6385, [::1]:6385), not ${listen}.`);
  if (options.lab && options.provisioningInterface) refuse('--lab and --provisioning-interface exclude one another.');
  if (options.provisioningAddress && !options.provisioningInterface)
    refuse('--provisioning-address belongs to a --provisioning-interface, which is missing.');
  const further = options.furtherInterfaces ?? [];
  for (const address of [options.provisioningAddress, ...further.map((one) => one.address)])
    if (address && !isPrefixed(address))
      refuse(`--provisioning-address is ADDRESS/PREFIX (192.0.2.1/24), not ${address}.`);
  const devices = [options.provisioningInterface, ...further.map((one) => one.interface)];
  const twice = devices.find((device, i) => device && devices.indexOf(device) !== i);
  if (twice) refuse(`--provisioning-interface ${twice} is said twice.`);
  if (publicUrl !== undefined && !/^https?:$/.test(URL.parse(publicUrl)?.protocol ?? ''))
    refuse(`--public-url is an http or https URL, not ${publicUrl}.`);
  checkPolicies(options, refuse);
  imageStoreOf(options.stateDir, options);
  // The URLs themselves may hold a password, so they are not repeated.
  if (databaseUrl !== undefined && !/^postgres(ql)?:\/\//.test(databaseUrl))
    refuse('--database-url begins with postgresql://.');
  if (redisUrl !== undefined && !/^(rediss?|unix):\/\//.test(redisUrl))
    refuse('--redis-url begins with redis://, rediss:// or unix://.');
}

function checkPolicies(
  { wire = {}, lab, provisioningInterface }: BootstrapOptions,
  refuse: (reason: string) => never,
): void {
  const names = Object.keys(wire);
  if (names.length > 0 && !lab && !provisioningInterface)
    refuse(
      '--discover, --bmc-network, --hold-on-foreign-dhcp, --known-dhcp-server, --domain, --ntp, --nameserver, --dhcp and --dhcp-range belong to a provisioning network: say --provisioning-interface or --lab.',
    );
  for (const network of wire.bmcNetworks ?? []) {
    const [address = '', prefix = ''] = network.split('/');
    if (isIP(address) !== 4 || !/^\d{1,2}$/.test(prefix) || Number(prefix) > 32)
      refuse(`--bmc-network is a network like 198.51.100.0/24, not ${network}.`);
  }
  for (const [flag, addresses] of [
    ['--ntp', wire.ntp],
    ['--nameserver', wire.nameservers],
    ['--known-dhcp-server', wire.knownServers],
  ] as const)
    for (const address of addresses ?? [])
      if (isIP(address) !== 4) refuse(`${flag} is an IPv4 address, not ${address}.`);
  checkDhcp(wire, refuse);
  const { domain } = wire;
  if (
    domain !== undefined &&
    !/^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/i.test(domain)
  )
    refuse(`--domain is a DNS domain like cluster.example, not ${domain}.`);
}

function checkDhcp({ dhcp, dhcpRanges }: WirePolicies, refuse: (reason: string) => never): void {
  if (dhcp !== undefined && !dhcpModes.includes(dhcp)) refuse(`--dhcp is ${dhcpModes.join(', ')}, not ${dhcp}.`);
  for (const range of dhcpRanges ?? []) {
    const [first = '', last = '', ...more] = range.split('-');
    if (more.length > 0 || isIP(first) !== 4 || isIP(last) !== 4)
      refuse(`--dhcp-range is two addresses like 192.0.2.100-192.0.2.199, not ${range}.`);
  }
}

function isPrefixed(text: string): boolean {
  const [address = '', prefix = ''] = text.split('/');
  return isIP(address) === 4 && /^\d{1,2}$/.test(prefix) && Number(prefix) >= 8 && Number(prefix) <= 30;
}

/** A wildcard listener answers on every address of the machine, and the certificate names each. */
const ownAddresses = (): string[] =>
  Object.values(networkInterfaces()).flatMap((list) =>
    (list ?? []).filter((one) => !one.internal && !one.address.startsWith('fe80')).map((one) => one.address),
  );

const policyNames = [
  'unknownMachines',
  'bmcNetworks',
  'foreignServers',
  'knownServers',
  'domain',
  'ntp',
  'nameservers',
  'dhcp',
  'dhcpRanges',
] as const;

/** Policies that were chosen once, by flags or in the file, stay until others are. The lab's own BMCs may be scanned. */
function withPolicies(
  made: ProvisioningConfig | null,
  before: ProvisioningConfig | null,
  options: BootstrapOptions,
): ProvisioningConfig | null {
  if (!made) return null;
  const kept = keptPolicies(before, options);
  const scanned = options.lab ? { bmcNetworks: [labBmcNetwork] } : {};
  return { ...made, ...scanned, ...kept };
}

function keptPolicies(before: ProvisioningConfig | null, { wire }: BootstrapOptions): WirePolicies {
  return Object.fromEntries(
    policyNames.flatMap((name) => {
      const value = wire?.[name] ?? before?.[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

/** What holds on the wire after these options, whether or not there is an interface that it can hold on. */
export function policiesOf(options: BootstrapOptions): WirePolicies {
  const { config } = statePaths(options.stateDir);
  return keptPolicies(existsSync(config) ? readConfig(options.stateDir).provisioning : null, options);
}

/** Where lab BMCs listen (labAddresses.bmc). */
const labBmcNetwork = '127.1.0.0/24';

/** The seeds' addressing: the undercloud and the nodes it lays out live in the lower quarter of the /24. */
const labPool: [string, string] = ['192.0.2.2', '192.0.2.62'];

function provisioningOf(options: BootstrapOptions): ProvisioningConfig | null {
  if (options.lab) {
    const address = labAddresses.undercloud;
    return {
      interface: provisioningInterface,
      address,
      cidr: '192.0.2.0/24',
      pool: labPool,
      gateway: address,
      nameservers: [],
    };
  }
  const device = options.provisioningInterface;
  if (!device) return null;
  const main = linkOf(device, options.provisioningAddress);
  const further = (options.furtherInterfaces ?? []).map((one) => linkOf(one.interface, one.address));
  checkApart([main, ...further]);
  return { ...main, gateway: main.address, nameservers: [], ...(further.length > 0 && { further }) };
}

function linkOf(device: string, wish: string | undefined): FurtherInterface {
  const own = networkInterfaces()[device]?.find((one) => one.family === 'IPv4');
  const [address, prefix] = (wish ?? own?.cidr ?? '').split('/');
  if (!address || !prefix) {
    throw fault('bootstrap-step', {
      step: `use ${device} for provisioning`,
      reason: 'it has no IPv4 address; give it one, or say --provisioning-address ADDRESS/PREFIX.',
    });
  }
  const { network, first, last } = rangeOf(address, Number(prefix));
  return { interface: device, address, cidr: `${network}/${prefix}`, pool: [first, last] };
}

function holds(cidr: string, address: string): boolean {
  const [network = '', prefix] = cidr.split('/');
  const list = new BlockList();
  list.addSubnet(network, Number(prefix));
  return list.check(address);
}

/** By its address alone an answer must find the interface that a machine is behind. */
function checkApart(links: readonly FurtherInterface[]): void {
  for (const [i, one] of links.entries())
    for (const other of links.slice(0, i)) {
      if (holds(one.cidr, other.address) || holds(other.cidr, one.address))
        throw fault('bootstrap-step', {
          step: `use ${other.interface} and ${one.interface} for provisioning`,
          reason: `their networks ${other.cidr} and ${one.cidr} overlap; give each interface a network of its own.`,
        });
    }
}

/** The addresses after our own or before it, whichever are more. */
function rangeOf(address: string, prefix: number): { network: string; first: string; last: string } {
  const own = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  const size = 2 ** (32 - prefix);
  const network = Math.floor(own / size) * size;
  const text = (n: number) => [24, 16, 8, 0].map((bits) => Math.floor(n / 2 ** bits) % 256).join('.');
  const last = network + size - 2;
  const [from, to] = last - own >= own - network - 1 ? [own + 1, last] : [network + 1, own - 1];
  return { network: text(network), first: text(from), last: text(to) };
}
