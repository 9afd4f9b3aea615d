import { readAddress, writeAddress } from './address.ts';
import { OPTION } from './option-table.ts';
import { type OptionMap, readOptions, wireLength, writeOption } from './options.ts';

/**
 * The BOOTP header and its options (RFC 951, 2131 section 2). Decoding never throws: whatever cannot be a DHCP packet is answered with the
 * reason, which goes into the flight recorder.
 */

/** Addresses are unsigned 32-bit numbers; `chaddr` has 16 bytes of which `hlen` count; `sname` and `file` are latin1, cut at the first NUL. */
export interface DhcpPacket {
  op: number;
  htype: number;
  hlen: number;
  hops: number;
  xid: number;
  secs: number;
  flags: number;
  ciaddr: number;
  yiaddr: number;
  siaddr: number;
  giaddr: number;
  chaddr: Uint8Array;
  sname: string;
  file: string;
  options: OptionMap;
}

export type Decoded =
  | { readonly ok: true; readonly packet: DhcpPacket }
  | { readonly ok: false; readonly reason: string };

export const BOOTREQUEST = 1;
export const BOOTREPLY = 2;
/** RFC 2131 section 2: the only flag there is. */
export const BROADCAST_FLAG = 0x8000;

const HEADER = 240;
const SNAME = { at: 44, length: 64 };
const FILE = { at: 108, length: 128 };
const COOKIE = 0x63825363;
/** What fits an Ethernet frame without fragments: 1500 less IP and UDP headers. ROMs have no reassembly. */
export const LARGEST_REPLY = 1472;
/** RFC 1542 section 2.1: old BOOTP clients and relays drop what is shorter. */
const SMALLEST_PACKET = 300;
/** No jumbo frame carries more, and no client has that much to say. */
const LARGEST_PACKET = 9216;

export function decodePacket(given: Uint8Array): Decoded {
  // Not a Buffer: each of the views below would be one too, at several times the cost.
  const bytes = given.constructor === Uint8Array ? given : new Uint8Array(given.buffer, given.byteOffset, given.length);
  if (bytes.length < HEADER) return refuse(`${bytes.length} bytes; a DHCP packet has at least ${HEADER}`);
  if (bytes.length > LARGEST_PACKET) return refuse(`${bytes.length} bytes; more than ${LARGEST_PACKET} are not read`);
  const op = bytes[0]!;
  if (op !== BOOTREQUEST && op !== BOOTREPLY) return refuse(`op ${op} is neither request (1) nor reply (2)`);
  const hlen = bytes[2]!;
  if (hlen > 16) return refuse(`hardware address of ${hlen} bytes; the field has 16`);
  if (readAddress(bytes, 236) !== COOKIE) return refuse('no magic cookie: plain BOOTP, or no DHCP at all');
  const options: OptionMap = new Map();
  let fault = readOptions(bytes.subarray(HEADER), options, 'options field');
  if (fault) return refuse(fault);
  const overload = options.get(OPTION.overload)?.[0] ?? 0;
  if (overload > 3) return refuse(`option 52 (overload) is ${overload}; 1 to 3 are defined`);
  // RFC 3396 section 5: joined in this order, options field, file, sname.
  if (overload & 1) fault = readOptions(area(bytes, FILE), options, 'file field');
  if (!fault && overload & 2) fault = readOptions(area(bytes, SNAME), options, 'sname field');
  if (fault) return refuse(fault);
  return {
    ok: true,
    packet: {
      op,
      htype: bytes[1]!,
      hlen,
      hops: bytes[3]!,
      xid: readAddress(bytes, 4),
      secs: (bytes[8]! << 8) | bytes[9]!,
      flags: (bytes[10]! << 8) | bytes[11]!,
      ciaddr: readAddress(bytes, 12),
      yiaddr: readAddress(bytes, 16),
      siaddr: readAddress(bytes, 20),
      giaddr: readAddress(bytes, 24),
      chaddr: bytes.subarray(28, 44),
      sname: overload & 2 ? '' : textField(bytes, SNAME),
      file: overload & 1 ? '' : textField(bytes, FILE),
      options,
    },
  };
}

export interface Encoded {
  readonly bytes: Uint8Array;
  /** Codes of options for which no room was left, in their order. */
  readonly dropped: readonly number[];
}

/**
 * Writes a packet into at most `largest` bytes (UDP payload). Options keep their order, so put first what matters; those that do not fit move into
 * `file` and `sname` where these are empty (option 52), and what fits nowhere is named in `dropped`.
 * `file` and `sname` longer than their fields are left empty: a cut name would be a wrong name, and options 66 and 67 carry them whole.
 */
export function encodePacket(packet: DhcpPacket, largest = LARGEST_REPLY): Encoded {
  return encodeInto(new Uint8Array(largest), packet);
}

/** As `encodePacket`, into bytes of the caller's, which need not be empty; all of them may be used. The answer's bytes are a view of them. */
export function encodeInto(bytes: Uint8Array, packet: DhcpPacket): Encoded {
  const largest = bytes.length;
  bytes.fill(0);
  bytes[0] = packet.op;
  bytes[1] = packet.htype;
  bytes[2] = packet.hlen;
  bytes[3] = packet.hops;
  writeAddress(bytes, 4, packet.xid);
  bytes[8] = packet.secs >>> 8;
  bytes[9] = packet.secs;
  bytes[10] = packet.flags >>> 8;
  bytes[11] = packet.flags;
  writeAddress(bytes, 12, packet.ciaddr);
  writeAddress(bytes, 16, packet.yiaddr);
  writeAddress(bytes, 20, packet.siaddr);
  writeAddress(bytes, 24, packet.giaddr);
  for (let i = 0; i < 16; i++) bytes[28 + i] = packet.chaddr[i] ?? 0;
  writeText(bytes, SNAME, packet.sname);
  writeText(bytes, FILE, packet.file);
  writeAddress(bytes, 236, COOKIE);

  let needed = 1;
  for (const [code, value] of packet.options) if (code !== OPTION.overload) needed += wireLength(value);
  const overload = needed > largest - HEADER;
  // Three bytes are kept for option 52 itself, one for END.
  const room = { at: HEADER, end: largest - 1 - (overload ? 3 : 0) };
  const spare: { at: number; end: number; start: number; bit: number }[] = [];
  if (overload && bytes[FILE.at] === 0)
    spare.push({ at: FILE.at, start: FILE.at, end: FILE.at + FILE.length - 1, bit: 1 });
  if (overload && bytes[SNAME.at] === 0)
    spare.push({ at: SNAME.at, start: SNAME.at, end: SNAME.at + SNAME.length - 1, bit: 2 });

  const dropped: number[] = [];
  for (const [code, value] of packet.options) {
    if (code === OPTION.overload) continue;
    const length = wireLength(value);
    const place =
      room.at + length <= room.end ? room : spare.find((candidate) => candidate.at + length <= candidate.end);
    if (place) place.at = writeOption(bytes, place.at, code, value);
    else dropped.push(code);
  }
  let used = 0;
  for (const place of spare) {
    if (place.at === place.start) continue;
    bytes[place.at] = OPTION.end;
    used |= place.bit;
  }
  if (used) room.at = writeOption(bytes, room.at, OPTION.overload, Uint8Array.of(used));
  bytes[room.at] = OPTION.end;
  return { bytes: bytes.subarray(0, Math.max(room.at + 1, SMALLEST_PACKET)), dropped };
}

function refuse(reason: string): Decoded {
  return { ok: false, reason };
}

function area(bytes: Uint8Array, field: { at: number; length: number }): Uint8Array {
  return bytes.subarray(field.at, field.at + field.length);
}

function textField(bytes: Uint8Array, field: { at: number; length: number }): string {
  if (bytes[field.at] === 0) return '';
  let end = field.at;
  while (end < field.at + field.length && bytes[end] !== 0) end++;
  return Buffer.from(bytes.buffer, bytes.byteOffset + field.at, end - field.at).toString('latin1');
}

function writeText(bytes: Uint8Array, field: { at: number; length: number }, text: string): void {
  if (text.length === 0 || text.length >= field.length) return;
  bytes.set(Buffer.from(text, 'latin1'), field.at);
}
