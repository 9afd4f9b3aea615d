import type { ClientClass } from './client-class.ts';
import type { Holder } from './lease-book.ts';
import type { MessageName } from './option-table.ts';
import type { DhcpPacket } from './packet.ts';
import type { RelayAgent } from './relay-agent.ts';
import type { OptionOverrides, Subnet } from './subnet.ts';

/** Where a packet came in. */
export interface Arrival {
  /** The link of the socket it came through (`SubnetConfig.link`). */
  readonly link: string;
  readonly source: { readonly address: string; readonly port: number };
  /** 4011 for PXE's boot server port; 67 otherwise. */
  readonly port: 67 | 4011;
}

/** One request while it is being answered. */
export interface Exchange {
  readonly packet: DhcpPacket;
  readonly arrival: Arrival;
  readonly message: MessageName;
  readonly who: ClientClass;
  readonly relay: RelayAgent | undefined;
  /** Where the client may have an address: the subnet that the relay names first, then its neighbours on the link. Never empty. */
  readonly subnets: readonly Subnet[];
  readonly requested: number | undefined;
  readonly serverId: number | undefined;
  readonly now: number;
  /** The client by its MAC and by its identifier, once it was asked for. */
  byMac?: Holder;
  byId?: Holder;
}

/** RFC 2131 section 4.3.2: what a REQUEST means follows from the fields it carries. */
export type RequestState = 'selecting' | 'init-reboot' | 'renewing' | 'rebinding';

export type Outcome =
  | 'offered'
  | 'acknowledged'
  | 'refused'
  | 'informed'
  | 'released'
  | 'declined'
  /** Nothing was said, and `reason` tells why. */
  | 'silent'
  /** The client took another server's offer: `asked.server` names it. */
  | 'chose-other'
  /** The lease store or the boot callback failed. */
  | 'failed';

/** What happened to one request, for the flight recorder: one record an exchange. Addresses are text; null is "not said". */
export interface ExchangeRecord {
  readonly at: number;
  readonly link: string;
  readonly source: string;
  readonly mac: string | null;
  readonly clientId: string | null;
  /** Eight hex digits. */
  readonly xid: string;
  readonly message: MessageName;
  readonly state: RequestState | null;
  readonly asked: {
    readonly address: string | null;
    readonly server: string | null;
    readonly relay: string | null;
    readonly hostName: string | null;
    readonly vendorClass: string | null;
    readonly userClasses: readonly string[];
    readonly architectures: readonly number[];
    readonly uuid: string | null;
  };
  readonly outcome: Outcome;
  /** A sentence where the outcome is not the ordinary one. */
  readonly reason: string | null;
  readonly answered: {
    readonly message: MessageName;
    readonly address: string | null;
    readonly to: string;
    readonly subnet: string | null;
    readonly leaseSeconds: number | null;
    readonly nextServer: string | null;
    readonly bootFile: string | null;
  } | null;
}

export type Decision =
  | {
      readonly kind: 'reply';
      readonly packet: DhcpPacket;
      readonly to: { readonly address: number; readonly port: number };
      /** Bytes of UDP payload that the client takes (option 57). */
      readonly largest: number;
      readonly outcome: Outcome;
      /** Made when it is asked for: under load most are counted only. */
      readonly record: ExchangeRecord;
    }
  | { readonly kind: 'none'; readonly outcome: Outcome; readonly record: ExchangeRecord };

/** A decision, or the promise of one where the store or `boot` has to be asked first. */
export type Deciding = Decision | Promise<Decision>;

/** What is asked of `boot` about a machine that wants to boot from the network. */
export interface BootQuery {
  readonly mac: string | null;
  /** The first of option 93, or null. */
  readonly arch: number | null;
  readonly client: ClientClass;
  readonly isIpxe: boolean;
  readonly uuid: string | null;
  /** The address the client gets or has, null in proxy mode. */
  readonly address: string | null;
  readonly subnet: string;
  readonly link: string;
  readonly relay: string | null;
  /** What is being answered: an OFFER may never be taken, so progress is counted from the ACK. */
  readonly message: MessageName;
  /** Of the transaction, as `ExchangeRecord.xid`: what a client sends again within one has the same. */
  readonly xid: string;
}

export interface BootAnswer {
  /** A file name for TFTP or a URL; without any length limit here (above 127 bytes only option 67 carries it). */
  readonly filename: string;
  /** Address of the TFTP server; the subnet's server address by default. */
  readonly nextServer?: string;
  /** Option 66 and sname; `nextServer` by default. */
  readonly serverName?: string;
  /** Sent whether asked for or not, and instead of what would be sent otherwise. */
  readonly options?: OptionOverrides;
}

export type BootFor = (query: BootQuery) => Promise<BootAnswer | 'nothing'>;

/** The client as the book knows it on a subnet. Undefined where it says nothing to know it by. */
export function holderOf(exchange: Exchange, subnet: Subnet): Holder | undefined {
  const { mac, clientId } = exchange.who;
  const byId = subnet.identity === 'client-id' ? clientId !== null : mac === null;
  if (byId) {
    if (clientId === null) return undefined;
    exchange.byId ??= { client: `id ${clientId}`, mac, clientId, hostName: hostNameOf(exchange) };
    return exchange.byId;
  }
  exchange.byMac ??= { client: `mac ${mac}`, mac, clientId, hostName: hostNameOf(exchange) };
  return exchange.byMac;
}

export function hostNameOf(exchange: Exchange): string | null {
  const bytes = exchange.packet.options.get(12);
  if (!bytes || bytes.length === 0) return null;
  const name = Buffer.from(bytes).toString('latin1').replace(/\0+$/, '');
  // Only what DNS and people can read; a host name is a courtesy, not worth a refusal.
  return /^[A-Za-z0-9_.-]{1,253}$/.test(name) ? name : null;
}
