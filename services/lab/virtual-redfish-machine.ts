// The machine behind a virtual Redfish BMC: power that takes its time, boot as its override says, media, log and sensors. Its clock is
// a port; nothing here knows of HTTP.
import type { Clock } from '../core/clock.ts';
import type { MockupAccount, MockupBoot, MockupLogEntry, MockupMachine, MockupSensor } from '../redfish/index.ts';

export interface VirtualRedfishOptions {
  clock: Clock;
  serial: string;
  uuid: string;
  /** Milliseconds from a reset to its effect. */
  delays?: Partial<{ on: number; off: number; soft: number }>;
  macs?: readonly string[];
  accounts?: readonly { name: string; password: string; role: MockupAccount['role'] }[];
  /** Reads the override and boots by its own order all the same. */
  ignoresBoot?: () => boolean;
}

/** What was booted from at a start; null: the firmware's own order. */
export interface VirtualRedfishBoot {
  readonly target: string | null;
  readonly mode: 'UEFI' | 'Legacy';
}

const mostEntries = 512;

export class VirtualRedfishMachine implements MockupMachine {
  readonly uuid: string;
  readonly serial: string;
  readonly macs: readonly string[];
  readonly boot: MockupBoot = { target: 'None', enabled: 'Disabled', mode: 'UEFI', httpUri: null };
  readonly media = new Map<string, string>();
  readonly accounts: MockupAccount[];
  readonly bios: Record<string, string> = {
    BootMode: 'Uefi',
    OneTimeBootMode: 'Disabled',
    OneTimeUefiBootSeqDev: '',
    OneTimeBootSeqDev: '',
    SetBootOrderEn: 'NIC.PxeDevice.1-1,NIC.HttpDevice.1-1,Optical.iDRACVirtual.1-1,RAID.SL.5-2',
  };
  assetTag = '';
  indicator = false;
  restorePolicy: MockupMachine['restorePolicy'] = 'LastState';
  /** How often it has started, resets included. */
  starts = 0;
  lastBoot: VirtualRedfishBoot | null = null;
  readonly delays: { on: number; off: number; soft: number };
  #power: MockupMachine['power'] = 'Off';
  #skew = 0;
  #entries: MockupLogEntry[] = [];
  #nextEntry = 1;
  #cancel: () => void = () => {};
  readonly #clock: Clock;
  readonly #ignores: () => boolean;
  readonly #listeners = new Set<() => void>();

  constructor(options: VirtualRedfishOptions) {
    this.#clock = options.clock;
    this.uuid = options.uuid;
    this.serial = options.serial;
    this.macs = options.macs ?? ['52:54:00:aa:00:01', '52:54:00:aa:00:02'];
    this.delays = { on: 0, off: 0, soft: 0, ...options.delays };
    this.#ignores = options.ignoresBoot ?? (() => false);
    const accounts = options.accounts ?? [{ name: 'admin', password: 'secret-1', role: 'Administrator' }];
    this.accounts = accounts.map((account, place) => ({ id: String(place + 1), enabled: true, ...account }));
  }

  get power(): MockupMachine['power'] {
    return this.#power;
  }

  now(): Date {
    return new Date(this.#clock.now() + this.#skew);
  }

  setNow(time: Date): void {
    this.#skew = time.getTime() - this.#clock.now();
  }

  sensors(): readonly MockupSensor[] {
    const on = this.#power === 'On';
    return [
      {
        id: 'CPU1Temp',
        name: 'CPU1 Temp',
        type: 'Temperature',
        units: 'Cel',
        reading: on ? 44 : null,
        upperCaution: 85,
        upperCritical: 95,
      },
      {
        id: 'InletTemp',
        name: 'Inlet Temp',
        type: 'Temperature',
        units: 'Cel',
        reading: 22,
        upperCaution: 38,
        upperCritical: 42,
      },
      {
        id: 'Fan1',
        name: 'Fan 1',
        type: 'Rotational',
        units: '{rev}/min',
        reading: on ? 5_880 : 0,
        lowerCritical: 600,
      },
      { id: 'P12V', name: '12V', type: 'Voltage', units: 'V', reading: on ? 12.06 : null },
      { id: 'SystemPower', name: 'System Power', type: 'Power', units: 'W', reading: on ? 212 : 9 },
    ];
  }

  log(): readonly MockupLogEntry[] {
    return this.#entries;
  }

  clearLog(): void {
    this.#entries = [];
  }

  note(text: string, severity: MockupLogEntry['severity'] = 'OK', messageId = 'Event.1.0.Power'): void {
    this.#entries.push({ id: String(this.#nextEntry++), at: this.now(), severity, text, messageId });
    if (this.#entries.length > mostEntries) this.#entries.shift();
  }

  reset(type: string): void {
    const { on, off, soft } = this.delays;
    const running = this.#power !== 'Off';
    if (type === 'On' || type === 'ForceOn') {
      if (!running) this.#move('PoweringOn', on, () => this.#start());
    } else if (type === 'ForceOff') {
      if (running) this.#move('PoweringOff', off, () => this.#become('Off'));
    } else if (type === 'GracefulShutdown') {
      if (running) this.#move('PoweringOff', soft, () => this.#become('Off'));
    } else if (type === 'PushPowerButton') this.reset(running ? 'GracefulShutdown' : 'On');
    else if (type === 'Nmi') this.note('A diagnostic interrupt was sent.', 'Warning');
    else if (running) this.#move(this.#power, off, () => this.#start());
  }

  /** Somebody presses the button, or pulls the plug: no command of ours. */
  press(on: boolean): void {
    this.#cancel();
    if (on) this.#start();
    else this.#become('Off');
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  stop(): void {
    this.#cancel();
  }

  #move(through: MockupMachine['power'], ms: number, effect: () => void): void {
    this.#cancel();
    this.#cancel = () => {};
    if (ms <= 0) {
      effect();
      return;
    }
    this.#become(through);
    this.#cancel = this.#clock.after(ms, effect);
  }

  #become(power: MockupMachine['power']): void {
    if (this.#power === power) return;
    this.#power = power;
    if (power === 'On' || power === 'Off') this.note(`The system was powered ${power === 'On' ? 'on' : 'off'}.`);
    for (const listener of this.#listeners) listener();
  }

  #start(): void {
    this.starts += 1;
    const { boot, bios } = this;
    const override = boot.enabled !== 'Disabled' && !this.#ignores() ? boot.target : null;
    const once =
      bios.OneTimeBootMode === 'OneTimeUefiBootSeq'
        ? bios.OneTimeUefiBootSeqDev
        : bios.OneTimeBootMode === 'OneTimeBootSeq'
          ? bios.OneTimeBootSeqDev
          : null;
    this.lastBoot = { target: once ? `Bios:${once}` : override, mode: boot.mode };
    if (once) bios.OneTimeBootMode = 'Disabled';
    // One boot is what it was for.
    if (boot.enabled === 'Once') Object.assign(boot, { enabled: 'Disabled', target: 'None' });
    this.#become('On');
  }
}
