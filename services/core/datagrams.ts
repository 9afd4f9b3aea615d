/**
 * A UDP socket that was handed in as a descriptor, served in batches. Node's event loop can only be woken by a socket of its own, so
 * one listens on a duplicate of the descriptor: the doorbell. What rings is answered at once, and what has come in behind it is
 * taken with one call. `paced` sockets are looked at every few milliseconds instead while they are busy, without the doorbell:
 * a wake for each datagram would cost more than the datagram. The busier, the sooner: what is answered at one look leaves as one
 * burst, and whoever takes it (a relay, for all machines behind it) has a buffer of some 180 small datagrams by Linux's default.
 */
import dgram from 'node:dgram';
import { closeSync } from 'node:fs';
import koffi from 'koffi';
import { DatagramBatch, mostInBatch } from './datagram-batch.ts';

const libc = koffi.load('libc.so.6');
const c = {
  dup: libc.func('int dup(int fd)'),
  socket: libc.func('int socket(int domain, int type, int protocol)'),
  setsockopt: libc.func('int setsockopt(int fd, int level, int name, const void *value, uint32_t length)'),
  bind: libc.func('int bind(int fd, const void *address, uint32_t length)'),
  usleep: libc.func('int usleep(unsigned int microseconds)'),
};
const AF_INET = 2;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const bufferBytes = 4 * 1024 * 1024;

/** Shape of the ports that the protocol rooms serve from. Addresses are IPv4 as numbers. */
export interface DatagramPort {
  /** Calls for each datagram, whose bytes are the receiver's to keep. Returns the way out. */
  listen(received: (bytes: Uint8Array, address: number, port: number) => void): () => void;
  /**
   * Copies the bytes and sends them with whatever else is sent in this turn of the event loop. With `segment`, they are several
   * datagrams of that many bytes each, the last perhaps shorter.
   */
  send(bytes: Uint8Array, address: number, port: number, failed?: (reason: string) => void, segment?: number): void;
}

export interface OwnedPort extends DatagramPort {
  /**
   * Whether many clients wait for one answer each. While the socket is busy, it is then looked at some five thousand times a second, and
   * what has come is answered together: measured, half the CPU for each datagram. A lone client would wait longer for each of its own.
   */
  gather(isWanted: boolean): void;
  /** Sends what waits, and closes the descriptor. */
  close(): Promise<void>;
}

export interface DatagramOptions {
  /** Most milliseconds between two looks while it is busy; 0: the doorbell alone. */
  readonly pacedMs?: number;
}

/** So many datagrams within the time below make a socket busy. */
const busyCount = 16;
const busyWithinMs = 16;
/** So long without any datagram, and the doorbell is hung up again. */
const quietMs = 100;
/** So many looks without any, of a socket that gathers. */
const quietLooks = 25;
/** So many datagrams are wanted at a look: a wake costs as much as ten, and what comes behind this many costs as much as before. */
const wantedAtLook = 32;
const againMs = 1;
/** Then others of the event loop have their turn. */
const mostRounds = 32;
/**
 * How long datagrams are left to gather: as long as it takes the clients of one processor to answer a dozen. The whole process sleeps
 * meanwhile, which a timer of Node's cannot (a millisecond is its least); nothing else waits longer than this for its turn.
 */
const gatherUs = 150;
const gathering = new Set<() => void>();

/** Then whoever takes the answers needs time to do so; half of these are what its buffer holds, the others it takes meanwhile. */
const batchesALook = 3;

/** Milliseconds until the next look, after one that found so many datagrams which came within `passedMs`. */
export function pauseAfter(found: number, passedMs: number, mostMs: number): number {
  if (found === 0) return mostMs;
  // A full batch: more is there perhaps, from a moment when nobody looked. It is answered in pieces, not as one burst.
  if (found >= mostInBatch) return 1;
  return Math.min(mostMs, Math.max(1, Math.floor((passedMs * wantedAtLook) / found)));
}

function lookAround(): void {
  c.usleep(gatherUs);
  for (const look of gathering) look();
  if (gathering.size > 0) setImmediate(lookAround);
}

/** A port over the descriptor, which stays open until `close`. */
export function datagramPort(fd: number, options: DatagramOptions = {}): OwnedPort {
  const pacedMs = options.pacedMs ?? 0;
  const batch = new DatagramBatch(fd);
  let receiver: ((bytes: Uint8Array, address: number, port: number) => void) | undefined;
  let doorbell: dgram.Socket | undefined;
  let looking: NodeJS.Timeout | undefined;
  let isFlushing = false;
  let isTaking = false;
  let closed = false;
  let quiet = 0;
  let lookedAt = 0;
  let heardAt = 0;
  let windowEnds = 0;
  let rung = 0;
  let gathers = false;

  function flush(): void {
    isFlushing = false;
    if (closed) return;
    if (batch.flush()) return;
    isFlushing = true;
    setTimeout(flush, againMs);
  }
  const received = (bytes: Buffer, address: number, port: number) => receiver?.(bytes, address, port);

  /** What is sent while datagrams are taken leaves when they have been, not one by one and not a turn later. */
  function taking(take: () => number): number {
    isTaking = true;
    try {
      return take();
    } finally {
      isTaking = false;
      if (!isFlushing) flush();
    }
  }

  function ring(bytes: Buffer, remote: dgram.RemoteInfo): void {
    let more = taking(() => {
      receiver?.(bytes, numberOf(remote.address), remote.port);
      return batch.receive(received);
    });
    // While the answers left, more has come: a look costs half a microsecond, another wake ten.
    for (let rounds = 0, last = 1; last > 0 && rounds < mostRounds; rounds++) {
      last = taking(() => batch.receive(received));
      more += last;
    }
    if (pacedMs === 0 && !gathers) return;
    const now = performance.now();
    if (now > windowEnds) {
      windowEnds = now + busyWithinMs;
      rung = 0;
    }
    rung += 1 + more;
    if (rung >= busyCount) pace();
  }

  function pace(): void {
    doorbell?.close();
    doorbell = undefined;
    quiet = 0;
    if (!gathers) {
      lookedAt = heardAt = performance.now();
      looking ??= setTimeout(lookPaced, pauseAfter(busyCount, busyWithinMs, pacedMs));
      return;
    }
    gathering.add(look);
    if (gathering.size === 1) setImmediate(lookAround);
  }

  function unpace(): void {
    clearTimeout(looking);
    looking = undefined;
    gathering.delete(look);
  }

  function lookPaced(): void {
    let found = 0;
    for (let rounds = 0, last = mostInBatch; last === mostInBatch && rounds < batchesALook; rounds++) {
      last = taking(() => batch.receive(received));
      found += last;
    }
    // Whoever was called may have closed the port.
    if (looking === undefined) return;
    const now = performance.now();
    if (found > 0) heardAt = now;
    if (now - heardAt >= quietMs) {
      unpace();
      hang();
      return;
    }
    looking = setTimeout(lookPaced, pauseAfter(found, now - lookedAt, pacedMs));
    lookedAt = now;
  }

  function look(): void {
    const any = taking(() => {
      const first = batch.receive(received);
      // A batch that is full leaves more behind; but others want their turn as well.
      for (let last = first, rounds = 0; last > 0 && rounds < 4; rounds++) last = batch.receive(received);
      return first;
    });
    quiet = any > 0 ? 0 : quiet + 1;
    if (quiet < quietLooks) return;
    unpace();
    hang();
  }

  /** Opens the doorbell; at once, as Node takes over what it is handed within the call. */
  function hang(): void {
    const socket = dgram.createSocket('udp4');
    doorbell = socket;
    // ICMP errors of peers that are gone come up here; they are no reason to end.
    socket.on('error', () => {});
    socket.on('message', ring);
    socket.bind({ fd: c.dup(fd) as number, exclusive: true });
  }

  function deaf(): void {
    receiver = undefined;
    doorbell?.close();
    doorbell = undefined;
    unpace();
  }

  return {
    gather(isWanted) {
      if (gathers && !isWanted && gathering.has(look)) {
        unpace();
        hang();
      }
      gathers = isWanted;
    },
    listen(handler) {
      receiver = handler;
      hang();
      return deaf;
    },
    send(bytes, address, port, failed, segment) {
      batch.send(bytes, address, port, failed, segment);
      if (isFlushing || isTaking) return;
      isFlushing = true;
      setImmediate(flush);
    },
    async close() {
      deaf();
      if (closed) return;
      batch.flush();
      closed = true;
      closeSync(fd);
    },
  };
}

/** A port of ours on this address, on a port number of the kernel's choice. @throws Error with the address and the reason */
export function ephemeralPort(address: string, options: DatagramOptions = {}): OwnedPort {
  const fd = c.socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0) as number;
  const where = Buffer.alloc(16);
  where.writeUInt16LE(AF_INET, 0);
  where.writeUInt32BE(numberOf(address), 4);
  const size = Buffer.alloc(4);
  size.writeInt32LE(bufferBytes);
  // As much as the machine's settings let us have: a window for each of dozens of clients lies in there.
  for (const name of [SO_SNDBUF, SO_RCVBUF]) c.setsockopt(fd, SOL_SOCKET, name, size, 4);
  if (fd >= 0 && (c.bind(fd, where, where.length) as number) === 0) return datagramPort(fd, options);
  const reason = koffi.errno();
  if (fd >= 0) closeSync(fd);
  throw new Error(`no UDP port on ${address}: error ${reason} (errno); does the interface still have this address?`);
}

function numberOf(address: string): number {
  let value = 0;
  for (const part of address.split('.')) value = value * 256 + Number(part);
  return value;
}
