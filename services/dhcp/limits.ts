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

/** Places for clients; 1.3 MB. */
const PLACES = 1 << 16;

/**
 * A bucket for each client, in a table of one size: a client whose place another one takes starts with a full bucket when it comes back, so somebody
 * who floods with ever new MACs is stopped by the bucket for all, not by these. No object for each client: twenty thousand of them would be copied
 * by the garbage collector over and over.
 */
export class Buckets {
  readonly #rate: Rate;
  readonly #names = new Int32Array(PLACES);
  readonly #tokens = new Float64Array(PLACES);
  readonly #at = new Float64Array(PLACES).fill(-1);
  /** Nobody outside can know who shares a place with whom. */
  readonly #seed = Math.floor(Math.random() * 0x1_0000_0000);

  constructor(rate: Rate) {
    this.#rate = rate;
  }

  /** `length` bytes of `id` name the client. */
  take(id: Uint8Array, length: number, now: number): boolean {
    // FNV-1a, seeded, with MurmurHash3's last step.
    let name = this.#seed | 0;
    for (let i = 0; i < length; i++) name = Math.imul(name ^ id[i]!, 0x01000193);
    name = Math.imul(name ^ (name >>> 16), 0x85ebca6b);
    name = Math.imul(name ^ (name >>> 13), 0xc2b2ae35);
    name ^= name >>> 16;
    const place = (name >>> 0) % PLACES;
    const { burst, perSecond } = this.#rate;
    const isTheirs = this.#names[place] === name && this.#at[place]! >= 0;
    const tokens = isTheirs
      ? Math.min(burst, this.#tokens[place]! + ((now - this.#at[place]!) * perSecond) / 1000)
      : burst;
    this.#names[place] = name;
    this.#at[place] = now;
    this.#tokens[place] = tokens < 1 ? tokens : tokens - 1;
    return tokens >= 1;
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
