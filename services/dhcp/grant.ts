import { formatAddress } from './address.ts';
import {
  type BootGiven,
  type Desk,
  RENEWAL_PATIENCE_MS,
  SHORTEST_LEASE_SECONDS,
  STORED_LONGER,
  sentence,
  withBoot,
} from './desk.ts';
import type { Deciding, Decision, Exchange, RequestState } from './exchange.ts';
import { bindingOf, type Entry, type Holder } from './lease-book.ts';
import { MESSAGE } from './option-table.ts';
import { nameOf, reply, silence } from './reply.ts';
import type { HeldReservation } from './reservation.ts';
import type { Subnet } from './subnet.ts';

interface Seat {
  readonly subnet: Subnet;
  readonly address: number;
  readonly holder: Holder;
  readonly reservation: HeldReservation | undefined;
}

/**
 * Makes a lease and says ACK once it is durable. The address is taken in memory before the store is asked, so nobody else can get it meanwhile; other
 * clients are answered while the commit is under way. A client whose lease is durable for long enough already is answered at once.
 *
 * A renewal does not die with the store: the client already has a durable lease, so when the store fails or is slow, it is told what is left of that
 * one (all of a new one where the address is reserved for it and nobody else could get it).
 */
export function grant(desk: Desk, exchange: Exchange, at: Seat, state: RequestState): Deciding {
  const { now } = exchange;
  const { subnet, address, holder } = at;
  const until = now + subnet.leaseSeconds * 1000;
  const entry = desk.book.hold(subnet, address, holder, now, until);
  const durable = entry.durableUntil > now;
  const isEnough = entry.durableUntil >= until;
  desk.book.lease(entry, now, until);
  const stored = isEnough && entry.isStored ? undefined : commit(desk, entry, now);
  // Told apart from the boot callback's failure, and never left unhandled.
  const storing = stored?.then(
    () => undefined,
    (error: unknown) => sentence(error),
  );
  return withBoot(desk, exchange, { subnet, address, message: 'ACK', state }, (boot) => {
    // A name or an identifier that has changed is written too, but nobody waits for it.
    if (isEnough || !storing) return acknowledge(exchange, at, state, boot, subnet.leaseSeconds);
    const patience =
      durable && desk.after
        ? desk.after(RENEWAL_PATIENCE_MS).then(() => 'the lease store has not answered in time')
        : undefined;
    return (patience ? Promise.race([storing, patience]) : storing).then((fault) =>
      fault === undefined
        ? acknowledge(exchange, at, state, boot, subnet.leaseSeconds)
        : withoutStore(desk, exchange, at, state, { boot, entry, durable, fault }),
    );
  });
}

/** From memory where a durable lease is left, or not at all. */
function withoutStore(
  desk: Desk,
  exchange: Exchange,
  at: Seat,
  state: RequestState,
  { boot, entry, durable, fault }: { boot: BootGiven; entry: Entry; durable: boolean; fault: string },
): Decision {
  const { now } = exchange;
  const { subnet, address, holder, reservation } = at;
  const left = Math.floor((entry.durableUntil - now) / 1000);
  if (!durable || (!reservation && left < SHORTEST_LEASE_SECONDS)) {
    if (!durable && entry.client === holder.client) desk.book.release(entry, now);
    return silence(
      exchange,
      'failed',
      `${formatAddress(address)} for ${nameOf(exchange)} could not be stored: ${fault}; no ACK was sent, and the client will ask again`,
      state,
    );
  }
  const leaseSeconds = reservation ? subnet.leaseSeconds : Math.min(left, subnet.leaseSeconds);
  return acknowledge(exchange, at, state, boot, leaseSeconds, `renewed from memory: ${fault}`);
}

function acknowledge(
  exchange: Exchange,
  { subnet, address, reservation }: Seat,
  state: RequestState,
  boot: BootGiven,
  leaseSeconds: number,
  reason?: string,
): Decision {
  return reply(exchange, {
    message: MESSAGE.ack,
    subnet,
    outcome: 'acknowledged',
    state,
    address,
    leaseSeconds,
    reservation,
    boot,
    ...(reason && { reason }),
  });
}

/** One commit at a time for an entry; a repeated REQUEST joins the one under way. */
function commit(desk: Desk, entry: Entry, now: number): Promise<void> {
  if (entry.pending) return entry.pending;
  const { client } = entry;
  const binding = {
    ...bindingOf(entry),
    expiresAt: entry.expiresAt + Math.floor((entry.expiresAt - now) * STORED_LONGER),
  };
  const pending = desk.store.commit(binding).then(
    () => {
      if (entry.pending === pending) entry.pending = undefined;
      if (entry.client !== client || entry.state !== 'leased') return;
      entry.durableUntil = binding.expiresAt;
      entry.isStored = entry.clientId === binding.clientId && entry.hostName === binding.hostName;
    },
    (error: unknown) => {
      if (entry.pending === pending) entry.pending = undefined;
      throw error;
    },
  );
  entry.pending = pending;
  return pending;
}
