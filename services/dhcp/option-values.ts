import { formatAddress, hex, readAddress, requireAddress, writeAddress } from './address.ts';
import { readArchitectures, readGuid, readUserClasses, text } from './client-class.ts';
import { readDomainSearch } from './domain-search.ts';
import { readEncapsulated } from './encapsulated.ts';
import { MESSAGE_NAMES, OPTION_TABLE, type OptionKind } from './option-table.ts';
import { readSubOptions } from './relay-agent.ts';
import { formatRoute, readRoutes } from './routes.ts';

/** Writers of the values that a server sends, and one reader into text for people: goldens, captures and the flight recorder. */

export function addressValue(address: number): Uint8Array {
  const bytes = new Uint8Array(4);
  writeAddress(bytes, 0, address);
  return bytes;
}

/** Dotted quads to the value of an address list option (3, 6, 42, 150). Throws a sentence that names `what`. */
export function addressesValue(addresses: readonly string[], what: string): Uint8Array {
  const bytes = new Uint8Array(4 * addresses.length);
  addresses.forEach((address, i) => {
    writeAddress(bytes, 4 * i, requireAddress(address, what));
  });
  return bytes;
}

export function u16Value(value: number): Uint8Array {
  return Uint8Array.of(value >>> 8, value);
}

export function u32Value(value: number): Uint8Array {
  return addressValue(value);
}

export function textValue(value: string): Uint8Array {
  return Buffer.from(value, 'latin1');
}

/** With a closing NUL: ROMs that write one behind the value would overwrite the next option's code (dnsmasq sends options 66 and 67 so, too). */
export function terminatedText(value: string): Uint8Array {
  return Buffer.from(`${value}\0`, 'latin1');
}

/** The value as text, or as `0x..` where it is not what its kind says. */
export function describeOption(code: number, bytes: Uint8Array): string {
  const kind = OPTION_TABLE[code]?.kind ?? 'bytes';
  return DESCRIBE[kind](bytes) ?? `0x${hex(bytes)}`;
}

const DESCRIBE: Readonly<Record<OptionKind, (bytes: Uint8Array) => string | undefined>> = {
  address: (bytes) => (bytes.length === 4 ? formatAddress(readAddress(bytes)) : undefined),
  addresses: (bytes) =>
    bytes.length > 0 && bytes.length % 4 === 0
      ? chunks(bytes, 4)
          .map((quad) => formatAddress(readAddress(quad)))
          .join(' ')
      : undefined,
  u8: (bytes) => (bytes.length === 1 ? String(bytes[0]) : undefined),
  u16: (bytes) => (bytes.length === 2 ? String((bytes[0]! << 8) | bytes[1]!) : undefined),
  u16s: (bytes) => (bytes.length > 0 && bytes.length % 2 === 0 ? readArchitectures(bytes).join(' ') : undefined),
  u32: (bytes) => (bytes.length === 4 ? String(readAddress(bytes)) : undefined),
  text: (bytes) => {
    const value = text(bytes);
    return value !== null && /^[\x20-\x7e]*$/.test(value)
      ? `"${value}"${value.length < bytes.length ? '+NUL' : ''}`
      : undefined;
  },
  bytes: () => undefined,
  codes: (bytes) => [...bytes].join(' '),
  empty: (bytes) => (bytes.length === 0 ? '' : undefined),
  message: (bytes) => (bytes.length === 1 ? MESSAGE_NAMES[bytes[0]!] : undefined),
  'client-id': (bytes) => (bytes[0] === 1 && bytes.length === 7 ? `ethernet ${hex(bytes.subarray(1))}` : undefined),
  'user-class': (bytes) => {
    const classes = readUserClasses(bytes);
    return classes.length > 0 && classes.every((name) => /^[\x20-\x7e]+$/.test(name))
      ? JSON.stringify(classes)
      : undefined;
  },
  // RFC 4702: flags, two result codes, then the name, as text or in DNS form by flag E (0x04).
  fqdn: (bytes) => {
    if (bytes.length < 3) return undefined;
    const name = bytes.subarray(3);
    const value = bytes[0]! & 4 ? readDomainSearch(name)?.[0] : (text(name) ?? '');
    return value !== undefined && /^[\x20-\x7e]*$/.test(value)
      ? `flags 0x${hex(bytes.subarray(0, 1))} "${value}"`
      : undefined;
  },
  relay: (bytes) => parts(readSubOptions(bytes)),
  undi: (bytes) => (bytes.length === 3 ? `type ${bytes[0]} version ${bytes[1]}.${bytes[2]}` : undefined),
  guid: (bytes) => readGuid(bytes) ?? undefined,
  search: (bytes) => readDomainSearch(bytes)?.join(' '),
  routes: (bytes) => readRoutes(bytes)?.map(formatRoute).join(', '),
  pxe: (bytes) => parts(readEncapsulated(bytes)),
  ipxe: (bytes) => parts(readEncapsulated(bytes)),
};

function parts(map: Map<number, Uint8Array> | undefined): string | undefined {
  return map && [...map].map(([code, value]) => `${code}=${hex(value)}`).join(' ');
}

function chunks(bytes: Uint8Array, size: number): Uint8Array[] {
  return Array.from({ length: bytes.length / size }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
}
