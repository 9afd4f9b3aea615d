// The one file that touches a socket: many BMCs behind one UDP socket, told apart by the console session ids that we choose,
// and by address where a packet carries none (short refusals, IPMI 1.5, answers outside sessions).

import { createSecretKey, randomBytes, randomFillSync } from 'node:crypto';
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { lookup as dnsLookup } from 'node:dns/promises';
import { isIP, isIPv6, SocketAddress } from 'node:net';
import { IpmiError } from './errors.ts';
import { PRIVILEGE, type Privilege } from './handshake.ts';
import { bmcKey, own, passwordKey, userBytes } from './keys.ts';
import { Link } from './link.ts';
import type { Remembered } from './open.ts';
import type { CallOptions, Exchange, Timers } from './requests.ts';
import { decodePacket, encodePing, RMCP_PORT } from './rmcp.ts';
import { IpmiSession } from './session.ts';
import { CIPHER_SUITES, DEFAULT_SUITES } from './suites.ts';

/** What is needed of a `dgram.Socket`. */
export type IpmiSocket = Pick<Socket, 'send' | 'on' | 'off' | 'address'>;

export interface TransportOptions {
  /** Bound by the caller, who also closes it. udp6 reaches IPv4 BMCs too unless it is `ipv6Only`. */
  socket: IpmiSocket;
  timers?: Timers;
  /** Cryptographic randomness; defaults to node:crypto's, drawn in blocks of 4 KiB. */
  random?: (bytes: number) => Buffer;
  /** Host name → IP address; defaults to the system's resolver. */
  lookup?: (host: string, family: 0 | 4 | 6) => Promise<string>;
  /** Called once an exchange, in the caller's turn: keep it short. */
  onExchange?: (exchange: Exchange) => void;
}

export interface SessionOptions {
  host: string;
  /** Default 623. */
  port?: number;
  user: string;
  /** At most 20 bytes (16 where the BMC speaks IPMI 1.5). */
  password: string;
  /** BMC key K_g: text, or 0x and hex. */
  kg?: string;
  /** Cipher suites in order of preference; default 17, 3. Suite 0 is refused. */
  suites?: readonly number[];
  /** Default administrator. */
  privilege?: Privilege;
  /** Whether IPMI 1.5 may be used where the BMC has no RMCP+; default true. */
  allow15?: boolean;
  /** Idle milliseconds after which the session is refreshed; default 20,000, 0 never. BMCs drop idle sessions after about 60 s. */
  keepAlive?: number;
  /** Protocol and suite that worked the last time (`session.remembered`): tried first. */
  remembered?: Remembered;
}

export interface Ping {
  /** Whether the answer says that IPMI is spoken. */
  ipmi: boolean;
  ms: number;
}

export interface IpmiTransport {
  /** Makes a session object; nothing is sent before its first command. Throws IpmiError `bad-argument`. */
  session(options: SessionOptions): IpmiSession;
  /** ASF presence ping. Rejects with `timeout` when nothing answers. */
  ping(host: string, options?: CallOptions & { port?: number }): Promise<Ping>;
  /** Closes every session, in parallel, each within `deadline` (default 1,000 ms), and lets go of the socket without closing it. */
  close(options?: CallOptions): Promise<void>;
  readonly sessions: ReadonlySet<IpmiSession>;
}

const systemTimers: Timers = {
  now: () => performance.now(),
  set: (call, ms) => setTimeout(call, ms),
  clear: (handle) => clearTimeout(handle as NodeJS.Timeout | undefined),
};

/** Randomness in blocks: one system call serves dozens of sessions. Slices are handed out once and wiped by nobody else. */
function blockRandom(): (bytes: number) => Buffer {
  let block = Buffer.alloc(0);
  return (bytes) => {
    if (bytes > 256) return randomBytes(bytes);
    if (block.length < bytes) block = randomFillSync(Buffer.alloc(4096));
    const out = block.subarray(0, bytes);
    block = block.subarray(bytes);
    return out;
  };
}

/**
 * A bound socket fit for a fleet: no name look-up in front of each send, and a receive buffer for a sweep's worth of answers.
 * Without options it reaches IPv6 and IPv4 BMCs alike, or IPv4 alone where the kernel has no IPv6.
 */
export function openIpmiSocket(options: { address?: string; family?: 4 | 6 } = {}): Promise<Socket> {
  const { address, family } = options;
  if (address === undefined && family === undefined) return bound(6, '::').catch(() => bound(4, '0.0.0.0'));
  const wanted = family ?? (address !== undefined && isIPv6(address) ? 6 : 4);
  return bound(wanted, address ?? (wanted === 6 ? '::' : '0.0.0.0'));
}

function bound(family: 4 | 6, address: string): Promise<Socket> {
  const socket = createSocket({
    type: family === 6 ? 'udp6' : 'udp4',
    // Addresses are resolved before they come here; dgram would otherwise pass every datagram through dns.lookup.
    lookup: (host, _options, done) => done(null, host, family),
    recvBufferSize: 1 << 20,
  });
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(0, address, () => {
      socket.off('error', reject);
      resolve(socket);
    });
  });
}

/** One transport for all BMCs that are reached through `socket`. */
export function createIpmiTransport(options: TransportOptions): IpmiTransport {
  const { socket, timers = systemTimers, random = blockRandom(), onExchange } = options;
  const family = socket.address().family === 'IPv6' ? 6 : 4;
  const lookup = options.lookup ?? (async (host, wanted) => (await dnsLookup(host, { family: wanted })).address);
  const byId = new Map<number, Link>();
  const byAddress = new Map<string, Set<Link>>();
  const homes = new Map<Link, string>();
  const pings = new Map<string, Map<number, (ipmi: boolean) => void>>();
  const sessions = new Set<IpmiSession>();
  let pingTag = 0;

  const onMessage = (bytes: Buffer, from: RemoteInfo) => {
    const packet = decodePacket(bytes);
    if (!packet || packet.kind === 'ack') return;
    const home = `${from.address} ${from.port}`;
    if (packet.kind === 'asf') {
      if (packet.type === 0x40) pings.get(home)?.get(packet.tag)?.(packet.ipmi);
      return;
    }
    if (packet.kind === 'rmcpp') {
      let id = packet.sessionId;
      if (id === 0 && packet.payloadType !== 0 && packet.payload.length >= 8) id = packet.payload.readUInt32LE(4);
      if (id !== 0) {
        const link = byId.get(id);
        if (link) link.receive(packet, homes.get(link) === home);
        if (!link || homes.get(link) !== home) for (const one of byAddress.get(home) ?? []) one.stray();
        return;
      }
    }
    const links = byAddress.get(home);
    if (links) for (const link of links) link.receive(packet, true);
  };
  const onError = () => undefined;
  socket.on('message', onMessage);
  // An ICMP error on an unconnected socket, or a full buffer: retransmission is the answer to both.
  socket.on('error', onError);

  const resolveHost = async (host: string): Promise<string> => {
    if (isIP(host)) return canonical(host, family);
    let address: string;
    try {
      address = await lookup(host, family === 6 ? 0 : 4);
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : '';
      throw new IpmiError('unresolved', `host name ${host} has no address${code}`);
    }
    return canonical(address, family);
  };

  const claimId = (link: Link, previous: number): number => {
    byId.delete(previous);
    for (;;) {
      const id = random(4).readUInt32LE(0);
      if (id === 0 || byId.has(id)) continue;
      byId.set(id, link);
      return id;
    }
  };

  return {
    sessions,
    session(wanted) {
      const { host, port = RMCP_PORT } = wanted;
      const name = isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
      const credentials = checked(wanted, name);
      const memory: Remembered = { ...wanted.remembered };
      let address = '';
      let home = '';
      const settle = (fresh: string, link: Link) => {
        if (fresh === address) return;
        forget(link);
        address = fresh;
        home = `${fresh} ${port}`;
        homes.set(link, home);
        const links = byAddress.get(home);
        if (links) links.add(link);
        else byAddress.set(home, new Set([link]));
      };
      const forget = (link: Link) => {
        const links = byAddress.get(home);
        links?.delete(link);
        if (links?.size === 0) byAddress.delete(home);
        homes.delete(link);
        address = '';
      };
      // A datagram the kernel refuses (no route) is a lost datagram: the deadline reports it.
      const onSent = (error: Error | null) => {
        if (error) link.unsent('code' in error ? String(error.code) : error.message);
      };
      const link: Link = new Link({
        name,
        credentials,
        memory,
        timers,
        random,
        send: (packet) => socket.send(packet, port, address, onSent),
        resolve: async () => settle(await resolveHost(host), link),
        claimId,
        dropId: (id) => byId.delete(id),
        onExchange,
        // BMCs end a silent session after 60 s (IPMI 2.0, 6.12.15), OpenIPMI’s simulator after 30 s.
        keepAlive: wanted.keepAlive ?? 20_000,
      });
      const session = new IpmiSession(link, { host, port, user: wanted.user, memory }, timers, () => {
        forget(link);
        sessions.delete(session);
      });
      sessions.add(session);
      return session;
    },
    async ping(host, { port = RMCP_PORT, deadline = 2_000, signal } = {}) {
      const address = await resolveHost(host);
      const home = `${address} ${port}`;
      pingTag = (pingTag + 1) % 0xff;
      const tag = pingTag;
      const waiting = pings.get(home) ?? new Map<number, (ipmi: boolean) => void>();
      pings.set(home, waiting);
      const started = timers.now();
      let timer: unknown;
      let onAbort: (() => void) | undefined;
      try {
        return await new Promise<Ping>((resolve, reject) => {
          const name = `${host}:${port}`;
          onAbort = () => reject(new IpmiError('aborted', 'called off by the caller').at(name, 'ASF ping'));
          if (signal?.aborted) return onAbort();
          signal?.addEventListener('abort', onAbort, { once: true });
          waiting.set(tag, (ipmi) => resolve({ ipmi, ms: timers.now() - started }));
          let sent = 0;
          const attempt = () => {
            const left = started + deadline - timers.now();
            if (left <= 0)
              return reject(
                new IpmiError('timeout', `no pong in ${deadline} ms to ${sent} pings`).at(name, 'ASF ping'),
              );
            sent += 1;
            socket.send(encodePing(tag), port, address, onError);
            timer = timers.set(attempt, Math.min(left, 500));
          };
          attempt();
        });
      } finally {
        timers.clear(timer);
        if (onAbort) signal?.removeEventListener('abort', onAbort);
        waiting.delete(tag);
        if (waiting.size === 0) pings.delete(home);
      }
    },
    async close(call = {}) {
      await Promise.all([...sessions].map((session) => session.close(call)));
      socket.off('message', onMessage);
      socket.off('error', onError);
    },
  };
}

/** The address as the socket reports it: IPv4 mapped on a udp6 socket, IPv6 in its shortest form with its scope kept. */
function canonical(address: string, family: 4 | 6): string {
  if (!isIPv6(address)) return family === 6 ? `::ffff:${address}` : address;
  if (family === 4) {
    throw new IpmiError(
      'bad-argument',
      `${address} is an IPv6 address and the transport's socket is IPv4; give it a udp6 socket`,
    );
  }
  const [bare = '', scope] = address.split('%');
  const short = new SocketAddress({ address: bare, family: 'ipv6' }).address;
  return scope === undefined ? short : `${short}%${scope}`;
}

function checked(wanted: SessionOptions, name: string) {
  try {
    const { host, port = RMCP_PORT, suites = DEFAULT_SUITES, privilege = 'administrator' } = wanted;
    if (!host) throw new IpmiError('bad-argument', 'the host is empty');
    if (!Number.isInteger(port) || port < 1 || port > 65_535)
      throw new IpmiError('bad-argument', `port ${port} is not 1 to 65535`);
    if (!(privilege in PRIVILEGE))
      throw new IpmiError('bad-argument', `privilege ${privilege} is not one of ${Object.keys(PRIVILEGE).join(', ')}`);
    if (suites.length === 0) throw new IpmiError('bad-argument', 'no cipher suite is given');
    for (const id of suites) {
      if (id === 0)
        throw new IpmiError(
          'suite-refused',
          'cipher suite 0 proves nothing and hides nothing: anyone who reaches the BMC could control it, so it is not spoken here',
        );
      if (!CIPHER_SUITES[id])
        throw new IpmiError(
          'bad-argument',
          `cipher suite ${id} is not one of ${Object.keys(CIPHER_SUITES).join(', ')}`,
        );
    }
    const key = passwordKey(wanted.password);
    const kg = wanted.kg === undefined || wanted.kg === '' ? undefined : bmcKey(wanted.kg);
    return {
      user: userBytes(wanted.user),
      userKey: createSecretKey(key),
      kgKey: kg && createSecretKey(kg),
      password15: Buffer.byteLength(wanted.password) <= 16 ? own(key.subarray(0, 16)) : undefined,
      privilege,
      suites: [...suites],
      allow15: wanted.allow15 ?? true,
    };
  } catch (error) {
    throw error instanceof IpmiError ? error.at(name, 'session options') : error;
  }
}
