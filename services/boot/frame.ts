/** Ethernet frames as far as the wire watch and captures need them: IPv4 with UDP inside. Pure. */
import type { BpfInstruction } from '../core/packet-socket.ts';

export interface UdpFrame {
  /** Lower case with colons. */
  readonly sourceMac: string;
  readonly sourceAddress: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly payload: Uint8Array;
}

const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_ARP = 0x0806;
const ARP_ANSWER = 2;
const UDP = 17;
const headerBytes = 14;

export const macText = (bytes: Uint8Array): string =>
  [...bytes.subarray(0, 6)].map((byte) => byte.toString(16).padStart(2, '0')).join(':');

export const macBytes = (mac: string): Uint8Array =>
  Uint8Array.from(mac.split(':').map((part) => Number.parseInt(part, 16)));

/** Null for everything that is not a whole, unfragmented IPv4 UDP datagram. */
export function readUdp(frame: Uint8Array): UdpFrame | null {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  if (frame.length < headerBytes + 28 || view.getUint16(12) !== ETHERTYPE_IPV4) return null;
  const first = frame[headerBytes] ?? 0;
  const headerLength = (first & 15) * 4;
  const udpAt = headerBytes + headerLength;
  if (first >> 4 !== 4 || headerLength < 20 || frame[headerBytes + 9] !== UDP) return null;
  // More fragments, or not the first one.
  if ((view.getUint16(headerBytes + 6) & 0x3fff) !== 0 || frame.length < udpAt + 8) return null;
  const length = view.getUint16(udpAt + 4);
  if (length < 8 || frame.length < udpAt + length) return null;
  return {
    sourceMac: macText(frame.subarray(6, 12)),
    sourceAddress: frame.subarray(headerBytes + 12, headerBytes + 16).join('.'),
    sourcePort: view.getUint16(udpAt),
    destinationPort: view.getUint16(udpAt + 2),
    payload: frame.subarray(udpAt + 8, udpAt + length),
  };
}

/** A DHCP client's broadcast: 0.0.0.0:68 to 255.255.255.255:67. */
export function broadcastFrame(sourceMac: Uint8Array, payload: Uint8Array): Buffer {
  const frame = Buffer.alloc(headerBytes + 28 + payload.length);
  frame.fill(0xff, 0, 6);
  frame.set(sourceMac.subarray(0, 6), 6);
  frame.writeUInt16BE(ETHERTYPE_IPV4, 12);
  const ip = frame.subarray(headerBytes);
  ip[0] = 0x45;
  ip.writeUInt16BE(28 + payload.length, 2);
  ip[8] = 64;
  ip[9] = UDP;
  ip.fill(0xff, 16, 20);
  ip.writeUInt16BE(checksum(ip.subarray(0, 20)), 10);
  ip.writeUInt16BE(68, 20);
  ip.writeUInt16BE(67, 22);
  // A checksum of 0 says that there is none (RFC 768).
  ip.writeUInt16BE(8 + payload.length, 24);
  ip.set(payload, 28);
  return frame;
}

/** RFC 5227 section 2.1.1: who has this address? Asked from no address of our own, so that nobody's table changes. */
export function arpProbe(sourceMac: Uint8Array, address: string): Buffer {
  const frame = Buffer.alloc(headerBytes + 28);
  frame.fill(0xff, 0, 6);
  frame.set(sourceMac.subarray(0, 6), 6);
  frame.writeUInt16BE(ETHERTYPE_ARP, 12);
  // Ethernet, IPv4, their lengths, a request (RFC 826).
  frame.set([0, 1, 8, 0, 6, 4, 0, 1], headerBytes);
  frame.set(sourceMac.subarray(0, 6), headerBytes + 8);
  frame.set(address.split('.').map(Number), headerBytes + 24);
  return frame;
}

/** Who says to have which address; null for every other frame. */
export function readArpAnswer(frame: Uint8Array): { mac: string; address: string } | null {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  if (frame.length < headerBytes + 28 || view.getUint16(12) !== ETHERTYPE_ARP) return null;
  if (view.getUint32(headerBytes) !== 0x0001_0800 || view.getUint32(headerBytes + 4) !== 0x0604_0000 + ARP_ANSWER)
    return null;
  return {
    mac: macText(frame.subarray(headerBytes + 8, headerBytes + 14)),
    address: frame.subarray(headerBytes + 14, headerBytes + 18).join('.'),
  };
}

/** RFC 1071. */
export function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** Where the client's MAC stands in a DHCP message. */
const chaddr = 28;

/** Whether a frame belongs to this machine's conversation: from it, to it, or a DHCP answer to it by broadcast. */
export function concerns(frame: Uint8Array, mac: string): boolean {
  if (macText(frame.subarray(0, 6)) === mac || macText(frame.subarray(6, 12)) === mac) return true;
  const udp = readUdp(frame);
  return udp?.destinationPort === 68 && macText(udp.payload.subarray(chaddr, chaddr + 6)) === mac;
}

// Classic BPF: class, size and mode of linux/bpf_common.h in one code.
const LD_WORD = 0x20;
const LD_HALF = 0x28;
const LD_BYTE = 0x30;
const LD_HALF_X = 0x48;
const LDX_IP_HEADER = 0xb1;
const JUMP_EQUAL = 0x15;
const JUMP_SET = 0x45;
const RETURN = 0x06;
const wholeFrame = 0x4_0000;

/** As many MACs as the eight-bit jumps of classic BPF reach across. */
export const mostCaptured = 24;

/** What the kernel shall hand up: DHCP answers (UDP to port 68), ARP answers, and every frame from or to these MACs. */
export function frameFilter(macs: readonly string[]): BpfInstruction[] {
  const pairs = macs.slice(0, mostCaptured).map(macBytes);
  const perMac = 8;
  const macsAt = 12;
  const rejectAt = macsAt + pairs.length * perMac;
  const acceptAt = rejectAt + 1;
  const program: BpfInstruction[] = [];
  const add = (code: number, k: number, yes?: number, no?: number) => {
    const next = program.length + 1;
    program.push([code, (yes ?? next) - next, (no ?? next) - next, k]);
  };
  add(LD_HALF, 12);
  add(JUMP_EQUAL, ETHERTYPE_ARP, undefined, 4);
  add(LD_HALF, headerBytes + 6);
  add(JUMP_EQUAL, ARP_ANSWER, acceptAt, macsAt);
  add(JUMP_EQUAL, ETHERTYPE_IPV4, undefined, macsAt);
  add(LD_BYTE, headerBytes + 9);
  add(JUMP_EQUAL, UDP, undefined, macsAt);
  add(LD_HALF, headerBytes + 6);
  add(JUMP_SET, 0x1fff, macsAt);
  add(LDX_IP_HEADER, headerBytes);
  add(LD_HALF_X, headerBytes + 2);
  add(JUMP_EQUAL, 68, acceptAt, macsAt);
  for (const mac of pairs) {
    const view = new DataView(mac.buffer, mac.byteOffset, 6);
    const after = program.length + perMac;
    const half = program.length + perMac / 2;
    for (const [at, otherwise] of [
      [6, half],
      [0, after],
    ] as const) {
      add(LD_WORD, at);
      add(JUMP_EQUAL, view.getUint32(0), undefined, otherwise);
      add(LD_HALF, at + 4);
      add(JUMP_EQUAL, view.getUint16(4), acceptAt, otherwise);
    }
  }
  add(RETURN, 0);
  add(RETURN, wholeFrame);
  return program;
}
