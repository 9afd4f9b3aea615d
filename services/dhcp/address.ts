/**
 * IPv4 addresses are unsigned 32-bit numbers inside the protocol (cheap to compare, to mask and to index a pool with) and dotted text at the
 * edges, where people and databases read them. Hardware addresses are lower-case colon text.
 */

/** Dotted quad to number, or undefined for anything else (no octal, no short forms, no blanks). */
export function parseAddress(text: string): number | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (!match) return undefined;
  let value = 0;
  for (let i = 1; i <= 4; i++) {
    const part = match[i]!;
    const octet = Number(part);
    if (octet > 255 || (part.length > 1 && part.startsWith('0'))) return undefined;
    value = value * 256 + octet;
  }
  return value;
}

/** As `parseAddress`, for configuration: throws a sentence that names `what`. */
export function requireAddress(text: string, what: string): number {
  const value = parseAddress(text);
  if (value === undefined) throw new Error(`${what}: "${text}" is no IPv4 address; write it as 192.0.2.10`);
  return value;
}

export function formatAddress(value: number): string {
  return `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`;
}

export interface Cidr {
  readonly network: number;
  readonly mask: number;
  readonly prefix: number;
}

/** `192.0.2.0/24`; host bits are cut off. Undefined for anything else. */
export function parseCidr(text: string): Cidr | undefined {
  const slash = text.indexOf('/');
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash));
  const bits = slash < 0 ? '32' : text.slice(slash + 1);
  if (address === undefined || !/^\d{1,2}$/.test(bits)) return undefined;
  const prefix = Number(bits);
  if (prefix > 32) return undefined;
  const mask = maskOf(prefix);
  return { network: (address & mask) >>> 0, mask, prefix };
}

export function requireCidr(text: string, what: string): Cidr {
  const cidr = parseCidr(text);
  if (!cidr) throw new Error(`${what}: "${text}" is no IPv4 network; write it as 192.0.2.0/24`);
  return cidr;
}

export function maskOf(prefix: number): number {
  return prefix === 0 ? 0 : (0xffffffff << (32 - prefix)) >>> 0;
}

export function contains(cidr: Cidr, address: number): boolean {
  return (address & cidr.mask) >>> 0 === cidr.network;
}

const HEX = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'));

/** The last Ethernet address that was written: one packet's is wanted half a dozen times, and the same string keeps its hash. */
const last = { high: -1, low: -1, text: '' };
const letters = Buffer.from('00:00:00:00:00:00', 'latin1');
const DIGITS = Buffer.from('0123456789abcdef', 'latin1');

/** The first `length` bytes as `52:54:00:aa:00:01`. */
export function formatMac(bytes: Uint8Array, length = bytes.length): string {
  if (length !== 6) return Array.from(bytes.subarray(0, length), (byte) => HEX[byte]).join(':');
  const high = (bytes[0]! << 16) | (bytes[1]! << 8) | bytes[2]!;
  const low = (bytes[3]! << 16) | (bytes[4]! << 8) | bytes[5]!;
  if (high === last.high && low === last.low) return last.text;
  // One flat string: put together of parts it would be a tree of strings, which lives as long as a lease does.
  for (let i = 0; i < 6; i++) {
    letters[3 * i] = DIGITS[bytes[i]! >> 4]!;
    letters[3 * i + 1] = DIGITS[bytes[i]! & 15]!;
  }
  last.high = high;
  last.low = low;
  last.text = letters.toString('latin1');
  return last.text;
}

/** `52:54:00:AA:00:01` or with dashes, to lower-case colon text; undefined for anything else. */
export function normaliseMac(text: string): string | undefined {
  const lower = text.trim().toLowerCase().replaceAll('-', ':');
  return /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(lower) ? lower : undefined;
}

export function hex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += HEX[byte]!;
  return text;
}

export function readAddress(bytes: Uint8Array, at = 0): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

export function writeAddress(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}
