// IPMI 1.5 sessions (IPMI 2.0 sections 13.6, 22.13 to 22.17): MD5 authentication codes, no encryption. The fall-back for BMCs without RMCP+.

import { hash } from 'node:crypto';
import { IpmiError } from './errors.ts';
import { sameCode } from './keys.ts';
import type { Lan15Packet } from './rmcp.ts';
import { AUTH_MD5, AUTH_NONE, encodeLan15 } from './rmcp.ts';
import { SequenceWindow } from './window.ts';

/** A 1.5 password: at most 16 bytes, zero-padded. */
export function password15(password: string | Uint8Array): Buffer {
  const bytes = typeof password === 'string' ? Buffer.from(password, 'utf8') : password;
  if (bytes.length > 16) {
    throw new IpmiError(
      'bad-argument',
      `the password has ${bytes.length} bytes; an IPMI 1.5 session can prove at most 16`,
    );
  }
  const key = Buffer.alloc(16);
  key.set(bytes);
  return key;
}

/** MD5(password | session id | message | sequence | password), ids little-endian as sent (section 22.17.1). */
export function md5Code(password: Buffer, sessionId: number, sequence: number, payload: Uint8Array): Buffer {
  const input = Buffer.allocUnsafe(40 + payload.length);
  password.copy(input, 0);
  input.writeUInt32LE(sessionId, 16);
  input.set(payload, 20);
  input.writeUInt32LE(sequence, 20 + payload.length);
  password.copy(input, 24 + payload.length);
  return hash('md5', input, 'buffer');
}

/** One 1.5 session as the console sees it; the sequence number grows with every packet sent, retransmissions too. */
export class Lan15Seal {
  readonly sessionId: number;
  readonly #password: Buffer;
  readonly #window = new SequenceWindow(LEAP);
  /** BMC leaves the code out of its answers when it said so in Get Channel Authentication Capabilities. */
  readonly #perMessage: boolean;
  #sequence: number;

  constructor(password: Buffer, sessionId: number, firstSequence: number, perMessage: boolean) {
    this.#password = password;
    this.sessionId = sessionId;
    this.#sequence = firstSequence;
    this.#perMessage = perMessage;
  }

  seal(payload: Uint8Array): Buffer {
    const sequence = this.#sequence;
    this.#sequence = sequence === 0xffffffff ? 1 : sequence + 1;
    if (!this.#perMessage) return encodeLan15(AUTH_NONE, sequence, this.sessionId, payload);
    return encodeLan15(
      AUTH_MD5,
      sequence,
      this.sessionId,
      payload,
      md5Code(this.#password, this.sessionId, sequence, payload),
    );
  }

  open(packet: Lan15Packet): Buffer | undefined {
    if (packet.sessionId !== this.sessionId) return undefined;
    if (packet.authType === AUTH_NONE) {
      if (this.#perMessage) return undefined;
    } else {
      if (packet.authType !== AUTH_MD5 || !packet.authCode) return undefined;
      const code = md5Code(this.#password, this.sessionId, packet.sequence, packet.payload);
      if (!sameCode(code, packet.authCode)) return undefined;
    }
    return this.#window.accept(packet.sequence) ? packet.payload : undefined;
  }
}

/** The BMC starts where Activate Session told it to (a random number), so any first number is taken; replays are not. */
const LEAP = 0x7fffffff;

/** Answer of Get Channel Authentication Capabilities (section 22.13). */
export interface AuthCapabilities {
  channel: number;
  rmcpPlus: boolean;
  md5: boolean;
  none: boolean;
  /** Whether K_g is set to something else than zeros (two-key login). */
  kgSet: boolean;
  /** False when the BMC does not want a code in each message. */
  perMessage: boolean;
}

export function parseAuthCapabilities(data: Uint8Array): AuthCapabilities {
  if (data.length < 8) {
    throw new IpmiError('bad-response', `Get Channel Authentication Capabilities answered ${data.length} bytes of 8`);
  }
  const types = data[1]!;
  const status = data[2]!;
  return {
    channel: data[0]! & 0x0f,
    // Bit 7 of byte 2 says that byte 4 carries the extended capabilities; bit 1 of byte 4 says IPMI 2.0.
    rmcpPlus: (types & 0x80) !== 0 && (data[3]! & 0x02) !== 0,
    md5: (types & 0x04) !== 0,
    none: (types & 0x01) !== 0,
    kgSet: (status & 0x20) !== 0,
    perMessage: (status & 0x10) === 0,
  };
}

/** Data of Get Session Challenge for MD5. */
export function sessionChallengeData(user: Uint8Array): Buffer {
  const data = Buffer.alloc(17);
  data[0] = AUTH_MD5;
  data.set(user, 1);
  return data;
}

/** Data of Activate Session for MD5: `firstInbound` is where the BMC's own numbers shall start; not 0. */
export function activateSessionData(privilege: number, challenge: Uint8Array, firstInbound: number): Buffer {
  const data = Buffer.alloc(22);
  data[0] = AUTH_MD5;
  data[1] = privilege;
  data.set(challenge, 2);
  data.writeUInt32LE(firstInbound, 18);
  return data;
}
