// Setting a session up over a wire that retransmits: suite negotiation, RMCP+, and the IPMI 1.5 fall-back.
//
// Negotiation tries our suites best first, one Open Session each: that costs nothing where the first is right and one round trip
// where it is refused. Get Channel Cipher Suites is not asked first, because some BMCs never answer it before a session (proven:
// ipmi_sim, where ipmitool loses 4 s to it). Only silence makes us ask anything, and then in bounded time.

import type { KeyObject } from 'node:crypto';
import { completionError, IpmiError } from './errors.ts';
import { PRIVILEGE, type Privilege } from './handshake.ts';
import {
  type AuthCapabilities,
  activateSessionData,
  Lan15Seal,
  md5Code,
  parseAuthCapabilities,
  sessionChallengeData,
} from './lan15.ts';
import { Login } from './login.ts';
import { decodeResponse, encodeRequest, type IpmiResponse } from './message.ts';
import { AUTH_MD5, AUTH_NONE, encodeLan15, encodePlain, PAYLOAD, type Packet } from './rmcp.ts';
import type { SessionSeal } from './seal.ts';
import { CIPHER_SUITES, parseCipherSuites } from './suites.ts';

/** `judge` answers this to have the packet sent again at once, for the last time. */
export const RESEND = Symbol('resend');

/** One datagram out, the matching one in. The link is the only real one; tests bring their own. */
export interface Wire {
  /**
   * Sends `build()` up to `tries` times until `judge` makes something of a packet. Undefined when all tries met silence; rejects
   * with IpmiError on abort, on the job's deadline, and with whatever `judge` throws.
   */
  ask<T>(
    step: string,
    build: () => Buffer,
    judge: (packet: Packet) => T | undefined | typeof RESEND,
    tries: number,
    before?: number,
  ): Promise<T | undefined>;
  /** Sends without waiting for an answer. */
  tell(packet: Buffer): void;
  random(bytes: number): Buffer;
  /** Number for the next request, 0 to 63. */
  nextSeq(): number;
  /** Chooses a fresh console id that leads packets to this wire; releases the one before. */
  claimId(): number;
}

export interface Credentials {
  user: Buffer;
  userKey: KeyObject;
  kgKey: KeyObject | undefined;
  /** 16 bytes for 1.5, or undefined when the password is longer. */
  password15: Buffer | undefined;
  privilege: Privilege;
  suites: readonly number[];
  /** Whether an IPMI 1.5 session may be used where the BMC says that it lacks RMCP+. */
  allow15: boolean;
}

export interface OpenedSession {
  protocol: '2.0' | '1.5';
  suite: number | undefined;
  seal: SessionSeal | Lan15Seal;
  bmcId: number;
  guid: Buffer | undefined;
}

/** What worked the last time, so that it is tried first. */
export interface Remembered {
  protocol?: '2.0' | '1.5';
  suite?: number;
}

const TRIES = 4;

/** Opens a session in the best way the BMC lets us. Rejects with IpmiError. */
export async function openSession(wire: Wire, who: Credentials, memory: Remembered): Promise<OpenedSession> {
  if (memory.protocol === '1.5' && who.allow15)
    return openLan15(wire, who, await authCapabilities(wire, who.privilege));
  const order = [...who.suites];
  if (memory.suite !== undefined && order.includes(memory.suite)) {
    order.splice(order.indexOf(memory.suite), 1);
    order.unshift(memory.suite);
  }
  let refusal: IpmiError | undefined;
  let alive: AuthCapabilities | undefined;
  for (const id of order) {
    const outcome = await tryLogin(wire, who, id, alive ? 2 : TRIES);
    if (outcome instanceof IpmiError) refusal = outcome;
    else if (outcome) return outcome;
    else if (!alive) {
      // Silence: a dead BMC, one without RMCP+, or one that drops suites it does not know (knowledge: old firmwares).
      alive = await authCapabilities(wire, who.privilege);
      if (!alive.rmcpPlus) break;
      const offered = await channelCipherSuites(wire, alive.channel);
      if (offered) {
        const left = order.slice(order.indexOf(id) + 1).filter((other) => offered.includes(other));
        order.splice(order.indexOf(id) + 1, order.length, ...left);
      }
    }
  }
  if (!alive && who.allow15) alive = await authCapabilities(wire, who.privilege).catch(() => undefined);
  if (alive && !alive.rmcpPlus) {
    if (who.allow15) return openLan15(wire, who, alive);
    throw new IpmiError('suite-refused', 'the BMC speaks IPMI 1.5 only, which this session does not allow', {
      step: 'Open Session',
    });
  }
  const names = who.suites.join(', ');
  const why = refusal ? `: ${refusal.fault}` : ', none of which it answered';
  throw new IpmiError('suite-refused', `offered cipher suite ${names}${why}`, { step: 'Open Session' });
}

/** One RMCP+ login: the session, an error that says to try another suite, or undefined for silence at Open Session. */
async function tryLogin(
  wire: Wire,
  who: Credentials,
  suiteId: number,
  tries: number,
): Promise<OpenedSession | IpmiError | undefined> {
  const suite = CIPHER_SUITES[suiteId];
  if (!suite)
    throw new IpmiError(
      'bad-argument',
      `cipher suite ${suiteId} is not one of ${Object.keys(CIPHER_SUITES).join(', ')}`,
    );
  // A RAKP 3 whose answer was lost may have been believed: the BMC then ignores its repetition, and only a new session helps.
  for (let round = 0; round < 3; round++) {
    const login = new Login({
      suite,
      user: who.user,
      userKey: who.userKey,
      ...(who.kgKey && { kgKey: who.kgKey }),
      privilege: PRIVILEGE[who.privilege],
      consoleId: wire.claimId(),
      random: (bytes) => wire.random(bytes),
    });
    try {
      const outcome = await walk(wire, login, round === 0 ? tries : 2);
      if (outcome) return outcome;
      for (const bye of login.farewell()) wire.tell(bye);
      if (login.step === 'Open Session') return undefined;
    } catch (error) {
      for (const bye of login.farewell()) wire.tell(bye);
      if (error instanceof IpmiError && error.code === 'suite-refused') return error;
      throw error;
    }
  }
  throw new IpmiError('session-refused', 'the BMC stopped answering in the middle of the session set-up', {
    step: 'RAKP',
  });
}

async function walk(wire: Wire, login: Login, tries: number): Promise<OpenedSession | undefined> {
  while (login.step !== 'established') {
    const moved = await wire
      .ask(
        login.step,
        () => login.packet,
        (packet) => {
          if (packet.kind !== 'rmcpp') return undefined;
          const verdict = login.receive(packet);
          return verdict === 'ignored' ? undefined : verdict === 'doubt' ? RESEND : true;
        },
        tries,
      )
      .catch((error: unknown) => {
        // A proof that failed and then silence up to the deadline: the failed proof is the better explanation.
        throw login.suspect ?? error;
      });
    if (moved === undefined) {
      if (login.suspect) throw login.suspect;
      return undefined;
    }
  }
  return { protocol: '2.0', suite: login.suite.id, seal: login.seal!, bmcId: login.bmcId, guid: login.guid };
}

/** A request outside any session. `plus` wraps it in an RMCP+ header, as Get Channel Cipher Suites wants it. */
async function sessionless(
  wire: Wire,
  netfn: number,
  cmd: number,
  data: Uint8Array,
  step: string,
  tries: number,
  plus = false,
) {
  const rqSeq = wire.nextSeq();
  const message = encodeRequest(netfn, cmd, rqSeq, data);
  return wire.ask(
    step,
    () => (plus ? encodePlain(PAYLOAD.ipmi, message) : encodeLan15(AUTH_NONE, 0, 0, message)),
    (packet) => answerTo(packet, netfn, cmd, rqSeq),
    tries,
  );
}

function answerTo(packet: Packet, netfn: number, cmd: number, rqSeq: number): IpmiResponse | undefined {
  if (packet.kind !== 'lan15' && packet.kind !== 'rmcpp') return undefined;
  if (packet.sessionId !== 0 || (packet.kind === 'rmcpp' && packet.payloadType !== PAYLOAD.ipmi)) return undefined;
  const answer = decodeResponse(packet.payload);
  return answer && answer.netfn === (netfn | 1) && answer.cmd === cmd && answer.rqSeq === rqSeq ? answer : undefined;
}

/** Whether the BMC answers anything outside sessions, asked once: one that does and is silent on a session has lost it. */
export async function answersOutside(wire: Wire): Promise<boolean> {
  const data = Uint8Array.of(0x0e, PRIVILEGE.administrator);
  return (await sessionless(wire, 0x06, 0x38, data, 'Get Channel Authentication Capabilities', 1)) !== undefined;
}

/** Get Channel Authentication Capabilities (section 22.13), with the bit that asks for IPMI 2.0's part. Rejects when there is silence. */
export async function authCapabilities(wire: Wire, privilege: Privilege): Promise<AuthCapabilities> {
  const step = 'Get Channel Authentication Capabilities';
  const level = PRIVILEGE[privilege];
  let answer = await sessionless(wire, 0x06, 0x38, Uint8Array.of(0x8e, level), step, 2);
  if (answer && answer.completionCode === 0xcc) {
    // Knowledge: IPMI 1.5 BMCs may refuse the reserved bit 7 of the channel byte.
    answer = await sessionless(wire, 0x06, 0x38, Uint8Array.of(0x0e, level), step, 2);
  }
  if (!answer) throw new IpmiError('timeout', 'the BMC answers nothing', { step });
  if (answer.completionCode !== 0) throw completionError(answer.completionCode, step);
  return parseAuthCapabilities(answer.data);
}

/**
 * Suites the BMC advertises (section 22.15), or undefined when it does not say. Bounded: two tries for the first part, and at most
 * 64 parts of 16 bytes; a BMC that stops in the middle gives what was heard.
 */
export async function channelCipherSuites(wire: Wire, channel: number): Promise<number[] | undefined> {
  const step = 'Get Channel Cipher Suites';
  const parts: Buffer[] = [];
  for (let index = 0; index < 0x40; index++) {
    const answer = await sessionless(wire, 0x06, 0x54, Uint8Array.of(channel, 0x00, 0x80 | index), step, 2, true);
    if (answer?.completionCode !== 0 || answer.data.length < 1) break;
    parts.push(answer.data.subarray(1));
    if (answer.data.length < 17) break;
  }
  return parts.length ? parseCipherSuites(Buffer.concat(parts)) : undefined;
}

/** An IPMI 1.5 session with MD5 (section 6.11). */
async function openLan15(wire: Wire, who: Credentials, caps: AuthCapabilities): Promise<OpenedSession> {
  if (!caps.md5)
    throw new IpmiError('suite-refused', 'the BMC offers neither RMCP+ nor MD5 authentication', {
      step: 'Get Session Challenge',
    });
  const password = who.password15;
  if (!password)
    throw new IpmiError('bad-argument', 'the password has more than 16 bytes and the BMC speaks IPMI 1.5 only');
  const challenge = await sessionless(wire, 0x06, 0x39, sessionChallengeData(who.user), 'Get Session Challenge', TRIES);
  if (!challenge) throw new IpmiError('timeout', 'the BMC stopped answering', { step: 'Get Session Challenge' });
  const cc = challenge.completionCode;
  if (cc === 0x81 || cc === 0x82) {
    throw new IpmiError('unknown-user', `the BMC does not know the user (completion code 0x${cc.toString(16)})`, {
      step: 'Get Session Challenge',
      completionCode: cc,
    });
  }
  if (cc !== 0) throw completionError(cc, 'Get Session Challenge');
  if (challenge.data.length < 20) {
    throw new IpmiError('bad-response', `${challenge.data.length} bytes of 20`, { step: 'Get Session Challenge' });
  }
  const temporaryId = challenge.data.readUInt32LE(0);
  const firstInbound = (wire.random(4).readUInt32LE(0) >>> 1) | 1;
  const rqSeq = wire.nextSeq();
  const data = activateSessionData(PRIVILEGE[who.privilege], challenge.data.subarray(4, 20), firstInbound);
  const message = encodeRequest(0x06, 0x3a, rqSeq, data);
  const packet = encodeLan15(AUTH_MD5, 0, temporaryId, message, md5Code(password, temporaryId, 0, message));
  const answer = await wire.ask(
    'Activate Session',
    () => packet,
    (reply) => activated(reply, password, rqSeq),
    TRIES,
  );
  // A BMC that finds the code wrong may drop the packet without a word (section 22.17.1): silence here after an answer just
  // before is most likely the password.
  if (!answer) throw new IpmiError('bad-password', 'the BMC does not answer our proof', { step: 'Activate Session' });
  if (answer.completionCode !== 0) throw activationError(answer.completionCode);
  if (answer.data.length < 10)
    throw new IpmiError('bad-response', `${answer.data.length} bytes of 10`, { step: 'Activate Session' });
  const sessionId = answer.data.readUInt32LE(1);
  const perMessage = (answer.data[0]! & 0x0f) !== AUTH_NONE;
  const seal = new Lan15Seal(password, sessionId, answer.data.readUInt32LE(5) || 1, perMessage);
  return { protocol: '1.5', suite: undefined, seal, bmcId: sessionId, guid: undefined };
}

function activated(packet: Packet, password: Buffer, rqSeq: number): IpmiResponse | undefined {
  if (packet.kind !== 'lan15') return undefined;
  const answer = decodeResponse(packet.payload);
  if (answer?.netfn !== 0x07 || answer.cmd !== 0x3a || answer.rqSeq !== rqSeq) return undefined;
  // A refusal comes without a code; an acceptance must prove the password.
  if (answer.completionCode !== 0) return answer;
  if (packet.authType !== AUTH_MD5 || !packet.authCode) return undefined;
  return md5Code(password, packet.sessionId, packet.sequence, packet.payload).equals(packet.authCode)
    ? answer
    : undefined;
}

function activationError(cc: number): IpmiError {
  const step = 'Activate Session';
  if (cc === 0x81 || cc === 0x82 || cc === 0x83) {
    return new IpmiError('no-session-slots', `the BMC has no free session (completion code 0x${cc.toString(16)})`, {
      step,
      completionCode: cc,
    });
  }
  if (cc === 0x86) {
    return new IpmiError('privilege', 'the privilege level is above the user or channel limit (completion code 0x86)', {
      step,
      completionCode: cc,
    });
  }
  return completionError(cc, step, { 132: 'session sequence number out of range', 133: 'invalid session id' });
}
