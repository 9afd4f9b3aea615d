// What goes wrong between a BMC and whoever asks it, from a seed: the same seed and the same traffic give the same story.

import type { Clock } from '../core/clock.ts';

/** Chances are from 0 to 1, for each datagram; all may be changed while the BMC runs. */
export interface VirtualFaults {
  /** Datagrams lost, either way. */
  loss: number;
  /** Answers that come twice. */
  duplicate: number;
  /** Answers delayed by up to 20 ms, past their successors. */
  reorder: number;
  /** Answers cut off somewhere. */
  truncate: number;
  /** Answers with one byte changed: their integrity code no longer holds. */
  corrupt: number;
  /** Random bytes sent ahead of an answer. */
  noise: number;
  /** An older datagram of the session, with its true integrity code and its old number, sent ahead of an answer. */
  stale: number;
  /** Answers with another's session id: two BMCs on one address, or one that mixes its sessions up. */
  foreign: number;
  /** Session sequence numbers leap by up to 40 in front of an answer, properly sealed. */
  leap: number;
  /** Requests at which the BMC falls deaf for `stallMs`; what came meanwhile is never answered. */
  stall: number;
  stallMs: number;
  /** Deaf until told otherwise. */
  deaf: boolean;
  /** Open Session requests that are refused: all slots are taken just then. */
  exhaust: number;
  /** Open Session is refused until told otherwise. */
  sessionsFull: boolean;
}

export const noFaults: Readonly<VirtualFaults> = {
  ...{ loss: 0, duplicate: 0, reorder: 0, truncate: 0, corrupt: 0, noise: 0, stale: 0, foreign: 0, leap: 0 },
  ...{ stall: 0, stallMs: 10_000, exhaust: 0, deaf: false, sessionsFull: false },
};

type Send = (datagram: Buffer) => void;

const REORDER_MS = 20;
const MOST_LEAP = 40;

/** Seeded randomness (mulberry32): numbers in [0, 1). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** RMCP+ carries the session id at byte 6; before a session is open it is 0, and the handshake has the console's id at byte 20. */
function foreign(datagram: Buffer): Buffer {
  if (datagram[4] !== 0x06 || datagram.length < 24) return datagram;
  const out = Buffer.from(datagram);
  out[out.readUInt32LE(6) === 0 ? 20 : 6]! ^= 0x5a;
  return out;
}

export class FaultPlane {
  readonly faults: VirtualFaults;
  readonly #random: () => number;
  readonly #clock: Clock;
  readonly #old = new Map<string, Buffer>();
  #deafUntil = 0;

  constructor(seed: number, clock: Clock, faults: Partial<VirtualFaults> = {}) {
    this.#random = seededRandom(seed);
    this.#clock = clock;
    this.faults = { ...noFaults, ...faults };
  }

  /** Whether a datagram from outside is heard. */
  hears(): boolean {
    const { faults } = this;
    if (faults.deaf || this.#hit(faults.loss)) return false;
    if (this.#deafUntil && this.#clock.now() < this.#deafUntil) return false;
    if (this.#hit(faults.stall)) {
      this.#deafUntil = this.#clock.now() + faults.stallMs;
      return false;
    }
    return true;
  }

  /** Whether a new session finds all slots taken. */
  isFull(): boolean {
    return this.faults.sessionsFull || this.#hit(this.faults.exhaust);
  }

  /** Session sequence numbers to waste in front of the next answer. */
  leaps(): number {
    return this.#hit(this.faults.leap) ? 1 + Math.floor(this.#random() * MOST_LEAP) : 0;
  }

  /** Sends an answer to `peer`, or what becomes of it. */
  answer(datagram: Buffer, peer: string, send: Send): void {
    const { faults } = this;
    if (this.#hit(faults.noise)) send(this.#garbage());
    if (faults.stale > 0) {
      const old = this.#old.get(peer);
      if (old && this.#hit(faults.stale)) send(old);
      this.#old.set(peer, Buffer.from(datagram));
    }
    if (this.#hit(faults.loss)) return;
    let bytes = this.#hit(faults.foreign) ? foreign(datagram) : datagram;
    if (this.#hit(faults.truncate)) bytes = bytes.subarray(0, Math.floor(this.#random() * bytes.length));
    if (this.#hit(faults.corrupt) && bytes.length > 0) {
      bytes = Buffer.from(bytes);
      const at = Math.floor(this.#random() * bytes.length);
      bytes[at]! ^= 1 << Math.floor(this.#random() * 8);
    }
    const copies = this.#hit(faults.duplicate) ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      if (this.#hit(faults.reorder)) this.#clock.after(this.#random() * REORDER_MS, () => send(bytes));
      else send(bytes);
    }
  }

  /** Half of them begin like RMCP, so that they get past the first look. */
  #garbage(): Buffer {
    const out = Buffer.alloc(1 + Math.floor(this.#random() * 120));
    for (let i = 0; i < out.length; i++) out[i] = this.#random() * 256;
    if (this.#random() < 0.5) out.set(Buffer.of(6, 0, 0xff, 7, 6).subarray(0, out.length));
    return out;
  }

  #hit(chance: number): boolean {
    return chance > 0 && this.#random() < chance;
  }
}
