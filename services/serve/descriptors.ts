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
  /** The same of each further provisioning interface, in the configuration's order. */
  further?: readonly LinkDescriptors[];
}

export type LinkName = Exclude<keyof Descriptors, 'api' | 'further'>;
export type LinkDescriptors = Readonly<Partial<Record<LinkName, number>>>;

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
] as const satisfies readonly Exclude<keyof Descriptors, 'further'>[];

/** Child's descriptor numbers, from 3 on, for what the parent has open: what goes into `--sockets`, and the parent's in that order. */
export function handOver(fds: Partial<Descriptors>): { numbers: Partial<Descriptors>; handed: number[] } {
  const handed: number[] = [];
  const number = (fds: LinkDescriptors & { api?: number }) =>
    Object.fromEntries(
      descriptorNames.flatMap((name) => {
        const fd = fds[name];
        return fd === undefined ? [] : [[name, handed.push(fd) + 2]];
      }),
    );
  const { further = [], ...main } = fds;
  return { numbers: { ...number(main), ...(further.length > 0 && { further: further.map(number) }) }, handed };
}

/** Plain HTTP port for firmware; 80 would clash with the metadata listener where the addresses are wildcards. */
export const bootPort = 8088;
export const metadataAddress = '169.254.169.254';
export const metadataPort = 80;
