import { contains, formatAddress } from './address.ts';
import type { BootAnswer, BootFor, Deciding, Exchange, RequestState } from './exchange.ts';
import type { LeaseStore } from './lease.ts';
import type { LeaseBook } from './lease-book.ts';
import type { MessageName } from './option-table.ts';
import { nameOf, silence, xidText } from './reply.ts';
import type { HeldReservation, Reservations } from './reservation.ts';
import type { Subnet } from './subnet.ts';

/** How long an OFFER keeps its address: OVMF waits 4 to 6.5 s before its REQUEST, ISC dhclient collects offers for seconds. */
export const OFFER_HOLD_MS = 30_000;
/** How long a declined address rests. */
export const DECLINE_HOLD_MS = 600_000;
/** As many addresses may one client decline while they rest; then it is the client that is not believed. */
export const DECLINES_BELIEVED = 3;
/** How long a renewal waits for a slow store before it is answered from what is durable already. */
export const RENEWAL_PATIENCE_MS = 250;
/**
 * The store is told of a lease that lasts this much longer than what the client hears, as a part of it. Within that time a client that asks again
 * gets a whole lease without another commit: firmware, iPXE, ramdisk and system each ask within minutes.
 */
export const STORED_LONGER = 0.25;
/** Shorter than this is no lease worth giving. */
export const SHORTEST_LEASE_SECONDS = 60;

/** What the handlers of the messages share. */
export interface Desk {
  readonly subnets: readonly Subnet[];
  readonly book: LeaseBook;
  readonly reservations: Reservations;
  readonly store: LeaseStore;
  readonly bootFor: BootFor;
  readonly declines: Map<string, { count: number; until: number }>;
  readonly now: () => number;
  /** Resolves after so many milliseconds; absent: renewals wait for the store as new leases do. */
  readonly after: ((ms: number) => Promise<void>) | undefined;
  /** The MAC that answers at this address, or null; asked in the background, after the OFFER. */
  readonly probe: ((address: string) => Promise<string | null>) | undefined;
  /** Something that is no exchange: a store that fails in the background, an address found in use. */
  readonly notice: (notice: DeskNotice) => void;
}

export interface DeskNotice {
  readonly kind: 'store-failed' | 'address-in-use';
  readonly address: string;
  readonly message: string;
}

/** The client's reservation on the exchange's subnets, and its subnet. Proxy subnets give no addresses, reserved or not. */
export function reservationOf(desk: Desk, exchange: Exchange): { held: HeldReservation; subnet: Subnet } | undefined {
  const { mac } = exchange.who;
  if (mac === null) return undefined;
  for (const held of desk.reservations.of(mac)) {
    const subnet = exchange.subnets.find((one) => one.mode !== 'proxy' && contains(one.cidr, held.address));
    if (subnet) return { held, subnet };
  }
  return undefined;
}

/** The exchange's subnet that an address belongs to. */
export function subnetAt(exchange: Exchange, address: number): Subnet | undefined {
  return exchange.subnets.find((one) => one.mode !== 'proxy' && contains(one.cidr, address));
}

/** Whether option 54 names us: any of our addresses on this link, or the identifier that the relay gave out for us (RFC 5107). */
export function isOurs(exchange: Exchange, serverId: number): boolean {
  return exchange.relay?.serverOverride === serverId || exchange.subnets.some((one) => one.server === serverId);
}

export type BootGiven = BootAnswer | 'nothing' | undefined;

/**
 * Goes on with what `boot` says: at once for a client that does not boot, since nobody needs to be asked. Where `boot` fails, nothing is said and
 * the client asks again.
 */
export function withBoot(
  desk: Desk,
  exchange: Exchange,
  at: {
    readonly subnet: Subnet;
    readonly address: number | undefined;
    readonly message: MessageName;
    readonly state?: RequestState;
  },
  then: (boot: BootGiven) => Deciding,
): Deciding {
  const { who, arrival, packet } = exchange;
  if (!who.boots) return then(undefined);
  const { subnet, address, message, state } = at;
  return desk
    .bootFor({
      mac: who.mac,
      arch: who.architectures[0] ?? null,
      client: who,
      isIpxe: who.isIpxe,
      uuid: who.uuid,
      address: address === undefined ? null : formatAddress(address),
      subnet: subnet.id,
      link: arrival.link,
      relay: packet.giaddr === 0 ? null : formatAddress(packet.giaddr),
      message,
      xid: xidText(packet.xid),
    })
    .then(then, (error: unknown) =>
      silence(
        exchange,
        'failed',
        `no boot answer for ${nameOf(exchange)}: ${sentence(error)}; the client will ask again`,
        state,
      ),
    );
}

export function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
