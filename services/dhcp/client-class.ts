import { formatMac, hex } from './address.ts';
import { readEncapsulated } from './encapsulated.ts';
import { OPTION } from './option-table.ts';
import type { DhcpPacket } from './packet.ts';

/** What a client says about itself: options 60, 61, 77, 93, 94, 97 and 175. */
export interface ClientClass {
  /** Lower-case colon text, or null where the hardware is not Ethernet. */
  readonly mac: string | null;
  /** Option 61 as hex, type byte included. */
  readonly clientId: string | null;
  /** Option 60. */
  readonly vendorClass: string | null;
  /** Option 77: RFC 3004 asks for length bytes, iPXE and gPXE send bare text; both are read. */
  readonly userClasses: readonly string[];
  /** Option 93 (RFC 4578; 0 BIOS, 6 and 7 and 9 UEFI, 15 and 16 UEFI HTTP, 11 arm64 ...). */
  readonly architectures: readonly number[];
  /** Option 97 as RFC 4122 text. */
  readonly uuid: string | null;
  readonly isIpxe: boolean;
  /** Option 175 of iPXE: feature code (decimal) to its value as hex; 235 is the version. */
  readonly ipxeFeatures: Readonly<Record<number, string>>;
  readonly isPxe: boolean;
  readonly isHttpBoot: boolean;
  /** Whether this is firmware or a boot loader that wants a boot file, and not a system's DHCP client. */
  readonly boots: boolean;
}

const NO_FEATURES: Readonly<Record<number, string>> = {};

export function classify(packet: DhcpPacket): ClientClass {
  const { options } = packet;
  const vendorClass = text(options.get(OPTION.vendorClass));
  const userClasses = readUserClasses(options.get(OPTION.userClass));
  const ipxe = options.get(OPTION.ipxe);
  // Option 175 is also Etherboot's and gPXE's; iPXE sends both, and old ROMs only one of them.
  const isIpxe =
    userClasses.includes('iPXE') || userClasses.includes('gPXE') || (ipxe !== undefined && userClasses.length === 0);
  const architectures = readArchitectures(options.get(OPTION.clientArch));
  const isPxe = vendorClass?.startsWith('PXEClient') ?? false;
  const isHttpBoot = vendorClass?.startsWith('HTTPClient') ?? false;
  const clientId = options.get(OPTION.clientId);
  return {
    mac: packet.hlen === 6 ? formatMac(packet.chaddr, 6) : null,
    clientId: clientId && clientId.length > 0 ? hex(clientId) : null,
    vendorClass,
    userClasses,
    architectures,
    uuid: readGuid(options.get(OPTION.clientUuid)),
    isIpxe,
    ipxeFeatures: ipxe ? features(ipxe) : NO_FEATURES,
    isPxe,
    isHttpBoot,
    boots: isPxe || isHttpBoot || isIpxe || architectures.length > 0,
  };
}

/** Latin1 without trailing NULs (firmware adds them); null where there is nothing. */
export function text(bytes: Uint8Array | undefined): string | null {
  if (!bytes) return null;
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  return end === 0 ? null : Buffer.from(bytes.buffer, bytes.byteOffset, end).toString('latin1');
}

export function readUserClasses(bytes: Uint8Array | undefined): string[] {
  if (!bytes || bytes.length === 0) return [];
  const classes: string[] = [];
  let at = 0;
  while (at < bytes.length) {
    const length = bytes[at]!;
    if (length === 0 || at + 1 + length > bytes.length) break;
    classes.push(Buffer.from(bytes.subarray(at + 1, at + 1 + length)).toString('latin1'));
    at += 1 + length;
  }
  if (at === bytes.length) return classes;
  const bare = text(bytes);
  return bare === null ? [] : [bare];
}

export function readArchitectures(bytes: Uint8Array | undefined): number[] {
  const list: number[] = [];
  if (bytes) for (let at = 0; at + 1 < bytes.length; at += 2) list.push((bytes[at]! << 8) | bytes[at + 1]!);
  return list;
}

/**
 * Option 97: type 0, then the GUID as SMBIOS stores it: the first three fields little-endian, so that 4c4c4544-... arrives as 44 45 4c 4c.
 */
export function readGuid(bytes: Uint8Array | undefined): string | null {
  if (bytes?.length !== 17 || bytes[0] !== 0) return null;
  const text = ORDER.map((at) => bytes[at + 1]!.toString(16).padStart(2, '0')).join('');
  return `${text.slice(0, 8)}-${text.slice(8, 12)}-${text.slice(12, 16)}-${text.slice(16, 20)}-${text.slice(20)}`;
}

export function writeGuid(uuid: string): Uint8Array | undefined {
  const digits = uuid.replaceAll('-', '');
  if (!/^[0-9a-fA-F]{32}$/.test(digits)) return undefined;
  const bytes = new Uint8Array(17);
  ORDER.forEach((at, i) => {
    bytes[at + 1] = Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16);
  });
  return bytes;
}

const ORDER = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];

function features(bytes: Uint8Array): Record<number, string> {
  const found: Record<number, string> = {};
  for (const [code, value] of readEncapsulated(bytes) ?? []) found[code] = hex(value);
  return found;
}
