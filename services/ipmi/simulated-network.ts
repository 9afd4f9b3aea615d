// A network without sockets or time: datagrams are lost, doubled and reordered from a seed, and the clock jumps to the next event.
// Console and BMC halves meet here in tests and in experiments; the same seed gives the same story.

import type { RemoteInfo } from 'node:dgram';
import type { BmcSession } from './bmc.ts';
import type { Timers } from './requests.ts';
import type { IpmiSocket } from './transport.ts';

/** Seeded randomness (mulberry32): numbers in [0, 1). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export interface NetworkFaults {
  /** Chances from 0 to 1, for each datagram. */
  loss?: number;
  duplicate?: number;
  /** Chance that a datagram is delayed by up to 20 ms more, past its successors. */
  reorder?: number;
}

interface Event {
  at: number;
  order: number;
  run: () => void;
}

type Receiver = (datagram: Buffer, from: string) => void;

/** Turns of the real event loop that promises get to settle in before the clock may jump. */
const SETTLING_TURNS = 3;

export class SimulatedNetwork {
  readonly random: () => number;
  faults: NetworkFaults;
  /** Sees each datagram before it travels; gives what travels in its stead (undefined: nothing). */
  tap: ((datagram: Buffer, from: string, to: string) => Buffer | undefined) | undefined;
  #now = 0;
  #order = 0;
  #events: Event[] = [];
  readonly #receivers = new Map<string, Receiver>();

  constructor(seed: number, faults: NetworkFaults = {}) {
    this.random = seeded(seed);
    this.faults = faults;
  }

  readonly timers: Timers = {
    now: () => this.#now,
    set: (call, ms) => this.#at(this.#now + ms, call),
    clear: (handle) => {
      const place = this.#events.indexOf(handle as Event);
      if (place >= 0) this.#events.splice(place, 1);
    },
  };

  bytes = (count: number): Buffer => {
    const out = Buffer.alloc(count);
    for (let i = 0; i < count; i++) out[i] = this.random() * 256;
    return out;
  };

  /** The console's socket. `address` and 623-like ports make up the names `address port`. */
  socket(address = '10.0.0.1', port = 40_000): IpmiSocket {
    const listeners = new Set<(bytes: Buffer, from: RemoteInfo) => void>();
    const me = `${address} ${port}`;
    const family = address.includes(':') ? 'IPv6' : 'IPv4';
    this.#receivers.set(me, (datagram, from) => {
      const [host = '', number = '0'] = from.split(' ');
      for (const listener of listeners)
        listener(datagram, { address: host, port: Number(number), family, size: datagram.length });
    });
    const socket = {
      address: () => ({ address, port, family }),
      on(event: string, listener: (bytes: Buffer, from: RemoteInfo) => void) {
        if (event === 'message') listeners.add(listener);
        return socket;
      },
      off(_event: string, listener: (bytes: Buffer, from: RemoteInfo) => void) {
        listeners.delete(listener);
        return socket;
      },
      send: (datagram: Buffer, toPort: number, toAddress: string) => this.send(datagram, me, `${toAddress} ${toPort}`),
    };
    return socket as unknown as IpmiSocket;
  }

  /** Puts a BMC at `address`, port 623; another one there before it is gone. Undefined takes the power from it. */
  bmc(address: string, bmc: BmcSession | undefined): void {
    const me = `${address} 623`;
    if (!bmc) this.#receivers.delete(me);
    else
      this.#receivers.set(me, (datagram, from) => bmc.receive(datagram, from, (reply) => this.send(reply, me, from)));
  }

  send(datagram: Buffer, from: string, to: string): void {
    const bytes = this.tap ? this.tap(Buffer.from(datagram), from, to) : Buffer.from(datagram);
    if (!bytes) return;
    const { loss = 0, duplicate = 0, reorder = 0 } = this.faults;
    const copies = this.random() < loss ? 0 : this.random() < duplicate ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      const delay = 1 + (this.random() < reorder ? this.random() * 20 : 0);
      this.#at(this.#now + delay, () => this.#receivers.get(to)?.(Buffer.from(bytes), from));
    }
  }

  /** Runs the network until `work` settles. Rejects when nothing is left that could settle it. */
  async run<T>(work: Promise<T>): Promise<T> {
    let settled = false;
    const done = work.finally(() => {
      settled = true;
    });
    done.catch(() => undefined);
    for (;;) {
      for (let turn = 0; turn < SETTLING_TURNS && !settled; turn++) await new Promise(setImmediate);
      if (settled) return done;
      if (!this.step()) throw new Error('the network is silent and the work has not ended');
    }
  }

  /** Lets `ms` of the network's time pass. */
  async pass(ms: number): Promise<void> {
    await this.run(new Promise<void>((resolve) => this.timers.set(resolve, ms)));
  }

  /** Carries the next event out; false when there is none. */
  step(): boolean {
    let first: Event | undefined;
    for (const event of this.#events) {
      if (!first || event.at < first.at || (event.at === first.at && event.order < first.order)) first = event;
    }
    if (!first) return false;
    this.#events.splice(this.#events.indexOf(first), 1);
    this.#now = Math.max(this.#now, first.at);
    first.run();
    return true;
  }

  #at(at: number, run: () => void): Event {
    const event = { at, order: this.#order++, run };
    this.#events.push(event);
    return event;
  }
}
