// The console's half of setting an RMCP+ session up, as a machine that is fed packets and says what to send: no socket, no clock.
// Open Session → RAKP 1 → RAKP 3 → established (IPMI 2.0 section 13.15). A packet that does not fit is ignored, never an error.

import { type KeyObject, randomBytes } from 'node:crypto';
import { IpmiError, statusError } from './errors.ts';
import {
  decodeOpenResponse,
  decodeRakp2,
  decodeRakp4,
  decodeReplyHead,
  encodeOpenRequest,
  encodeRakp1,
  encodeRakp3,
  NAME_ONLY,
} from './handshake.ts';
import {
  deriveKeys,
  own,
  type RakpFacts,
  rakp2Code,
  rakp3Code,
  rakp4Code,
  type SessionKeys,
  sameCode,
} from './keys.ts';
import { encodeRequest } from './message.ts';
import { encodePlain, PAYLOAD, type RmcpPlusPacket } from './rmcp.ts';
import { SessionSeal } from './seal.ts';
import type { CipherSuite } from './suites.ts';

export interface LoginOptions {
  suite: CipherSuite;
  /** At most 16 bytes. */
  user: Buffer;
  /** The user's 20-byte key, and the BMC's own key K_g where it has one. */
  userKey: KeyObject;
  kgKey?: KeyObject;
  /** 1 to 5, `PRIVILEGE`. */
  privilege: number;
  /** Chosen by us, unique on our socket, not 0. */
  consoleId: number;
  /** Defaults to `crypto.randomBytes`. */
  random?: (bytes: number) => Buffer;
}

type Step = 'Open Session' | 'RAKP 1' | 'RAKP 3' | 'established';

/** What `receive` made of a packet: nothing, the next step (send `packet`), doubt (send `packet` again), or the end. */
export type LoginVerdict = 'ignored' | 'advanced' | 'doubt' | 'established';

export class Login {
  readonly suite: CipherSuite;
  readonly consoleId: number;
  step: Step = 'Open Session';
  /** The datagram of this step; sending it again is a retransmission. */
  packet: Buffer;
  /** A failed proof that one more answer may still clear up: a stray datagram must not end a session set-up. */
  suspect: IpmiError | undefined;
  bmcId = 0;
  guid: Buffer = Buffer.alloc(16);
  seal: SessionSeal | undefined;
  readonly #options: LoginOptions;
  readonly #random: (bytes: number) => Buffer;
  #tag: number;
  #consoleRandom: Buffer | undefined;
  #keys: SessionKeys | undefined;
  #facts: RakpFacts | undefined;

  constructor(options: LoginOptions) {
    this.#options = options;
    this.#random = options.random ?? randomBytes;
    this.suite = options.suite;
    this.consoleId = options.consoleId;
    this.#tag = this.#random(1)[0]!;
    this.packet = encodePlain(PAYLOAD.openRequest, encodeOpenRequest(this.#tag, this.consoleId, this.suite));
  }

  /** Takes a handshake packet. Throws IpmiError when the BMC refuses, or when a proof failed twice. */
  receive(packet: RmcpPlusPacket): LoginVerdict {
    if (packet.encrypted || packet.authenticated || packet.sessionId !== 0) return 'ignored';
    const { step } = this;
    const wanted =
      step === 'Open Session'
        ? PAYLOAD.openResponse
        : step === 'RAKP 1'
          ? PAYLOAD.rakp2
          : step === 'RAKP 3'
            ? PAYLOAD.rakp4
            : -1;
    if (packet.payloadType !== wanted) return 'ignored';
    const head = decodeReplyHead(packet.payload);
    if (!head || head.tag !== this.#tag || (head.consoleId !== undefined && head.consoleId !== this.consoleId))
      return 'ignored';
    if (head.status !== 0)
      throw statusError(head.status, step, step === 'Open Session' ? undefined : this.#options.user.toString());
    if (head.consoleId === undefined) return 'ignored';
    if (step === 'Open Session') return this.#opened(packet.payload);
    return step === 'RAKP 1' ? this.#proven(packet.payload) : this.#keyed(packet.payload);
  }

  /**
   * Datagrams that make the BMC forget this half-made session, so that no slot stays taken. After RAKP 3 the BMC may hold the session
   * for made while its RAKP 4 was lost; its keys are known by then, so Close Session can be sent on it unheard.
   */
  farewell(): Buffer[] {
    if (this.bmcId === 0 || this.step === 'established') return [];
    const out = [encodePlain(PAYLOAD.rakp3, encodeRakp3(this.#tag, 0x0f, this.bmcId, new Uint8Array(0)))];
    if (this.step === 'RAKP 3' && this.#keys) {
      const data = Buffer.alloc(4);
      data.writeUInt32LE(this.bmcId);
      const seal = new SessionSeal(this.suite, this.#keys, this.bmcId, this.#random(16));
      out.push(seal.seal(PAYLOAD.ipmi, encodeRequest(0x06, 0x3c, 0, data)));
    }
    return out;
  }

  #next(step: Step): void {
    this.step = step;
    this.suspect = undefined;
    this.#tag = (this.#tag + 1) & 0xff;
  }

  #opened(payload: Buffer): LoginVerdict {
    const reply = decodeOpenResponse(payload);
    if (!reply || reply.bmcId === 0) return 'ignored';
    if (reply.suite?.id !== this.suite.id) {
      // Believing the BMC's choice would let anyone on the wire talk us down to a weaker suite.
      throw new IpmiError(
        'suite-refused',
        `asked for cipher suite ${this.suite.id}, the BMC answered with other algorithms`,
        {
          step: this.step,
        },
      );
    }
    this.bmcId = reply.bmcId;
    this.#consoleRandom = this.#random(16);
    this.#next('RAKP 1');
    const { user } = this.#options;
    this.packet = encodePlain(
      PAYLOAD.rakp1,
      encodeRakp1(this.#tag, this.bmcId, this.#consoleRandom, this.#role(), user),
    );
    return 'advanced';
  }

  #role(): number {
    return this.#options.privilege | NAME_ONLY;
  }

  #proven(payload: Buffer): LoginVerdict {
    const reply = decodeRakp2(payload);
    if (!reply) return 'ignored';
    const { suite } = this;
    const { user, userKey, kgKey } = this.#options;
    const facts: RakpFacts = {
      consoleId: this.consoleId,
      bmcId: this.bmcId,
      consoleRandom: this.#consoleRandom!,
      bmcRandom: reply.bmcRandom,
      guid: reply.guid,
      role: this.#role(),
      user,
    };
    if (!sameCode(rakp2Code(suite.hash, userKey, facts), reply.code)) {
      return this.#doubt(
        new IpmiError('bad-password', `the BMC holds another password for user '${user.toString()}'`, {
          step: 'RAKP 1',
        }),
      );
    }
    this.guid = own(reply.guid);
    this.#facts = facts;
    this.#keys = deriveKeys(suite.hash, kgKey ?? userKey, facts);
    this.#next('RAKP 3');
    const code = rakp3Code(suite.hash, userKey, facts);
    this.packet = encodePlain(PAYLOAD.rakp3, encodeRakp3(this.#tag, 0, this.bmcId, code));
    return 'advanced';
  }

  #keyed(payload: Buffer): LoginVerdict {
    const reply = decodeRakp4(payload);
    const { suite } = this;
    const keys = this.#keys!;
    if (!reply) return 'ignored';
    if (!sameCode(rakp4Code(suite.hash, keys.sik, this.#facts!, suite.icvBytes), reply.code)) {
      const which = this.#options.kgKey ? 'the BMC uses another key K_g' : 'the BMC uses a key K_g and none was given';
      return this.#doubt(new IpmiError('bad-kg', which, { step: 'RAKP 3' }));
    }
    this.seal = new SessionSeal(suite, keys, this.bmcId, this.#random(16));
    this.#next('established');
    return 'established';
  }

  #doubt(error: IpmiError): LoginVerdict {
    if (this.suspect) throw this.suspect;
    this.suspect = error;
    return 'doubt';
  }
}
