/**
 * A UDP socket that was handed in as a descriptor, served in batches. Node's event loop can only be woken by a socket of its own, so
 * one listens on a duplicate of the descriptor: the doorbell. What rings is answered at once, and what has come in behind it is
 * taken with one call. `paced` sockets are looked at every few milliseconds instead while they are busy, without the doorbell:
 * a wake for each datagram would cost more than the datagram.
 */
import dgram from 'node:dgram';
import koffi from 'koffi';
import { DatagramBatch } from './datagram-batch.ts';

const dup = koffi.load('libc.so.6').func('int dup(int fd)');

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

export interface DatagramOptions {
  /** Milliseconds between two looks while it is busy; 0: the doorbell alone. */
  readonly pacedMs?: number;
}

/** So many datagrams within the time below make a socket busy. */
const busyCount = 16;
const busyWithinMs = 16;
/** So many looks without any datagram, and the doorbell is hung up again. */
const quietLooks = 25;
const againMs = 1;

export async function datagramPort(fd: number, options: DatagramOptions = {}): Promise<DatagramPort> {
  const pacedMs = options.pacedMs ?? 0;
  const batch = new DatagramBatch(fd);
  let receiver: ((bytes: Uint8Array, address: number, port: number) => void) | undefined;
  let doorbell: dgram.Socket | undefined;
  let looking: NodeJS.Timeout | undefined;
  let isFlushing = false;
  let quiet = 0;
  let windowEnds = 0;
  let rung = 0;

  function flush(): void {
    isFlushing = false;
    if (batch.flush()) return;
    isFlushing = true;
    setTimeout(flush, againMs);
  }
  const received = (bytes: Buffer, address: number, port: number) => receiver?.(bytes, address, port);

  function ring(bytes: Buffer, remote: dgram.RemoteInfo): void {
    receiver?.(bytes, numberOf(remote.address), remote.port);
    const more = batch.receive(received);
    if (pacedMs === 0) return;
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
    looking ??= setInterval(look, pacedMs);
  }

  function look(): void {
    let count = batch.receive(received);
    const any = count;
    // A batch that is full leaves more behind; but others want their turn as well.
    for (let rounds = 0; count > 0 && rounds < 4; rounds++) count = batch.receive(received);
    quiet = any > 0 ? 0 : quiet + 1;
    if (quiet < quietLooks) return;
    clearInterval(looking);
    looking = undefined;
    hang();
  }

  /** Opens the doorbell; at once, as Node binds what it is handed within the call. */
  function hang(): Promise<void> {
    const own = dup(fd) as number;
    const socket = dgram.createSocket('udp4');
    doorbell = socket;
    return new Promise((resolve, reject) => {
      socket.once('error', reject);
      socket.bind({ fd: own, exclusive: true }, () => {
        socket.off('error', reject);
        // ICMP errors of peers that are gone come up here; they are no reason to end.
        socket.on('error', () => {});
        resolve();
      });
      socket.on('message', ring);
    });
  }

  return {
    listen(handler) {
      receiver = handler;
      hang().catch(() => {});
      return () => {
        receiver = undefined;
        doorbell?.close();
        doorbell = undefined;
        clearInterval(looking);
        looking = undefined;
      };
    },
    send(bytes, address, port, failed, segment) {
      batch.send(bytes, address, port, failed, segment);
      if (isFlushing) return;
      isFlushing = true;
      setImmediate(flush);
    },
  };
}

function numberOf(address: string): number {
  let value = 0;
  for (const part of address.split('.')) value = value * 256 + Number(part);
  return value;
}
