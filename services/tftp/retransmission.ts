/**
 * When to send again: measured round trips, smoothed as TCP does it (RFC 6298), within bounds. Times in milliseconds.
 */
export interface RetransmissionBounds {
  readonly first: number;
  readonly least: number;
  readonly most: number;
}

export const RETRANSMISSION: RetransmissionBounds = {
  // RFC 6298 section 2.
  first: 1000,
  // A ROM that polls its NIC in firmware may be busy for tens of milliseconds.
  least: 150,
  most: 4000,
};

export class RetransmissionTimer {
  readonly #bounds: RetransmissionBounds;
  #smoothed: number | undefined;
  #variation = 0;
  #wait: number;

  /** `cap` is the client's own interval (RFC 2349 `timeout`): we never wait longer than that. */
  constructor(bounds: RetransmissionBounds = RETRANSMISSION, cap?: number) {
    this.#bounds = cap === undefined ? bounds : { first: Math.min(bounds.first, cap), least: bounds.least, most: cap };
    this.#wait = this.#bounds.first;
  }

  get wait(): number {
    return this.#wait;
  }

  /** A round trip of something that was sent once (Karn: one that was sent twice tells nothing). */
  measured(roundTrip: number): void {
    if (this.#smoothed === undefined) {
      this.#smoothed = roundTrip;
      this.#variation = roundTrip / 2;
    } else {
      this.#variation += (Math.abs(this.#smoothed - roundTrip) - this.#variation) / 4;
      this.#smoothed += (roundTrip - this.#smoothed) / 8;
    }
    this.#wait = Math.min(Math.max(this.#smoothed + 4 * this.#variation, this.#bounds.least), this.#bounds.most);
  }

  backOff(): void {
    this.#wait = Math.min(this.#wait * 2, this.#bounds.most);
  }
}
