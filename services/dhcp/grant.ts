import { formatAddress } from './address.ts';
import { askBoot, type Desk, RENEWAL_PATIENCE_MS, SHORTEST_LEASE_SECONDS, sentence } from './desk.ts';
import type { BootAnswer, Decision, Exchange, RequestState } from './exchange.ts';
import { bindingOf, type Entry, type Holder } from './lease-book.ts';
import { MESSAGE } from './option-table.ts';
import { nameOf, reply, silence } from './reply.ts';
import type { HeldReservation } from './reservation.ts';
import type { Subnet } from './subnet.ts';

/**
 * Makes a lease and says ACK once it is durable. The address is taken in memory before the store is asked, so nobody else can get it meanwhile; other
 * clients are answered while the commit is under way.
 *
 * A renewal does not die with the store: the client already has a durable lease, so when the store fails or is slow, it is told what is left of that
 * one (all of a new one where the address is reserved for it and nobody else could get it).
 */
export async function grant(
  desk: Desk,
  exchange: Exchange,
  at: {
    readonly subnet: Subnet;
    readonly address: number;
    readonly holder: Holder;
    readonly reservation: HeldReservation | undefined;
  },
  state: RequestState,
): Promise<Decision> {
  const { now } = exchange;
  const { subnet, address, holder, reservation } = at;
  const fullUntil = now + subnet.leaseSeconds * 1000;
  const entry = desk.book.hold(subnet, address, holder, now, fullUntil);
  const durable = entry.durableUntil > now;
  desk.book.lease(entry, now, fullUntil);
  const stored = commit(desk, entry);
  // Told apart from the boot callback's failure, and never left unhandled.
  const storing = stored.then(
    () => undefined,
    (error: unknown) => sentence(error),
  );

  let boot: BootAnswer | 'nothing' | undefined;
  try {
    boot = await askBoot(desk, exchange, subnet, address, 'ACK');
  } catch (error) {
    return silence(
      exchange,
      'failed',
      `no boot answer for ${nameOf(exchange)}: ${sentence(error)}; the client will ask again`,
      state,
    );
  }

  const patience =
    durable && desk.after
      ? desk.after(RENEWAL_PATIENCE_MS).then(() => 'the lease store has not answered in time')
      : undefined;
  const fault = await (patience ? Promise.race([storing, patience]) : storing);
  let leaseSeconds = subnet.leaseSeconds;
  let reason: string | undefined;
  if (fault !== undefined) {
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
    if (!reservation) leaseSeconds = Math.min(left, subnet.leaseSeconds);
    reason = `renewed from memory: ${fault}`;
  }
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
function commit(desk: Desk, entry: Entry): Promise<void> {
  if (entry.pending) return entry.pending;
  const { client } = entry;
  const binding = bindingOf(entry);
  const pending = desk.store.commit(binding).then(
    () => {
      if (entry.pending === pending) entry.pending = undefined;
      if (entry.client === client && entry.state === 'leased') entry.durableUntil = binding.expiresAt;
    },
    (error: unknown) => {
      if (entry.pending === pending) entry.pending = undefined;
      throw error;
    },
  );
  entry.pending = pending;
  return pending;
}
