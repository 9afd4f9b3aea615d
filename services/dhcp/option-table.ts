/**
 * The options that this server knows, as data: a name for people, and the kind of value, which chooses the codec in `option-values.ts`.
 * An option that is not here is kept as bytes and written back as it came. `length` marks an option of fixed length: RFC 3396 joins repeated
 * options, which would make nonsense of these, so of a repeated one the first counts.
 */

export type OptionKind =
  | 'address'
  | 'addresses'
  | 'u8'
  | 'u16'
  | 'u16s'
  | 'u32'
  | 'text'
  | 'bytes'
  | 'codes'
  | 'empty'
  | 'message'
  | 'client-id'
  | 'user-class'
  | 'fqdn'
  | 'relay'
  | 'undi'
  | 'guid'
  | 'search'
  | 'routes'
  | 'pxe'
  | 'ipxe';

export interface OptionFact {
  readonly name: string;
  readonly kind: OptionKind;
  readonly length?: number;
}

/** Option codes by the name the code uses for them. */
export const OPTION = {
  pad: 0,
  subnetMask: 1,
  router: 3,
  dns: 6,
  hostName: 12,
  domainName: 15,
  mtu: 26,
  broadcast: 28,
  ntp: 42,
  vendorSpecific: 43,
  requestedAddress: 50,
  leaseTime: 51,
  overload: 52,
  messageType: 53,
  serverId: 54,
  parameterList: 55,
  message: 56,
  maxSize: 57,
  renewalTime: 58,
  rebindingTime: 59,
  vendorClass: 60,
  clientId: 61,
  tftpServerName: 66,
  bootFile: 67,
  userClass: 77,
  fqdn: 81,
  relayAgent: 82,
  clientArch: 93,
  clientInterface: 94,
  clientUuid: 97,
  subnetSelection: 118,
  domainSearch: 119,
  classlessRoutes: 121,
  tftpServers: 150,
  ipxe: 175,
  end: 255,
} as const;

export const OPTION_TABLE: Readonly<Record<number, OptionFact>> = {
  1: { name: 'subnet-mask', kind: 'address', length: 4 },
  2: { name: 'time-offset', kind: 'u32', length: 4 },
  3: { name: 'router', kind: 'addresses' },
  4: { name: 'time-server', kind: 'addresses' },
  6: { name: 'dns', kind: 'addresses' },
  7: { name: 'log-server', kind: 'addresses' },
  12: { name: 'host-name', kind: 'text' },
  13: { name: 'boot-file-size', kind: 'u16', length: 2 },
  15: { name: 'domain-name', kind: 'text' },
  17: { name: 'root-path', kind: 'text' },
  18: { name: 'extensions-path', kind: 'text' },
  26: { name: 'mtu', kind: 'u16', length: 2 },
  28: { name: 'broadcast', kind: 'address', length: 4 },
  33: { name: 'static-routes', kind: 'addresses' },
  42: { name: 'ntp', kind: 'addresses' },
  43: { name: 'vendor-specific', kind: 'pxe' },
  50: { name: 'requested-address', kind: 'address', length: 4 },
  51: { name: 'lease-time', kind: 'u32', length: 4 },
  52: { name: 'overload', kind: 'u8', length: 1 },
  53: { name: 'message-type', kind: 'message', length: 1 },
  54: { name: 'server-id', kind: 'address', length: 4 },
  55: { name: 'parameter-list', kind: 'codes' },
  56: { name: 'message', kind: 'text' },
  57: { name: 'max-size', kind: 'u16', length: 2 },
  58: { name: 'renewal-time', kind: 'u32', length: 4 },
  59: { name: 'rebinding-time', kind: 'u32', length: 4 },
  60: { name: 'vendor-class', kind: 'text' },
  61: { name: 'client-id', kind: 'client-id' },
  66: { name: 'tftp-server-name', kind: 'text' },
  67: { name: 'boot-file', kind: 'text' },
  77: { name: 'user-class', kind: 'user-class' },
  80: { name: 'rapid-commit', kind: 'empty', length: 0 },
  81: { name: 'fqdn', kind: 'fqdn' },
  82: { name: 'relay-agent', kind: 'relay' },
  90: { name: 'authentication', kind: 'bytes' },
  91: { name: 'last-transaction', kind: 'u32', length: 4 },
  93: { name: 'client-arch', kind: 'u16s' },
  94: { name: 'client-interface', kind: 'undi', length: 3 },
  97: { name: 'client-uuid', kind: 'guid', length: 17 },
  108: { name: 'ipv6-only', kind: 'u32', length: 4 },
  114: { name: 'captive-portal', kind: 'text' },
  116: { name: 'auto-configure', kind: 'u8', length: 1 },
  118: { name: 'subnet-selection', kind: 'address', length: 4 },
  119: { name: 'domain-search', kind: 'search' },
  121: { name: 'classless-routes', kind: 'routes' },
  150: { name: 'tftp-servers', kind: 'addresses' },
  175: { name: 'ipxe', kind: 'ipxe' },
  209: { name: 'pxe-config-file', kind: 'text' },
  210: { name: 'pxe-path-prefix', kind: 'text' },
};

export const MESSAGE_NAMES = [
  'BOOTP',
  'DISCOVER',
  'OFFER',
  'REQUEST',
  'DECLINE',
  'ACK',
  'NAK',
  'RELEASE',
  'INFORM',
] as const;
export type MessageName = (typeof MESSAGE_NAMES)[number];

/** RFC 2132 section 9.6. */
export const MESSAGE = {
  discover: 1,
  offer: 2,
  request: 3,
  decline: 4,
  ack: 5,
  nak: 6,
  release: 7,
  inform: 8,
} as const;
