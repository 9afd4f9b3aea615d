import { contains, formatAddress, hex, parseAddress } from './address.ts';
import { IPXE_NO_PROXY_WAIT, PXE_BOOT_FILE_ONLY } from './encapsulated.ts';
import {
  type BootAnswer,
  type Decision,
  type Exchange,
  type ExchangeRecord,
  hostNameOf,
  type Outcome,
  type RequestState,
} from './exchange.ts';
import { MESSAGE, MESSAGE_NAMES, OPTION } from './option-table.ts';
import { addressesValue, addressValue, terminatedText, textValue } from './option-values.ts';
import type { OptionMap } from './options.ts';
import { BOOTREPLY, BROADCAST_FLAG, type DhcpPacket, LARGEST_REPLY } from './packet.ts';
import type { HeldReservation } from './reservation.ts';
import { leaseTimes, type Subnet } from './subnet.ts';

const BROADCAST = 0xffffffff;
const SERVER_PORT = 67;
const CLIENT_PORT = 68;
/** RFC 2131 section 2: every client takes 576 bytes of IP packet; 28 of them are headers. */
const HEADERS = 28;
const SMALLEST_LIMIT = 576 - HEADERS;
const MESSAGE_VALUES = MESSAGE_NAMES.map((_, type) => Uint8Array.of(type));

export interface ReplyContent {
  readonly message: (typeof MESSAGE)['offer' | 'ack' | 'nak'];
  readonly subnet: Subnet;
  readonly outcome: Outcome;
  readonly state?: RequestState;
  /** The address given; undefined for NAK, INFORM and proxy answers. */
  readonly address?: number;
  readonly leaseSeconds?: number;
  readonly reservation?: HeldReservation | undefined;
  readonly boot?: BootAnswer | 'nothing' | undefined;
  /** For the record, and in a NAK for the client. */
  readonly reason?: string;
}

/** Builds the reply, where it goes, and the record of the exchange. */
export function reply(exchange: Exchange, content: ReplyContent): Decision {
  const { packet, relay } = exchange;
  const { subnet, message, boot } = content;
  const isNak = message === MESSAGE.nak;
  const answer = boot === 'nothing' || isNak ? undefined : boot;
  const nextServer = isNak
    ? 0
    : ((answer?.nextServer !== undefined ? parseAddress(answer.nextServer) : undefined) ?? subnet.server);
  const options: OptionMap = new Map();
  options.set(OPTION.messageType, MESSAGE_VALUES[message]!);
  options.set(OPTION.serverId, relay?.serverOverride ? addressValue(relay.serverOverride) : subnet.serverValue);
  if (isNak) {
    if (content.reason) options.set(OPTION.message, textValue(content.reason.slice(0, 255)));
  } else {
    if (content.leaseSeconds !== undefined) addTimes(options, subnet, content.leaseSeconds);
    if (answer) addBoot(options, exchange, answer, nextServer);
    addAsked(options, exchange, content);
  }
  // RFC 6842: the client identifier goes back as it came. RFC 3046 section 2.2: option 82 goes back as it came, last.
  copy(options, exchange, OPTION.clientId);
  copy(options, exchange, OPTION.relayAgent);

  const bootFile = answer?.filename ?? '';
  const answering: DhcpPacket = {
    op: BOOTREPLY,
    htype: packet.htype,
    hlen: packet.hlen,
    hops: 0,
    xid: packet.xid,
    secs: 0,
    // RFC 2131 section 4.3.2: a relay must broadcast a NAK, the client's address being wrong.
    flags: isNak && packet.giaddr !== 0 ? packet.flags | BROADCAST_FLAG : packet.flags,
    ciaddr: isNak || message === MESSAGE.offer ? 0 : packet.ciaddr,
    yiaddr: content.address ?? 0,
    siaddr: nextServer,
    giaddr: packet.giaddr,
    chaddr: packet.chaddr,
    sname: answer ? (answer.serverName ?? formatAddress(nextServer)) : '',
    file: bootFile,
    options,
  };
  return new Reply(exchange, content, answering, answer !== undefined);
}

export function silence(exchange: Exchange, outcome: Outcome, reason: string, state?: RequestState): Decision {
  return new Silence(exchange, outcome, reason, state);
}

/**
 * Classes, because their getters belong to all of them: a literal with a getter has a hidden class of its own each time, which lives until the
 * next full collection and takes the whole exchange along (measured: a third of the server's time).
 */
class Reply {
  readonly kind = 'reply';
  readonly packet: DhcpPacket;
  readonly to: { readonly address: number; readonly port: number };
  readonly largest: number;
  readonly outcome: Outcome;
  readonly #exchange: Exchange;
  readonly #content: ReplyContent;
  readonly #hasBoot: boolean;

  constructor(exchange: Exchange, content: ReplyContent, packet: DhcpPacket, hasBoot: boolean) {
    this.packet = packet;
    this.to = destination(exchange, content.message === MESSAGE.nak);
    this.largest = largestFor(exchange.packet.options.get(OPTION.maxSize));
    this.outcome = content.outcome;
    this.#exchange = exchange;
    this.#content = content;
    this.#hasBoot = hasBoot;
  }

  get record(): ExchangeRecord {
    const { packet, to } = this;
    const { outcome, state, reason, message, address, subnet, leaseSeconds } = this.#content;
    return record(this.#exchange, outcome, {
      state,
      reason,
      answered: {
        message: MESSAGE_NAMES[message],
        address: address === undefined ? null : formatAddress(address),
        to: `${formatAddress(to.address)}:${to.port}`,
        subnet: subnet.id,
        leaseSeconds: leaseSeconds ?? null,
        nextServer: this.#hasBoot ? formatAddress(packet.siaddr) : null,
        bootFile: this.#hasBoot ? packet.file : null,
      },
    });
  }
}

class Silence {
  readonly kind = 'none';
  readonly outcome: Outcome;
  readonly #exchange: Exchange;
  readonly #reason: string;
  readonly #state: RequestState | undefined;

  constructor(exchange: Exchange, outcome: Outcome, reason: string, state: RequestState | undefined) {
    this.outcome = outcome;
    this.#exchange = exchange;
    this.#reason = reason;
    this.#state = state;
  }

  get record(): ExchangeRecord {
    return record(this.#exchange, this.outcome, { state: this.#state, reason: this.#reason, answered: null });
  }
}

function record(
  exchange: Exchange,
  outcome: Outcome,
  rest: {
    readonly state: RequestState | undefined;
    readonly reason: string | undefined;
    readonly answered: ExchangeRecord['answered'];
  },
): ExchangeRecord {
  const { packet, who, arrival } = exchange;
  const address = exchange.requested ?? (packet.ciaddr || undefined);
  return {
    at: exchange.now,
    link: arrival.link,
    source: arrival.source.address,
    mac: who.mac,
    clientId: who.clientId,
    xid: xidText(packet.xid),
    message: exchange.message,
    state: rest.state ?? null,
    asked: {
      address: address === undefined ? null : formatAddress(address),
      server: exchange.serverId === undefined ? null : formatAddress(exchange.serverId),
      relay: packet.giaddr === 0 ? null : formatAddress(packet.giaddr),
      hostName: hostNameOf(exchange),
      vendorClass: who.vendorClass,
      userClasses: who.userClasses,
      architectures: who.architectures,
      uuid: who.uuid,
    },
    outcome,
    reason: rest.reason ?? null,
    answered: rest.answered,
  };
}

export const xidText = (xid: number): string => xid.toString(16).padStart(8, '0');

function addTimes(options: OptionMap, subnet: Subnet, leaseSeconds: number): void {
  const times = leaseSeconds === subnet.leaseSeconds ? subnet.times : leaseTimes(leaseSeconds);
  options.set(OPTION.leaseTime, times.lease);
  options.set(OPTION.renewalTime, times.renewal);
  options.set(OPTION.rebindingTime, times.rebinding);
}

/**
 * Boot options go out whether asked for or not: ROMs with a short parameter list, or none, still need them. The same names stand in the header's
 * `file` and `sname`, which old ROMs read instead.
 */
function addBoot(options: OptionMap, exchange: Exchange, answer: BootAnswer, nextServer: number): void {
  const { who, packet } = exchange;
  options.set(OPTION.bootFile, terminatedText(answer.filename));
  options.set(OPTION.tftpServerName, terminatedText(answer.serverName ?? formatAddress(nextServer)));
  const asked = packet.options.get(OPTION.parameterList);
  if (asked?.includes(OPTION.tftpServers))
    options.set(OPTION.tftpServers, addressesValue([formatAddress(nextServer)], 'next server'));
  // UEFI HTTP boot takes no offer without its own class in it (UEFI 2.10 section 24.7.3.1; seen with OVMF 2022.11).
  if (who.isHttpBoot) options.set(OPTION.vendorClass, textValue('HTTPClient'));
  const proxied = options.get(OPTION.leaseTime) === undefined;
  if (who.isPxe && (!who.isIpxe || proxied)) options.set(OPTION.vendorClass, textValue('PXEClient'));
  if (who.isPxe && !who.isIpxe) options.set(OPTION.vendorSpecific, PXE_BOOT_FILE_ONLY);
  // RFC 4578 section 2.3: a machine identifier that was sent is sent back.
  copy(options, exchange, OPTION.clientUuid);
  if (who.isIpxe && !proxied) options.set(OPTION.ipxe, IPXE_NO_PROXY_WAIT);
  if (answer.options) for (const [code, value] of Object.entries(answer.options)) options.set(Number(code), value);
}

/** A client without a mask guesses one by address class; dnsmasq sends both always, too. */
const UNASKED: ReadonlySet<number> = new Set([OPTION.subnetMask, OPTION.broadcast]);

/** The subnet's and the reservation's options, those that the client asked for; all of them where it has no list (RFC 2131 section 4.3.1). */
function addAsked(options: OptionMap, exchange: Exchange, content: ReplyContent): void {
  const { subnet, reservation } = content;
  const asked = exchange.packet.options.get(OPTION.parameterList);
  const add = (code: number, value: Uint8Array): void => {
    if (!options.has(code) && (!asked || asked.includes(code) || UNASKED.has(code))) options.set(code, value);
  };
  // A proxy gives no configuration, the other server does.
  if (subnet.mode === 'proxy' && content.outcome !== 'informed') return;
  if (reservation?.options) for (const [code, value] of Object.entries(reservation.options)) add(Number(code), value);
  for (const [code, value] of subnet.options) add(code, value);
  if (reservation?.hostName !== undefined) add(OPTION.hostName, textValue(reservation.hostName));
  // iPXE without a boot answer must not wait for a proxy either.
  if (exchange.who.isIpxe && !options.has(OPTION.ipxe) && subnet.mode !== 'proxy')
    options.set(OPTION.ipxe, IPXE_NO_PROXY_WAIT);
}

function copy(options: OptionMap, exchange: Exchange, code: number): void {
  const value = exchange.packet.options.get(code);
  if (value) options.set(code, value);
}

/**
 * RFC 2131 section 4.1, but for one case: a client without an address and without the broadcast flag would get unicast to an address it does not
 * answer ARP for yet. An ordinary UDP socket cannot send that, and every client tried takes the broadcast.
 */
function destination(exchange: Exchange, isNak: boolean): { address: number; port: number } {
  const { packet, arrival, relay } = exchange;
  if (arrival.port === 4011)
    return { address: parseAddress(arrival.source.address) ?? BROADCAST, port: arrival.source.port };
  if (packet.giaddr !== 0 && exchange.message !== 'INFORM') {
    return {
      address: packet.giaddr,
      port: relay?.answersSourcePort ? arrival.source.port : SERVER_PORT,
    };
  }
  // Who discovers has no address, whatever it says. An address that cannot be on this wire is nobody's: an answer to it would wait for ARP, and
  // enough of them would fill the socket.
  const isUnicast = !isNak && exchange.message !== 'DISCOVER' && isHere(exchange, packet.ciaddr);
  return { address: isUnicast ? packet.ciaddr : BROADCAST, port: CLIENT_PORT };
}

function isHere({ subnets, arrival }: Exchange, address: number): boolean {
  if (address === 0) return false;
  return subnets.some((subnet) => contains(subnet.cidr, address)) || parseAddress(arrival.source.address) === address;
}

function largestFor(maxSize: Uint8Array | undefined): number {
  if (maxSize?.length !== 2) return SMALLEST_LIMIT;
  const limit = ((maxSize[0]! << 8) | maxSize[1]!) - HEADERS;
  // OVMF says 65,280 in its REQUEST; more than a frame would come in fragments.
  return Math.min(Math.max(limit, SMALLEST_LIMIT), LARGEST_REPLY);
}

/** For reasons: the client's vendor class or identifier in a sentence. */
export function nameOf(exchange: Exchange): string {
  const { who } = exchange;
  return who.mac ?? `client ${who.clientId ?? hex(exchange.packet.chaddr.subarray(0, exchange.packet.hlen))}`;
}
