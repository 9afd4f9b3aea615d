import { RETRANSMISSION, type RetransmissionBounds, RetransmissionTimer } from './retransmission.ts';

/**
 * One file on its way to one client: which block goes next, and when one goes again. No sockets, no bytes, no clock: it is told of ACKs and of
 * time, and says what to do.
 *
 * Blocks are counted from 1 without end inside; on the wire they have 16 bits and roll over to 0, as every client does that gets that far.
 */

export interface TransferPlan {
  /** Blocks in all: the last one is short, or empty where the size is a multiple of the block size. */
  readonly blocks: number;
  /** RFC 7440; 1 is the lock-step of RFC 1350. */
  readonly windowSize: number;
  /** Whether an OACK opens the transfer; its ACK has number 0. */
  readonly optionAck: boolean;
  readonly timeoutMs?: number | undefined;
  /** Without progress for so long the client is gone. */
  readonly patienceMs?: number;
  readonly bounds?: RetransmissionBounds;
}

/** `send-option-ack`: that packet; `send-blocks`: call `next` until it is undefined; `done` and `gave-up` end the transfer. */
export type TransferStep = 'nothing' | 'send-option-ack' | 'send-blocks' | 'done' | 'gave-up';

/** A client in firmware retries for about as long; longer than the 4 s it takes OVMF to come back at all. */
const PATIENCE_MS = 25_000;

export class Transfer {
  readonly #plan: TransferPlan;
  readonly #timer: RetransmissionTimer;
  readonly #patience: number;
  #opening: boolean;
  /** The last block that the client has, and the next to send. */
  #acked = 0;
  #next = 1;
  /** The last block ever sent: what is below has been sent before. */
  #furthest = 0;
  #sentAt: number;
  #progressAt: number;
  /** Whether what waits for its ACK was sent more than once. */
  #repeated = false;
  /** The block whose repeated ACK was heeded already. */
  #heeded = -1;
  /** The last block that was out when something was last sent again: up to there a repeated ACK may answer the repetition. */
  #doubtfulUpTo = 0;
  #retransmitted = 0;

  constructor(plan: TransferPlan, now: number) {
    this.#plan = plan;
    this.#opening = plan.optionAck;
    this.#timer = new RetransmissionTimer(plan.bounds ?? RETRANSMISSION, plan.timeoutMs);
    this.#patience = plan.patienceMs ?? PATIENCE_MS;
    this.#sentAt = now;
    this.#progressAt = now;
  }

  get acked(): number {
    return this.#acked;
  }

  /** Blocks and OACKs sent again. */
  get retransmitted(): number {
    return this.#retransmitted;
  }

  /** Whether any block was sent: a client that aborts before only wanted the size. */
  get hasSentData(): boolean {
    return this.#furthest > 0;
  }

  begin(): TransferStep {
    return this.#opening ? 'send-option-ack' : 'send-blocks';
  }

  /** The next block to send now, or undefined when the window is full. */
  next(now: number): number | undefined {
    if (this.#opening || this.#next > Math.min(this.#acked + this.#plan.windowSize, this.#plan.blocks))
      return undefined;
    const block = this.#next++;
    if (block > this.#furthest) this.#furthest = block;
    else this.#retransmitted++;
    this.#sentAt = now;
    return block;
  }

  /** Gives a block back that could not be sent yet (its bytes are still being read). */
  postpone(block: number): void {
    this.#next = block;
    if (this.#furthest === block) this.#furthest--;
    else this.#retransmitted--;
  }

  /** An ACK with its 16-bit number. */
  acknowledge(number: number, now: number): TransferStep {
    if (this.#opening) {
      if (number !== 0) return 'nothing';
      this.#opening = false;
      this.#progress(now);
      return 'send-blocks';
    }
    const inFlight = this.#next - 1 - this.#acked;
    const ahead = (number - this.#acked) & 0xffff;
    if (ahead === 0) return this.#repeatedAck(inFlight);
    // Old, or never sent: late duplicates, strangers, nonsense.
    if (ahead > inFlight) return 'nothing';
    this.#acked += ahead;
    this.#progress(now);
    if (this.#acked >= this.#plan.blocks) return 'done';
    // RFC 7440 section 4: an ACK within the window says where the gap is; the next window starts behind it.
    if (ahead < inFlight) this.#again();
    return 'send-blocks';
  }

  /**
   * The ACK of before, once more. In lock-step it must not be answered: that is how every packet comes to be sent twice until the end (the
   * sorcerer's apprentice, RFC 1123 section 4.2.3.1); the timer deals with a lost block. With a window it is how a client reports that the window's
   * first block is missing (RFC 7440 section 4): heeded once a window, and not after anything was sent again, when it is the client's answer to
   * what it has already. A client that waits for its processor for longer than the timer would else be sent every window twice until the end.
   */
  #repeatedAck(inFlight: number): TransferStep {
    if (this.#plan.windowSize === 1 || inFlight === 0 || this.#heeded === this.#acked) return 'nothing';
    if (this.#acked <= this.#doubtfulUpTo && this.#doubtfulUpTo > 0) return 'nothing';
    this.#heeded = this.#acked;
    this.#again();
    return 'send-blocks';
  }

  /** To be called now and then: sends again what is overdue. */
  tick(now: number): TransferStep {
    if (now - this.#progressAt >= this.#patience) return 'gave-up';
    // Nothing is in flight: the bytes are still being read.
    if (!this.#opening && this.#next === this.#acked + 1) return 'nothing';
    if (now - this.#sentAt < this.#timer.wait) return 'nothing';
    this.#timer.backOff();
    this.#sentAt = now;
    if (this.#opening) {
      this.#repeated = true;
      this.#retransmitted++;
      return 'send-option-ack';
    }
    this.#again();
    return 'send-blocks';
  }

  /** From the first block that the client has not acknowledged. */
  #again(): void {
    this.#next = this.#acked + 1;
    this.#repeated = true;
    this.#doubtfulUpTo = this.#furthest;
  }

  #progress(now: number): void {
    if (!this.#repeated) this.#timer.measured(now - this.#sentAt);
    this.#repeated = false;
    this.#progressAt = now;
  }
}
