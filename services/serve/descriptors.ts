/** The open sockets that the supervisor hands to `serve`, by name: descriptor numbers as JSON in `--sockets`. */
export interface Descriptors {
  /** TLS API on the host. */
  api: number;
  /** TLS API on the provisioning address. */
  provisioningApi?: number;
  /** Plain HTTP for firmware on the provisioning address. */
  boot?: number;
  /** 169.254.169.254:80. */
  metadata?: number;
  dhcp?: number;
  tftp?: number;
  /** Raw ICMPv6, for router advertisements. */
  ra?: number;
  /** A packet socket on the provisioning interface: foreign DHCP servers and captures. */
  wire?: number;
  /** UDP 53 and TCP 53 on the provisioning address. */
  dns?: number;
  dnsTcp?: number;
  /** UDP 4011, in proxy mode. */
  proxy?: number;
}

export const descriptorNames = [
  'api',
  'provisioningApi',
  'boot',
  'metadata',
  'dhcp',
  'tftp',
  'ra',
  'wire',
  'dns',
  'dnsTcp',
  'proxy',
] as const satisfies readonly (keyof Descriptors)[];

/** Plain HTTP port for firmware; 80 would clash with the metadata listener where the addresses are wildcards. */
export const bootPort = 8088;
export const metadataAddress = '169.254.169.254';
export const metadataPort = 80;
