import type { Socket } from 'node:dgram';
import { Admission, TFTP_LIMITS, type TftpLimits } from './admission.ts';
import { isRefusal, type OpenContent, PacketCache } from './content.ts';
import { addressText, type DatagramPort, portOver, type TransferPort, transferPort } from './datagrams.ts';
import { CAPABILITIES, type Capabilities } from './negotiation.ts';
import { ERROR_CODE, readPacket, type TftpRequest, writeError } from './packet.ts';
import type { RetransmissionBounds } from './retransmission.ts';
import { Session, type SessionEnd } from './session.ts';

export type TftpEvent =
  | { readonly type: 'started'; readonly transfer: TransferFacts }
  /** At most once a second for each transfer; `bytes` are those the client has acknowledged. */
  | { readonly type: 'progress'; readonly transfer: TransferFacts }
  | {
      readonly type: 'ended';
      readonly transfer: TransferFacts;
      readonly end: SessionEnd;
      readonly reason: string | null;
      readonly tookMs: number;
      readonly retransmitted: number;
    }
  | {
      readonly type: 'refused';
      readonly client: string;
      readonly path: string;
      readonly reason: string;
      readonly count: number;
    }
  | { readonly type: 'malformed'; readonly client: string; readonly reason: string; readonly count: number }
  | { readonly type: 'send-failed'; readonly client: string; readonly reason: string; readonly count: number };

export interface TransferFacts {
  /** Address of the client. */
  readonly client: string;
  readonly port: number;
  readonly path: string;
  readonly size: number;
  readonly bytes: number;
  readonly blockSize: number;
  readonly windowSize: number;
}

export interface ServeTftpOptions {
  /** Bound to port 69 of the provisioning interface. Only requests come in here. */
  readonly socket: Socket | DatagramPort;
  /** Makes a socket bound to an ephemeral port of the same address. Called once for each of `transferSockets`, when it is first needed. */
  readonly createTransferSocket: () => Promise<Socket | TransferPort>;
  /** Default 4: a client whose firmware always uses one port meets another port of ours at its next transfer, so late packets of the last one stay out. */
  readonly transferSockets?: number;
  readonly open: OpenContent;
  readonly limits?: Partial<TftpLimits>;
  readonly capabilities?: Partial<Capabilities>;
  readonly bounds?: RetransmissionBounds;
  /** Milliseconds without progress after which a client is given up. */
  readonly patienceMs?: number;
  /** Packets kept in memory for all transfers together, in bytes; default 64 MiB. */
  readonly cacheBytes?: number;
  readonly onEvent?: (event: TftpEvent) => void;
  /** Milliseconds; only differences count. */
  readonly now?: () => number;
}

export interface TftpServing {
  /** Ends all transfers with an ERROR, closes the transfer sockets (which are ours) and leaves the request socket open (which is not). */
  stop(): Promise<void>;
  sessions(): number;
}

/** How often overdue packets are looked for. */
const TICK_MS = 25;
const PROGRESS_MS = 1000;
const REPORT_MS = 10_000;
const KINDS_REMEMBERED = 1000;
/** So many transfers at once are answered together. */
const MANY = 12;

/** Serves read requests from sockets that are already open. */
export function serveTftp(options: ServeTftpOptions): TftpServing {
  const now = options.now ?? Date.now;
  const emit = options.onEvent ?? (() => {});
  const admission = new Admission({ ...TFTP_LIMITS, ...options.limits });
  const capabilities = { ...CAPABILITIES, ...options.capabilities };
  const cache = new PacketCache(options.cacheBytes);
  /** By the client's address and port. */
  const sessions = new Map<number, Session>();
  const requests = portOver(options.socket);
  const sockets: (Promise<TransferPort> | undefined)[] = new Array(options.transferSockets ?? 4).fill(undefined);
  const told = new Map<string, { at: number; held: number }>();
  const ports: TransferPort[] = [];
  let isGathering = false;
  let turn = 0;
  let ticker: NodeJS.Timeout | undefined;
  let stopping: Promise<void> | undefined;

  /** The first of a kind at once, then one an interval with the number held back. */
  function countOf(kind: string): number | undefined {
    const at = now();
    const last = told.get(kind);
    if (last && at - last.at < REPORT_MS) {
      last.held++;
      return undefined;
    }
    told.delete(kind);
    if (told.size >= KINDS_REMEMBERED) told.delete(told.keys().next().value!);
    told.set(kind, { at, held: 0 });
    return (last?.held ?? 0) + 1;
  }

  function refuse(remote: Remote, path: string, code: number, reason: string, answer = true): void {
    // From port 69: where nothing is transferred, no port of ours is used up.
    if (answer) {
      requests.send(writeError(code, reason), remote.number, remote.port, (fault) => {
        const count = stopping ? undefined : countOf(`send ${remote.address} ${fault}`);
        if (count !== undefined) emit({ type: 'send-failed', client: remote.address, reason: fault, count });
      });
    }
    const count = countOf(`refused ${remote.address} ${reason}`);
    if (count !== undefined) emit({ type: 'refused', client: remote.address, path, reason, count });
  }

  function receiveRequest(bytes: Uint8Array, from: number, port: number): void {
    const remote: Remote = { address: addressText(from), number: from, port };
    const read = readPacket(bytes);
    if (!read.ok || (read.packet.kind !== 'read' && read.packet.kind !== 'write')) {
      const count = countOf(`malformed ${remote.address}`);
      const reason = read.ok ? `${read.packet.kind} on the request port` : read.reason;
      if (count !== undefined) emit({ type: 'malformed', client: remote.address, reason, count });
      return;
    }
    const request = read.packet;
    const unserved = notServed(request);
    if (unserved) {
      refuse(remote, request.path, unserved.code, unserved.reason);
      return;
    }
    const key = keyOf(from, port);
    const current = sessions.get(key);
    // A request sent twice is one request; our first answer goes again by its own timer.
    if (current?.isWaitingFor(request)) return;
    current?.end('replaced', 'the client asked anew from the same port');
    const refusal = admission.enter(remote.address, now());
    if (refusal) {
      refuse(remote, request.path, ERROR_CODE.undefined, refusal.reason, refusal.answer);
      return;
    }
    start(key, request, remote);
  }

  function start(key: number, request: TftpRequest, remote: Remote): void {
    const index = turn++ % sockets.length;
    const startedAt = now();
    let told = startedAt;
    const session: Session = new Session({
      request,
      client: { address: remote.address, port: remote.port },
      address: remote.number,
      cache,
      capabilities,
      bounds: options.bounds,
      patienceMs: options.patienceMs,
      now,
      onStarted: () => emit({ type: 'started', transfer: session.facts() }),
      onProgress: () => {
        const at = now();
        if (at - told < PROGRESS_MS) return;
        told = at;
        emit({ type: 'progress', transfer: session.facts() });
      },
      onEnd: (end, reason) => {
        if (sessions.get(key) === session) sessions.delete(key);
        gather();
        admission.leave(remote.address);
        if (sessions.size === 0) {
          clearInterval(ticker);
          ticker = undefined;
        }
        if (end !== 'refused') {
          emit({
            type: 'ended',
            transfer: session.facts(),
            end,
            reason,
            tookMs: now() - startedAt,
            retransmitted: session.retransmitted,
          });
        }
      },
    });
    sessions.set(key, session);
    gather();
    ticker ??= setInterval(tick, TICK_MS);
    open(session, index, request, remote).catch((error: unknown) => {
      session.end('failed', error instanceof Error ? error.message : String(error));
    });
  }

  async function open(session: Session, index: number, request: TftpRequest, remote: Remote): Promise<void> {
    const [answer, socket] = await Promise.all([
      options.open(request.path, { address: remote.address, port: remote.port }).catch((error: unknown) => ({
        code: ERROR_CODE.undefined,
        message: `not available now: ${error instanceof Error ? error.message : String(error)}`,
      })),
      transferSocket(index),
    ]);
    if (isRefusal(answer)) {
      session.end('refused', answer.message);
      refuse(remote, request.path, answer.code, answer.message);
      return;
    }
    session.begin(answer, socket);
  }

  function gather(): void {
    const isWanted = sessions.size >= MANY;
    if (isWanted === isGathering) return;
    isGathering = isWanted;
    for (const port of ports) port.gather?.(isWanted);
  }

  function transferSocket(index: number): Promise<TransferPort> {
    const known = sockets[index];
    if (known) return known;
    const made = options.createTransferSocket().then((socket) => {
      const port = transferPort(socket);
      ports.push(port);
      port.gather?.(isGathering);
      port.listen((bytes, from, source) => {
        const session = sessions.get(keyOf(from, source));
        // From nobody we serve: late ACKs of a transfer that is over, mostly. RFC 1350 has ERROR 5 for them, but a ROM that has
        // finished takes that for a failure.
        if (session?.uses(port)) session.receive(bytes);
      });
      return port;
    });
    sockets[index] = made;
    // The next request tries again.
    made.catch(() => {
      sockets[index] = undefined;
    });
    return made;
  }

  function tick(): void {
    for (const session of sessions.values()) session.tick();
  }

  const deaf = requests.listen(receiveRequest);
  return {
    sessions: () => sessions.size,
    stop: () => {
      stopping ??= stop();
      return stopping;
    },
  };

  async function stop(): Promise<void> {
    deaf();
    for (const session of [...sessions.values()]) session.end('stopped', 'the server stops');
    for (const made of sockets) await (await made?.catch(() => undefined))?.close();
  }
}

interface Remote {
  readonly address: string;
  readonly number: number;
  readonly port: number;
}

/** 48 bits: a number holds them. */
const keyOf = (address: number, port: number): number => address * 65_536 + port;

function notServed(request: TftpRequest): { readonly code: number; readonly reason: string } | undefined {
  if (request.kind === 'write') return { code: ERROR_CODE.accessViolation, reason: 'nothing can be written here' };
  if (request.mode === 'octet') return undefined;
  return {
    code: ERROR_CODE.illegalOperation,
    reason: `mode ${request.mode.slice(0, 20)} is not served: ask for octet (binary)`,
  };
}
