// Serial over LAN of a virtual BMC (IPMI 2.0 chapter 15): one stream, to the session that activated it. What the machine prints
// while nobody is connected is kept, the newest 64 KiB of it, as BMCs with a console log do.

import type { Clock } from '../core/clock.ts';
import { type BmcReply, PAYLOAD, SolEnd, type SolSteps } from '../ipmi/index.ts';

const MOST_KEPT = 65_536;
const SOL_DEACTIVATED = 0x10;
const CHARACTERS_A_PACKET = 200;
const RETRY_MS = 500;
/** Repetitions before the other side counts as gone. */
const MOST_RETRIES = 12;
const BREAK = Buffer.alloc(0);

export interface VirtualConsoleOptions {
  clock: Clock;
  send: (sessionId: number, payload: Buffer) => void;
  /** Characters typed at the console. Default: they are printed again, as a terminal with echo does. */
  onInput?: (data: Buffer) => void;
  onBreak?: () => void;
}

export class VirtualConsole {
  enabled = true;
  readonly #options: VirtualConsoleOptions;
  #end: SolEnd | undefined;
  #owner = 0;
  #kept: Buffer = BREAK;
  #cancel: () => void = () => {};
  #retries = 0;

  constructor(options: VirtualConsoleOptions) {
    this.#options = options;
  }

  /** Session that the stream belongs to; 0: none. */
  get owner(): number {
    return this.#owner;
  }

  /** The machine prints. */
  feed(text: string | Uint8Array): void {
    this.#kept = Buffer.concat([this.#kept, typeof text === 'string' ? Buffer.from(text) : text]).subarray(-MOST_KEPT);
    this.#flush();
  }

  /** Activate Payload, whose answer tells sizes and port (section 24.1). */
  activate(sessionId: number, port: number): BmcReply {
    if (!this.enabled) return { completionCode: 0x81 };
    if (this.#owner !== 0) return { completionCode: 0x80 };
    this.#owner = sessionId;
    this.#end = new SolEnd('bmc', CHARACTERS_A_PACKET);
    this.#retries = 0;
    // Not before the answer: its sender would take characters of a stream that it does not know of yet.
    this.#cancel = this.#options.clock.after(1, () => this.#flush());
    const size = CHARACTERS_A_PACKET + 4;
    return { completionCode: 0, data: Uint8Array.of(0, 0, 0, 0, size, 0, size, 0, port & 0xff, port >> 8, 0xff, 0xff) };
  }

  /** Deactivate Payload; also at the end of the session. */
  deactivate(): BmcReply {
    if (this.#owner === 0) return { completionCode: 0x80 };
    this.#cancel();
    // Whoever had it is told (table 15-2, status bit 4); of a session that has ended nothing is sent.
    this.#options.send(this.#owner, Buffer.of(0, 0, 0, SOL_DEACTIVATED));
    this.#owner = 0;
    this.#end = undefined;
    return { completionCode: 0 };
  }

  receive(sessionId: number, type: number, payload: Buffer): void {
    if (type !== PAYLOAD.sol || sessionId !== this.#owner || !this.#end) return;
    const steps = this.#end.receive(payload);
    this.#run(steps);
    if (steps.broke) this.#options.onBreak?.();
    if (!steps.data) return;
    if (this.#options.onInput) this.#options.onInput(steps.data);
    else this.feed(steps.data);
  }

  #flush(): void {
    if (!this.#end || this.#kept.length === 0) return;
    const steps = this.#end.write(this.#kept);
    if (!steps) return;
    this.#kept = BREAK;
    this.#run(steps);
  }

  #run(steps: SolSteps): void {
    for (const payload of steps.send) this.#options.send(this.#owner, payload);
    if (steps.acked) this.#retries = 0;
    this.#watch();
  }

  #watch(): void {
    this.#cancel();
    if (!this.#end || this.#end.pending === 0) return;
    this.#cancel = this.#options.clock.after(RETRY_MS, () => {
      this.#retries += 1;
      if (this.#retries > MOST_RETRIES) {
        this.deactivate();
        return;
      }
      const again = this.#end?.again();
      if (again) this.#options.send(this.#owner, again);
      else if (this.#end) {
        const steps = this.#end.write(BREAK);
        if (steps) for (const payload of steps.send) this.#options.send(this.#owner, payload);
      }
      this.#watch();
    });
  }
}
