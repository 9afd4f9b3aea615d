import type { Socket } from 'node:dgram';
import { formatAddress, formatMac } from './address.ts';
import { type DatagramPort, portOver } from './datagrams.ts';
import type { DhcpEngine } from './engine.ts';
import type { Arrival, Deciding, Decision, ExchangeRecord, Outcome } from './exchange.ts';
import { Bucket, Buckets, type Rate, Thrift } from './limits.ts';
import { type DhcpPacket, decodePacket, encodeInto, LARGEST_REPLY } from './packet.ts';

export interface DhcpLimits {
  /** Requests of one MAC. A four-way exchange is two; firmware, iPXE and the system make half a dozen of them within a minute. */
  readonly perClient: Rate;
  /** Requests of clients that the engine does not know. Known ones are never held back by strangers. */
  readonly strangers: Rate;
  readonly known: Rate;
  /** Requests being answered at once; more are dropped, and their clients ask again. */
  readonly inFlight: number;
}

export const DHCP_LIMITS: DhcpLimits = {
  perClient: { burst: 200, perSecond: 40 },
  strangers: { burst: 5_000, perSecond: 5_000 },
  known: { burst: 50_000, perSecond: 50_000 },
  inFlight: 10_000,
};

/** Beside the exchanges: what was not answered as one. `count` says for how many such packets the event stands. */
export type DhcpEvent =
  | {
      readonly type: 'exchange';
      readonly mac: string | null;
      readonly outcome: Outcome;
      /** Made when it is read: whoever only counts need not have it. */
      readonly exchange: ExchangeRecord;
      readonly tookMs: number;
      readonly count: number;
    }
  | {
      readonly type: 'malformed';
      readonly link: string;
      readonly source: string;
      readonly reason: string;
      readonly count: number;
    }
  | {
      readonly type: 'held-back';
      readonly link: string;
      readonly source: string;
      readonly mac: string | null;
      readonly reason: string;
      readonly count: number;
    }
  | {
      readonly type: 'send-failed';
      readonly link: string;
      readonly to: string;
      readonly reason: string;
      readonly count: number;
    }
  /** Options that found no room in a reply. */
  | {
      readonly type: 'options-dropped';
      readonly link: string;
      readonly mac: string | null;
      readonly codes: readonly number[];
      readonly count: number;
    };

export interface ServeDhcpOptions {
  /** Bound to 0.0.0.0:67 and to the interface of the link (SO_BINDTODEVICE): its broadcasts come in and go out there only. */
  readonly socket: Socket | DatagramPort;
  readonly link: string;
  readonly engine: { answer(packet: DhcpPacket, arrival: Arrival): Deciding } & Pick<DhcpEngine, 'knows'>;
  /** The same for port 4011, where ProxyDHCP clients ask; only needed in proxy mode. */
  readonly bootServerSocket?: Socket | DatagramPort;
  readonly limits?: Partial<DhcpLimits>;
  readonly onEvent?: (event: DhcpEvent) => void;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

export interface DhcpServing {
  /** Stops listening and resolves when the last request in hand is answered. The sockets stay open: they belong to the caller. */
  stop(): Promise<void>;
  /** Requests being answered now. */
  inFlight(): number;
}

/** A class for its getter: see `Reply` in reply.ts. */
class Told {
  readonly type = 'exchange';
  readonly mac: string | null;
  readonly outcome: Outcome;
  readonly tookMs: number;
  readonly count: number;
  readonly #decision: Decision;

  constructor(packet: DhcpPacket, decision: Decision, tookMs: number, count: number) {
    this.mac = packet.hlen === 6 ? formatMac(packet.chaddr, 6) : null;
    this.outcome = decision.outcome;
    this.tookMs = tookMs;
    this.count = count;
    this.#decision = decision;
  }

  get exchange(): ExchangeRecord {
    return this.#decision.record;
  }
}

const ALWAYS_TOLD: ReadonlySet<Outcome> = new Set(['offered', 'acknowledged', 'informed', 'released']);

/** Answers on one link through a socket that is already open. */
export function serveDhcp(options: ServeDhcpOptions): DhcpServing {
  const { engine, link } = options;
  const now = options.now ?? Date.now;
  const emit = options.onEvent ?? (() => {});
  const limits = { ...DHCP_LIMITS, ...options.limits };
  const perClient = new Buckets(limits.perClient);
  const strangers = new Bucket(limits.strangers, now());
  const known = new Bucket(limits.known, now());
  const thrift = new Thrift();
  const idle: (() => void)[] = [];
  let inFlight = 0;

  function heldBack(source: string, packet: DhcpPacket | undefined, reason: string): void {
    const mac = packet?.hlen === 6 ? formatMac(packet.chaddr, 6) : null;
    const count = thrift.count(`held ${mac ?? source} ${reason}`, now());
    if (count !== undefined) emit({ type: 'held-back', link, source, mac, reason, count });
  }

  function overLimit(packet: DhcpPacket, arrival: Arrival, at: number): string | undefined {
    if (inFlight >= limits.inFlight) return `${limits.inFlight} requests are being answered already`;
    if (!perClient.take(packet.chaddr, packet.hlen, at)) return 'this client asks too often';
    // A stranger's bucket first; who is known has another one, so that a flood of invented MACs does not keep machines of ours waiting.
    if (!strangers.take(at) && !(engine.knows(packet, arrival) && known.take(at)))
      return 'too many requests on this link';
    return undefined;
  }

  function receive(
    socket: DatagramPort,
    port: Arrival['port'],
    bytes: Uint8Array,
    address: number,
    sourcePort: number,
  ): void {
    const at = now();
    const source = formatAddress(address);
    const decoded = decodePacket(bytes);
    if (!decoded.ok) {
      const count = thrift.count(`malformed ${source}`, at);
      if (count !== undefined) emit({ type: 'malformed', link, source, reason: decoded.reason, count });
      return;
    }
    const { packet } = decoded;
    const arrival: Arrival = { link, source: { address: source, port: sourcePort }, port };
    const reason = overLimit(packet, arrival, at);
    if (reason) heldBack(source, packet, reason);
    else answer(socket, packet, arrival, at);
  }

  /** A fault of ours must not end the server for everybody else. */
  function failed(to: string, error: unknown): void {
    const count = thrift.count('fault', now());
    if (count === undefined) return;
    const reason = `not answered: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
    emit({ type: 'send-failed', link, to, reason, count });
  }

  function left(): void {
    inFlight--;
    if (inFlight === 0) for (const wake of idle.splice(0)) wake();
  }

  function answer(socket: DatagramPort, packet: DhcpPacket, arrival: Arrival, at: number): void {
    const decided = (decision: Decision): void => {
      send(socket, decision);
      report(decision, packet, now() - at);
    };
    try {
      const deciding = engine.answer(packet, arrival);
      if (!(deciding instanceof Promise)) {
        decided(deciding);
        return;
      }
      inFlight++;
      deciding.then(
        (decision) => {
          try {
            decided(decision);
          } catch (error) {
            failed(arrival.source.address, error);
          }
          left();
        },
        (error: unknown) => {
          failed(arrival.source.address, error);
          left();
        },
      );
    } catch (error) {
      failed(arrival.source.address, error);
    }
  }

  /** Replies are written here one after the other: the port takes a copy of each. */
  const scratch = new Uint8Array(LARGEST_REPLY);

  function send(socket: DatagramPort, decision: Decision): void {
    if (decision.kind === 'none') return;
    const { bytes, dropped } = encodeInto(scratch.subarray(0, decision.largest), decision.packet);
    if (dropped.length > 0) {
      const { mac } = decision.record;
      const count = thrift.count(`dropped ${mac}`, now());
      if (count !== undefined) emit({ type: 'options-dropped', link, mac, codes: dropped, count });
    }
    const { address, port } = decision.to;
    socket.send(bytes, address, port, (reason) => {
      const to = formatAddress(address);
      const count = thrift.count(`send ${to} ${reason}`, now());
      if (count !== undefined) emit({ type: 'send-failed', link, to: `${to}:${port}`, reason, count });
    });
  }

  /** What changes or gives something is told each time; refusals and silences of one client once an interval. */
  function report(decision: Decision, packet: DhcpPacket, tookMs: number): void {
    const { outcome } = decision;
    let count: number | undefined = 1;
    if (!ALWAYS_TOLD.has(outcome)) {
      const { mac, clientId, reason } = decision.record;
      count = thrift.count(`${outcome} ${mac ?? clientId} ${reason}`, now());
    }
    if (count === undefined) return;
    emit(new Told(packet, decision, tookMs, count));
  }

  const endings: (() => void)[] = [];
  function listen(socket: Socket | DatagramPort, on: Arrival['port']): void {
    const port = portOver(socket);
    endings.push(port.listen((bytes, address, source) => receive(port, on, bytes, address, source)));
  }
  listen(options.socket, 67);
  if (options.bootServerSocket) listen(options.bootServerSocket, 4011);

  return {
    inFlight: () => inFlight,
    async stop() {
      for (const end of endings.splice(0)) end();
      if (inFlight > 0) await new Promise<void>((resolve) => idle.push(resolve));
    },
  };
}
