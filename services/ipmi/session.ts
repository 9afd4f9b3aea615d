// The session object that callers hold: typed commands over one link. It opens when first used, stays open, reopens when lost,
// and never shows its password: credentials live behind private names, which neither JSON nor util.inspect can reach.

import type { Ask } from './commands/ask.ts';
import * as boot from './commands/boot.ts';
import * as chassis from './commands/chassis.ts';
import * as device from './commands/device.ts';
import * as fru from './commands/fru.ts';
import * as lan from './commands/lan.ts';
import type { SensorRecord } from './commands/sdr.ts';
import * as sdr from './commands/sdr.ts';
import * as sel from './commands/sel.ts';
import * as sensor from './commands/sensor.ts';
import * as users from './commands/users.ts';
import * as watchdog from './commands/watchdog.ts';
import { openConsole, type SolOptions, type SolStream } from './console.ts';
import { IpmiError } from './errors.ts';
import type { CommandOptions, Link } from './link.ts';
import type { Remembered } from './open.ts';
import { type Quirks, quirksOf } from './quirks.ts';
import type { CallOptions, Timers } from './requests.ts';

export interface SessionFacts {
  protocol: '2.0' | '1.5';
  /** Cipher suite; undefined with IPMI 1.5. */
  suite: number | undefined;
  /** GUID that the BMC proved itself with; undefined with IPMI 1.5. */
  guid: device.Guid | undefined;
}

interface Identity {
  host: string;
  port: number;
  user: string;
  memory: Remembered;
}

/** Milliseconds that calls of many exchanges (SDR, SEL, FRU, users, LAN) get when the caller names none. */
const LONG_CALL_MS = 120_000;
const EMPTY = new Uint8Array(0);

/** Every call takes `deadline` (ms, for the whole call) and `signal`, and rejects with IpmiError only. */
export class IpmiSession {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly #link: Link;
  readonly #timers: Timers;
  readonly #memory: Remembered;
  readonly #onClosed: () => void;
  #quirks: Quirks | undefined;

  constructor(link: Link, identity: Identity, timers: Timers, onClosed: () => void) {
    this.host = identity.host;
    this.port = identity.port;
    this.user = identity.user;
    this.#memory = identity.memory;
    this.#link = link;
    this.#timers = timers;
    this.#onClosed = onClosed;
  }

  /** Whether a session is open now. */
  get isOpen(): boolean {
    return this.#link.opened !== undefined;
  }

  /** What worked, to be given to `transport.session` the next time. */
  get remembered(): Remembered {
    return { ...this.#memory };
  }

  /** Opens the session now: the check of address, user and password. */
  async open(options: CallOptions = {}): Promise<SessionFacts> {
    const session = await this.#link.open(options);
    return { protocol: session.protocol, suite: session.suite, guid: session.guid && device.parseGuid(session.guid) };
  }

  /** Closes the session on the BMC, whose slot is free again; the next command opens a new one. Never rejects. */
  release(options: CallOptions = {}): Promise<void> {
    return this.#link.close(false, options);
  }

  /** Closes for good: what waits is rejected with `closed`. Never rejects. */
  async close(options: CallOptions = {}): Promise<void> {
    await this.#link.close(true, options);
    this.#onClosed();
  }

  /** Any command: gives what follows completion code 0. */
  command(
    netfn: number,
    cmd: number,
    data: Uint8Array | readonly number[] = EMPTY,
    options: CommandOptions = {},
  ): Promise<Buffer> {
    const bytes = data instanceof Uint8Array ? data : Uint8Array.from(data);
    if (!(netfn >= 0 && netfn <= 0x3e && (netfn & 1) === 0 && cmd >= 0 && cmd <= 0xff)) {
      return Promise.reject(
        new IpmiError(
          'bad-argument',
          `network function ${netfn} (even, up to 62) or command ${cmd} (up to 255) cannot be sent`,
        ),
      );
    }
    return this.#link.command(netfn, cmd, bytes, options);
  }

  /** Like `command`, but any completion code is an answer. */
  async raw(netfn: number, cmd: number, data: Uint8Array | readonly number[] = EMPTY, options: CommandOptions = {}) {
    const answer = await this.command(netfn, cmd, data, { ...options, accept: ANY_CODE });
    return { completionCode: answer[0] ?? 0xff, data: answer.subarray(1) };
  }

  // --- chassis ---

  chassisStatus(options: CallOptions = {}): Promise<chassis.ChassisStatus> {
    return this.#named(chassis.chassisStatus(this.#once(options)));
  }

  /** `on`, `off`, `cycle`, `reset`, `soft` (ACPI), `diag` (NMI). Acceptance is not proof: read the status afterwards. */
  power(action: chassis.PowerAction, options: CallOptions = {}): Promise<void> {
    return this.#named(chassis.chassisControl(this.#once(options), action));
  }

  /** Blinks for 0 to 255 seconds, or until 0 with `'on'`. */
  identify(seconds: number | 'on', options: CallOptions = {}): Promise<void> {
    return this.#named(chassis.chassisIdentify(this.#once(options), seconds));
  }

  setPowerPolicy(policy: Exclude<chassis.PowerPolicy, 'unknown'>, options: CallOptions = {}): Promise<void> {
    return this.#named(chassis.setPowerPolicy(this.#once(options), policy));
  }

  restartCause(options: CallOptions = {}) {
    return this.#named(chassis.restartCause(this.#once(options)));
  }

  async bootOptions(options: CallOptions = {}): Promise<boot.BootState> {
    const ask = this.#long(options);
    return this.#named(boot.getBootOptions(ask, await this.#quirksOf(ask)));
  }

  /** Sets, and reads back; `boot-not-kept` when the BMC kept another device, `differs` for lesser lies. */
  async setBootOptions(wanted: boot.BootOptions, options: CallOptions = {}): Promise<boot.BootOutcome> {
    const ask = this.#long(options);
    return this.#named(boot.setBootOptions(ask, wanted, await this.#quirksOf(ask)));
  }

  // --- the BMC itself ---

  deviceId(options: CallOptions = {}): Promise<device.DeviceId> {
    return this.#named(device.deviceId(this.#once(options)));
  }

  systemGuid(options: CallOptions = {}): Promise<device.Guid> {
    return this.#named(device.systemGuid(this.#once(options)));
  }

  deviceGuid(options: CallOptions = {}): Promise<device.Guid> {
    return this.#named(device.deviceGuid(this.#once(options)));
  }

  resetBmc(kind: 'cold' | 'warm', options: CallOptions = {}): Promise<void> {
    return this.#named(device.resetBmc(this.#once(options), kind));
  }

  /** Suites that the BMC advertises before any session; undefined when it does not say. Bounded to two tries. */
  cipherSuites(options: CallOptions = {}): Promise<number[] | undefined> {
    return this.#link.cipherSuites(options);
  }

  lanParams(channel?: number, options: CallOptions = {}): Promise<lan.LanParams> {
    return this.#named(lan.lanParams(this.#long(options), channel));
  }

  solConfig(channel?: number, options: CallOptions = {}): Promise<lan.SolConfig> {
    return this.#named(lan.solConfig(this.#long(options), channel));
  }

  users(channel?: number, options: CallOptions = {}): Promise<users.BmcUser[]> {
    return this.#named(users.listUsers(this.#long(options), channel));
  }

  setUserName(id: number, name: string, options: CallOptions = {}): Promise<void> {
    return this.#named(users.setUserName(this.#once(options), id, name));
  }

  setUserPassword(id: number, password: string, size: 16 | 20 = 20, options: CallOptions = {}): Promise<void> {
    return this.#named(users.setUserPassword(this.#once(options), id, password, size));
  }

  testUserPassword(id: number, password: string, size: 16 | 20 = 20, options: CallOptions = {}): Promise<boolean> {
    return this.#named(users.testUserPassword(this.#once(options), id, password, size));
  }

  setUserEnabled(id: number, enabled: boolean, options: CallOptions = {}): Promise<void> {
    return this.#named(users.setUserEnabled(this.#once(options), id, enabled));
  }

  setUserAccess(
    id: number,
    privilege: number,
    messaging: boolean,
    channel?: number,
    options: CallOptions = {},
  ): Promise<void> {
    return this.#named(users.setUserAccess(this.#once(options), id, privilege, messaging, channel));
  }

  watchdog(options: CallOptions = {}): Promise<watchdog.Watchdog> {
    return this.#named(watchdog.getWatchdog(this.#once(options)));
  }

  setWatchdog(wanted: Parameters<typeof watchdog.setWatchdog>[1], options: CallOptions = {}): Promise<void> {
    return this.#named(watchdog.setWatchdog(this.#once(options), wanted));
  }

  resetWatchdog(options: CallOptions = {}): Promise<void> {
    return this.#named(watchdog.resetWatchdog(this.#once(options)));
  }

  // --- sensors, log, inventory ---

  /** The SDR repository: seconds on a real BMC. */
  sdrs(options: CallOptions = {}): Promise<sdr.SdrRecord[]> {
    return this.#pieces(options, (ask, piece) => sdr.readSdrs(ask, piece));
  }

  /** Sensors of the SDR repository; keep them for `readSensors`. */
  listSensors(options: CallOptions = {}): Promise<SensorRecord[]> {
    return this.#pieces(options, (ask, piece) => sensor.listSensors(ask, piece));
  }

  readSensors(
    sensors: readonly SensorRecord[],
    options: CallOptions & { thresholds?: boolean } = {},
  ): Promise<sensor.Sensor[]> {
    return this.#named(sensor.readSensors(this.#long(options), sensors, options.thresholds));
  }

  selInfo(options: CallOptions = {}): Promise<sel.SelInfo> {
    return this.#named(sel.selInfo(this.#once(options)));
  }

  sel(options: CallOptions & { first?: number; limit?: number } = {}): Promise<sel.SelEntry[]> {
    return this.#named(sel.readSel(this.#long(options), options.first, options.limit));
  }

  clearSel(options: CallOptions = {}): Promise<void> {
    return this.#named(sel.clearSel(this.#long(options)));
  }

  selTime(options: CallOptions = {}): Promise<Date | undefined> {
    return this.#named(sel.selTime(this.#once(options)));
  }

  setSelTime(time: Date, options: CallOptions = {}): Promise<void> {
    return this.#named(sel.setSelTime(this.#once(options), time));
  }

  async fru(device = 0, options: CallOptions = {}): Promise<fru.Fru> {
    return fru.parseFru(await this.#pieces(options, (ask, piece) => fru.readFru(ask, device, piece)));
  }

  // --- console ---

  /** Serial over LAN on this session. Give a console its own session object, so that polls do not wait behind it. */
  sol(options: SolOptions, call: CallOptions = {}): Promise<SolStream> {
    return openConsole(this.#link, this.#once(call), this.#timers, options);
  }

  // --- inside ---

  /** Errors found in an answer do not know whose it was: name the BMC. */
  async #named<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      throw error instanceof IpmiError && error.bmc === undefined ? error.at(this.#link.name, 'answer') : error;
    }
  }

  /** For calls of one exchange: each gets the caller's options as they are. */
  #once(call: CallOptions): Ask {
    return (netfn, cmd, data = EMPTY, extra) => this.command(netfn, cmd, data, extra ? { ...call, ...extra } : call);
  }

  /** For calls of many exchanges: the deadline holds for all of them together. */
  #long(call: CallOptions): Ask {
    const total = call.deadline ?? LONG_CALL_MS;
    const until = this.#timers.now() + total;
    const { signal } = call;
    return (netfn, cmd, data = EMPTY, extra) => {
      const deadline = Math.min(10_000, until - this.#timers.now());
      if (deadline <= 0)
        return Promise.reject(
          new IpmiError('timeout', `not finished in ${total} ms`).at(this.#link.name, 'many exchanges'),
        );
      return this.command(netfn, cmd, data, signal ? { ...extra, deadline, signal } : { ...extra, deadline });
    };
  }

  async #pieces<T>(options: CallOptions, read: (ask: Ask, piece: number | undefined) => Promise<T>): Promise<T> {
    const ask = this.#long(options);
    return this.#named(read(ask, (await this.#quirksOf(ask)).readBytes));
  }

  /** Asked once: who made the BMC does not change. */
  async #quirksOf(ask: Ask): Promise<Quirks> {
    if (!this.#quirks) {
      const id = await device.deviceId(ask);
      this.#quirks = quirksOf(id.manufacturer, id.product);
    }
    return this.#quirks;
  }
}

const ANY_CODE: readonly number[] = Array.from({ length: 255 }, (_, i) => i + 1);
