import { formatAddress } from './address.ts';
import {
  DECLINE_HOLD_MS,
  DECLINES_BELIEVED,
  type Desk,
  OFFER_HOLD_MS,
  reservationOf,
  sentence,
  withBoot,
} from './desk.ts';
import { type Deciding, type Exchange, holderOf } from './exchange.ts';
import { bindingOf, type Entry } from './lease-book.ts';
import { MESSAGE } from './option-table.ts';
import { nameOf, reply, silence } from './reply.ts';
import type { HeldReservation } from './reservation.ts';
import type { Subnet } from './subnet.ts';

interface Choice {
  readonly subnet: Subnet;
  readonly entry: Entry;
  readonly reservation?: HeldReservation;
}

/** DISCOVER (RFC 2131 section 4.3.1): an address, unless there is none or the client is none of ours. The store is not asked: offers are memory's. */
export function discover(desk: Desk, exchange: Exchange): Deciding {
  const proxy = exchange.subnets.find((one) => one.mode === 'proxy');
  if (proxy) return proxyOffer(desk, exchange, proxy);
  const choice = choose(desk, exchange);
  if (typeof choice === 'string') return silence(exchange, 'silent', choice);
  const { subnet, entry, reservation } = choice;
  const { address } = entry;
  return withBoot(desk, exchange, { subnet, address, message: 'OFFER' }, (boot) => {
    if (!reservation) probeInBackground(desk, entry);
    const { leaseSeconds } = subnet;
    return reply(exchange, {
      message: MESSAGE.offer,
      subnet,
      outcome: 'offered',
      address,
      leaseSeconds,
      reservation,
      boot,
    });
  });
}

function choose(desk: Desk, exchange: Exchange): Choice | string {
  const { now } = exchange;
  const until = now + OFFER_HOLD_MS;
  const reserved = reservationOf(desk, exchange);
  if (reserved) {
    const { held, subnet } = reserved;
    const holder = holderOf(exchange, subnet);
    if (!holder) return 'the client sends neither a MAC nor a client identifier';
    const rival = desk.book.at(held.address);
    if (rival && rival.state === 'leased' && rival.expiresAt > now && rival.mac !== held.mac) {
      return `${formatAddress(held.address)} is reserved for ${held.mac}, but ${rival.client} has it until ${new Date(rival.expiresAt).toISOString()}; release that lease, or wait`;
    }
    return { subnet, entry: desk.book.hold(subnet, held.address, holder, now, until), reservation: held };
  }
  const servers = exchange.subnets.filter((one) => one.mode === 'server');
  if (servers.length === 0)
    return `${nameOf(exchange)} has no reservation here, and this network serves reservations only`;
  for (const subnet of servers) {
    const holder = holderOf(exchange, subnet);
    if (!holder) return 'the client sends neither a MAC nor a client identifier';
    const declines = desk.declines.get(holder.client);
    if (declines && declines.until > now && declines.count >= DECLINES_BELIEVED) {
      return `${holder.client} declined ${declines.count} addresses within ${DECLINE_HOLD_MS / 60_000} minutes and gets no more until ${new Date(declines.until).toISOString()}; look for a second machine with its MAC, or a broken ARP proxy`;
    }
    const entry = desk.book.offer(subnet, holder, exchange.requested, now, until);
    if (entry) return { subnet, entry };
  }
  const names = servers.map((one) => one.id).join(', ');
  return `no address left in subnet ${names} for ${nameOf(exchange)}; enlarge the pool, shorten the lease time, or reserve an address`;
}

/** Boot information beside another server's address (PXE 2.1 section 2.2): an OFFER without one. */
function proxyOffer(desk: Desk, exchange: Exchange, subnet: Subnet): Deciding {
  if (!exchange.who.boots) return silence(exchange, 'silent', 'no boot client, and this network is served as a proxy');
  return withBoot(desk, exchange, { subnet, address: undefined, message: 'OFFER' }, (boot) =>
    boot === undefined || boot === 'nothing'
      ? silence(exchange, 'silent', `nothing to boot for ${nameOf(exchange)}`)
      : reply(exchange, { message: MESSAGE.offer, subnet, outcome: 'offered', boot }),
  );
}

/**
 * RFC 2131 section 3.1 has the server probe an address before it offers it, which costs every client seconds (dnsmasq: 3 s). Here the OFFER leaves
 * at once, and what the probe finds out counts when the REQUEST comes; or, of a client that was quicker, at its next one.
 */
function probeInBackground(desk: Desk, entry: Entry): void {
  // An address that this client had before is its own; an answer from it would be the client.
  if (!desk.probe || entry.state !== 'offered' || entry.durableUntil > 0) return;
  const { client, mac } = entry;
  const address = formatAddress(entry.address);
  desk.probe(address).then(
    (holder) => {
      // The client itself may have put it on already.
      if (holder === null || holder === mac || entry.client !== client) return;
      const isGiven = entry.state === 'leased';
      if (entry.state !== 'offered' && !isGiven) return;
      const now = desk.now();
      desk.book.decline(entry, now, now + DECLINE_HOLD_MS);
      desk.notice({
        kind: 'address-in-use',
        address,
        message: `${address} was ${isGiven ? '' : 'about to be '}given to ${client}, but ${holder} answers there; nobody gets it for ${DECLINE_HOLD_MS / 60_000} minutes. Give that machine an address outside the range, or make it ask`,
      });
      desk.store.commit(bindingOf(entry)).catch((error: unknown) => {
        desk.notice({
          kind: 'store-failed',
          address,
          message: `${address}: that it is in use could not be stored: ${sentence(error)}`,
        });
      });
    },
    () => {
      // A probe that cannot be made says nothing about the address.
    },
  );
}
