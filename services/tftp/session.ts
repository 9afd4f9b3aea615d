import type { PacketCache, Span, TftpClient, TftpContent } from './content.ts';
import type { DatagramPort } from './datagrams.ts';
import { type Agreement, type Capabilities, negotiate } from './negotiation.ts';
import { ERROR_CODE, OPCODE, readPacket, type TftpRequest, writeError, writeOptionAck } from './packet.ts';
import type { RetransmissionBounds } from './retransmission.ts';
import type { TransferFacts } from './serve.ts';
import { Transfer, type TransferStep } from './transfer.ts';

/**
 * How a transfer ended. `size-asked`: the client wanted the size only and broke off before any data, as OVMF does each time: no failure.
 * `replaced`: it asked for something else from the same port.
 */
export type SessionEnd = 'done' | 'size-asked' | 'aborted' | 'vanished' | 'failed' | 'refused' | 'replaced' | 'stopped';

export interface SessionPorts {
  readonly request: TftpRequest;
  readonly client: TftpClient;
  /** The client's IPv4 address as a number. */
  readonly address: number;
  readonly cache: PacketCache;
  readonly capabilities: Capabilities;
  readonly bounds: RetransmissionBounds | undefined;
  readonly patienceMs: number | undefined;
  readonly now: () => number;
  readonly onStarted: () => void;
  readonly onProgress: () => void;
  /** Called once. */
  readonly onEnd: (end: SessionEnd, reason: string | null) => void;
}

/** One client's transfer: joins the pure `Transfer` to bytes and a socket. */
export class Session {
  readonly #ports: SessionPorts;
  #content: TftpContent | undefined;
  #socket: DatagramPort | undefined;
  #transfer: Transfer | undefined;
  #agreement: Agreement | undefined;
  #span: Span | undefined;
  #reading = false;
  #over = false;

  constructor(ports: SessionPorts) {
    this.#ports = ports;
  }

  get retransmitted(): number {
    return this.#transfer?.retransmitted ?? 0;
  }

  uses(socket: DatagramPort): boolean {
    return this.#socket === socket;
  }

  /** Whether this is the same request once more, and the client has no block yet. */
  isWaitingFor({ path, options }: TftpRequest): boolean {
    const { request } = this.#ports;
    if (request.path !== path || request.options.size !== options.size || (this.#transfer?.acked ?? 0) > 0)
      return false;
    return [...options].every(([name, value]) => request.options.get(name) === value);
  }

  facts(): TransferFacts {
    const size = this.#content?.size ?? 0;
    const blockSize = this.#agreement?.blockSize ?? 512;
    return {
      client: this.#ports.client.address,
      port: this.#ports.client.port,
      path: this.#ports.request.path,
      size,
      bytes: Math.min((this.#transfer?.acked ?? 0) * blockSize, size),
      blockSize,
      windowSize: this.#agreement?.windowSize ?? 1,
    };
  }

  begin(content: TftpContent, socket: DatagramPort): void {
    if (this.#over) {
      content.close();
      return;
    }
    const { request, capabilities, bounds, patienceMs, now } = this.#ports;
    this.#content = content;
    this.#ports.cache.join(content);
    this.#socket = socket;
    const agreement = negotiate(request.options, content.size, capabilities);
    this.#agreement = agreement;
    this.#transfer = new Transfer(
      {
        blocks: Math.floor(content.size / agreement.blockSize) + 1,
        windowSize: agreement.windowSize,
        optionAck: agreement.accepted.length > 0,
        timeoutMs: agreement.timeoutMs,
        ...(patienceMs !== undefined && { patienceMs }),
        ...(bounds && { bounds }),
      },
      now(),
    );
    this.#ports.onStarted();
    this.#do(this.#transfer.begin());
  }

  receive(bytes: Uint8Array): void {
    const transfer = this.#transfer;
    if (!transfer || this.#over) return;
    // An ACK is what nearly every packet is: no object is made for it.
    if (bytes.length >= 4 && bytes[0] === 0 && bytes[1] === OPCODE.ack) {
      const before = transfer.acked;
      this.#do(transfer.acknowledge((bytes[2]! << 8) | bytes[3]!, this.#ports.now()));
      if (transfer.acked !== before && !this.#over) this.#ports.onProgress();
      return;
    }
    const read = readPacket(bytes);
    if (!read.ok || read.packet.kind !== 'error') return;
    const reason = `the client says ${read.packet.code}${read.packet.message ? `: ${read.packet.message.replace(/[^\x20-\x7e]/g, '?')}` : ''}`;
    const sizeOnly = this.#agreement?.asksSize === true && !transfer.hasSentData;
    this.#finish(sizeOnly ? 'size-asked' : 'aborted', reason);
  }

  tick(): void {
    if (this.#transfer && !this.#over) this.#do(this.#transfer.tick(this.#ports.now()));
  }

  /** Ends the transfer from our side; the client is told. */
  end(how: SessionEnd, reason: string): void {
    if (this.#over) return;
    if (this.#socket && how !== 'refused' && how !== 'replaced') this.#send(writeError(ERROR_CODE.undefined, reason));
    this.#finish(how, reason);
  }

  #do(step: TransferStep): void {
    if (step === 'send-option-ack') this.#send(writeOptionAck(this.#agreement!.accepted));
    else if (step === 'send-blocks') this.#pump();
    else if (step === 'done') this.#finish('done', null);
    else if (step === 'gave-up') this.end('vanished', 'no answer any more');
  }

  /** Blocks that lie one behind the other in memory go out as one long buffer, which the kernel cuts. */
  #pump(): void {
    const transfer = this.#transfer!;
    const now = this.#ports.now();
    let run: { readonly span: Span; readonly first: number; last: number } | undefined;
    while (!this.#over && !this.#reading) {
      const block = transfer.next(now);
      if (block === undefined) break;
      const span = this.#spanOf(block);
      if (!span) {
        transfer.postpone(block);
        break;
      }
      if (run && run.span === span && block === run.last + 1 && block - run.first < span.longestRun) {
        run.last = block;
        continue;
      }
      if (run) this.#sendRun(run.span, run.first, run.last);
      run = { span, first: block, last: block };
    }
    if (run) this.#sendRun(run.span, run.first, run.last);
  }

  #sendRun(span: Span, first: number, last: number): void {
    const bytes = span.bytes.subarray(span.offset(first), span.offset(last) + span.length(last));
    this.#socket!.send(
      bytes,
      this.#ports.address,
      this.#ports.client.port,
      undefined,
      first === last ? 0 : span.stride,
    );
  }

  /** The span with this block, or undefined while it is being read; then the pump goes on by itself. */
  #spanOf(block: number): Span | undefined {
    const span = this.#span;
    if (span && block >= span.firstBlock && block <= span.lastBlock) return span;
    const { cache } = this.#ports;
    const content = this.#content!;
    const { blockSize } = this.#agreement!;
    const found = cache.span(content, blockSize, block);
    if (!(found instanceof Promise)) {
      this.#span = found;
      // What comes after it is read while this one is sent.
      const following = found.lastBlock + 1;
      if (following <= Math.floor(content.size / blockSize) + 1) cache.span(content, blockSize, following);
      return found;
    }
    this.#reading = true;
    found.then(
      (read) => {
        this.#reading = false;
        // Kept here: in the cache it may be gone again already.
        this.#span = read;
        this.#pump();
      },
      (error: unknown) => {
        this.#reading = false;
        this.end('failed', `reading failed: ${error instanceof Error ? error.message : String(error)}`);
      },
    );
    return undefined;
  }

  /** A packet that could not be sent is a lost packet: the timer sends it again, and patience ends. */
  #send(bytes: Uint8Array): void {
    this.#socket!.send(bytes, this.#ports.address, this.#ports.client.port);
  }

  #finish(how: SessionEnd, reason: string | null): void {
    if (this.#over) return;
    this.#over = true;
    this.#span = undefined;
    if (this.#content) {
      this.#ports.cache.leave(this.#content);
      this.#content.close();
    }
    this.#ports.onEnd(how, reason);
  }
}
