import { formatAddress } from './address.ts';
import { type Desk, isOurs, reservationOf, subnetAt, withBoot } from './desk.ts';
import { type Deciding, type Decision, type Exchange, holderOf, type RequestState } from './exchange.ts';
import { grant } from './grant.ts';
import type { Holder } from './lease-book.ts';
import { MESSAGE } from './option-table.ts';
import { nameOf, reply, silence } from './reply.ts';
import type { HeldReservation } from './reservation.ts';
import type { Subnet } from './subnet.ts';

/** Table 4 of RFC 2131 (section 4.3.6): which fields a REQUEST carries in which state. */
export function stateOf(exchange: Exchange): RequestState | undefined {
  if (exchange.serverId !== undefined) return 'selecting';
  if (exchange.packet.ciaddr !== 0) return exchange.packet.giaddr !== 0 ? 'rebinding' : 'renewing';
  return exchange.requested === undefined ? undefined : 'init-reboot';
}

/** REQUEST (RFC 2131 section 4.3.2). */
export function request(desk: Desk, exchange: Exchange): Deciding {
  const state = stateOf(exchange);
  if (exchange.arrival.port === 4011) return bootServer(desk, exchange);
  if (!state)
    return silence(exchange, 'silent', 'a REQUEST without server identifier, requested address or own address');
  if (exchange.subnets.every((one) => one.mode === 'proxy')) {
    return silence(
      exchange,
      exchange.serverId === undefined || isOurs(exchange, exchange.serverId) ? 'silent' : 'chose-other',
      "addresses are another server's here",
      state,
    );
  }
  return state === 'selecting' ? selecting(desk, exchange) : confirm(desk, exchange, state);
}

/** The client answers an OFFER: ours, or another server's. */
function selecting(desk: Desk, exchange: Exchange): Deciding {
  const { serverId, now } = exchange;
  const state = 'selecting';
  if (!isOurs(exchange, serverId!)) {
    // Our own offer is free again at once.
    for (const subnet of exchange.subnets) {
      const holder = holderOf(exchange, subnet);
      const entry = holder && desk.book.of(subnet, holder.client);
      if (entry?.state === 'offered') desk.book.release(entry, now);
    }
    return silence(exchange, 'chose-other', `${nameOf(exchange)} took the offer of ${formatAddress(serverId!)}`, state);
  }
  const address = exchange.requested ?? (exchange.packet.ciaddr || undefined);
  if (address === undefined)
    return silence(exchange, 'silent', 'a REQUEST for our offer that does not name the address', state);
  const seat = seatAt(desk, exchange, address);
  if (typeof seat === 'string') return refuse(exchange, state, seat);
  const { subnet, holder, reservation } = seat;
  if (!reservation && subnet.mode !== 'server')
    return refuse(exchange, state, `${nameOf(exchange)} has no reservation here any more`);
  const offered = desk.book.at(address);
  const isTheirs = offered !== undefined && offered.client === holder.client && offered.state !== 'declined';
  // After a restart offers are forgotten; an address that is still free is then as good as offered.
  if (!reservation && !isTheirs && !desk.book.isAvailable(subnet, address, holder, now)) {
    return refuse(exchange, state, `${formatAddress(address)} was not offered to ${nameOf(exchange)}`);
  }
  return grant(desk, exchange, { subnet, address, holder, reservation }, state);
}

/** INIT-REBOOT, RENEWING, REBINDING: the client names the address that it believes to be its own. */
function confirm(desk: Desk, exchange: Exchange, state: RequestState): Deciding {
  const address = state === 'init-reboot' ? exchange.requested! : exchange.packet.ciaddr;
  const known = isKnown(desk, exchange);
  const speaks = known || exchange.subnets.some((one) => one.authoritative);
  const seat = seatAt(desk, exchange, address);
  if (typeof seat === 'string') {
    return speaks
      ? refuse(exchange, state, seat)
      : silence(exchange, 'silent', `${seat}; nothing is known of ${nameOf(exchange)}, so nothing is said`, state);
  }
  const { subnet, holder, reservation } = seat;
  const entry = desk.book.of(subnet, holder.client);
  if (reservation || (subnet.mode === 'server' && entry?.address === address && entry.state !== 'declined')) {
    return grant(desk, exchange, { subnet, address, holder, reservation }, state);
  }
  const reason = `no lease of ${formatAddress(address)} to ${nameOf(exchange)} is known`;
  return speaks ? refuse(exchange, state, reason) : silence(exchange, 'silent', reason, state);
}

interface Seat {
  readonly subnet: Subnet;
  readonly holder: Holder;
  readonly reservation: HeldReservation | undefined;
}

/** Whether the client may have this address at all; otherwise the sentence that says why not. */
function seatAt(desk: Desk, exchange: Exchange, address: number): Seat | string {
  const subnet = subnetAt(exchange, address);
  const text = formatAddress(address);
  if (!subnet) return `${text} does not belong to this network`;
  const holder = holderOf(exchange, subnet);
  if (!holder) return 'the client sends neither a MAC nor a client identifier';
  const reserved = reservationOf(desk, exchange);
  if (reserved && reserved.held.address !== address)
    return `${text} is not the address reserved for ${reserved.held.mac}, which is ${formatAddress(reserved.held.address)}`;
  const rival = desk.book.otherHolder(address, holder, exchange.now);
  // A reserved address that its own machine declined is still its own.
  if (rival && !(reserved && desk.book.at(address)?.state === 'declined')) return `${text} is ${rival}`;
  return { subnet, holder, reservation: reserved?.held };
}

function isKnown(desk: Desk, exchange: Exchange): boolean {
  if (reservationOf(desk, exchange)) return true;
  return exchange.subnets.some((subnet) => {
    const holder = holderOf(exchange, subnet);
    return holder !== undefined && desk.book.of(subnet, holder.client) !== undefined;
  });
}

function refuse(exchange: Exchange, state: RequestState, reason: string): Decision {
  const subnet = exchange.subnets.find((one) => one.mode !== 'proxy')!;
  return reply(exchange, { message: MESSAGE.nak, subnet, outcome: 'refused', state, reason });
}

/** PXE's boot server port (PXE 2.1 section 2.2.3): only boot information, to a client that has an address. */
function bootServer(desk: Desk, exchange: Exchange): Deciding {
  const subnet = exchange.subnets[0]!;
  if (!exchange.who.boots) return silence(exchange, 'silent', 'no boot client on the boot server port');
  const address = exchange.packet.ciaddr || undefined;
  return withBoot(desk, exchange, { subnet, address, message: 'ACK' }, (boot) =>
    boot === undefined || boot === 'nothing'
      ? silence(exchange, 'silent', `nothing to boot for ${nameOf(exchange)}`)
      : reply(exchange, { message: MESSAGE.ack, subnet, outcome: 'informed', boot }),
  );
}
