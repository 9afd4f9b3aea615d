/**
 * Which piece of an image is asked for next, and of whom: the store or a neighbour. Pure, so that a rack of 500 can be simulated with it.
 *
 * Nodes that begin together take pieces of the store in a random order, so that each soon has what the others lack. A piece that a neighbour
 * has is left to neighbours; the store is asked for those that none of them has, by fewer connections, and for any piece when no neighbour
 * has a place free. There is no rarest-first: with random order no piece stays rare (see the simulation in test/bench/delivery).
 */
import type { Frame, Span } from '../chunk-plan.ts';

export interface ChoiceOptions {
  /** Others may write this image at the same time: pieces are taken in random order. Else in the order in which they are stored. */
  shared: boolean;
  /** Connections to the store while no neighbour has anything. */
  connections: number;
  random(): number;
}

export interface Choice {
  /** Nothing is wanted any more, and nothing that is under way can come back. */
  over(): boolean;
  /** How many connections the store may have now: one less for each neighbour that has something. */
  storeConnections(): number;
  /** Frames that lie one behind the other in one object; undefined: nothing now. */
  fromStore(now: number): Span | undefined;
  fromNeighbour(now: number): { frame: Frame; neighbour: string } | undefined;
  /** A transfer from a neighbour has ended; `remaining`: it did not bring this, which is wanted again. */
  ended(neighbour: string, remaining?: Frame): void;
  /** What a neighbour has: bit i of the map is chunk i. */
  heard(neighbour: string, have: Uint8Array): void;
  /** It gives nothing before `until` (ms). */
  busy(neighbour: string, until: number): void;
  forget(neighbour: string): void;
}

/** Bytes of one request to the store: alone, long enough that its overhead vanishes; in company, short enough that pieces spread. */
const SPAN_ALONE = 8 * 1_048_576;
const SPAN_SHARED = 2 * 1_048_576;
/** Transfers from neighbours at one time, as many as a node gives, and from one of them. */
export const FROM_NEIGHBOURS = 4;
const FROM_ONE = 2;
/** Neighbours that are looked at at one time; the others are taken when one of these is gone. */
export const MOST_NEIGHBOURS = 16;
/** ms that a neighbour is left alone after it said that it cannot now. */
export const BUSY_MS = 250;
/** Draws before what is wanted is looked through, and how much of it is: of a terabyte a part will do. */
const DRAWS = 24;
const LOOKED = 16_384;

export const hasChunk = (have: Uint8Array, chunk: number): boolean =>
  ((have[chunk >> 3] ?? 0) & (1 << (chunk & 7))) !== 0;

interface Neighbour {
  have: Uint8Array;
  inFlight: number;
  freeAt: number;
}

export function createChoice(given: readonly Frame[], { shared, connections, random }: ChoiceOptions): Choice {
  const frames = given.toSorted((a, b) => a.object - b.object || a.offset - b.offset);
  /** Places in `frames` of what is wanted, in no order, and where in here each of them is: -1 where it is not wanted. */
  const wanted = Uint32Array.from(frames, (_, i) => i);
  const place = Int32Array.from(frames, (_, i) => i);
  const placeOf = new Map(frames.map((frame, i) => [`${frame.object}:${frame.offset}`, i]));
  let count = frames.length;
  let next = 0;
  let underWay = 0;
  const neighbours = new Map<string, Neighbour>();

  function take(i: number) {
    const at = place[i]!;
    const last = wanted[--count]!;
    wanted[at] = last;
    place[last] = at;
    place[i] = -1;
  }

  const has = ({ have }: Neighbour, frame: Frame) => hasChunk(have, frame.chunks[0]!);
  const isHeld = (i: number) => neighbours.size > 0 && [...neighbours.values()].some((one) => has(one, frames[i]!));
  const isFree = (one: Neighbour, now: number) => one.inFlight < FROM_ONE && one.freeAt <= now;

  /** A wanted place that fits: some draws, then all of them from a random one on. */
  function draw(fits: (i: number) => boolean): number | undefined {
    for (let tries = 0; tries < DRAWS && count > 0; tries++) {
      const i = wanted[Math.floor(random() * count)]!;
      if (fits(i)) return i;
    }
    const start = Math.floor(random() * count);
    for (let step = 0; step < Math.min(count, LOOKED); step++) {
      const i = wanted[(start + step) % count]!;
      if (fits(i)) return i;
    }
    return undefined;
  }

  /** From a wanted place on, as far as frames follow one another. */
  function spanFrom(first: number, most: number, fits: (i: number) => boolean): Span {
    const span: Span = [];
    let bytes = 0;
    for (let i = first; i < frames.length; i++) {
      const frame = frames[i]!;
      const before = span.at(-1);
      const follows =
        !before || (before.object === frame.object && before.offset + before.length === frame.offset && fits(i));
      if (place[i] === -1 || !follows || (before && bytes + frame.length > most)) break;
      take(i);
      span.push(frame);
      bytes += frame.length;
    }
    return span;
  }

  return {
    over: () => count === 0 && underWay === 0,
    storeConnections: () => Math.max(1, connections - neighbours.size),
    fromStore(now) {
      if (count === 0) return undefined;
      if (!shared) {
        while (place[next] === -1) next++;
        return spanFrom(next, SPAN_ALONE, () => true);
      }
      const free = draw((i) => !isHeld(i));
      if (free !== undefined) return spanFrom(free, SPAN_SHARED, (i) => !isHeld(i));
      // All of it is with neighbours. Where none of them can give now, one piece is asked of the store.
      if (underWay >= FROM_NEIGHBOURS || [...neighbours.values()].some((one) => isFree(one, now))) return undefined;
      return spanFrom(draw(() => true)!, 0, () => false);
    },
    fromNeighbour(now) {
      if (count === 0 || underWay >= FROM_NEIGHBOURS || neighbours.size === 0) return undefined;
      const names = [...neighbours.keys()];
      const start = Math.floor(random() * names.length);
      for (let step = 0; step < names.length; step++) {
        const name = names[(start + step) % names.length]!;
        const one = neighbours.get(name)!;
        if (!isFree(one, now)) continue;
        const i = draw((each) => has(one, frames[each]!));
        if (i === undefined) continue;
        take(i);
        one.inFlight++;
        underWay++;
        return { frame: frames[i]!, neighbour: name };
      }
      return undefined;
    },
    ended(name, remaining) {
      underWay--;
      const one = neighbours.get(name);
      if (one) one.inFlight--;
      if (!remaining) return;
      const i = placeOf.get(`${remaining.object}:${remaining.offset}`)!;
      frames[i] = remaining;
      wanted[count] = i;
      place[i] = count++;
      next = Math.min(next, i);
    },
    heard(name, have) {
      const one = neighbours.get(name);
      if (one) one.have = have;
      else neighbours.set(name, { have, inFlight: 0, freeAt: 0 });
    },
    busy(name, until) {
      const one = neighbours.get(name);
      if (one) one.freeAt = until;
    },
    forget(name) {
      neighbours.delete(name);
    },
  };
}
