/**
 * What a machine is told about itself, the same on the config drive and from the metadata service: OpenStack's documents
 * (meta_data, network_data, vendor_data, user_data) and EC2's tree.
 */
import { createHash } from 'node:crypto';
import type { PortRecord, SubnetRecord } from '../network/index.ts';
import type { Server } from './model.ts';

export interface MachineFacts {
  readonly server: Server;
  /** Opened user data; null when there is none. */
  readonly userData: string | null;
  readonly ports: readonly {
    readonly port: PortRecord;
    readonly subnets: readonly SubnetRecord[];
    readonly mtu: number;
  }[];
  /** PEM of the undercloud's CA, so that stock collectors can signal over TLS. */
  readonly caCertificate: string;
  readonly region: string;
}

/** Versions that clients ask for by date; all get the same documents. */
export const openstackVersions = [
  '2012-08-10',
  '2013-04-04',
  '2013-10-17',
  '2015-10-15',
  '2016-06-30',
  '2016-10-06',
  '2017-02-22',
  '2018-08-27',
  '2020-10-14',
  'latest',
] as const;

export type DocumentName =
  | 'meta_data.json'
  | 'network_data.json'
  | 'vendor_data.json'
  | 'vendor_data2.json'
  | 'user_data';

export function documents(facts: MachineFacts): ReadonlyMap<DocumentName, string> {
  const made = new Map<DocumentName, string>([
    ['meta_data.json', JSON.stringify(metaData(facts))],
    ['network_data.json', JSON.stringify(networkData(facts))],
    ['vendor_data.json', JSON.stringify(vendorData(facts))],
    ['vendor_data2.json', JSON.stringify({})],
  ]);
  if (facts.userData !== null) made.set('user_data', facts.userData);
  return made;
}

export const hostName = (server: Server): string =>
  server.name
    .toLowerCase()
    .replace(/[^a-z0-9.-]+/g, '-')
    .replace(/^[-.]+|[-.]+$/g, '')
    .slice(0, 63) || 'server';

function metaData({ server, region }: MachineFacts) {
  const key = server.public_key ?? null;
  return {
    uuid: server.id,
    name: server.name,
    hostname: hostName(server),
    launch_index: 0,
    availability_zone: region,
    project_id: server.project_id,
    meta: server.metadata,
    devices: [],
    dedicated_cpus: [],
    ...(key &&
      server.key_name && {
        public_keys: { [server.key_name]: key },
        keys: [{ name: server.key_name, type: 'ssh', data: key }],
      }),
  };
}

/** Links are matched to cards by MAC. DHCP gives each its port's address, so systems need not be told it twice. */
function networkData({ ports }: MachineFacts) {
  const servers = new Set(ports.flatMap(({ subnets }) => subnets.flatMap((subnet) => subnet.dnsNameservers)));
  return {
    links: ports.map(({ port, mtu }, index) => ({
      id: `tap${index}`,
      type: 'phy',
      ethernet_mac_address: port.macAddress,
      mtu,
      vif_id: port.id,
    })),
    networks: ports.flatMap(({ port, subnets }, index) =>
      subnets.map((subnet, place) => ({
        id: `network${index}-${place}`,
        type: subnet.ipVersion === 4 ? 'ipv4_dhcp' : 'ipv6_dhcp',
        link: `tap${index}`,
        network_id: port.networkId,
      })),
    ),
    services: [...servers].map((address) => ({ type: 'dns', address })),
  };
}

/** cloud-init reads the key `cloud-init`; our configuration agent takes every certificate it finds. */
function vendorData({ caCertificate }: MachineFacts) {
  const pem = caCertificate.trim();
  const indented = pem
    .split('\n')
    .map((line) => `      ${line}`)
    .join('\n');
  return { 'cloud-init': `#cloud-config\nca_certs:\n  trusted:\n    - |\n${indented}\n` };
}

/** EC2's tree: a path answers a value, or the names below it. */
export function ec2Tree({ server, ports }: MachineFacts): Record<string, string> {
  const address = ports[0]?.port.fixedIps[0]?.ipAddress ?? '';
  const id = `i-${createHash('sha256').update(server.id).digest('hex').slice(0, 8)}`;
  return {
    'ami-id': `ami-${server.image_id.slice(0, 8)}`,
    'ami-launch-index': '0',
    hostname: hostName(server),
    'instance-id': id,
    'instance-type': server.flavor.name,
    'local-hostname': hostName(server),
    'local-ipv4': address,
    'public-hostname': hostName(server),
    'public-ipv4': '',
    'placement/availability-zone': 'nova',
    'reservation-id': `r-${server.id.slice(0, 8)}`,
    ...(server.public_key && { 'public-keys/0/openssh-key': server.public_key }),
  };
}
