import { formatAddress } from './address.ts';
import {
  DECLINE_HOLD_MS,
  DECLINES_BELIEVED,
  type Desk,
  isOurs,
  reservationOf,
  sentence,
  subnetAt,
  withBoot,
} from './desk.ts';
import { type Deciding, type Decision, type Exchange, holderOf } from './exchange.ts';
import { bindingOf, type Entry } from './lease-book.ts';
import { MESSAGE } from './option-table.ts';
import { nameOf, reply, silence } from './reply.ts';

/** So many clients' declines are remembered at once. */
const DECLINES_REMEMBERED = 10_000;

/** DECLINE (RFC 2131 section 4.3.3): somebody else uses the address. It rests, unless it is the client that cannot be believed. */
export async function decline(desk: Desk, exchange: Exchange): Promise<Decision> {
  const entry = ownEntry(desk, exchange, exchange.requested);
  if (typeof entry === 'string') return silence(exchange, 'silent', entry);
  const { now } = exchange;
  const address = formatAddress(entry.address);
  if (desk.reservations.at(entry.address)) {
    // The port's address is the machine's by law: resting it would leave the machine without any.
    return silence(
      exchange,
      'declined',
      `${address} is reserved for ${nameOf(exchange)}, but somebody else on the link uses it: find that machine (arping -D ${address})`,
    );
  }
  const before = desk.declines.get(entry.client);
  const count = before && before.until > now ? before.count + 1 : 1;
  if (!before && desk.declines.size >= DECLINES_REMEMBERED) forget(desk, now);
  desk.declines.set(entry.client, { count, until: now + DECLINE_HOLD_MS });
  if (count > DECLINES_BELIEVED) {
    desk.book.release(entry, now);
    return silence(
      exchange,
      'declined',
      `${nameOf(exchange)} declined ${count} addresses in a row; ${address} goes back to the pool`,
    );
  }
  desk.book.decline(entry, now, now + DECLINE_HOLD_MS);
  const fault = await stored(desk, entry);
  return silence(
    exchange,
    'declined',
    `${address} is in use by somebody else, says ${nameOf(exchange)}; it rests for ${DECLINE_HOLD_MS / 60_000} minutes${fault}`,
  );
}

/** RELEASE (RFC 2131 section 4.3.4): the address is free, and is kept for the client as long as nobody else needs it. */
export async function release(desk: Desk, exchange: Exchange): Promise<Decision> {
  const entry = ownEntry(desk, exchange, exchange.packet.ciaddr || undefined);
  if (typeof entry === 'string') return silence(exchange, 'silent', entry);
  if (entry.state === 'released')
    return silence(exchange, 'silent', `${formatAddress(entry.address)} was released before`);
  desk.book.release(entry, exchange.now);
  const fault = await stored(desk, entry);
  return silence(exchange, 'released', `${nameOf(exchange)} gave ${formatAddress(entry.address)} back${fault}`);
}

/** INFORM (RFC 2131 section 4.3.5): options for a client that has its address from elsewhere; no lease, no look at one. */
export function inform(desk: Desk, exchange: Exchange): Deciding {
  const reserved = reservationOf(desk, exchange);
  const subnet =
    (exchange.packet.ciaddr ? subnetAt(exchange, exchange.packet.ciaddr) : undefined) ??
    exchange.subnets.find((one) => one.mode !== 'proxy');
  if (!subnet) return silence(exchange, 'silent', "configuration is another server's here");
  if (!reserved && subnet.mode !== 'server')
    return silence(
      exchange,
      'silent',
      `${nameOf(exchange)} has no reservation here, and this network serves reservations only`,
    );
  const address = exchange.packet.ciaddr || undefined;
  return withBoot(desk, exchange, { subnet, address, message: 'ACK' }, (boot) =>
    reply(exchange, { message: MESSAGE.ack, subnet, outcome: 'informed', reservation: reserved?.held, boot }),
  );
}

/** The entry that the client may decline or release: its own, and addressed to us. */
function ownEntry(desk: Desk, exchange: Exchange, address: number | undefined): Entry | string {
  if (exchange.serverId !== undefined && !isOurs(exchange, exchange.serverId))
    return `meant for server ${formatAddress(exchange.serverId)}`;
  if (address === undefined) return `a ${exchange.message} that names no address`;
  const entry = desk.book.at(address);
  const subnet = subnetAt(exchange, address);
  const holder = subnet && holderOf(exchange, subnet);
  if (!entry || !holder || entry.client !== holder.client || entry.state === 'declined')
    return `${formatAddress(address)} is not ${nameOf(exchange)}'s to ${exchange.message.toLowerCase()}`;
  return entry;
}

async function stored(desk: Desk, entry: Entry): Promise<string> {
  try {
    await desk.store.commit(bindingOf(entry));
    return '';
  } catch (error) {
    return ` (not stored: ${sentence(error)})`;
  }
}

function forget(desk: Desk, now: number): void {
  for (const [client, { until }] of desk.declines) if (until <= now) desk.declines.delete(client);
  // Still full of fresh ones: the oldest goes. A client that is forgotten is merely believed again.
  const oldest = desk.declines.keys().next().value;
  if (desk.declines.size >= DECLINES_REMEMBERED && oldest !== undefined) desk.declines.delete(oldest);
}
