/** Arithmetic on IPv4 and IPv6 addresses as bigints; text goes to and comes from PostgreSQL's inet. */
import { isIPv4, isIPv6 } from 'node:net';
import type { AddressRange } from './model.ts';

export interface Address {
  readonly version: 4 | 6;
  readonly value: bigint;
}

export interface Block {
  readonly version: 4 | 6;
  readonly prefix: number;
  /** Network address. */
  readonly first: bigint;
  /** Broadcast address in IPv4. */
  readonly last: bigint;
}

/** Null for anything but one plain address (no zone, no port, no prefix). */
export function parseIp(text: string): Address | null {
  if (isIPv4(text)) return { version: 4, value: fromParts(text.split('.').map(Number), 8n) };
  if (!isIPv6(text) || text.includes('%')) return null;
  // A dotted tail (::ffff:192.0.2.1) is two groups.
  const plain = text.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, ...octets: string[]) => {
    const [a = 0, b = 0, c = 0, d = 0] = octets.slice(0, 4).map(Number);
    return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
  });
  const [head = '', tail] = plain.split('::');
  const groups = (part: string) => (part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16)));
  const front = groups(head);
  const back = tail === undefined ? [] : groups(tail);
  const zeros = new Array<number>(8 - front.length - back.length).fill(0);
  return { version: 6, value: fromParts([...front, ...zeros, ...back], 16n) };
}

export function formatIp({ version, value }: Address): string {
  if (version === 4) return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join('.');
  const groups = [112n, 96n, 80n, 64n, 48n, 32n, 16n, 0n].map((shift) => ((value >> shift) & 0xffffn).toString(16));
  return compress(groups);
}

/** Null unless `address/prefix`; host bits are cut off. */
export function parseBlock(text: string): Block | null {
  const match = /^([^/]+)\/(\d{1,3})$/.exec(text);
  const address = match?.[1] === undefined ? null : parseIp(match[1]);
  const prefix = Number(match?.[2]);
  if (!address) return null;
  const bits = address.version === 4 ? 32 : 128;
  if (prefix > bits) return null;
  const size = 1n << BigInt(bits - prefix);
  const first = (address.value / size) * size;
  return { version: address.version, prefix, first, last: first + size - 1n };
}

export const formatBlock = (block: Block): string =>
  `${formatIp({ version: block.version, value: block.first })}/${block.prefix}`;

export const holds = (block: Block, address: Address): boolean =>
  block.version === address.version && address.value >= block.first && address.value <= block.last;

export const overlap = (a: Block, b: Block): boolean =>
  a.version === b.version && a.first <= b.last && b.first <= a.last;

/** First and last address that a machine can have: without network and broadcast address where those exist. */
export function hostsOf(block: Block): { first: bigint; last: bigint } {
  const bits = block.version === 4 ? 32 : 128;
  // RFC 3021: a /31 has no broadcast; IPv6 never has one, but its first address is the routers' anycast (RFC 4291 2.6.1).
  if (block.prefix >= bits - 1) return { first: block.first, last: block.last };
  return { first: block.first + 1n, last: block.version === 4 ? block.last - 1n : block.last };
}

/** Every host save the gateway, as Neutron's default: one range, or two around it. */
export function defaultPools(block: Block, gateway: bigint | null): AddressRange[] {
  const { first, last } = hostsOf(block);
  const text = (value: bigint) => formatIp({ version: block.version, value });
  if (gateway === null || gateway < first || gateway > last) return [{ start: text(first), end: text(last) }];
  const ranges = [
    [first, gateway - 1n],
    [gateway + 1n, last],
  ] as const;
  return ranges.filter(([from, to]) => from <= to).map(([from, to]) => ({ start: text(from), end: text(to) }));
}

function fromParts(parts: readonly number[], width: bigint): bigint {
  return parts.reduce((value, part) => (value << width) | BigInt(part), 0n);
}

/** RFC 5952: the longest run of two or more zero groups becomes `::`. */
function compress(groups: readonly string[]): string {
  let best = { at: -1, length: 1 };
  for (let at = 0; at < groups.length; at += 1) {
    let length = 0;
    while (groups[at + length] === '0') length += 1;
    if (length > best.length) best = { at, length };
  }
  if (best.at < 0) return groups.join(':');
  return `${groups.slice(0, best.at).join(':')}::${groups.slice(best.at + best.length).join(':')}`;
}
