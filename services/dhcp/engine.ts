import { contains, readAddress } from './address.ts';
import { classify } from './client-class.ts';
import type { Desk, DeskNotice } from './desk.ts';
import { discover } from './discover.ts';
import { type Arrival, type BootFor, type Deciding, type Exchange, holderOf } from './exchange.ts';
import { decline, inform, release } from './farewell.ts';
import type { LeaseStore } from './lease.ts';
import { LeaseBook } from './lease-book.ts';
import { MESSAGE_NAMES, type MessageName, OPTION } from './option-table.ts';
import { BOOTREQUEST, type DhcpPacket } from './packet.ts';
import { readRelayAgent } from './relay-agent.ts';
import { silence } from './reply.ts';
import { request } from './request.ts';
import { Reservations } from './reservation.ts';
import { type Subnet, type SubnetConfig, subnets } from './subnet.ts';

/** RFC 1542 section 4.1.1: a relay drops what has passed more. */
const MOST_HOPS = 16;

export interface EngineConfig {
  readonly subnets: readonly SubnetConfig[];
  readonly store: LeaseStore;
  readonly bootFor: BootFor;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Resolves after so many milliseconds: what lets renewals be answered while the store is slow. */
  readonly after?: (ms: number) => Promise<void>;
  /** The MAC that answers at this address, or null. Called in the background after an OFFER from a pool; never waited for. */
  readonly probe?: (address: string) => Promise<string | null>;
  readonly onNotice?: (notice: DeskNotice) => void;
}

type Handler = (desk: Desk, exchange: Exchange) => Deciding;

const HANDLERS: Readonly<Partial<Record<MessageName, Handler>>> = {
  DISCOVER: discover,
  REQUEST: request,
  DECLINE: decline,
  RELEASE: release,
  INFORM: inform,
};

/**
 * The server's mind: requests in, decisions out, no socket and no clock of its own. One engine holds the subnets that one process answers for;
 * no other process may answer for them at the same time, since addresses are chosen in memory.
 */
export class DhcpEngine {
  readonly reservations: Reservations;
  readonly #desk: Desk;

  private constructor(config: EngineConfig) {
    const list = subnets(config.subnets);
    // A MAC's reservation and its pool address may differ for a while; the book asks here whom an address is kept for.
    this.reservations = new Reservations((address, reserved) => book.reservationChanged(address, reserved));
    const book = new LeaseBook(list, (address) => this.reservations.at(address)?.mac);
    this.#desk = {
      subnets: list,
      book,
      reservations: this.reservations,
      store: config.store,
      bootFor: config.bootFor,
      declines: new Map(),
      now: config.now,
      after: config.after,
      probe: config.probe,
      notice: config.onNotice ?? (() => {}),
    };
  }

  /** Checks the configuration and reads the store. Rejects with a sentence for a configuration that cannot be served. */
  static async open(config: EngineConfig): Promise<DhcpEngine> {
    const engine = new DhcpEngine(config);
    const { book, subnets } = engine.#desk;
    const byId = new Map(subnets.map((one) => [one.id, one]));
    const now = config.now();
    for await (const binding of config.store.all()) {
      const subnet = byId.get(binding.subnet);
      if (subnet) book.load(binding, subnet, now);
    }
    return engine;
  }

  /** At once where nobody has to be asked. Never rejects: what goes wrong is the decision's record. */
  answer(packet: DhcpPacket, arrival: Arrival): Deciding {
    const exchange = this.#exchange(packet, arrival);
    const fault = refusal(exchange);
    if (fault) return silence(exchange, 'silent', fault);
    return HANDLERS[exchange.message]!(this.#desk, exchange);
  }

  /** Whether this sender is a machine of ours: it is served also when strangers flood the link. */
  knows(packet: DhcpPacket, arrival: Arrival): boolean {
    const exchange = this.#exchange(packet, arrival);
    if (exchange.who.mac !== null && this.reservations.of(exchange.who.mac).length > 0) return true;
    return exchange.subnets.some((subnet) => {
      const holder = holderOf(exchange, subnet);
      return holder !== undefined && this.#desk.book.of(subnet, holder.client) !== undefined;
    });
  }

  /** The subnet that the client is on, by what its relay says or by the link; undefined where none is served. */
  subnetOf(packet: DhcpPacket, arrival: Arrival): string | undefined {
    const relayBytes = packet.options.get(OPTION.relayAgent);
    return this.#subnetsFor(packet, arrival, relayBytes && readRelayAgent(relayBytes)?.linkSelection)[0]?.id;
  }

  /** Addresses that the pools of a subnet can still give; undefined for an unknown subnet. */
  freeAddresses(subnetId: string): number | undefined {
    const subnet = this.#desk.subnets.find((one) => one.id === subnetId);
    return subnet && this.#desk.book.free(subnet, this.#desk.now());
  }

  #exchange(packet: DhcpPacket, arrival: Arrival): Exchange {
    const { options } = packet;
    const relayBytes = options.get(OPTION.relayAgent);
    const relay = relayBytes && readRelayAgent(relayBytes);
    return {
      packet,
      arrival,
      message: MESSAGE_NAMES[options.get(OPTION.messageType)?.[0] ?? 0] ?? 'BOOTP',
      who: classify(packet),
      relay,
      subnets: this.#subnetsFor(packet, arrival, relay?.linkSelection),
      requested: addressOf(options.get(OPTION.requestedAddress)),
      serverId: addressOf(options.get(OPTION.serverId)),
      now: this.#desk.now(),
    };
  }

  /**
   * Where the client is: by the relay's link selection (RFC 3527), by subnet selection (RFC 3011), by the relay's own address, by the address that
   * a renewing client already has (it may sit behind a router), or by the link the packet came in on.
   */
  #subnetsFor(packet: DhcpPacket, arrival: Arrival, linkSelection: number | undefined): readonly Subnet[] {
    const all = this.#desk.subnets;
    const place =
      linkSelection ??
      addressOf(packet.options.get(OPTION.subnetSelection)) ??
      (packet.giaddr || packet.ciaddr || undefined);
    const first = place === undefined ? undefined : all.find((one) => contains(one.cidr, place));
    if (!first)
      return packet.giaddr === 0 && linkSelection === undefined ? all.filter((one) => one.link === arrival.link) : [];
    const neighbours = all.filter((one) => one !== first && one.link === first.link);
    return neighbours.length === 0 ? [first] : [first, ...neighbours];
  }
}

function refusal(exchange: Exchange): string | undefined {
  const { packet, message, who } = exchange;
  if (packet.op !== BOOTREQUEST) return 'a reply, not a request: another server speaks here';
  if (packet.hops > MOST_HOPS) return `${packet.hops} hops; ${MOST_HOPS} are allowed (a loop of relays?)`;
  if (message === 'BOOTP') return 'no message type: BOOTP is not served';
  if (!HANDLERS[message]) return `${message} is a server's message`;
  if (who.mac === null && who.clientId === null)
    return `hardware address of ${packet.hlen} bytes and no client identifier: nothing to know the client by`;
  if (who.mac === '00:00:00:00:00:00' || who.mac === 'ff:ff:ff:ff:ff:ff') return `${who.mac} is nobody's MAC`;
  if (exchange.subnets.length === 0) {
    return packet.giaddr === 0
      ? `no subnet is served on link ${exchange.arrival.link}`
      : 'the relay names a network that is not served here';
  }
  return undefined;
}

function addressOf(bytes: Uint8Array | undefined): number | undefined {
  if (bytes?.length !== 4) return undefined;
  const address = readAddress(bytes);
  return address === 0 ? undefined : address;
}
