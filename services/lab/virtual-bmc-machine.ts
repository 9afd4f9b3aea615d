// All that one virtual BMC holds: its machine, users, records and log. No packets here; `virtual-bmc-commands.ts` reads and
// changes it, and whoever simulates moves it directly.

import type { Clock } from '../core/clock.ts';
import { PRIVILEGE } from '../ipmi/index.ts';
import { type ChassisOptions, VirtualChassis } from './virtual-bmc-chassis.ts';
import { VirtualConsole, type VirtualConsoleOptions } from './virtual-bmc-console.ts';
import { fruBytes, sdrRecords, selRecord, standardSensors, type VirtualSensor } from './virtual-bmc-records.ts';

export interface VirtualUser {
  name: string;
  /** At most 20 bytes. */
  password: string;
  /** 1 callback to 4 administrator; 15: none. */
  privilege: number;
  enabled: boolean;
  /** May log in over the LAN. */
  messaging: boolean;
}

export interface VirtualModel {
  name: string;
  /** IANA enterprise number. */
  manufacturer: number;
  manufacturerName: string;
  product: number;
  /** Major, and minor as two decimal digits. */
  firmware: readonly [number, number];
}

export const standardModel: VirtualModel = {
  name: 'Virtual BMC',
  manufacturer: 0xfffe,
  manufacturerName: 'Undercloud',
  product: 1,
  firmware: [1, 0],
};

export interface MachineOptions {
  clock: Clock;
  /** 16 bytes. */
  guid: Buffer;
  port: number;
  address: string;
  serial: string;
  suites: readonly number[];
  mostSessions: number;
  openSessions: () => number;
  model?: Partial<VirtualModel>;
  chassis?: Omit<ChassisOptions, 'clock'>;
  console: Omit<VirtualConsoleOptions, 'clock'>;
  /** The largest SDR or FRU piece that is given at once. */
  mostReadBytes?: number;
}

const MOST_LOG_ENTRIES = 512;
const MOST_USERS = 8;

export class VirtualMachine {
  readonly chassis: VirtualChassis;
  readonly console: VirtualConsole;
  readonly model: VirtualModel;
  readonly guid: Buffer;
  readonly port: number;
  readonly mostSessions: number;
  readonly mostReadBytes: number;
  readonly openSessions: () => number;
  /** By id; place 0 is none, and 1 the nameless user. */
  readonly users: (VirtualUser | undefined)[] = [undefined];
  sensors: VirtualSensor[] = standardSensors();
  readonly sel = { entries: [] as Buffer[], added: 0, erased: 0 };
  readonly watchdog = { set: false, running: false, use: 0, action: 0, initial: 0 };
  readonly solParameters: Map<number, Buffer>;
  /** Hears Cold Reset and Warm Reset. */
  onReset: () => void = () => {};
  /** Seconds that the BMC's clock is ahead. */
  skew = 0;
  readonly #clock: Clock;
  readonly #options: MachineOptions;
  readonly #startedAt: number;
  readonly #reservations = { sdr: 0, sel: 0 };
  #nextEntry = 1;
  #sdrs: Buffer[] | undefined;
  #fru: Buffer | undefined;

  constructor(options: MachineOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#startedAt = options.clock.now();
    this.model = { ...standardModel, ...options.model };
    this.guid = options.guid;
    this.port = options.port;
    this.mostSessions = options.mostSessions;
    this.mostReadBytes = options.mostReadBytes ?? 128;
    this.openSessions = options.openSessions;
    const { onPower } = options.chassis ?? {};
    this.chassis = new VirtualChassis({
      ...options.chassis,
      clock: options.clock,
      onPower: (on) => {
        // Sensor type 0x09 power unit, offset 0: power off, 1 in event type 0x6f; deasserted when it comes back.
        const event = { sensorType: 0x09, sensor: 0, type: on ? 0xef : 0x6f, data: [0, 0xff, 0xff] as const };
        this.log((id, at) => selRecord(id, at, event));
        onPower?.(on);
      },
    });
    this.console = new VirtualConsole({ ...options.console, clock: options.clock });
    for (let id = 1; id <= MOST_USERS; id++)
      this.users.push({ name: '', password: '', privilege: 15, enabled: false, messaging: false });
    // Table 26-5: set in progress, enable, authentication, accumulate, retry, bit rates (115,200), channel, port.
    this.solParameters = new Map<number, Buffer>([
      [0, Buffer.of(0)],
      [1, Buffer.of(1)],
      [2, Buffer.of(0x80 | PRIVILEGE.user)],
      [3, Buffer.of(4, 50)],
      [4, Buffer.of(7, 50)],
      [5, Buffer.of(10)],
      [6, Buffer.of(10)],
      [7, Buffer.of(1)],
      [8, Buffer.of(options.port & 0xff, options.port >> 8)],
    ]);
  }

  /** Records are made when first read: most of a thousand BMCs are never asked. */
  get sdrs(): readonly Buffer[] {
    this.#sdrs ??= sdrRecords(this.sensors, this.model.name);
    return this.#sdrs;
  }

  get fru(): Buffer {
    const { manufacturerName: manufacturer, name: product } = this.model;
    this.#fru ??= fruBytes({ manufacturer, product, serial: this.#options.serial, part: 'VBMC-1' });
    return this.#fru;
  }

  /** Adds or replaces the user of an id (2 and up are for people). */
  setUser(id: number, user: { name: string; password: string; privilege: keyof typeof PRIVILEGE }): void {
    const { name, password } = user;
    this.users[id] = { name, password, privilege: PRIVILEGE[user.privilege], enabled: true, messaging: true };
  }

  deviceId(): number[] {
    const { manufacturer, product, firmware } = this.model;
    const [major, minor] = firmware;
    const bcd = (Math.floor(minor / 10) << 4) | (minor % 10);
    // Provides SDRs; chassis, FRU, SEL, SDR and sensor device (table 20-2).
    const ids = [manufacturer & 0xff, (manufacturer >> 8) & 0xff, manufacturer >> 16, product & 0xff, product >> 8];
    return [0x20, 0x81, major & 0x7f, bcd, 0x02, 0x8f, ...ids, 0, 0, 0, 0];
  }

  /** The BMC's clock, seconds since 1970. */
  seconds(): number {
    return Math.floor(this.#clock.now() / 1000) + this.skew;
  }

  setSeconds(seconds: number): void {
    this.skew = seconds - Math.floor(this.#clock.now() / 1000);
  }

  upSeconds(): number {
    return Math.floor((this.#clock.now() - this.#startedAt) / 1000);
  }

  reserve(what: 'sdr' | 'sel'): number {
    this.#reservations[what] = (this.#reservations[what] % 0xffff) + 1;
    return this.#reservations[what];
  }

  reserved(what: 'sdr' | 'sel', reservation: number): boolean {
    return this.#reservations[what] === reservation;
  }

  /** Adds an entry and gives its id; the oldest gives way. */
  log(make: (id: number, at: number) => Buffer): number {
    const id = this.#nextEntry;
    this.#nextEntry = (this.#nextEntry % 0xfffe) + 1;
    this.sel.entries.push(make(id, this.seconds()));
    if (this.sel.entries.length > MOST_LOG_ENTRIES) this.sel.entries.shift();
    this.sel.added = this.seconds();
    this.reserve('sel');
    return id;
  }

  clearLog(): void {
    this.sel.entries.length = 0;
    this.sel.erased = this.seconds();
  }

  /** LAN configuration (table 23-4), undefined where there is no such parameter. */
  lanParameter(number: number): readonly number[] | undefined {
    const { address, suites } = this.#options;
    const ip = address.split('.').map(Number);
    const address4 = ip.length === 4 ? ip : [0, 0, 0, 0];
    const rows: Readonly<Record<number, readonly number[]>> = {
      0: [0],
      1: [0],
      2: [0, 0, 0, 0, 0],
      3: address4,
      4: [1],
      5: [0x02, 0, ...address4],
      6: [255, 0, 0, 0],
      12: [0, 0, 0, 0],
      13: [0, 0, 0, 0, 0, 0],
      20: [0, 0],
      22: [suites.length],
      23: [0, ...Array.from({ length: 16 }, (_, place) => suites[place] ?? 0)],
      24: [0, ...suites.map(() => 0x44), ...Array<number>(Math.max(0, 8 - suites.length)).fill(0)].slice(0, 9),
    };
    return rows[number];
  }
}
