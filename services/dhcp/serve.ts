import type { RemoteInfo, Socket } from 'node:dgram';
import { formatMac } from './address.ts';
import type { DhcpEngine } from './engine.ts';
import type { Arrival, Decision, ExchangeRecord, Outcome } from './exchange.ts';
import { Bucket, Buckets, type Rate, Thrift } from './limits.ts';
import { type DhcpPacket, decodePacket, encodePacket } from './packet.ts';

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
  perClient: { burst: 40, perSecond: 4 },
  strangers: { burst: 5_000, perSecond: 5_000 },
  known: { burst: 20_000, perSecond: 20_000 },
  inFlight: 10_000,
};

/** Beside the exchanges: what was not answered as one. `count` says for how many such packets the event stands. */
export type DhcpEvent =
  | { readonly type: 'exchange'; readonly exchange: ExchangeRecord; readonly tookMs: number; readonly count: number }
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
  readonly socket: Socket;
  readonly link: string;
  readonly engine: Pick<DhcpEngine, 'answer' | 'knows'>;
  /** The same for port 4011, where ProxyDHCP clients ask; only needed in proxy mode. */
  readonly bootServerSocket?: Socket;
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
    if (!perClient.take(formatMac(packet.chaddr, packet.hlen), at)) return 'this client asks too often';
    // A stranger's bucket first; who is known has another one, so that a flood of invented MACs does not keep machines of ours waiting.
    if (!strangers.take(at) && !(engine.knows(packet, arrival) && known.take(at)))
      return 'too many requests on this link';
    return undefined;
  }

  function receive(socket: Socket, port: Arrival['port'], bytes: Uint8Array, remote: RemoteInfo): void {
    const at = now();
    const decoded = decodePacket(bytes);
    if (!decoded.ok) {
      const count = thrift.count(`malformed ${remote.address}`, at);
      if (count !== undefined) emit({ type: 'malformed', link, source: remote.address, reason: decoded.reason, count });
      return;
    }
    const { packet } = decoded;
    const arrival: Arrival = { link, source: { address: remote.address, port: remote.port }, port };
    const reason = overLimit(packet, arrival, at);
    if (reason) {
      heldBack(remote.address, packet, reason);
      return;
    }

    inFlight++;
    engine
      .answer(packet, arrival)
      .then((decision) => {
        send(socket, decision);
        report(decision.record, now() - at);
      })
      .catch((error: unknown) => {
        // A fault of ours must not end the server for everybody else.
        const count = thrift.count('fault', now());
        if (count !== undefined)
          emit({
            type: 'send-failed',
            link,
            to: remote.address,
            reason: `not answered: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
            count,
          });
      })
      .finally(() => {
        inFlight--;
        if (inFlight === 0) for (const wake of idle.splice(0)) wake();
      });
  }

  function send(socket: Socket, decision: Decision): void {
    if (decision.kind === 'none') return;
    const { bytes, dropped } = encodePacket(decision.packet, decision.largest);
    if (dropped.length > 0) {
      const { mac } = decision.record;
      const count = thrift.count(`dropped ${mac}`, now());
      if (count !== undefined) emit({ type: 'options-dropped', link, mac, codes: dropped, count });
    }
    const { address, port } = decision.to;
    socket.send(bytes, port, address, (error) => {
      if (!error) return;
      const count = thrift.count(`send ${address} ${error.message}`, now());
      if (count !== undefined)
        emit({ type: 'send-failed', link, to: `${address}:${port}`, reason: error.message, count });
    });
  }

  /** What changes or gives something is told each time; refusals and silences of one client once an interval. */
  function report(exchange: ExchangeRecord, tookMs: number): void {
    const told = ALWAYS_TOLD.has(exchange.outcome);
    const count = told
      ? 1
      : thrift.count(`${exchange.outcome} ${exchange.mac ?? exchange.clientId} ${exchange.reason}`, now());
    if (count !== undefined) emit({ type: 'exchange', exchange, tookMs, count });
  }

  const listening: (readonly [Socket, (bytes: Buffer, remote: RemoteInfo) => void])[] = [];
  function listen(socket: Socket, port: Arrival['port']): void {
    const onMessage = (bytes: Buffer, remote: RemoteInfo): void => receive(socket, port, bytes, remote);
    socket.setBroadcast(true);
    socket.on('message', onMessage);
    listening.push([socket, onMessage]);
  }
  listen(options.socket, 67);
  if (options.bootServerSocket) listen(options.bootServerSocket, 4011);

  return {
    inFlight: () => inFlight,
    async stop() {
      for (const [socket, onMessage] of listening) socket.off('message', onMessage);
      if (inFlight > 0) await new Promise<void>((resolve) => idle.push(resolve));
    },
  };
}
