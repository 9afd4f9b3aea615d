/**
 * A rack that is imaged at once, in simulated time: the agents' own choice and the undercloud's own list of neighbours, over links that are
 * simulated. Deterministic: the same seed gives the same rack.
 *
 * Links are modelled against the neighbours rather than for them. The undercloud's port is shared evenly by whatever it sends. A transfer from
 * a neighbour has a sixteenth of a gigabyte a second, a quarter of what a node gives at most (share.ts), whether or not others leave
 * room; it carries raw bytes, while the store sends compressed ones.
 */

import type { Frame } from '../../services/agent/chunk-plan.ts';
import {
  BUSY_MS,
  type Choice,
  createChoice,
  hasChunk,
  MOST_NEIGHBOURS,
} from '../../services/agent/neighbours/choice.ts';
import type { Neighbourhoods } from '../../services/image/neighbours.ts';
import { neighbourName } from '../../services/ipa/index.ts';

export interface RackOptions {
  nodes: number;
  /** Chunks of 1 MiB with data. */
  chunks: number;
  /** Compressed bytes of each. */
  packed: number;
  /** Bytes a second of the undercloud's port. */
  storePort: number;
  /** Bytes a second that a node takes from the store at most. */
  nodePort: number;
  /** Undefined: every node asks the store alone. */
  neighbourhoods?: (clock: { now(): number }, random: () => number) => Neighbourhoods;
  /** Of those that do not answer a question for a chunk: the first so many nodes. */
  silent?: number;
  seed?: number;
}

export interface RackResult {
  /** Seconds until the first, the median and the last node has all of it. */
  first: number;
  median: number;
  last: number;
  /** Bytes that the store sent. */
  fromStore: number;
  fromNeighbours: number;
  /** Seconds that the store alone would need at the least. */
  storeAlone: number;
}

const MIB = 1_048_576;
const GIVEN_AT_ONCE = 4;
const NEIGHBOUR_RATE = 16_000_000;
const LOOK_MS = 1000;
const IDLE_MS = 1500;
const CONNECTIONS = 4;

/** Mulberry32: small, and good enough for a choice. */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Earliest first. */
class Agenda<T> {
  #heap: { at: number; item: T }[] = [];
  get head() {
    return this.#heap[0];
  }
  add(at: number, item: T) {
    const heap = this.#heap;
    let i = heap.push({ at, item }) - 1;
    while (i > 0) {
      const up = (i - 1) >> 1;
      if (heap[up]!.at <= heap[i]!.at) break;
      [heap[up], heap[i]] = [heap[i]!, heap[up]!];
      i = up;
    }
  }
  take(): { at: number; item: T } | undefined {
    const heap = this.#heap;
    const head = heap[0];
    const last = heap.pop();
    if (!head || heap.length === 0) return head;
    heap[0] = last!;
    for (let i = 0; ; ) {
      let least = i;
      for (const child of [2 * i + 1, 2 * i + 2])
        if (child < heap.length && heap[child]!.at < heap[least]!.at) least = child;
      if (least === i) break;
      [heap[least], heap[i]] = [heap[i]!, heap[least]!];
      i = least;
    }
    return head;
  }
}

interface Node {
  name: string;
  address: string;
  silent: boolean;
  have: Uint8Array;
  missing: number;
  giving: number;
  connections: number;
  known: Set<string>;
  dropped: Set<string>;
  choice: Choice;
  ended: number | undefined;
}

export function simulateRack(options: RackOptions): RackResult {
  const { nodes: count, chunks, packed, storePort, nodePort, silent = 0, seed = 1 } = options;
  const random = seeded(seed);
  let now = 0;
  const agenda = new Agenda<() => void>();
  const after = (ms: number, work: () => void) => agenda.add(now + ms, work);
  const neighbourhoods = options.neighbourhoods?.({ now: () => now }, random);
  const frames = (): Frame[] =>
    Array.from({ length: chunks }, (_, i) => ({
      ...{ object: Math.floor(i / 256), offset: (i % 256) * packed, length: packed },
      ...{ sha256: '', size: MIB, chunks: [i] },
    }));

  /** The store's port: all that is under way has the same share. `sent` is what each has had since the beginning. */
  const flows = new Agenda<() => void>();
  let active = 0;
  let sent = 0;
  let since = 0;
  let fromStore = 0;
  let fromNeighbours = 0;
  const rate = () => Math.min(nodePort / CONNECTIONS, storePort / Math.max(1, active)) / 1000;
  function advance() {
    sent += (now - since) * rate();
    since = now;
  }
  function send(bytes: number, end: () => void) {
    advance();
    active++;
    fromStore += bytes;
    flows.add(sent + bytes, end);
  }

  const rack = new Map<string, Node>();
  let left = count;
  for (let i = 0; i < count; i++) {
    const address = `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`;
    const name = neighbourName({ address, port: 9998 });
    rack.set(name, {
      ...{ name, address, silent: i < silent, have: new Uint8Array(Math.ceil(chunks / 8)), missing: chunks },
      ...{ giving: 0, connections: 0, known: new Set(), dropped: new Set(), ended: undefined },
      choice: createChoice(frames(), { shared: neighbourhoods !== undefined, connections: CONNECTIONS, random }),
    });
  }

  function got(node: Node, frame: Frame) {
    const [chunk = 0] = frame.chunks;
    node.have[chunk >> 3]! |= 1 << (chunk & 7);
    node.missing--;
    if (node.missing > 0) return;
    node.ended = now;
    left--;
  }

  /** All that a node can begin now. */
  function go(node: Node) {
    const { choice } = node;
    while (node.connections < choice.storeConnections()) {
      const span = choice.fromStore(now);
      if (!span) break;
      node.connections++;
      const bytes = span.reduce((sum, { length }) => sum + length, 0);
      send(bytes, () => {
        node.connections--;
        for (const frame of span) got(node, frame);
        go(node);
      });
    }
    for (let job = choice.fromNeighbour(now); job; job = choice.fromNeighbour(now)) ask(node, job.neighbour, job.frame);
  }

  function ask(node: Node, name: string, frame: Frame) {
    const { choice } = node;
    const giver = rack.get(name)!;
    const failed = () => {
      choice.ended(name, frame);
      go(node);
    };
    if (giver.silent)
      return after(IDLE_MS, () => {
        node.dropped.add(name);
        node.known.delete(name);
        choice.forget(name);
        failed();
      });
    if (giver.giving >= GIVEN_AT_ONCE || !hasChunk(giver.have, frame.chunks[0]!)) {
      choice.busy(name, now + BUSY_MS);
      after(BUSY_MS + 1, () => go(node));
      return after(1, failed);
    }
    giver.giving++;
    after((1000 * MIB) / NEIGHBOUR_RATE, () => {
      giver.giving--;
      fromNeighbours += MIB;
      choice.ended(name);
      got(node, frame);
      go(node);
    });
  }

  function look(node: Node, name: string) {
    if (node.missing === 0 || !node.known.has(name)) return;
    const giver = rack.get(name)!;
    const { have } = giver;
    // One that lies says that it has everything.
    node.choice.heard(name, giver.silent ? new Uint8Array(have.length).fill(255) : Uint8Array.from(have));
    go(node);
    after(LOOK_MS, () => look(node, name));
  }

  function announce(node: Node) {
    if (!neighbourhoods) return;
    const list = neighbourhoods.announce('image', node.address, 9998);
    for (const neighbour of list.neighbours) {
      const name = neighbourName(neighbour);
      if (node.known.has(name) || node.dropped.has(name) || node.known.size >= MOST_NEIGHBOURS) continue;
      node.known.add(name);
      after(1, () => look(node, name));
    }
    // A node that has all of it leaves: it gives no more than it must.
    if (node.missing > 0) after(list.again_ms, () => announce(node));
  }

  // Machines of one order do not boot within the same second.
  for (const node of rack.values())
    after(5000 * random(), () => {
      announce(node);
      go(node);
    });

  const all = [...rack.values()];
  while (left > 0) {
    const flow = flows.head;
    const flowAt = flow ? since + Math.max(0, flow.at - sent) / rate() : Number.POSITIVE_INFINITY;
    const next = agenda.head?.at ?? Number.POSITIVE_INFINITY;
    if (flowAt === Number.POSITIVE_INFINITY && next === flowAt) throw new Error('The rack stands still.');
    if (flowAt <= next) {
      now = flowAt;
      advance();
      const { item: end } = flows.take()!;
      active--;
      end();
    } else {
      const { at, item } = agenda.take()!;
      now = at;
      item();
    }
  }
  const ends = all.map(({ ended }) => (ended ?? 0) / 1000).sort((a, b) => a - b);
  return {
    ...{ first: ends[0]!, median: ends[count >> 1]!, last: ends.at(-1)!, fromStore, fromNeighbours },
    storeAlone: (count * chunks * packed) / storePort,
  };
}
