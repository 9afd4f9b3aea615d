import { writeDataHeader } from './packet.ts';

/** Something to be sent. Two transfers that are given the same object share what is read of it. */
export interface TftpContent {
  /** Bytes. */
  readonly size: number;
  /** Fills the buffer from this offset on, as far as there are bytes, and says how many. */
  read(buffer: Uint8Array, offset: number): Promise<number>;
  /** Called once for each time it was handed out. */
  close(): void;
}

export interface TftpRefusal {
  /** One of `ERROR_CODE`. */
  readonly code: number;
  readonly message: string;
}

export interface TftpClient {
  readonly address: string;
  readonly port: number;
}

/** What a path means to a client. The path is what the client wrote; nothing in it can be trusted. */
export type OpenContent = (path: string, client: TftpClient) => Promise<TftpContent | TftpRefusal>;

export function isRefusal(answer: TftpContent | TftpRefusal): answer is TftpRefusal {
  return 'code' in answer;
}

/** A content that lies in memory: scripts made for one machine, and tests. */
export function bytesContent(bytes: Uint8Array): TftpContent {
  return {
    size: bytes.length,
    async read(buffer, offset) {
      const part = bytes.subarray(offset, offset + buffer.length);
      buffer.set(part);
      return part.length;
    },
    close() {},
  };
}

/** Ethernet's 1500 without IP and UDP headers. */
const LARGEST_IN_FRAME = 1472;
/** Blocks of a span: 128 of 1468 bytes are read with one system call. */
const SPAN_BLOCKS = 128;

/**
 * DATA packets ready to send, header and all. A DATA packet is the same for every client with the same block size, so 32 clients of one file cost one
 * read and one copy of it. Spans are dropped in the order of their last use when the budget (bytes, for all contents together) is used up.
 */
export class PacketCache {
  readonly #budget: number;
  #used = 0;
  readonly #spans = new Map<string, Span>();
  readonly #users = new Map<TftpContent, { readonly name: string; count: number }>();
  #named = 0;

  constructor(budget = 64 << 20) {
    this.#budget = budget;
  }

  /** Bytes held now. */
  get used(): number {
    return this.#used;
  }

  /** A transfer of this content begins. */
  join(content: TftpContent): void {
    const users = this.#users.get(content);
    if (users) users.count++;
    else this.#users.set(content, { name: `${++this.#named} `, count: 1 });
  }

  /** It has ended; with the last one the content's packets go, since nobody can ask for them again. */
  leave(content: TftpContent): void {
    const users = this.#users.get(content);
    if (!users || --users.count > 0) return;
    this.#users.delete(content);
    for (const [key, span] of this.#spans) if (key.startsWith(users.name)) this.#forget(key, span);
  }

  /** The packets around this block, at once where they are in memory. Rejects when the content cannot be read, or is
   * shorter than it said. Only between `join` and `leave`. */
  span(content: TftpContent, blockSize: number, block: number): Span | Promise<Span> {
    const index = Math.floor((block - 1) / SPAN_BLOCKS);
    const key = `${this.#users.get(content)!.name}${blockSize} ${index}`;
    const known = this.#spans.get(key);
    if (known) {
      // Again to the end: a Map keeps the order of insertion, and so is the list of last use.
      this.#spans.delete(key);
      this.#spans.set(key, known);
      return known.ready ?? known;
    }
    const span = new Span(index * SPAN_BLOCKS + 1, blockSize, content.size);
    this.#spans.set(key, span);
    this.#used += span.bytes.length;
    span.ready = span.fill(content).then(
      () => {
        span.ready = undefined;
        return span;
      },
      (error: unknown) => {
        if (this.#spans.get(key) === span) this.#forget(key, span);
        throw error;
      },
    );
    // Who prefetched it is not there to see it fail; who needs it asks again.
    span.ready.catch(() => {});
    this.#trim();
    return span.ready;
  }

  #trim(): void {
    for (const [key, span] of this.#spans) {
      if (this.#used <= this.#budget) return;
      this.#forget(key, span);
    }
  }

  #forget(key: string, span: Span): void {
    this.#spans.delete(key);
    this.#used -= span.bytes.length;
  }
}

export class Span {
  readonly firstBlock: number;
  readonly lastBlock: number;
  readonly bytes: Uint8Array;
  ready: Promise<Span> | undefined;
  /** Bytes from one packet to the next. */
  readonly stride: number;
  /** So many blocks may be sent as one buffer: 64 kB of UDP, and the kernel cuts only what then fits a frame. */
  readonly longestRun: number;

  constructor(firstBlock: number, blockSize: number, size: number) {
    const blocks = Math.floor(size / blockSize) + 1;
    this.firstBlock = firstBlock;
    this.lastBlock = Math.min(firstBlock + SPAN_BLOCKS - 1, blocks);
    this.stride = blockSize + 4;
    this.longestRun = this.stride > LARGEST_IN_FRAME ? 1 : Math.min(64, Math.floor(65_000 / this.stride));
    const from = (firstBlock - 1) * blockSize;
    const payload = Math.min(size - from, SPAN_BLOCKS * blockSize);
    this.bytes = new Uint8Array(payload + 4 * (this.lastBlock - firstBlock + 1));
  }

  /** Where the packet of a block lies in `bytes`. */
  offset(block: number): number {
    return (block - this.firstBlock) * this.stride;
  }

  length(block: number): number {
    return Math.min(this.stride, this.bytes.length - this.offset(block));
  }

  async fill(content: TftpContent): Promise<void> {
    const blockSize = this.stride - 4;
    const from = (this.firstBlock - 1) * blockSize;
    const raw = new Uint8Array(this.bytes.length - 4 * (this.lastBlock - this.firstBlock + 1));
    let at = 0;
    while (at < raw.length) {
      const count = await content.read(raw.subarray(at), from + at);
      if (count <= 0) throw new Error(`the content ends at byte ${from + at}, but said it had ${content.size}`);
      at += count;
    }
    for (let block = this.firstBlock; block <= this.lastBlock; block++) {
      const offset = this.offset(block);
      writeDataHeader(this.bytes, offset, block & 0xffff);
      const start = (block - this.firstBlock) * blockSize;
      this.bytes.set(raw.subarray(start, start + blockSize), offset + 4);
    }
  }
}
