// The six payloads that set an RMCP+ session up (IPMI 2.0 sections 13.17 to 13.24), written and read for both sides.

import type { CipherSuite } from './suites.ts';
import { suiteOf } from './suites.ts';

/** Privilege levels (table 6-? "Session privilege limits"): the low nibble of roles and of Set Session Privilege Level. */
export const PRIVILEGE = { callback: 1, user: 2, operator: 3, administrator: 4, oem: 5 } as const;
export type Privilege = keyof typeof PRIVILEGE;

/** Set in the role byte: look the user up by name only, not by name and privilege (section 13.20). */
export const NAME_ONLY = 0x10;

export interface OpenRequest {
  tag: number;
  /** Highest privilege asked for; 0 means "as high as the suite allows". */
  privilege: number;
  consoleId: number;
  suite: CipherSuite | undefined;
  algorithms: readonly [number, number, number];
}

export function encodeOpenRequest(tag: number, consoleId: number, suite: CipherSuite, privilege = 0): Buffer {
  const payload = Buffer.alloc(32);
  payload[0] = tag;
  payload[1] = privilege;
  payload.writeUInt32LE(consoleId, 4);
  writeAlgorithms(payload, 8, suite);
  return payload;
}

function writeAlgorithms(payload: Buffer, offset: number, suite: CipherSuite): void {
  payload.set([0, 0, 0, 8, suite.auth, 0, 0, 0], offset);
  payload.set([1, 0, 0, 8, suite.integrity, 0, 0, 0], offset + 8);
  payload.set([2, 0, 0, 8, suite.confidentiality, 0, 0, 0], offset + 16);
}

/** The three algorithm records; a record length of 0 is the wildcard "you choose" (table 13-9), given as -1. */
function readAlgorithms(payload: Buffer, offset: number): [number, number, number] | undefined {
  const out: [number, number, number] = [-1, -1, -1];
  for (let i = 0; i < 3; i++) {
    const at = offset + 8 * i;
    if (payload[at] !== i) return undefined;
    if (payload[at + 3] !== 0) out[i] = payload[at + 4]! & 0x3f;
  }
  return out;
}

export function decodeOpenRequest(payload: Buffer): OpenRequest | undefined {
  if (payload.length < 32) return undefined;
  const algorithms = readAlgorithms(payload, 8);
  if (!algorithms) return undefined;
  return {
    tag: payload[0]!,
    privilege: payload[1]! & 0x0f,
    consoleId: payload.readUInt32LE(4),
    suite: suiteOf(...algorithms),
    algorithms,
  };
}

/** What every answer of the handshake begins with. `consoleId` is missing in the 2-byte refusals of some BMCs (proven: ipmi_sim). */
export interface HandshakeReply {
  tag: number;
  status: number;
  consoleId: number | undefined;
}

export interface OpenResponse extends HandshakeReply {
  privilege: number;
  bmcId: number;
  suite: CipherSuite | undefined;
}

export function encodeOpenResponse(
  tag: number,
  privilege: number,
  consoleId: number,
  bmcId: number,
  suite: CipherSuite,
): Buffer {
  const payload = Buffer.alloc(36);
  payload[0] = tag;
  payload[2] = privilege;
  payload.writeUInt32LE(consoleId, 4);
  payload.writeUInt32LE(bmcId, 8);
  writeAlgorithms(payload, 12, suite);
  return payload;
}

/** A refusal of Open Session, RAKP 1 or RAKP 3: tag, status and the console's id. */
export function encodeRefusal(tag: number, status: number, consoleId: number): Buffer {
  const payload = Buffer.alloc(8);
  payload[0] = tag;
  payload[1] = status;
  payload.writeUInt32LE(consoleId, 4);
  return payload;
}

/** Reads the common head of a handshake answer, however short. */
export function decodeReplyHead(payload: Buffer): HandshakeReply | undefined {
  if (payload.length < 2) return undefined;
  return {
    tag: payload[0]!,
    status: payload[1]!,
    consoleId: payload.length >= 8 ? payload.readUInt32LE(4) : undefined,
  };
}

export function decodeOpenResponse(payload: Buffer): OpenResponse | undefined {
  const head = decodeReplyHead(payload);
  if (!head) return undefined;
  if (head.status !== 0) return { ...head, privilege: 0, bmcId: 0, suite: undefined };
  if (payload.length < 36) return undefined;
  const algorithms = readAlgorithms(payload, 12);
  return {
    ...head,
    privilege: payload[2]!,
    bmcId: payload.readUInt32LE(8),
    suite: algorithms && suiteOf(...algorithms),
  };
}

export interface Rakp1 {
  tag: number;
  bmcId: number;
  consoleRandom: Buffer;
  role: number;
  user: Buffer;
}

export function encodeRakp1(
  tag: number,
  bmcId: number,
  consoleRandom: Uint8Array,
  role: number,
  user: Uint8Array,
): Buffer {
  const payload = Buffer.alloc(28 + user.length);
  payload[0] = tag;
  payload.writeUInt32LE(bmcId, 4);
  payload.set(consoleRandom, 8);
  payload[24] = role;
  payload[27] = user.length;
  payload.set(user, 28);
  return payload;
}

export function decodeRakp1(payload: Buffer): Rakp1 | undefined {
  if (payload.length < 28 || payload[27]! > 16 || payload.length < 28 + payload[27]!) return undefined;
  return {
    tag: payload[0]!,
    bmcId: payload.readUInt32LE(4),
    consoleRandom: payload.subarray(8, 24),
    role: payload[24]!,
    user: payload.subarray(28, 28 + payload[27]!),
  };
}

export interface Rakp2 extends HandshakeReply {
  bmcRandom: Buffer;
  guid: Buffer;
  code: Buffer;
}

export function encodeRakp2(
  tag: number,
  consoleId: number,
  bmcRandom: Uint8Array,
  guid: Uint8Array,
  code: Uint8Array,
): Buffer {
  const payload = Buffer.alloc(40 + code.length);
  payload[0] = tag;
  payload.writeUInt32LE(consoleId, 4);
  payload.set(bmcRandom, 8);
  payload.set(guid, 24);
  payload.set(code, 40);
  return payload;
}

export function decodeRakp2(payload: Buffer): Rakp2 | undefined {
  const head = decodeReplyHead(payload);
  if (!head || (head.status === 0 && payload.length < 40)) return undefined;
  return { ...head, bmcRandom: payload.subarray(8, 24), guid: payload.subarray(24, 40), code: payload.subarray(40) };
}

export interface Rakp3 {
  tag: number;
  status: number;
  bmcId: number;
  code: Buffer;
}

/** With a status other than 0 the code is left out and the BMC frees the session (section 13.22). */
export function encodeRakp3(tag: number, status: number, bmcId: number, code: Uint8Array): Buffer {
  const payload = Buffer.alloc(8 + code.length);
  payload[0] = tag;
  payload[1] = status;
  payload.writeUInt32LE(bmcId, 4);
  payload.set(code, 8);
  return payload;
}

export function decodeRakp3(payload: Buffer): Rakp3 | undefined {
  if (payload.length < 8) return undefined;
  return { tag: payload[0]!, status: payload[1]!, bmcId: payload.readUInt32LE(4), code: payload.subarray(8) };
}

export interface Rakp4 extends HandshakeReply {
  code: Buffer;
}

export function encodeRakp4(tag: number, consoleId: number, code: Uint8Array): Buffer {
  const payload = encodeRefusal(tag, 0, consoleId);
  return code.length ? Buffer.concat([payload, code]) : payload;
}

export function decodeRakp4(payload: Buffer): Rakp4 | undefined {
  const head = decodeReplyHead(payload);
  return head && { ...head, code: payload.subarray(Math.min(8, payload.length)) };
}
