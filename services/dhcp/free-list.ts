/**
 * The free addresses of one subnet's pools: a doubly linked list in two typed arrays, so that taking the next one, taking a certain one and giving
 * one back cost the same whether the pool has ten addresses or a million. Given back at the tail: an address rests as long as possible before
 * somebody else gets it (RFC 2131 section 4.3.1).
 */

export interface Range {
  readonly from: number;
  readonly to: number;
}

/** 8 MB of list; a /12. */
export const LARGEST_POOL = 1 << 20;
const NOT_LISTED = -1;

export class FreeList {
  readonly size: number;
  readonly #ranges: readonly (Range & { readonly start: number })[];
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  #free: number;

  /** Ranges are inclusive and must not overlap; throws a sentence when they hold more than `LARGEST_POOL` addresses. */
  constructor(ranges: readonly Range[]) {
    let size = 0;
    this.#ranges = ranges.map((range) => {
      const start = size;
      size += range.to - range.from + 1;
      return { ...range, start };
    });
    if (size > LARGEST_POOL)
      throw new Error(`pools of ${size} addresses in one subnet; at most ${LARGEST_POOL} are served: cut the pool`);
    this.size = size;
    this.#free = size;
    this.#next = new Int32Array(size + 1);
    this.#previous = new Int32Array(size + 1);
    // The last element is the list's anchor.
    for (let i = 0; i <= size; i++) {
      this.#next[i] = i === size ? 0 : i + 1;
      this.#previous[i] = i === 0 ? size : i - 1;
    }
  }

  get free(): number {
    return this.#free;
  }

  /** Whether the address belongs to a pool, free or not. */
  covers(address: number): boolean {
    return this.#index(address) !== undefined;
  }

  has(address: number): boolean {
    const index = this.#index(address);
    return index !== undefined && this.#next[index] !== NOT_LISTED;
  }

  /** The address that has rested longest, or undefined. */
  take(): number | undefined {
    const index = this.#next[this.size]!;
    if (index === this.size) return undefined;
    this.#unlink(index);
    return this.#address(index);
  }

  /** Takes this address; false where it was not free. */
  remove(address: number): boolean {
    const index = this.#index(address);
    if (index === undefined || this.#next[index] === NOT_LISTED) return false;
    this.#unlink(index);
    return true;
  }

  /** Back to the tail; nothing happens where the address is free already or belongs to no pool. */
  give(address: number): void {
    const index = this.#index(address);
    if (index === undefined || this.#next[index] !== NOT_LISTED) return;
    const last = this.#previous[this.size]!;
    this.#next[last] = index;
    this.#previous[index] = last;
    this.#next[index] = this.size;
    this.#previous[this.size] = index;
    this.#free++;
  }

  #unlink(index: number): void {
    const next = this.#next[index]!;
    const previous = this.#previous[index]!;
    this.#next[previous] = next;
    this.#previous[next] = previous;
    this.#next[index] = NOT_LISTED;
    this.#free--;
  }

  #index(address: number): number | undefined {
    for (const range of this.#ranges) {
      if (address >= range.from && address <= range.to) return range.start + address - range.from;
    }
    return undefined;
  }

  #address(index: number): number {
    const range = this.#ranges.find(({ from, to, start }) => index >= start && index <= start + to - from)!;
    return range.from + index - range.start;
  }
}
