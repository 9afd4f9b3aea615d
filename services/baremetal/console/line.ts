/**
 * One node's serial console: one stream to its BMC, one party that may write, any number that watch. The stream is open as long as
 * somebody wants it (a party, or a hold by the recording policy), and is opened again when it is lost.
 *
 *     closed ──wanted──▶ opening ──▶ open ──lost──▶ broken ──(1, 2, 5, 10, 30 s)──▶ opening
 *
 * A stream that another console holds is not fought for: it is asked for again every 30 s, and taken only when a person says so.
 */
import type { Clock } from '../../core/clock.ts';
import { type Fault, fault, toFault } from '../../core/errors/index.ts';
import type { ConsoleOptions, ConsoleStream } from '../../power/index.ts';

export type LineState = 'closed' | 'opening' | 'open' | 'broken';

/** What parties are told beside the machine's characters. */
export type LineMessage =
  | { readonly type: 'state'; readonly state: LineState; readonly text: string }
  | { readonly type: 'writer'; readonly you: boolean; readonly who: string | null; readonly text: string }
  | { readonly type: 'note'; readonly text: string }
  | { readonly type: 'size'; readonly columns: number; readonly rows: number };

export interface Party {
  /** Said to the others: `ada@desk`. */
  readonly name: string;
  data(bytes: Buffer): void;
  tell(message: LineMessage): void;
}

export interface LineHooks {
  open(options: ConsoleOptions, signal: AbortSignal): Promise<ConsoleStream>;
  /** Every byte that the machine said. */
  onData(data: Buffer): void;
  onOpen(by: string | null, took: boolean): void;
  onLost(reason: string): void;
  /** It could not be opened; told once for the same words. */
  onRefused(reason: string): void;
  onClose(): void;
  onWriter(who: string | null, from: string | null): void;
  /** Nobody wants the line any more. */
  onIdle(): void;
}

export interface AttachWish {
  /** Wants to type; gets the place when it is free. */
  readonly write: boolean;
  /** Takes the writer's place from whoever has it. */
  readonly take: boolean;
  /** Ends another console's stream at the BMC first. */
  readonly steal: boolean;
}

const retryMs = [1_000, 2_000, 5_000, 10_000, 30_000] as const;
/** A machine that never comes up is asked for less often, but is asked. */
const heldRetryMs = 30_000;
const noteEveryMs = 5_000;

export const isInUse = (error: Fault): boolean => error.code === 'bmc-console-in-use';

export class ConsoleLine {
  readonly node: string;
  readonly #hooks: LineHooks;
  readonly #clock: Clock;
  readonly #parties = new Set<Party>();
  readonly #holds = new Set<string>();
  readonly #ignored = new Map<Party, number>();
  #state: LineState = 'closed';
  #writer: Party | null = null;
  #stream: ConsoleStream | null = null;
  #opening: Promise<void> | null = null;
  /** The BMC has one stream: a new one waits until the old one's end was told. */
  #ending: Promise<void> | null = null;
  #abort = new AbortController();
  #tries = 0;
  #cancel: () => void = () => {};
  /** Of the try under way or the last one; the same words again are not told again. */
  #lastReason: string | null = null;

  constructor(node: string, hooks: LineHooks, clock: Clock) {
    this.node = node;
    this.#hooks = hooks;
    this.#clock = clock;
  }

  get state(): LineState {
    return this.#state;
  }

  get parties(): number {
    return this.#parties.size;
  }

  get writer(): string | null {
    return this.#writer?.name ?? null;
  }

  get lastReason(): string | null {
    return this.#lastReason;
  }

  isHeld(why: string): boolean {
    return this.#holds.has(why);
  }

  /** Keeps the line open without a party. A line that cannot be opened is tried again for as long as it is held. */
  hold(why: string): void {
    this.#holds.add(why);
    if (this.#state === 'closed') this.#begin(false, null).catch(() => {});
  }

  release(why: string): void {
    if (this.#holds.delete(why)) this.#rest();
  }

  /**
   * Lets a party in; rejects with the sentence when the line cannot be opened now. Resolves when the line is open, and has told the
   * party by then who writes.
   */
  async attach(party: Party, wish: AttachWish): Promise<void> {
    this.#parties.add(party);
    try {
      if (this.#state !== 'open') await this.#begin(wish.steal, party.name);
    } catch (error) {
      this.detach(party);
      throw error;
    }
    // It left while the line was being opened.
    if (!this.#parties.has(party)) return;
    if (wish.take || (wish.write && this.#writer === null)) this.take(party);
    else this.#tellWriter(party);
  }

  detach(party: Party): void {
    if (!this.#parties.delete(party)) return;
    this.#ignored.delete(party);
    if (this.#writer === party) this.#seat(null);
    this.#rest();
  }

  /** Gives the writer's place to this party. */
  take(party: Party): void {
    if (this.#writer !== party) this.#seat(party);
    else this.#tellWriter(party);
  }

  /** Leaves the writer's place and goes on watching. */
  yield(party: Party): void {
    if (this.#writer === party) this.#seat(null);
  }

  write(party: Party, data: Buffer): void {
    const who = this.#writer;
    if (who !== party) this.#remark(party, who ? `Not typed: ${who.name} writes here.` : 'Not typed: you only watch.');
    else if (!this.#stream) this.#remark(party, 'Not typed: the console is not open just now.');
    else if (!this.#stream.write(data))
      this.#remark(party, 'Not typed: the machine does not read its serial line, and 64 KiB wait for it.');
  }

  break(party: Party): void {
    if (this.#writer !== party) this.#remark(party, 'No break was sent: you only watch.');
    else if (this.#stream?.break()) party.tell({ type: 'note', text: 'A break was sent.' });
    else this.#remark(party, 'No break was sent: characters are still on their way; try again.');
  }

  /** A serial line has no size: the writer's is told to the watchers, whose screens should be as large. */
  resize(party: Party, columns: number, rows: number): void {
    if (this.#writer !== party) return;
    for (const other of this.#parties) if (other !== party) other.tell({ type: 'size', columns, rows });
  }

  /** Ends the stream that somebody else holds at the BMC, and takes it. */
  async steal(party: Party): Promise<void> {
    if (this.#state !== 'open') await this.#begin(true, party.name);
  }

  /** For good: the node is gone, or the process ends. Resolves when the BMC has been told. */
  async close(reason: string): Promise<void> {
    for (const party of this.#parties) party.tell({ type: 'state', state: 'closed', text: reason });
    this.#parties.clear();
    this.#holds.clear();
    this.#writer = null;
    await this.#end();
  }

  async #begin(steal: boolean, by: string | null): Promise<void> {
    // One try at a time; whoever comes meanwhile waits for its end. Only stealing needs a try of its own.
    if (this.#opening) {
      if (!steal) return this.#opening;
      await this.#opening.catch(() => {});
      if (this.#state === 'open') return;
    }
    this.#cancel();
    this.#opening = this.#open(steal, by).finally(() => {
      this.#opening = null;
    });
    return this.#opening;
  }

  async #open(steal: boolean, by: string | null): Promise<void> {
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    const again = this.#state === 'broken';
    this.#state = 'opening';
    await this.#ending;
    let stream: ConsoleStream;
    let ended: string | null | undefined;
    try {
      stream = await this.#hooks.open(
        {
          steal,
          onData: (data) => this.#heard(data),
          onClose: (reason) => {
            ended = reason;
            if (!signal.aborted) this.#lost(reason ?? 'it was closed');
          },
        },
        signal,
      );
    } catch (error) {
      if (signal.aborted) throw error;
      const failure = inWords(toFault(error), this.node);
      this.#state = 'broken';
      if (failure.message !== this.#lastReason) {
        this.#lastReason = failure.message;
        this.#hooks.onRefused(failure.message);
        for (const party of this.#parties) if (again) party.tell({ type: 'note', text: failure.message });
      }
      this.#later(failure.code === 'console-in-use' || failure.code === 'bmc-console-none');
      throw failure;
    }
    if (signal.aborted) {
      await stream.close();
      throw fault('console-closed', { node: this.node });
    }
    // Lost between its opening and this line.
    if (ended !== undefined) throw fault('console-closed', { node: this.node });
    this.#stream = stream;
    this.#state = 'open';
    this.#tries = 0;
    this.#lastReason = null;
    this.#hooks.onOpen(by, steal);
    const text = again ? 'The console is open again.' : 'The console is open.';
    for (const party of this.#parties) party.tell({ type: 'state', state: 'open', text });
  }

  #heard(data: Buffer): void {
    this.#hooks.onData(data);
    for (const party of this.#parties) party.data(data);
  }

  #lost(reason: string): void {
    if (this.#state !== 'open') return;
    this.#stream = null;
    this.#state = 'broken';
    this.#lastReason = reason;
    this.#hooks.onLost(reason);
    const text = `The console was lost: ${reason.replace(/\.$/, '')}. Trying again.`;
    for (const party of this.#parties) party.tell({ type: 'state', state: 'broken', text });
    this.#later(false);
  }

  #later(inUse: boolean): void {
    if (!this.wanted) {
      this.#rest();
      return;
    }
    const step = retryMs[Math.min(this.#tries, retryMs.length - 1)] ?? heldRetryMs;
    this.#tries += 1;
    this.#cancel();
    this.#cancel = this.#clock.after(inUse ? heldRetryMs : step, () => {
      if (this.#state === 'broken') this.#begin(false, null).catch(() => {});
    });
  }

  get wanted(): boolean {
    return this.#parties.size > 0 || this.#holds.size > 0;
  }

  #rest(): void {
    if (this.wanted) return;
    void this.#end().then(() => {
      if (!this.wanted) this.#hooks.onIdle();
      else if (this.#state === 'closed') this.#begin(false, null).catch(() => {});
    });
  }

  async #end(): Promise<void> {
    this.#cancel();
    this.#abort.abort();
    const stream = this.#stream;
    const was = this.#state;
    this.#stream = null;
    this.#state = 'closed';
    this.#tries = 0;
    const opening = this.#opening;
    const ending = (async () => {
      await opening?.catch(() => {});
      await stream?.close().catch(() => {});
    })();
    this.#ending = ending;
    await ending;
    if (this.#ending === ending) this.#ending = null;
    if (was === 'open') this.#hooks.onClose();
  }

  #seat(party: Party | null): void {
    const before = this.#writer;
    this.#writer = party;
    this.#hooks.onWriter(party?.name ?? null, before?.name ?? null);
    for (const one of this.#parties) this.#tellWriter(one, before);
  }

  #tellWriter(party: Party, before?: Party | null): void {
    const writer = this.#writer;
    const you = writer === party;
    const text = you
      ? before && before !== party
        ? `You write now; ${before.name} watches.`
        : 'You write.'
      : writer === null
        ? 'Nobody writes; you watch.'
        : before === party
          ? `${writer.name} took the writer’s place; you watch.`
          : `${writer.name} writes; you watch.`;
    party.tell({ type: 'writer', you, who: writer?.name ?? null, text });
  }

  /** Every key of somebody who types in vain would be a line. */
  #remark(party: Party, text: string): void {
    const now = this.#clock.now();
    if (now - (this.#ignored.get(party) ?? Number.NEGATIVE_INFINITY) < noteEveryMs) return;
    this.#ignored.set(party, now);
    party.tell({ type: 'note', text });
  }
}

function inWords(error: Fault, node: string): Fault {
  return isInUse(error) ? fault('console-in-use', { node }, error) : error;
}
