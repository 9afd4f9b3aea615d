/**
 * Many datagrams with one system call each way (recvmmsg, sendmmsg), which Node cannot: measured, a datagram costs Node 15 µs of CPU
 * to receive by itself and 6 µs to send; gathered, 2 and 4. The buffers and the kernel's structures are made once.
 */
import koffi from 'koffi';

const libc = koffi.load('libc.so.6');
const c = {
  recvmmsg: libc.func('int recvmmsg(int fd, void *messages, unsigned int count, int flags, void *timeout)'),
  sendmmsg: libc.func('int sendmmsg(int fd, void *messages, unsigned int count, int flags)'),
};

const MSG_DONTWAIT = 0x40;
const AF_INET = 2;
const SOL_UDP = 17;
/** man 7 udp: the kernel cuts one long buffer into datagrams of this size. */
const UDP_SEGMENT = 103;
const { EAGAIN, ENOBUFS, EIO, EINVAL, EOPNOTSUPP } = koffi.os.errno as Record<string, number>;
/** A driver without checksum offload, and kernels without the option. */
const NOT_CUT = new Set([EIO, EINVAL, EOPNOTSUPP]);
const names = new Map(Object.entries(koffi.os.errno as Record<string, number>).map(([name, number]) => [number, name]));

/** struct mmsghdr, msghdr and iovec of 64-bit Linux, in 32-bit words; little-endian, as all machines are that Debian's Node runs on here. */
const HEADER_WORDS = 16;
const IOV_WORDS = 4;
const NAME_BYTES = 16;
const CONTROL_BYTES = 24;
/** No DHCP client and no TFTP ACK is longer than a jumbo frame. */
const RECEIVE_BYTES = 9216;

/** So many datagrams a call. */
export const mostInBatch = 64;

/** IPv4 as a number; `bytes` are the receiver's to keep. */
export type Received = (bytes: Buffer, address: number, port: number) => void;

class Messages {
  readonly headers: Uint32Array;
  readonly iovs: Uint32Array;
  readonly addresses: Buffer;
  readonly controls: Buffer;
  readonly slab: Buffer;

  constructor(count: number, bytes: number) {
    // Not of Node's pool, and kept: the kernel is given their addresses.
    this.headers = new Uint32Array(count * HEADER_WORDS);
    this.iovs = new Uint32Array(count * IOV_WORDS);
    this.addresses = Buffer.alloc(count * NAME_BYTES);
    this.controls = Buffer.alloc(count * CONTROL_BYTES);
    this.slab = Buffer.alloc(bytes);
    const [iovs, addresses] = [addressOf(this.iovs), addressOf(this.addresses)];
    for (let i = 0; i < count; i++) {
      const at = i * HEADER_WORDS;
      put(this.headers, at, addresses + i * NAME_BYTES);
      this.headers[at + 2] = NAME_BYTES;
      put(this.headers, at + 4, iovs + i * IOV_WORDS * 4);
      this.headers[at + 6] = 1;
    }
  }
}

/** The batch of one UDP socket. The descriptor stays its owner's. */
export class DatagramBatch {
  readonly #fd: number;
  readonly #most: number;
  readonly #in: Messages;
  readonly #out: Messages;
  readonly #outSlab: number;
  readonly #controlsAt: number;
  readonly #failed: (((reason: string) => void) | undefined)[] = [];
  #queued = 0;
  #used = 0;
  /** Whether the kernel cuts long buffers for us. Until it refuses. */
  #cuts = true;

  constructor(fd: number, most = mostInBatch) {
    this.#fd = fd;
    this.#most = most;
    this.#in = new Messages(most, most * RECEIVE_BYTES);
    const slab = addressOf(this.#in.slab);
    for (let i = 0; i < most; i++) {
      put(this.#in.iovs, i * IOV_WORDS, slab + i * RECEIVE_BYTES);
      this.#in.iovs[i * IOV_WORDS + 2] = RECEIVE_BYTES;
    }
    this.#out = new Messages(most, 1 << 20);
    this.#outSlab = addressOf(this.#out.slab);
    this.#controlsAt = addressOf(this.#out.controls);
  }

  /** Hands on what has come in, at most a batch of it, and says how many that was. */
  receive(received: Received): number {
    const { headers, addresses, slab } = this.#in;
    const count: number = c.recvmmsg(this.#fd, headers, this.#most, MSG_DONTWAIT, null);
    for (let i = 0; i < count; i++) {
      const at = i * HEADER_WORDS;
      const length = Math.min(headers[at + 14]!, RECEIVE_BYTES);
      headers[at + 2] = NAME_BYTES;
      const bytes = Buffer.allocUnsafe(length);
      slab.copy(bytes, 0, i * RECEIVE_BYTES, i * RECEIVE_BYTES + length);
      const name = i * NAME_BYTES;
      // By hand: Buffer's readers check their arguments, which takes as long as all of the rest.
      const a = addresses;
      const address = ((a[name + 4]! << 24) | (a[name + 5]! << 16) | (a[name + 6]! << 8) | a[name + 7]!) >>> 0;
      received(bytes, address, (a[name + 2]! << 8) | a[name + 3]!);
    }
    return Math.max(0, count);
  }

  /**
   * Takes a copy of the bytes, to be sent by `flush`. With `segment`, they are several datagrams one behind the other, each of that
   * many bytes, the last perhaps shorter.
   */
  send(bytes: Uint8Array, address: number, port: number, failed?: (reason: string) => void, segment = 0): void {
    if (segment > 0 && bytes.length > segment && !this.#cuts) {
      for (let at = 0; at < bytes.length; at += segment)
        this.send(bytes.subarray(at, at + segment), address, port, failed);
      return;
    }
    if (this.#isFull(bytes.length)) this.flush();
    // The socket takes no more just now: what does not fit is lost, as on any full wire, and asked for again.
    if (this.#isFull(bytes.length)) {
      failed?.('ENOBUFS');
      return;
    }
    const { headers, iovs, addresses, controls, slab } = this.#out;
    const i = this.#queued++;
    slab.set(bytes, this.#used);
    put(iovs, i * IOV_WORDS, this.#outSlab + this.#used);
    iovs[i * IOV_WORDS + 2] = bytes.length;
    this.#used += bytes.length;
    const name = i * NAME_BYTES;
    addresses[name] = AF_INET;
    addresses[name + 2] = port >>> 8;
    addresses[name + 3] = port;
    addresses[name + 4] = address >>> 24;
    addresses[name + 5] = address >>> 16;
    addresses[name + 6] = address >>> 8;
    addresses[name + 7] = address;
    const at = i * HEADER_WORDS;
    const isCut = segment > 0 && bytes.length > segment;
    put(headers, at + 8, isCut ? this.#controlsAt + i * CONTROL_BYTES : 0);
    headers[at + 10] = isCut ? CONTROL_BYTES : 0;
    if (isCut) {
      // struct cmsghdr: CMSG_LEN(2), level, type, and the size itself.
      const control = i * CONTROL_BYTES;
      controls.writeUInt32LE(18, control);
      controls.writeUInt32LE(SOL_UDP, control + 8);
      controls.writeUInt32LE(UDP_SEGMENT, control + 12);
      controls.writeUInt16LE(segment, control + 16);
    }
    this.#failed[i] = failed;
  }

  #isFull(length: number): boolean {
    return this.#queued === this.#most || this.#used + length > this.#out.slab.length;
  }

  /** Sends what is queued. False when the socket takes no more for now: flush again later. */
  flush(): boolean {
    let from = 0;
    while (from < this.#queued) {
      const { headers } = this.#out;
      const messages = from === 0 ? headers : headers.subarray(from * HEADER_WORDS);
      const sent: number = c.sendmmsg(this.#fd, messages, this.#queued - from, MSG_DONTWAIT);
      if (sent > 0) {
        from += sent;
        continue;
      }
      const error = koffi.errno();
      if (error === EAGAIN || error === ENOBUFS) {
        this.#queueAgain(from);
        return false;
      }
      // The first of them is refused. Some drivers cannot cut: then we do, from now on. Else it is told, and the others go on.
      if (this.#cuts && headers[from * HEADER_WORDS + 10] !== 0 && NOT_CUT.has(error)) this.#cuts = false;
      else this.#failed[from++]?.(names.get(error) ?? `error ${error}`);
      this.#queueAgain(from);
      from = 0;
    }
    this.#queued = 0;
    this.#used = 0;
    return true;
  }

  /** What is left moves to the front. */
  #queueAgain(from: number): void {
    const { headers, iovs, addresses, controls, slab } = this.#out;
    const left = Array.from({ length: this.#queued - from }, (_, index) => {
      const i = from + index;
      const start = get(iovs, i * IOV_WORDS) - this.#outSlab;
      return {
        bytes: Buffer.from(slab.subarray(start, start + iovs[i * IOV_WORDS + 2]!)),
        address: addresses.readUInt32BE(i * NAME_BYTES + 4),
        port: addresses.readUInt16BE(i * NAME_BYTES + 2),
        failed: this.#failed[i],
        segment: headers[i * HEADER_WORDS + 10] === 0 ? 0 : controls.readUInt16LE(i * CONTROL_BYTES + 16),
      };
    });
    this.#queued = 0;
    this.#used = 0;
    for (const one of left) this.send(one.bytes, one.address, one.port, one.failed, one.segment);
  }
}

const addressOf = (memory: Uint8Array | Uint32Array): number => Number(koffi.address(memory));

/** A pointer as two words: user addresses have 47 bits, so a number holds them. */
function put(words: Uint32Array, at: number, address: number): void {
  words[at] = address % 0x1_0000_0000;
  words[at + 1] = Math.floor(address / 0x1_0000_0000);
}

const get = (words: Uint32Array, at: number): number => words[at]! + words[at + 1]! * 0x1_0000_0000;
