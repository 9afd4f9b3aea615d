/** Token buckets and thrifty reporting, bounded in memory whoever sends whatever. */

export interface Rate {
  /** So many at once. */
  readonly burst: number;
  readonly perSecond: number;
}

export class Bucket {
  readonly #rate: Rate;
  #tokens: number;
  #at: number;

  constructor(rate: Rate, now: number) {
    this.#rate = rate;
    this.#tokens = rate.burst;
    this.#at = now;
  }

  take(now: number): boolean {
    this.#tokens = Math.min(this.#rate.burst, this.#tokens + ((now - this.#at) * this.#rate.perSecond) / 1000);
    this.#at = now;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}

/**
 * A bucket for each key, in two generations: when the young one is full, the old one goes. A key that is forgotten starts with a full bucket, so
 * somebody who floods with ever new keys is stopped by the bucket for all, not by these.
 */
export class Buckets {
  readonly #rate: Rate;
  readonly #most: number;
  #young = new Map<string, Bucket>();
  #old = new Map<string, Bucket>();

  constructor(rate: Rate, most = 20_000) {
    this.#rate = rate;
    this.#most = most;
  }

  take(key: string, now: number): boolean {
    let bucket = this.#young.get(key);
    if (!bucket) {
      bucket = this.#old.get(key) ?? new Bucket(this.#rate, now);
      if (this.#young.size >= this.#most) {
        this.#old = this.#young;
        this.#young = new Map();
      }
      this.#young.set(key, bucket);
    }
    return bucket.take(now);
  }
}

/** Lets the first of a kind pass at once, then one an interval, with the number of those held back. */
export class Thrift {
  readonly #intervalMs: number;
  readonly #most: number;
  readonly #seen = new Map<string, { at: number; held: number }>();

  constructor(intervalMs = 10_000, most = 1_000) {
    this.#intervalMs = intervalMs;
    this.#most = most;
  }

  /** How many events this report stands for, or undefined when it is not yet time for one. */
  count(key: string, now: number): number | undefined {
    const seen = this.#seen.get(key);
    if (seen && now - seen.at < this.#intervalMs) {
      seen.held++;
      return undefined;
    }
    this.#seen.delete(key);
    if (this.#seen.size >= this.#most) {
      const oldest = this.#seen.keys().next().value;
      if (oldest !== undefined) this.#seen.delete(oldest);
    }
    this.#seen.set(key, { at: now, held: 0 });
    return (seen?.held ?? 0) + 1;
  }
}
