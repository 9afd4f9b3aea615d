// One BMC as the transport sees it: a queue with one request outstanding (most BMCs have one buffer), retransmission with a new
// session sequence number and the same rqSeq, a session that opens when first needed, is kept alive, and is reopened when lost.

import { completionError, IpmiError, type IpmiErrorCode } from './errors.ts';
import { PRIVILEGE } from './handshake.ts';
import { Lan15Seal } from './lan15.ts';
import { decodeResponse, encodeRequest, type IpmiResponse } from './message.ts';
import { commandName } from './names.ts';
import {
  answersOutside,
  type Credentials,
  channelCipherSuites,
  type OpenedSession,
  openSession,
  type RESEND,
  type Remembered,
  type Wire,
} from './open.ts';
import { type CallOptions, type Exchange, type Job, RequestQueue, type Timers } from './requests.ts';
import { PAYLOAD, type Packet } from './rmcp.ts';

export interface CommandOptions extends CallOptions {
  /** Logical unit, 0 to 3. */
  lun?: number;
  /** The command must not be carried out twice (power cycle): never repeated on a new session, and silence is `uncertain`. */
  once?: boolean;
  /** Completion codes (other than 0) that are an answer, not an error; the result then begins with that code. */
  accept?: readonly number[];
  /** Sentences for the command's own completion codes. */
  codes?: Readonly<Record<number, string>>;
}

export interface LinkOptions {
  name: string;
  credentials: Credentials;
  memory: Remembered;
  timers: Timers;
  random: (bytes: number) => Buffer;
  /** Sends to this BMC's address, resolving it when needed. */
  send: (packet: Buffer) => void;
  resolve: () => Promise<void>;
  claimId: (link: Link, previous: number) => number;
  dropId: (id: number) => void;
  onExchange: ((exchange: Exchange) => void) | undefined;
  /** Idle milliseconds after which an open session is refreshed; 0 never. */
  keepAlive: number;
}

/** Unanswered datagrams after which a kept session counts as lost. */
const TRIES_ON_SESSION = 4;
/** After so many, a BMC that answers outside sessions is believed to have restarted: a new session costs 10 ms, patience 3 s. */
const TRIES_IN_HASTE = 2;
/** A session that answered this recently is believed alive before a `once` command; an older one is asked first. */
const FRESH_MS = 2_000;
const BUSY_PAUSE_MS = 200;
const SLOW_MS = 500;
const PING_COMMAND = { netfn: 0x06, cmd: 0x01 } as const;
const NO_DATA = new Uint8Array(0);

export class Link implements Wire {
  readonly #options: LinkOptions;
  readonly #requests: RequestQueue;
  #session: OpenedSession | undefined;
  #consoleId = 0;
  #rqSeq: number;
  #lastHeard = 0;
  /** It was once silent in haste and then answered late on a fresh session: it had lost nothing, it is slow. */
  #slow = false;
  #keepAliveTimer: unknown;
  /** Takes decrypted payloads of other types than IPMI messages (SOL), and hears of the session's end. */
  onPayload: ((type: number, payload: Buffer) => void) | undefined;
  onLost: ((reason: IpmiError) => void) | undefined;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#requests = new RequestQueue(options);
    this.#rqSeq = options.random(1)[0]! & 0x3f;
  }

  get name(): string {
    return this.#options.name;
  }

  get opened(): OpenedSession | undefined {
    return this.#session;
  }

  // --- what callers do ---

  command(netfn: number, cmd: number, data: Uint8Array, options: CommandOptions): Promise<Buffer> {
    if (data.length > 230) {
      return Promise.reject(
        new IpmiError('bad-argument', `${data.length} bytes of data; an IPMI message carries at most 230`),
      );
    }
    return this.#requests.enqueue(commandName(netfn, cmd), options, (job) =>
      this.#command(job, netfn, cmd, data, options),
    );
  }

  /** Opens the session if it is not open. */
  open(options: CallOptions): Promise<OpenedSession> {
    return this.#requests.enqueue('Open Session', options, async (job) => this.#session ?? (await this.#open(job)));
  }

  cipherSuites(options: CallOptions): Promise<number[] | undefined> {
    return this.#requests.enqueue('Get Channel Cipher Suites', options, async (job) => {
      await this.#requests.within(job, 'name look-up', this.#options.resolve());
      return channelCipherSuites(this, 0x0e);
    });
  }

  /** Ends the session politely and, when `final`, refuses everything after it. Never rejects. */
  async close(final: boolean, options: CallOptions): Promise<void> {
    if (final) this.#requests.shut(() => new IpmiError('closed', 'the session was closed').at(this.name, 'close'));
    if (!this.#session && this.#requests.idle) return;
    const goodbye = this.#requests.enqueue(
      'Close Session',
      { deadline: 1_000, ...options },
      (job) => this.#goodbye(job),
      true,
    );
    await goodbye.catch(() => undefined);
    this.#drop('closed', 'the session was closed');
  }

  /** Sends a payload of the session, such as SOL data. False when no RMCP+ session is open. */
  sendPayload(type: number, payload: Uint8Array): boolean {
    const seal = this.#session?.seal;
    if (!seal || seal instanceof Lan15Seal) return false;
    this.tell(seal.seal(type, payload));
    return true;
  }

  // --- what the transport brings ---

  /** A packet for this BMC. `fromHome`: it came from the address that we send to. */
  receive(packet: Packet, fromHome: boolean): void {
    if (packet.kind === 'rmcpp' && packet.sessionId !== 0) {
      const seal = this.#session?.seal;
      if (!seal || seal instanceof Lan15Seal || packet.sessionId !== this.#consoleId) return;
      // Without integrity codes the address is the only proof there is.
      if (!fromHome && seal.suite.macBytes === 0) return;
      const payload = seal.open(packet);
      if (!payload) {
        if (fromHome) this.#requests.unproven++;
        return;
      }
      if (packet.payloadType !== PAYLOAD.ipmi) this.onPayload?.(packet.payloadType, payload);
      else this.#requests.take({ ...packet, encrypted: false, authenticated: false, payload });
      return;
    }
    if (fromHome) this.#requests.take(packet);
  }

  /** The BMC sent something for a session that nobody here has. */
  stray(): void {
    this.#requests.foreign++;
  }

  /** The kernel refused a datagram; a later one may get through, so this only explains a silence. */
  unsent(code: string): void {
    this.#requests.unsent = code;
  }

  // --- Wire ---

  tell(packet: Buffer): void {
    try {
      this.#options.send(packet);
    } catch {
      // A closed socket: nobody waits for an answer to this datagram.
    }
  }

  random(bytes: number): Buffer {
    return this.#options.random(bytes);
  }

  nextSeq(): number {
    this.#rqSeq = (this.#rqSeq + 1) & 0x3f;
    return this.#rqSeq;
  }

  claimId(): number {
    this.#consoleId = this.#options.claimId(this, this.#consoleId);
    return this.#consoleId;
  }

  ask<T>(
    step: string,
    build: () => Buffer,
    judge: (packet: Packet) => T | undefined | typeof RESEND,
    tries: number,
    before?: number,
  ): Promise<T | undefined> {
    return this.#requests.ask(step, build, judge, tries, before);
  }

  // --- the session ---

  /** Opens a session, trying again after mere silence for as long as the job's deadline lets it. */
  async #open(job: Job): Promise<OpenedSession> {
    await this.#requests.within(job, 'name look-up', this.#options.resolve());
    for (;;) {
      try {
        return await this.#openOnce(job);
      } catch (error) {
        this.#parting();
        this.#forgetId();
        const silence =
          error instanceof IpmiError &&
          error.status === undefined &&
          (error.code === 'timeout' || error.code === 'session-refused' || error.code === 'session-lost');
        if (!silence || this.#options.timers.now() >= job.deadlineAt) throw error;
      }
    }
  }

  async #openOnce(job: Job): Promise<OpenedSession> {
    const { credentials, memory } = this.#options;
    const session = await openSession(this, credentials, memory);
    this.#session = session;
    memory.protocol = session.protocol;
    if (session.suite !== undefined) memory.suite = session.suite;
    await this.#raisePrivilege(job);
    this.#armKeepAlive();
    return session;
  }

  /** Sessions begin at USER (section 6.8); raise once, or every control command meets completion code 0xd4. */
  async #raisePrivilege(job: Job): Promise<void> {
    const level = PRIVILEGE[this.#options.credentials.privilege];
    if (level <= PRIVILEGE.user) return;
    const answer = await this.#exchange(job, 0x06, 0x3b, Uint8Array.of(level), 0);
    if (answer?.completionCode === 0) return;
    const step = 'Set Session Privilege Level';
    const error = answer
      ? new IpmiError(
          'privilege',
          `the BMC refuses the level ${this.#options.credentials.privilege} (completion code 0x${answer.completionCode.toString(16)})`,
          {
            step,
            completionCode: answer.completionCode,
          },
        )
      : new IpmiError('session-lost', 'no answer on the session that was just opened', { step });
    throw error;
  }

  async #command(job: Job, netfn: number, cmd: number, data: Uint8Array, options: CommandOptions): Promise<Buffer> {
    let hurried = false;
    for (let sessions = 0; sessions < 3; sessions++) {
      const kept = this.#session !== undefined;
      if (!kept) await this.#open(job);
      else if (options.once && this.#options.timers.now() - this.#lastHeard > FRESH_MS && !(await this.#alive(job)))
        continue;
      const haste = kept && sessions === 0 && !options.once && !this.#slow;
      const sentAt = this.#options.timers.now();
      const answer = await this.#patient(job, netfn, cmd, data, options.lun ?? 0, haste);
      if (answer) {
        if (hurried && this.#options.timers.now() - sentAt >= SLOW_MS) this.#slow = true;
        return this.#result(answer, netfn, cmd, options);
      }
      hurried = haste;
      this.#parting();
      if (options.once) throw new IpmiError('uncertain', `no answer to ${TRIES_ON_SESSION} datagrams`);
    }
    throw new IpmiError('session-lost', 'the BMC opens sessions and then answers nothing on them');
  }

  #result(answer: IpmiResponse, netfn: number, cmd: number, options: CommandOptions): Buffer {
    const cc = answer.completionCode;
    if (options.accept === undefined && cc === 0) return answer.data;
    if (options.accept) {
      if (cc === 0 || options.accept.includes(cc)) return Buffer.concat([Uint8Array.of(cc), answer.data]);
    }
    throw completionError(cc, commandName(netfn, cmd), options.codes);
  }

  /** Repeats the request while the BMC says "node busy", until the deadline. */
  async #patient(
    job: Job,
    netfn: number,
    cmd: number,
    data: Uint8Array,
    lun: number,
    haste: boolean,
  ): Promise<IpmiResponse | undefined> {
    for (;;) {
      const answer = await this.#exchange(job, netfn, cmd, data, lun, haste);
      if (answer?.completionCode !== 0xc0 || this.#options.timers.now() + BUSY_PAUSE_MS >= job.deadlineAt)
        return answer;
      await this.#requests.pause(job, BUSY_PAUSE_MS);
    }
  }

  /** One request on the open session, retransmitted; undefined for silence. */
  async #exchange(
    job: Job,
    netfn: number,
    cmd: number,
    data: Uint8Array,
    lun: number,
    haste = false,
  ): Promise<IpmiResponse | undefined> {
    const session = this.#session;
    if (!session) return undefined;
    const { seal } = session;
    const rqSeq = this.nextSeq();
    const message = encodeRequest(netfn, cmd, rqSeq, data, lun);
    const lan15 = seal instanceof Lan15Seal;
    const build = () => (lan15 ? seal.seal(message) : seal.seal(PAYLOAD.ipmi, message));
    const judge = (packet: Packet): IpmiResponse | undefined => {
      if (packet.kind !== 'rmcpp' && packet.kind !== 'lan15') return undefined;
      if (packet.sessionId === 0 || (packet.kind === 'lan15') !== lan15) return undefined;
      const payload = packet.kind === 'lan15' ? (seal as Lan15Seal).open(packet) : packet.payload;
      const response = payload && decodeResponse(payload);
      if (!response || response.rqSeq !== rqSeq || response.cmd !== cmd || response.netfn !== (netfn | 1))
        return undefined;
      return response;
    };
    let answer = await this.ask(job.name, build, judge, haste ? TRIES_IN_HASTE : TRIES_ON_SESSION);
    if (!answer && haste) {
      // Once more for a network that loses datagrams; with the wait of a first one where the BMC is known to be awake.
      const awake = await answersOutside(this);
      answer = await this.ask(
        job.name,
        build,
        judge,
        awake ? 1 : TRIES_ON_SESSION - TRIES_IN_HASTE,
        awake ? 0 : TRIES_IN_HASTE,
      );
    }
    if (answer) this.#lastHeard = this.#options.timers.now();
    return answer;
  }

  async #alive(job: Job): Promise<boolean> {
    const answer = await this.#exchange(job, PING_COMMAND.netfn, PING_COMMAND.cmd, NO_DATA, 0);
    if (!answer) this.#parting();
    return answer !== undefined;
  }

  async #goodbye(job: Job): Promise<void> {
    const session = this.#session;
    if (session) await this.#exchange(job, 0x06, 0x3c, closeData(session.bmcId), 0);
  }

  /** Gives a session up that may still live on the BMC: one Close Session into the dark, so that its slot is free again. */
  #parting(): void {
    const session = this.#session;
    if (!session) return;
    const message = encodeRequest(0x06, 0x3c, this.nextSeq(), closeData(session.bmcId));
    const { seal } = session;
    this.tell(seal instanceof Lan15Seal ? seal.seal(message) : seal.seal(PAYLOAD.ipmi, message));
    this.#drop('session-lost', 'the BMC stopped answering on the session');
  }

  #drop(code: IpmiErrorCode, fault: string): void {
    this.#session = undefined;
    this.#forgetId();
    this.#options.timers.clear(this.#keepAliveTimer);
    this.#keepAliveTimer = undefined;
    this.onLost?.(new IpmiError(code, fault).at(this.name, 'session'));
  }

  #forgetId(): void {
    if (this.#consoleId !== 0) this.#options.dropId(this.#consoleId);
    this.#consoleId = 0;
  }

  /** One timer a session, re-armed only when it fires: a poll costs nothing here. */
  #armKeepAlive(): void {
    const { keepAlive, timers } = this.#options;
    if (!keepAlive || !this.#session) return;
    timers.clear(this.#keepAliveTimer);
    const due = Math.max(1, this.#lastHeard + keepAlive - timers.now());
    this.#keepAliveTimer = timers.set(() => this.#refresh(), due);
  }

  #refresh(): void {
    if (!this.#session || this.#requests.closed) return;
    const { timers, keepAlive } = this.#options;
    if (timers.now() - this.#lastHeard < keepAlive || !this.#requests.idle) {
      this.#armKeepAlive();
      return;
    }
    // A refresh that fails drops the session; the next caller opens a new one.
    this.#requests
      .enqueue('Keep alive', { deadline: 5_000 }, async (job) => {
        if (this.#session) await this.#alive(job);
      })
      .catch(() => undefined)
      .finally(() => this.#armKeepAlive());
  }
}

function closeData(bmcId: number): Buffer {
  const data = Buffer.alloc(4);
  data.writeUInt32LE(bmcId);
  return data;
}
