// Replay protection: the sliding window of session sequence numbers (IPMI 2.0 section 6.12.13).

/**
 * Remembers which of the last 32 numbers were seen. `ahead` is how far a number may leap forward: a BMC is strict (16), while a
 * console that has just verified a packet's integrity code may believe any leap, because only replays are a danger to it.
 */
export class SequenceWindow {
  #highest = 0;
  #seen = 0;
  readonly #ahead: number;

  constructor(ahead: number) {
    this.#ahead = ahead;
  }

  /** True once for each acceptable number. Call it only after the packet has been proven authentic. */
  accept(sequence: number): boolean {
    if (sequence === 0) return false;
    const step = (sequence - this.#highest) | 0;
    if (step > 0) {
      if (step > this.#ahead) return false;
      this.#seen = step > 31 ? 1 : (this.#seen << step) | 1;
      this.#highest = sequence;
      return true;
    }
    const behind = -step;
    if (behind > 16) return false;
    const bit = 1 << behind;
    if (this.#seen & bit) return false;
    this.#seen |= bit;
    return true;
  }
}
