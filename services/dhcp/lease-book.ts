import { contains, formatAddress, parseAddress } from './address.ts';
import { FreeList } from './free-list.ts';
import type { Binding } from './lease.ts';
import type { Subnet } from './subnet.ts';

/**
 * Who has which address, in memory. Every look-up and every change is a hash or list operation of constant cost, so an exchange costs the same with
 * 100 leases and with 20,000. The book says nothing about durability; `grant.ts` joins it to the lease store.
 *
 * An entry outlives its lease: a client that comes back gets its old address until somebody else needs it (RFC 2131 section 4.3.1).
 */
export interface Entry {
  readonly address: number;
  readonly subnet: Subnet;
  client: string;
  mac: string | null;
  clientId: string | null;
  hostName: string | null;
  state: 'offered' | 'leased' | 'released' | 'declined';
  /** Milliseconds since 1970, as all times here. */
  grantedAt: number;
  expiresAt: number;
  /** Until when the store holds this binding for this client; 0 where it does not. */
  durableUntil: number;
  /** Whether the store knows this client by its present name and identifier. */
  isStored: boolean;
  /** A commit under way for this entry, so that a repeated REQUEST does not start another. */
  pending: Promise<void> | undefined;
  scheduled: boolean;
}

/** By what a client is known, and what goes into its binding. */
export interface Holder {
  readonly client: string;
  readonly mac: string | null;
  readonly clientId: string | null;
  readonly hostName: string | null;
}

/** Expiry is looked at in steps of one second. */
const TICK = 1000;

export class LeaseBook {
  readonly #pools = new Map<Subnet, FreeList>();
  readonly #byAddress = new Map<number, Entry>();
  readonly #clients = new Map<Subnet, Map<string, Entry>>();
  readonly #due = new Map<number, number[]>();
  readonly #reservedFor: (address: number) => string | undefined;
  #swept = 0;
  /** Addresses declined, oldest first: taken back when nothing else is left. */
  #declined: number[] = [];

  /** `reservedFor` names the MAC an address is reserved for; such an address is never given from a pool. */
  constructor(subnets: readonly Subnet[], reservedFor: (address: number) => string | undefined) {
    this.#reservedFor = reservedFor;
    for (const subnet of subnets) {
      this.#pools.set(subnet, new FreeList(subnet.pools));
      this.#clients.set(subnet, new Map());
    }
  }

  /** Takes up what the store held. Bindings of subnets that are no longer configured are left out. */
  load(binding: Binding, subnet: Subnet, now: number): void {
    const address = parseAddress(binding.address);
    if (address === undefined || !contains(subnet.cidr, address) || this.#byAddress.has(address)) return;
    const entry: Entry = { ...blank(subnet, address, binding), ...timesOf(binding), isStored: true };
    this.#byAddress.set(address, entry);
    const clients = this.#clients.get(subnet)!;
    const known = clients.get(binding.client);
    // Of several rows of one client (it moved from one address to another) the youngest is its own.
    if (binding.state === 'declined') this.#declined.push(address);
    else if (!known || known.grantedAt < entry.grantedAt) clients.set(binding.client, entry);
    if (isActive(entry, now)) {
      this.#pools.get(subnet)!.remove(address);
      this.#schedule(entry);
    }
  }

  at(address: number): Entry | undefined {
    return this.#byAddress.get(address);
  }

  of(subnet: Subnet, client: string): Entry | undefined {
    return this.#clients.get(subnet)?.get(client);
  }

  /** Free addresses in the pools of a subnet, those that expired since included. */
  free(subnet: Subnet, now: number): number {
    this.sweep(now);
    return this.#pools.get(subnet)!.free;
  }

  /** Somebody else who holds the address now, or for whom it is kept. */
  otherHolder(address: number, holder: Holder, now: number): string | undefined {
    const reserved = this.#reservedFor(address);
    if (reserved !== undefined && reserved !== holder.mac) return `reserved for ${reserved}`;
    const entry = this.#byAddress.get(address);
    if (!entry || !isActive(entry, now)) return undefined;
    if (entry.state === 'declined') return 'declined as in use';
    return entry.client === holder.client ? undefined : `${entry.state} to ${entry.client}`;
  }

  /** Whether a pool of the subnet could give this very address to the client. */
  isAvailable(subnet: Subnet, address: number, holder: Holder, now: number): boolean {
    return this.#pools.get(subnet)!.covers(address) && this.otherHolder(address, holder, now) === undefined;
  }

  /**
   * Finds an address for a client in the order of RFC 2131 section 4.3.1: the one it has or had, the one it asks for, a rested one; and, when the
   * pool is empty, the one declined longest ago. Holds it until `until`. Undefined when there is none.
   */
  offer(subnet: Subnet, holder: Holder, wanted: number | undefined, now: number, until: number): Entry | undefined {
    this.sweep(now);
    const pool = this.#pools.get(subnet)!;
    const had = this.of(subnet, holder.client);
    const candidates = [had?.address, wanted];
    for (const address of candidates) {
      if (address !== undefined && this.isAvailable(subnet, address, holder, now))
        return this.hold(subnet, address, holder, now, until);
    }
    const address = pool.take() ?? this.#oldestDeclined(subnet);
    return address === undefined ? undefined : this.hold(subnet, address, holder, now, until);
  }

  /** Sets an address aside for a client; a lease that the client has already stays what it is. The caller has checked `otherHolder`. */
  hold(subnet: Subnet, address: number, holder: Holder, now: number, until: number): Entry {
    const entry = this.#place(subnet, address, holder);
    this.#pools.get(subnet)!.remove(address);
    if (!(entry.state === 'leased' && entry.expiresAt > now)) {
      entry.state = 'offered';
      entry.grantedAt = now;
      entry.expiresAt = until;
    }
    this.#schedule(entry);
    return entry;
  }

  lease(entry: Entry, now: number, until: number): void {
    entry.state = 'leased';
    entry.grantedAt = now;
    entry.expiresAt = until;
    this.#schedule(entry);
  }

  /** Ends an offer or a lease; the address rests at the end of the free list. */
  release(entry: Entry, now: number): void {
    entry.state = 'released';
    entry.expiresAt = now;
    entry.durableUntil = 0;
    this.#giveBack(entry);
  }

  /** Keeps everybody from an address that is said to be in use. */
  decline(entry: Entry, now: number, until: number): void {
    this.#clients.get(entry.subnet)!.delete(entry.client);
    entry.state = 'declined';
    entry.grantedAt = now;
    entry.expiresAt = until;
    entry.durableUntil = 0;
    this.#declined.push(entry.address);
    this.#schedule(entry);
  }

  /** To be called when an address is reserved or no longer so. */
  reservationChanged(address: number, reserved: boolean): void {
    for (const pool of this.#pools.values()) {
      if (reserved) {
        pool.remove(address);
      } else {
        const entry = this.#byAddress.get(address);
        // An entry that still runs gives its address back when it expires.
        if (!entry?.scheduled) pool.give(address);
      }
    }
  }

  /** Frees what has expired. Costs what there is to free; seconds without a due entry cost nothing. */
  sweep(now: number): void {
    const tick = Math.floor(now / TICK);
    if (tick <= this.#swept) return;
    if (tick - this.#swept > this.#due.size) {
      for (const due of [...this.#due.keys()]) if (due <= tick) this.#expire(due, now);
    } else {
      for (let due = this.#swept; due <= tick; due++) this.#expire(due, now);
    }
    this.#swept = tick;
  }

  #expire(tick: number, now: number): void {
    const addresses = this.#due.get(tick);
    if (!addresses) return;
    this.#due.delete(tick);
    for (const address of addresses) {
      const entry = this.#byAddress.get(address);
      if (!entry) continue;
      entry.scheduled = false;
      if (isActive(entry, now)) this.#schedule(entry);
      else this.#giveBack(entry);
    }
  }

  #schedule(entry: Entry): void {
    if (entry.scheduled) return;
    entry.scheduled = true;
    // Rounded up: at its tick the entry has expired.
    const tick = Math.max(Math.ceil(entry.expiresAt / TICK), this.#swept + 1);
    const due = this.#due.get(tick);
    if (due) due.push(entry.address);
    else this.#due.set(tick, [entry.address]);
  }

  #giveBack(entry: Entry): void {
    if (this.#reservedFor(entry.address) === undefined) this.#pools.get(entry.subnet)!.give(entry.address);
  }

  #oldestDeclined(subnet: Subnet): number | undefined {
    for (let i = 0; i < this.#declined.length; i++) {
      const address = this.#declined[i]!;
      const entry = this.#byAddress.get(address);
      if (entry?.subnet !== subnet || entry.state !== 'declined' || this.#reservedFor(address) !== undefined) continue;
      this.#declined = this.#declined.filter(
        (other) => other !== address && this.#byAddress.get(other)?.state === 'declined',
      );
      return address;
    }
    return undefined;
  }

  #place(subnet: Subnet, address: number, holder: Holder): Entry {
    const clients = this.#clients.get(subnet)!;
    let entry = this.#byAddress.get(address);
    if (!entry) {
      entry = blank(subnet, address, holder);
      this.#byAddress.set(address, entry);
    } else if (entry.client !== holder.client) {
      if (clients.get(entry.client) === entry) clients.delete(entry.client);
      entry.state = 'released';
      entry.durableUntil = 0;
      entry.pending = undefined;
    }
    // A client has one address in a subnet: what it held before (until its reservation moved, say) is free.
    const before = clients.get(holder.client);
    if (before && before !== entry && before.state !== 'declined') {
      before.state = 'released';
      before.expiresAt = 0;
      before.durableUntil = 0;
      this.#giveBack(before);
    }
    if (before !== entry) clients.set(holder.client, entry);
    entry.client = holder.client;
    if (entry.clientId !== holder.clientId || entry.hostName !== holder.hostName) entry.isStored = false;
    entry.mac = holder.mac;
    entry.clientId = holder.clientId;
    entry.hostName = holder.hostName;
    return entry;
  }
}

function blank(subnet: Subnet, address: number, holder: Holder): Entry {
  return {
    address,
    subnet,
    client: holder.client,
    mac: holder.mac,
    clientId: holder.clientId,
    hostName: holder.hostName,
    state: 'released',
    grantedAt: 0,
    expiresAt: 0,
    durableUntil: 0,
    isStored: false,
    pending: undefined,
    scheduled: false,
  };
}

function timesOf(binding: Binding): Pick<Entry, 'state' | 'grantedAt' | 'expiresAt' | 'durableUntil'> {
  const { state, grantedAt, expiresAt } = binding;
  return { state, grantedAt, expiresAt, durableUntil: state === 'leased' ? expiresAt : 0 };
}

export function isActive(entry: Entry, now: number): boolean {
  return entry.state !== 'released' && entry.expiresAt > now;
}

export function bindingOf(entry: Entry): Binding {
  return {
    subnet: entry.subnet.id,
    address: formatAddress(entry.address),
    state: entry.state === 'offered' ? 'released' : entry.state,
    client: entry.client,
    mac: entry.mac,
    clientId: entry.clientId,
    hostName: entry.hostName,
    grantedAt: entry.grantedAt,
    expiresAt: entry.expiresAt,
  };
}
