// Serial over LAN (IPMI 2.0 chapter 15): packets, and the pure machine that sends characters in order and acknowledges what comes.

export const SOL_OPS = { break: 0x10, cts: 0x08, dropDcd: 0x04, flushIn: 0x02, flushOut: 0x01, nack: 0x40 } as const;

/** Bits of the status byte that a BMC sends (table 15-2). */
export const SOL_STATUS = { nack: 0x40, unavailable: 0x20, deactivated: 0x10, overrun: 0x08, break: 0x04 } as const;

export interface SolPacket {
  /** 1 to 15; 0 in a packet that only acknowledges. */
  sequence: number;
  ack: number;
  accepted: number;
  /** Operation (to the BMC) or status (from it). */
  bits: number;
  data: Buffer;
}

export function encodeSol(packet: SolPacket): Buffer {
  const out = Buffer.allocUnsafe(4 + packet.data.length);
  out[0] = packet.sequence;
  out[1] = packet.ack;
  out[2] = packet.accepted;
  out[3] = packet.bits;
  out.set(packet.data, 4);
  return out;
}

export function decodeSol(payload: Buffer): SolPacket | undefined {
  if (payload.length < 4) return undefined;
  return {
    sequence: payload[0]! & 0x0f,
    ack: payload[1]! & 0x0f,
    accepted: payload[2]!,
    bits: payload[3]!,
    data: payload.subarray(4),
  };
}

/** What `receive` and `write` ask their owner to do. */
export interface SolSteps {
  /** Payloads to send now, in order. */
  send: Buffer[];
  /** New characters from the other side. */
  data?: Buffer;
  /** The BMC ended the stream (seen by a console only). */
  ended?: true;
  /** The console asks for a serial break (seen by a BMC only). */
  broke?: true;
  /** The oldest packet was acknowledged: its timer may stop. */
  acked?: boolean;
}

const NOTHING = Buffer.alloc(0);

/** One end of a SOL stream. One packet is outstanding at a time, as the specification allows no more; the rest waits here. */
export class SolEnd {
  readonly #side: 'console' | 'bmc';
  readonly #most: number;
  readonly #bound: number;
  #sequence = 0;
  #lastSeen = 0;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #outstanding: SolPacket | undefined;

  /** `most`: largest packet's characters (the other side's buffer). `bound`: characters that may wait before `write` refuses. */
  constructor(side: 'console' | 'bmc', most: number, bound = 1 << 16) {
    this.#side = side;
    this.#most = Math.max(1, Math.min(most, 255));
    this.#bound = bound;
  }

  /** Characters not yet acknowledged. */
  get pending(): number {
    return this.#waitingBytes + (this.#outstanding?.data.length ?? 0);
  }

  /** Queues characters; undefined when too many wait already. */
  write(data: Uint8Array): SolSteps | undefined {
    if (this.#waitingBytes + data.length > this.#bound) return undefined;
    if (data.length) this.#waiting.push(Buffer.from(data));
    this.#waitingBytes += data.length;
    return { send: this.#pump(0) };
  }

  /** A break, or another operation; sent behind what is outstanding. Undefined while a packet is outstanding. */
  operate(bits: number): SolSteps | undefined {
    return this.#outstanding ? undefined : { send: this.#pump(bits) };
  }

  /** The outstanding packet again, for a retransmission. */
  again(): Buffer | undefined {
    return this.#outstanding && encodeSol(this.#outstanding);
  }

  receive(payload: Buffer): SolSteps {
    const packet = decodeSol(payload);
    if (!packet) return { send: [] };
    const steps: SolSteps = { send: [] };
    const out = this.#outstanding;
    if (out && packet.ack === out.sequence) {
      this.#outstanding = undefined;
      steps.acked = true;
      if (packet.accepted < out.data.length) {
        // The rest was not taken: it goes first in the next packet, under a new number (section 15.11).
        const rest = out.data.subarray(packet.accepted);
        this.#waiting.unshift(rest);
        this.#waitingBytes += rest.length;
      }
    }
    // The same bit says "deactivated" from a BMC and "send a break" from a console.
    if (this.#side === 'console' && packet.bits & SOL_STATUS.deactivated) steps.ended = true;
    if (packet.sequence !== 0) {
      // A repeated packet is acknowledged again and its characters are not given twice; one that a bad network delivers past its
      // successor is told by its number: up to 7 ahead is new, the rest of the circle of 15 is old.
      if (this.#isNew(packet.sequence)) {
        this.#lastSeen = packet.sequence;
        if (packet.data.length) steps.data = packet.data;
        if (this.#side === 'bmc' && packet.bits & SOL_STATUS.deactivated) steps.broke = true;
      }
      steps.send.push(
        encodeSol({ sequence: 0, ack: packet.sequence, accepted: packet.data.length, bits: 0, data: NOTHING }),
      );
    }
    // NACK with "not ready": the owner's timer sends the rest.
    if (!(packet.bits & SOL_STATUS.nack)) steps.send.push(...this.#pump(0));
    return steps;
  }

  #isNew(sequence: number): boolean {
    const ahead = (sequence - this.#lastSeen + 15) % 15;
    return this.#lastSeen === 0 || (ahead > 0 && ahead < 8);
  }

  #pump(bits: number): Buffer[] {
    if (this.#outstanding || (this.#waiting.length === 0 && bits === 0)) return [];
    const all = this.#waiting.length === 1 ? this.#waiting[0]! : Buffer.concat(this.#waiting);
    const data = all.subarray(0, this.#most);
    const rest = all.subarray(data.length);
    this.#waiting = rest.length ? [rest] : [];
    this.#waitingBytes = rest.length;
    this.#sequence = (this.#sequence % 15) + 1;
    this.#outstanding = { sequence: this.#sequence, ack: 0, accepted: 0, bits, data };
    return [encodeSol(this.#outstanding)];
  }
}
