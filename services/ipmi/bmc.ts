// The BMC's side, pure: datagrams and a peer's name in, datagrams out. No socket, no clock, no machine: commands go to `handle`.
// Speaks RMCP+ (suites 1, 2, 3, 17; the caller chooses), the pre-session commands, and the ASF ping; IPMI 1.5 sessions are not served.

import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import {
  decodeOpenRequest,
  decodeRakp1,
  decodeRakp3,
  encodeOpenResponse,
  encodeRakp2,
  encodeRakp4,
  encodeRefusal,
  NAME_ONLY,
  PRIVILEGE,
  type Privilege,
} from './handshake.ts';
import {
  bmcKey,
  deriveKeys,
  passwordKey,
  type RakpFacts,
  rakp2Code,
  rakp3Code,
  rakp4Code,
  type SessionKeys,
  sameCode,
} from './keys.ts';
import { decodeRequest, encodeResponse, type IpmiRequest } from './message.ts';
import { AUTH_NONE, decodePacket, encodeLan15, encodePlain, encodePong, PAYLOAD, type RmcpPlusPacket } from './rmcp.ts';
import { SessionSeal } from './seal.ts';
import { type CipherSuite, encodeCipherSuites } from './suites.ts';

export interface BmcUserAccount {
  name: string;
  password: string;
  /** Highest level that the user may work at. */
  privilege: Privilege;
}

/** A completion code and what follows it. */
export interface BmcReply {
  completionCode: number;
  data?: Uint8Array;
}

/** A session as a handler sees it. */
export interface BmcSessionInfo {
  /** The BMC's session id. */
  readonly id: number;
  readonly user: string;
  readonly peer: string;
  /** Level now, 1 to 4; begins at user, raised by Set Session Privilege Level. */
  readonly privilege: number;
  readonly suite: number;
}

export interface BmcOptions {
  /** 16 bytes. */
  guid: Uint8Array;
  /** Asked at every login, so that a changed password holds at once. */
  users: () => readonly BmcUserAccount[];
  kg?: string;
  /** Suites to accept. Default 3 and 17. */
  suites?: readonly number[];
  /** Sessions at a time, half-open ones included; the oldest half-open one gives way. Default 5. */
  maxSessions?: number;
  random?: (bytes: number) => Buffer;
  /** Commands of an open session, but for those of the session itself. May answer later. */
  handle: (
    netfn: number,
    cmd: number,
    data: Buffer,
    privilege: number,
    session: BmcSessionInfo,
  ) => BmcReply | Promise<BmcReply>;
  /** Other payloads (SOL) of an open session. */
  onPayload?: (session: BmcSessionInfo, type: number, payload: Buffer) => void;
  onSessionEnd?: (session: BmcSessionInfo) => void;
}

export interface BmcSession {
  /** Takes a datagram; `reply` is called for each datagram to send back, now or when the handler has answered. Never throws. */
  receive(datagram: Buffer, peer: string, reply: (datagram: Buffer) => void): void;
  /** Seals a payload (SOL) of an open session; undefined when the session is gone. */
  sealPayload(sessionId: number, type: number, payload: Uint8Array): Buffer | undefined;
  /** Ends a session without a word, as a BMC does that restarts or drops an idle one. */
  end(sessionId: number): void;
  readonly sessions: readonly BmcSessionInfo[];
}

interface Slot {
  id: number;
  peer: string;
  consoleId: number;
  suite: CipherSuite;
  tag: number;
  /** The level that Open Session asked for, 0 for the highest. */
  asked: number;
  user: string;
  userKey: KeyObject | undefined;
  facts: RakpFacts | undefined;
  keys: SessionKeys | undefined;
  limit: number;
  privilege: number;
  seal: SessionSeal | undefined;
  /** RAKP 2 and RAKP 4 as sent, for a console that did not get them. */
  rakp1: Buffer | undefined;
  rakp2: Buffer | undefined;
  rakp4: Buffer | undefined;
  /** The last request and its answer: a retransmission must not be carried out again. */
  lastRequest: Buffer | undefined;
  lastResponse: Buffer | undefined;
}

/** A BMC must not believe leaps: section 6.12.13. */
const WINDOW_AHEAD = 16;

/** One BMC. Its sessions end only by Close Session, by `end`, or by giving way; idle ones are the owner's business. */
export function createBmcSession(options: BmcOptions): BmcSession {
  const { handle, random = randomBytes, maxSessions = 5, suites = [3, 17] } = options;
  const guid = Buffer.from(options.guid);
  const kg = options.kg ? bmcKey(options.kg) : undefined;
  const kgKey = kg && createSecretKey(kg);
  const records = encodeCipherSuites(suites);
  const slots = new Map<number, Slot>();

  const info = (slot: Slot): BmcSessionInfo => ({
    id: slot.id,
    user: slot.user,
    peer: slot.peer,
    privilege: slot.privilege,
    suite: slot.suite.id,
  });

  const end = (id: number) => {
    const slot = slots.get(id);
    if (!slot) return;
    slots.delete(id);
    if (slot.seal) options.onSessionEnd?.(info(slot));
  };

  const openSession = (payload: Buffer, peer: string): Buffer | undefined => {
    const request = decodeOpenRequest(payload);
    if (!request) return undefined;
    const refuse = (status: number) =>
      encodePlain(PAYLOAD.openResponse, encodeRefusal(request.tag, status, request.consoleId));
    const { suite } = request;
    if (!suite || !suites.includes(suite.id)) {
      const [auth, integrity] = request.algorithms;
      const near = suites.map((id) => encodeCipherSuites([id])).filter((record) => record.length);
      if (!near.some((record) => record[2] === auth)) return refuse(0x04);
      return refuse(near.some((record) => (record[3]! & 0x3f) === integrity) ? 0x10 : 0x05);
    }
    // A repeated request gets the same session, not a second slot.
    for (const slot of slots.values()) {
      if (!slot.seal && slot.peer === peer && slot.consoleId === request.consoleId && slot.tag === request.tag) {
        return openAnswer(slot);
      }
    }
    if (slots.size >= maxSessions) {
      const half = [...slots.values()].find((slot) => !slot.seal);
      if (!half) return refuse(0x01);
      slots.delete(half.id);
    }
    const slot = newSlot(freshId(), peer, request.consoleId, suite, request.tag, request.privilege);
    slots.set(slot.id, slot);
    return openAnswer(slot);
  };

  const openAnswer = (slot: Slot) =>
    encodePlain(
      PAYLOAD.openResponse,
      encodeOpenResponse(slot.tag, slot.asked || PRIVILEGE.administrator, slot.consoleId, slot.id, slot.suite),
    );

  const freshId = (): number => {
    for (;;) {
      const id = random(4).readUInt32LE(0);
      if (id !== 0 && !slots.has(id)) return id;
    }
  };

  const rakp1 = (payload: Buffer, peer: string): Buffer | undefined => {
    const request = decodeRakp1(payload);
    const slot = request && slots.get(request.bmcId);
    if (!request || !slot || slot.seal || slot.peer !== peer) return undefined;
    if (slot.rakp1?.equals(payload)) return slot.rakp2;
    const refuse = (status: number) => {
      slots.delete(slot.id);
      return encodePlain(PAYLOAD.rakp2, encodeRefusal(request.tag, status, slot.consoleId));
    };
    const role = request.role & 0x0f;
    if (role < 1 || role > 4) return refuse(0x09);
    const name = request.user.toString('utf8');
    const account = options
      .users()
      .find((user) => user.name === name && (request.role & NAME_ONLY || PRIVILEGE[user.privilege] >= role));
    // A password that IPMI cannot prove (over 20 bytes) is a user that cannot log in here, not a crash.
    if (!account || Buffer.byteLength(account.password) > 20) return refuse(0x0d);
    if (PRIVILEGE[account.privilege] < role) return refuse(0x0a);
    const userKey = createSecretKey(passwordKey(account.password));
    const facts: RakpFacts = {
      consoleId: slot.consoleId,
      bmcId: slot.id,
      consoleRandom: Buffer.from(request.consoleRandom),
      bmcRandom: Buffer.from(random(16)),
      guid,
      role: request.role,
      user: Buffer.from(request.user),
    };
    slot.user = name;
    slot.userKey = userKey;
    slot.facts = facts;
    slot.limit = role;
    slot.keys = deriveKeys(slot.suite.hash, kgKey ?? userKey, facts);
    slot.rakp1 = Buffer.from(payload);
    const code = rakp2Code(slot.suite.hash, userKey, facts);
    slot.rakp2 = encodePlain(PAYLOAD.rakp2, encodeRakp2(request.tag, slot.consoleId, facts.bmcRandom, guid, code));
    return slot.rakp2;
  };

  const rakp3 = (payload: Buffer, peer: string): Buffer | undefined => {
    const request = decodeRakp3(payload);
    const slot = request && slots.get(request.bmcId);
    if (!request || !slot || slot.peer !== peer) return undefined;
    const { facts, keys, userKey, suite } = slot;
    if (!facts || !keys || !userKey) return undefined;
    const proven = request.status === 0 && sameCode(rakp3Code(suite.hash, userKey, facts), request.code);
    if (slot.seal) return proven ? slot.rakp4 : undefined;
    if (!proven) {
      slots.delete(slot.id);
      return request.status ? undefined : encodePlain(PAYLOAD.rakp4, encodeRefusal(request.tag, 0x0f, slot.consoleId));
    }
    slot.seal = new SessionSeal(suite, keys, slot.consoleId, random(16), WINDOW_AHEAD);
    slot.privilege = Math.min(slot.limit, PRIVILEGE.user);
    slot.rakp4 = encodePlain(
      PAYLOAD.rakp4,
      encodeRakp4(request.tag, slot.consoleId, rakp4Code(suite.hash, keys.sik, facts, suite.icvBytes)),
    );
    return slot.rakp4;
  };

  /** Commands outside a session. */
  const sessionless = (request: IpmiRequest): BmcReply => {
    if (request.netfn === 0x06 && request.cmd === 0x38 && request.data.length >= 2) {
      return { completionCode: 0, data: Uint8Array.of(0x01, 0x80, kgKey ? 0x24 : 0x04, 0x02, 0, 0, 0, 0) };
    }
    if (request.netfn === 0x06 && request.cmd === 0x54 && request.data.length >= 3) {
      const from = (request.data[2]! & 0x3f) * 16;
      return { completionCode: 0, data: Buffer.concat([Uint8Array.of(0x01), records.subarray(from, from + 16)]) };
    }
    if (request.netfn === 0x06 && request.cmd === 0x37) return { completionCode: 0, data: guid };
    return { completionCode: 0xd4 };
  };

  /** The session's own commands; undefined for those of the machine. */
  const own = (slot: Slot, request: IpmiRequest): BmcReply | undefined => {
    if (request.netfn !== 0x06) return undefined;
    const { cmd, data } = request;
    if (cmd === 0x3b) {
      if (data.length < 1) return { completionCode: 0xc7 };
      const level = data[0]! & 0x0f;
      if (level > slot.limit) return { completionCode: 0x81 };
      if (level === 1 || level > 4) return { completionCode: 0xcc };
      if (level) slot.privilege = level;
      return { completionCode: 0, data: Uint8Array.of(slot.privilege) };
    }
    if (cmd === 0x3c) {
      if (data.length < 4) return { completionCode: 0xc7 };
      const id = data.readUInt32LE(0);
      // Others' sessions may be closed by administrators only (section 22.19).
      if (id !== slot.id && slot.privilege < PRIVILEGE.administrator) return { completionCode: 0xd4 };
      return { completionCode: slots.has(id) ? 0 : 0x87 };
    }
    return cmd === 0x38 || cmd === 0x54 || cmd === 0x37 ? sessionless(request) : undefined;
  };

  const inSession = (packet: RmcpPlusPacket, peer: string, reply: (datagram: Buffer) => void) => {
    const slot = slots.get(packet.sessionId);
    if (!slot?.seal || slot.peer !== peer) return;
    const { seal } = slot;
    const payload = seal.open(packet);
    if (!payload) return;
    if (packet.payloadType !== PAYLOAD.ipmi) {
      options.onPayload?.(info(slot), packet.payloadType, payload);
      return;
    }
    const request = decodeRequest(payload);
    if (!request || request.netfn & 1) return;
    if (slot.lastRequest?.equals(payload)) {
      if (slot.lastResponse) reply(seal.seal(PAYLOAD.ipmi, slot.lastResponse));
      return;
    }
    const asked = Buffer.from(payload);
    slot.lastRequest = asked;
    slot.lastResponse = undefined;
    const answer = (result: BmcReply) => {
      const response = encodeResponse(request, result.completionCode, result.data);
      if (slot.lastRequest === asked) slot.lastResponse = response;
      reply(seal.seal(PAYLOAD.ipmi, response));
    };
    const mine = own(slot, request);
    if (mine) {
      answer(mine);
      if (request.cmd === 0x3c && mine.completionCode === 0) end(request.data.readUInt32LE(0));
      return;
    }
    try {
      const result = handle(request.netfn, request.cmd, request.data, slot.privilege, info(slot));
      if (result instanceof Promise) result.then(answer, () => answer({ completionCode: 0xff }));
      else answer(result);
    } catch {
      answer({ completionCode: 0xff });
    }
  };

  return {
    receive(datagram, peer, reply) {
      const packet = decodePacket(datagram);
      if (!packet || packet.kind === 'ack') return;
      if (packet.kind === 'asf') {
        if (packet.type === 0x80) reply(encodePong(packet.tag));
        return;
      }
      if (packet.kind === 'lan15') {
        if (packet.authType !== AUTH_NONE || packet.sessionId !== 0) return;
        const request = decodeRequest(packet.payload);
        if (!request || request.netfn & 1) return;
        const { completionCode, data } = sessionless(request);
        reply(encodeLan15(AUTH_NONE, 0, 0, encodeResponse(request, completionCode, data)));
        return;
      }
      if (packet.sessionId !== 0) return inSession(packet, peer, reply);
      if (packet.encrypted || packet.authenticated) return;
      const { payload } = packet;
      let out: Buffer | undefined;
      if (packet.payloadType === PAYLOAD.openRequest) out = openSession(payload, peer);
      else if (packet.payloadType === PAYLOAD.rakp1) out = rakp1(payload, peer);
      else if (packet.payloadType === PAYLOAD.rakp3) out = rakp3(payload, peer);
      else if (packet.payloadType === PAYLOAD.ipmi) {
        const request = decodeRequest(payload);
        if (request && !(request.netfn & 1)) {
          const { completionCode, data } = sessionless(request);
          out = encodePlain(PAYLOAD.ipmi, encodeResponse(request, completionCode, data));
        }
      }
      if (out) reply(out);
    },
    sealPayload(sessionId, type, payload) {
      return slots.get(sessionId)?.seal?.seal(type, payload);
    },
    end,
    get sessions() {
      return [...slots.values()].filter((slot) => slot.seal).map(info);
    },
  };
}

function newSlot(id: number, peer: string, consoleId: number, suite: CipherSuite, tag: number, asked: number): Slot {
  return {
    id,
    peer,
    consoleId,
    suite,
    tag,
    asked,
    user: '',
    userKey: undefined,
    facts: undefined,
    keys: undefined,
    limit: 0,
    privilege: 0,
    seal: undefined,
    rakp1: undefined,
    rakp2: undefined,
    rakp4: undefined,
    lastRequest: undefined,
    lastResponse: undefined,
  };
}
