// How long to wait for an answer before asking again: RFC 6298's estimator, because BMCs range from 1 ms to seconds.

const FIRST_WAIT_MS = 1_000;
const SHORTEST_MS = 250;
const LONGEST_MS = 4_000;

export class RoundTripClock {
  #smooth = -1;
  #variance = 0;

  /** Takes a measured round trip, in ms. */
  measured(ms: number): void {
    if (this.#smooth < 0) {
      this.#smooth = ms;
      this.#variance = ms / 2;
      return;
    }
    this.#variance = 0.75 * this.#variance + 0.25 * Math.abs(this.#smooth - ms);
    this.#smooth = 0.875 * this.#smooth + 0.125 * ms;
  }

  /** Milliseconds to wait after the datagram number `sent` (from 0), doubling each time; steps of 50 so that timers share lists. */
  wait(sent: number): number {
    const base = this.#smooth < 0 ? FIRST_WAIT_MS : this.#smooth + 4 * this.#variance;
    const first = Math.max(SHORTEST_MS, Math.ceil(base / 50) * 50);
    return Math.min(LONGEST_MS, first * 2 ** Math.min(sent, 4));
  }
}
