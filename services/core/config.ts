/**
 * What the appliance was told. One file, `undercloud.json` in the state directory, written by bootstrap and read by
 * `serve`; nothing below `main` reads flags or the environment.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface ProvisioningConfig {
  /** `br0`; the sockets handed to serve are bound to it. */
  interface: string;
  /** The undercloud's own address on it: `192.0.2.1`. */
  address: string;
  /** `192.0.2.0/24`: the mask that nodes get. */
  cidr: string;
  /** First and last address for nodes (firmware, agent and system keep one address). */
  pool: [first: string, last: string];
  gateway?: string;
  nameservers?: string[];
  /** To whom DHCP gives addresses: see docs/reference/dhcp.md. Default `reservations-only`. */
  dhcp?: DhcpMode;
  /** With `server`: what machines without a port of their own get: `192.0.2.100-192.0.2.199`. */
  dhcpRanges?: string[];
  /** Unknown machines: no answer (the default), or the discovery ramdisk. */
  unknownMachines?: UnknownMachines;
  /** Where `bmc scan` may look: `198.51.100.0/24`. */
  bmcNetworks?: string[];
  /** Foreign DHCP and PXE servers: reported (the default), or no machine is switched on for a deploy while one is there. */
  foreignServers?: ForeignServers;
  /** Addresses that may answer DHCP here beside us. */
  knownServers?: string[];
  /** The nodes' DNS domain: names below it are answered on our address, others asked of `nameservers`. */
  domain?: string;
  /** NTP servers that DHCP names (option 42). */
  ntp?: string[];
  /** Interfaces beside this one that nodes boot from, each with a subnet of its own: see docs/reference/dhcp.md. */
  further?: FurtherInterface[];
}

/** What an operator decides about the provisioning network, beside where it is. */
export type WirePolicies = Pick<
  ProvisioningConfig,
  | 'unknownMachines'
  | 'bmcNetworks'
  | 'foreignServers'
  | 'knownServers'
  | 'domain'
  | 'ntp'
  | 'nameservers'
  | 'dhcp'
  | 'dhcpRanges'
>;

/** Its machines reach the undercloud at `ProvisioningConfig.address`, by `address` as their gateway. */
export interface FurtherInterface {
  interface: string;
  /** The undercloud's own address on it. */
  address: string;
  cidr: string;
  pool: [first: string, last: string];
}

export const dhcpModes = ['reservations-only', 'server', 'proxy'] as const;
export type DhcpMode = (typeof dhcpModes)[number];
export const unknownMachines = ['nothing', 'discover'] as const;
export type UnknownMachines = (typeof unknownMachines)[number];
export const foreignServers = ['report', 'hold'] as const;
export type ForeignServers = (typeof foreignServers)[number];

export interface ConsoleConfig {
  /** Which consoles are recorded: see docs/guides/consoles.md. Default `operations`. */
  record?: 'always' | 'operations' | 'watched' | 'never';
  /** Names or uuids of nodes that are recorded all the time. */
  nodes?: string[];
  /** Bytes of log kept for a node. Default 8 MiB. */
  mostBytes?: number;
}

export interface FleetConfig {
  /** Seconds between two looks at a healthy BMC; 0: its power state is never looked at. Default 9. */
  everySeconds?: number;
  /** Seconds without an answer after which a node is taken aside (maintenance, with the reason). Default 300. */
  maintenanceAfterSeconds?: number;
}

export interface Config {
  stateDir: string;
  /** Host and port of the API listener on the host: `127.0.0.1:6385`. */
  listen: string;
  /** What links and the catalog say; default: the Host header. */
  publicUrl?: string;
  databaseUrl: string;
  redisUrl: string;
  /** Run inside the lab's network namespace. */
  lab: boolean;
  provisioning: ProvisioningConfig | null;
  region: string;
  /** How BMCs are kept in view: see docs/guides/bmcs.md. */
  fleet?: FleetConfig;
  console?: ConsoleConfig;
  /** What a project may keep of images, and the hosts that `openstack image import --method web-download` may fetch from. */
  images?: { projectBytes?: number; projectImages?: number; importHosts?: string[] };
  /** Images in S3 instead of on the local disk. */
  s3?: { endpoint: string; region: string; bucket: string; accessKey: string; secretKey: string };
}

/** Where things lie below the state directory. */
export const statePaths = (stateDir: string) => ({
  config: join(stateDir, 'undercloud.json'),
  clouds: join(stateDir, 'clouds.yaml'),
  keys: join(stateDir, 'keys'),
  caCertificate: join(stateDir, 'keys', 'ca.pem'),
  caKey: join(stateDir, 'keys', 'ca.key'),
  certificate: join(stateDir, 'keys', 'api.pem'),
  certificateKey: join(stateDir, 'keys', 'api.key'),
  secretKey: join(stateDir, 'keys', 'secrets.key'),
  /** Ed25519; signs image manifests. */
  signingKey: join(stateDir, 'keys', 'signing.key'),
  database: join(stateDir, 'postgresql'),
  redis: join(stateDir, 'redis'),
  images: join(stateDir, 'images'),
  cache: join(stateDir, 'cache'),
  /** Files that the boot service serves: undionly.kpxe, snponly.efi, ramdisk profiles. */
  boot: join(stateDir, 'boot'),
  lab: join(stateDir, 'lab'),
  logs: join(stateDir, 'logs'),
  /** What nodes said on their serial lines, a directory each. */
  consoles: join(stateDir, 'consoles'),
});

export type StatePaths = ReturnType<typeof statePaths>;

export function readConfig(stateDir: string): Config {
  return JSON.parse(readFileSync(statePaths(stateDir).config, 'utf8')) as Config;
}
