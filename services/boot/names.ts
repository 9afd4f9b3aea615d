/**
 * DNS on the provisioning network: A and PTR for nodes and servers below the configured domain, and for the undercloud
 * itself; everything else is asked of the configured name servers, or refused where there are none. UDP and TCP. The
 * answering of one message is pure; sockets come in from outside.
 */
import dgram from 'node:dgram';
import net from 'node:net';
import * as codec from 'dns-packet';

export interface NamesDeps {
  /** `cluster.example` */
  readonly domain: string;
  /** Whether this address’s reverse name is ours to tell. */
  readonly isOurs: (address: string) => boolean;
  /** Of a host name without the domain, in lower case. */
  readonly addressOf: (host: string) => Promise<string | null>;
  /** The host name without the domain. */
  readonly nameAt: (address: string) => string | null;
  /** Who is asked about everything else. */
  readonly forwarders: readonly string[];
  readonly onTrouble: (text: string) => void;
  /** Default 53; tests have another. */
  readonly forwardPort?: number;
  readonly forwardMs?: number;
}

/** Addresses move with servers: nobody shall remember one for long. */
const ttl = 30;
const NXDOMAIN = 3;
const REFUSED = 5;
const SERVFAIL = 2;
const RECURSION_AVAILABLE = 1 << 7;
/** RFC 6891: what is safe from fragments. */
const largestUdp = 1232;
const forwardPatienceMs = 2_000;
const mostInFlight = 500;
const mostTcp = 64;
const tcpIdleMs = 10_000;

type Query = codec.DecodedPacket;

/** What our own zone says; null: none of our names, ask somebody else. */
export async function ownAnswer(
  query: Query,
  deps: Pick<NamesDeps, 'domain' | 'isOurs' | 'addressOf' | 'nameAt'>,
): Promise<codec.Packet | null> {
  const [question] = query.questions ?? [];
  if (!question) return null;
  const name = question.name.toLowerCase().replace(/\.$/, '');
  const domain = deps.domain.toLowerCase();
  const soa: codec.Answer = {
    type: 'SOA',
    name: domain,
    ttl,
    data: {
      mname: `undercloud.${domain}`,
      rname: `hostmaster.${domain}`,
      serial: 1,
      refresh: 3600,
      retry: 600,
      expire: 86_400,
      minimum: ttl,
    },
  };
  const reply = (answers: codec.Answer[], rcode = 0): codec.Packet => ({
    id: query.id ?? 0,
    type: 'response',
    flags: codec.AUTHORITATIVE_ANSWER | ((query.flags ?? 0) & codec.RECURSION_DESIRED) | RECURSION_AVAILABLE | rcode,
    questions: query.questions ?? [],
    answers,
    // RFC 2308: what is not there is remembered by the SOA.
    authorities: answers.length === 0 ? [soa] : [],
  });
  const wants = (type: string) => question.type === type || (question.type as string) === 'ANY';

  if (name === domain || name.endsWith(`.${domain}`)) {
    if (name === domain) return reply(wants('SOA') ? [soa] : []);
    const address = await deps.addressOf(name.slice(0, -domain.length - 1));
    if (address === null) return reply([], NXDOMAIN);
    return reply(wants('A') ? [{ type: 'A', name: question.name, ttl, data: address }] : []);
  }
  const address = reverseOf(name);
  if (address === null || !deps.isOurs(address)) return null;
  const host = deps.nameAt(address);
  if (host === null) return reply([], NXDOMAIN);
  return reply(wants('PTR') ? [{ type: 'PTR', name: question.name, ttl, data: `${host}.${domain}` }] : []);
}

/** `7.2.0.192.in-addr.arpa` → `192.0.2.7`. */
function reverseOf(name: string): string | null {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.in-addr\.arpa$/.exec(name);
  return match ? match.slice(1).reverse().join('.') : null;
}

export interface Names {
  /** The answer to one message, or null for what is no query. */
  answer(message: Buffer, over: 'udp' | 'tcp'): Promise<Buffer | null>;
}

export function createNames(deps: NamesDeps): Names {
  let inFlight = 0;
  const decode = (message: Buffer): Query | null => {
    try {
      const query = codec.decode(message);
      return query.type === 'query' && (query.questions?.length ?? 0) === 1 ? query : null;
    } catch {
      return null;
    }
  };
  const failure = (query: Query, rcode: number): Buffer =>
    Buffer.from(
      codec.encode({
        id: query.id ?? 0,
        type: 'response',
        flags: ((query.flags ?? 0) & codec.RECURSION_DESIRED) | RECURSION_AVAILABLE | rcode,
        questions: query.questions ?? [],
      }),
    );

  return {
    async answer(message, over) {
      const query = decode(message);
      if (!query) return null;
      const own = await ownAnswer(query, deps);
      if (own) return Buffer.from(codec.encode(own));
      if (deps.forwarders.length === 0) return failure(query, REFUSED);
      if (inFlight >= mostInFlight) return failure(query, SERVFAIL);
      inFlight += 1;
      try {
        for (const server of deps.forwarders) {
          const ask = over === 'udp' ? askUdp : askTcp;
          const answer = await ask(server, deps.forwardPort ?? 53, message, deps.forwardMs ?? forwardPatienceMs);
          if (answer) return answer;
        }
      } finally {
        inFlight -= 1;
      }
      deps.onTrouble(`DNS: none of ${deps.forwarders.join(', ')} answers about ${query.questions?.[0]?.name}`);
      return failure(query, SERVFAIL);
    },
  };
}

/** From a port of its own for each question: an answer cannot be guessed. */
function askUdp(server: string, port: number, message: Buffer, ms: number): Promise<Buffer | null> {
  const socket = dgram.createSocket('udp4');
  return new Promise((resolve) => {
    const end = (answer: Buffer | null) => {
      clearTimeout(timer);
      socket.close();
      resolve(answer);
    };
    const timer = setTimeout(() => end(null), ms);
    socket.once('error', () => end(null));
    socket.on('message', (bytes, peer) => {
      if (peer.address === server && bytes.length >= 12 && bytes.readUInt16BE(0) === message.readUInt16BE(0))
        end(bytes);
    });
    socket.send(message, port, server);
  });
}

function askTcp(server: string, port: number, message: Buffer, ms: number): Promise<Buffer | null> {
  return new Promise((resolve) => {
    const socket = net.connect({ host: server, port });
    const end = (answer: Buffer | null) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => end(null), ms);
    socket.once('error', () => end(null));
    socket.once('end', () => end(null));
    socket.once('connect', () => socket.write(framed(message)));
    eachMessage(socket, (answer) => end(answer));
  });
}

/** RFC 1035 section 4.2.2: two bytes of length in front. */
function framed(message: Uint8Array): Buffer {
  const out = Buffer.alloc(2 + message.length);
  out.writeUInt16BE(message.length);
  out.set(message, 2);
  return out;
}

function eachMessage(socket: net.Socket, take: (message: Buffer) => void): void {
  let held = Buffer.alloc(0);
  socket.on('data', (bytes: Buffer) => {
    held = Buffer.concat([held, bytes]);
    while (held.length >= 2 && held.length >= 2 + held.readUInt16BE(0)) {
      const length = held.readUInt16BE(0);
      take(held.subarray(2, 2 + length));
      held = held.subarray(2 + length);
    }
  });
}

/** Serves on sockets that are open already. Returns the way out, which closes the listener but not the UDP socket. */
export function serveNames(
  names: Names,
  udp: dgram.Socket,
  tcp: { readonly fd: number } | null,
  onTrouble: (text: string) => void,
): () => void {
  const onMessage = (message: Buffer, peer: dgram.RemoteInfo) => {
    names.answer(message, 'udp').then(
      (answer) => {
        if (!answer) return;
        const fits = answer.length <= largestUdp ? answer : truncated(answer);
        udp.send(fits, peer.port, peer.address, () => {});
      },
      (error: Error) => onTrouble(`DNS: a question of ${peer.address} was not answered: ${error.message}`),
    );
  };
  udp.on('message', onMessage);
  const server =
    tcp &&
    net.createServer((socket) => {
      socket.setTimeout(tcpIdleMs, () => socket.destroy());
      socket.on('error', () => {});
      eachMessage(socket, (message) => {
        names.answer(message, 'tcp').then(
          (answer) => void (answer ? socket.write(framed(answer)) : socket.destroy()),
          () => socket.destroy(),
        );
      });
    });
  if (server && tcp) {
    server.maxConnections = mostTcp;
    server.on('error', (error) => onTrouble(`DNS over TCP fails: ${error.message}`));
    server.listen({ fd: tcp.fd });
  }
  return () => {
    udp.off('message', onMessage);
    server?.close();
  };
}

/** The header with the TC bit and the question alone: the client asks again over TCP. */
function truncated(answer: Buffer): Buffer {
  const query = codec.decode(answer);
  return Buffer.from(
    codec.encode({
      id: query.id ?? 0,
      type: 'response',
      flags: (query.flags ?? 0) | codec.TRUNCATED_RESPONSE,
      questions: query.questions ?? [],
    }),
  );
}
