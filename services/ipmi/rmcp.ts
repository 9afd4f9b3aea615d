// What travels in a UDP datagram to port 623: RMCP header (ASF 2.0 section 3.2.2), then an ASF message or an IPMI session
// packet (IPMI 2.0 section 13.6). Only the outer shell is read here; `seal.ts` and `lan15.ts` judge authenticity.

export const RMCP_PORT = 623;

export const AUTH_NONE = 0x00;
export const AUTH_MD5 = 0x02;
export const AUTH_PASSWORD = 0x04;
export const AUTH_RMCPP = 0x06;

/** Payload types: IPMI 2.0 table 13-16. */
export const PAYLOAD = {
  ipmi: 0x00,
  sol: 0x01,
  openRequest: 0x10,
  openResponse: 0x11,
  rakp1: 0x12,
  rakp2: 0x13,
  rakp3: 0x14,
  rakp4: 0x15,
} as const;

const CLASS_ASF = 0x06;
const CLASS_IPMI = 0x07;
/** IANA enterprise number of the ASF, 4542, big-endian in ASF messages. */
const ASF_IANA = 0x000011be;

/** ASF presence ping (ASF 2.0 section 3.2.4.1) or its pong (3.2.4.2). */
export interface AsfPacket {
  kind: 'asf';
  /** 0x80 ping, 0x40 pong. */
  type: number;
  /** 0 to 0xff; a pong repeats the ping's. */
  tag: number;
  /** Pong only: whether IPMI is spoken. */
  ipmi: boolean;
}

/** An RMCP acknowledge: carries nothing for us. */
export interface AckPacket {
  kind: 'ack';
}

/** IPMI 1.5 session packet: AuthType none, MD5 or straight password. */
export interface Lan15Packet {
  kind: 'lan15';
  authType: number;
  /** Session sequence number, 0 outside a session. */
  sequence: number;
  /** The BMC's session id as a number, 0 outside a session. */
  sessionId: number;
  /** 16 bytes, or undefined when authType is none. */
  authCode: Buffer | undefined;
  /** IPMI LAN message. */
  payload: Buffer;
}

/** RMCP+ packet; `payload` is still encrypted when `encrypted`, and nothing is proven until `openSealed` has said so. */
export interface RmcpPlusPacket {
  kind: 'rmcpp';
  encrypted: boolean;
  authenticated: boolean;
  payloadType: number;
  sessionId: number;
  sequence: number;
  payload: Buffer;
  /** The whole datagram; the integrity code covers it from byte 4. */
  packet: Buffer;
  /** Offset of the first byte after the payload (integrity pad). */
  payloadEnd: number;
}

export type Packet = AsfPacket | AckPacket | Lan15Packet | RmcpPlusPacket;

/** Reads one datagram. Anything that is not a well-formed RMCP packet gives undefined: a hostile byte string is never an error. */
export function decodePacket(packet: Buffer): Packet | undefined {
  // Version 6 is the only one; the sequence number 0xff means "no RMCP acknowledge", but some BMCs answer with another one.
  if (packet.length < 4 || packet[0] !== 0x06) return undefined;
  const rmcpClass = packet[3]!;
  if (rmcpClass & 0x80) return { kind: 'ack' };
  if (rmcpClass === CLASS_ASF) return decodeAsf(packet);
  if (rmcpClass !== CLASS_IPMI || packet.length < 14) return undefined;
  return packet[4] === AUTH_RMCPP ? decodeRmcpPlus(packet) : decodeLan15(packet);
}

function decodeAsf(packet: Buffer): AsfPacket | undefined {
  if (packet.length < 12 || packet.readUInt32BE(4) !== ASF_IANA) return undefined;
  const length = packet[11]!;
  if (packet.length < 12 + length) return undefined;
  const type = packet[8]!;
  // Pong: IANA (4), OEM (4), supported entities (bit 7 = IPMI), interactions, 6 reserved.
  return { kind: 'asf', type, tag: packet[9]!, ipmi: type === 0x40 && length >= 16 && (packet[20]! & 0x80) !== 0 };
}

function decodeLan15(packet: Buffer): Lan15Packet | undefined {
  const authType = packet[4]!;
  if (authType !== AUTH_NONE && authType !== AUTH_MD5 && authType !== AUTH_PASSWORD && authType !== 0x01)
    return undefined;
  const header = authType === AUTH_NONE ? 14 : 30;
  if (packet.length < header) return undefined;
  const length = packet[header - 1]!;
  // A legacy pad byte may follow (IPMI 2.0 table 13-8), so the datagram may be longer than the length says.
  if (packet.length < header + length) return undefined;
  return {
    kind: 'lan15',
    authType,
    sequence: packet.readUInt32LE(5),
    sessionId: packet.readUInt32LE(9),
    authCode: authType === AUTH_NONE ? undefined : packet.subarray(13, 29),
    payload: packet.subarray(header, header + length),
  };
}

function decodeRmcpPlus(packet: Buffer): RmcpPlusPacket | undefined {
  if (packet.length < 16) return undefined;
  const type = packet[5]!;
  // OEM explicit payloads put IANA and OEM id in front of the session id (table 13-8); we neither send nor want any.
  if ((type & 0x3f) === 0x02) return undefined;
  const length = packet.readUInt16LE(14);
  if (packet.length < 16 + length) return undefined;
  return {
    kind: 'rmcpp',
    encrypted: (type & 0x80) !== 0,
    authenticated: (type & 0x40) !== 0,
    payloadType: type & 0x3f,
    sessionId: packet.readUInt32LE(6),
    sequence: packet.readUInt32LE(10),
    payload: packet.subarray(16, 16 + length),
    packet,
    payloadEnd: 16 + length,
  };
}

/** ASF presence ping. `tag` 0 to 0xfe (0xff asks for no answer). */
export function encodePing(tag: number): Buffer {
  return Buffer.from([0x06, 0x00, 0xff, CLASS_ASF, 0x00, 0x00, 0x11, 0xbe, 0x80, tag & 0xff, 0x00, 0x00]);
}

/** ASF presence pong, as ipmi_sim sends it: IPMI supported, no interactions. */
export function encodePong(tag: number): Buffer {
  const pong = Buffer.alloc(28);
  pong.set([0x06, 0x00, 0xff, CLASS_ASF, 0x00, 0x00, 0x11, 0xbe, 0x40, tag & 0xff, 0x00, 0x10, 0x00, 0x00, 0x11, 0xbe]);
  pong[20] = 0x81;
  return pong;
}

/** RMCP+ packet without integrity or encryption: handshake payloads and pre-session commands carry id 0 and sequence 0. */
export function encodePlain(payloadType: number, payload: Uint8Array, sessionId = 0, sequence = 0): Buffer {
  const packet = Buffer.allocUnsafe(16 + payload.length);
  packet[0] = 0x06;
  packet[1] = 0x00;
  packet[2] = 0xff;
  packet[3] = CLASS_IPMI;
  packet[4] = AUTH_RMCPP;
  packet[5] = payloadType;
  packet.writeUInt32LE(sessionId, 6);
  packet.writeUInt32LE(sequence, 10);
  packet.writeUInt16LE(payload.length, 14);
  packet.set(payload, 16);
  return packet;
}

/** IPMI 1.5 packet. `authCode` is 16 bytes and needed unless authType is none. */
export function encodeLan15(
  authType: number,
  sequence: number,
  sessionId: number,
  payload: Uint8Array,
  authCode?: Uint8Array,
): Buffer {
  const header = authType === AUTH_NONE ? 14 : 30;
  const packet = Buffer.alloc(header + payload.length);
  packet.set([0x06, 0x00, 0xff, CLASS_IPMI, authType]);
  packet.writeUInt32LE(sequence, 5);
  packet.writeUInt32LE(sessionId, 9);
  if (authType !== AUTH_NONE && authCode) packet.set(authCode, 13);
  packet[header - 1] = payload.length;
  packet.set(payload, header);
  return packet;
}
