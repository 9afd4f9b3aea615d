// The machine behind a virtual BMC: power that takes its time, and boot options as IPMI 2.0 section 28.13 means them. Its clock
// is a port, so that tests own it; nothing here knows of packets.

import type { Clock } from '../core/clock.ts';

/** What is booted from at a start: table 28-14's selector of parameter 5, as the flags stood when power came. */
export interface VirtualBoot {
  /** 0 to 15; 0: the firmware's own order. */
  selector: number;
  efi: boolean;
  persistent: boolean;
}

export interface ChassisDelays {
  /** Milliseconds from command to effect. */
  on: number;
  off: number;
  /** An operating system that is asked to go down. */
  soft: number;
  /** Off time of a power cycle. */
  cycle: number;
}

export interface ChassisOptions {
  clock: Clock;
  delays?: Partial<ChassisDelays>;
  /** Hears each start of the machine: power on, reset, cycle. */
  onBoot?: (boot: VirtualBoot) => void;
  onPower?: (on: boolean) => void;
  /** Asks the operating system to go down, in place of `delays.soft`. */
  onSoft?: () => void;
  /** Boot flags (parameter 5, 5 bytes) were set. */
  onFlags?: (flags: Buffer) => void;
}

/**
 * `forgets`: takes boot flags and reads back none. The others read them back: `ignores` boots by its own order, `ignores-once` does so
 * with flags that are meant for one boot, `ignores-on` when power comes and not at a reset.
 */
export const bootTruths = ['honest', 'forgets', 'ignores', 'ignores-once', 'ignores-on'] as const;
export type BootTruth = (typeof bootTruths)[number];

export type ControlOutcome = 'taken' | 'wrong-state' | 'unknown';

/** One-shot flags die this long after they were set when no Chassis Control came (parameter 3, bit 3 forbids it). */
const FLAGS_LIVE_MS = 60_000;
const KEEP_FLAGS = 0x08;

/** Boot option parameters and their lengths without the selector (table 28-14). */
const PARAMETER_BYTES: Readonly<Record<number, number>> = { 0: 1, 1: 1, 2: 1, 3: 1, 4: 2, 5: 5, 6: 9, 7: 17 };

export class VirtualChassis {
  on = false;
  /** Table 28-11: 1 chassis control, 0 unknown. */
  restartCause = 0;
  /** 0 always off, 1 previous, 2 always on. */
  policy = 0;
  identifying = false;
  bootTruth: BootTruth = 'honest';
  /** How often the machine has started, resets included. */
  starts = 0;
  lastBoot: VirtualBoot | undefined;
  readonly delays: ChassisDelays;
  readonly #clock: Clock;
  readonly #options: ChassisOptions;
  readonly #parameters = new Map<number, Buffer>();
  #flagsSetAt = 0;
  #cancel: () => void = () => {};
  #commanded = false;

  constructor(options: ChassisOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.delays = { on: 0, off: 0, soft: 0, cycle: 0, ...options.delays };
    for (const [number, bytes] of Object.entries(PARAMETER_BYTES))
      this.#parameters.set(Number(number), Buffer.alloc(bytes));
  }

  /** Chassis Control (table 28-4). The newest command wins over one that has not had its effect yet. */
  control(action: number): ControlOutcome {
    const { delays } = this;
    if (action === 0) this.#after(delays.off, () => this.#become(false));
    else if (action === 1) this.#after(delays.on, () => this.#become(true));
    else if (action === 5) {
      if (this.#options.onSoft) this.#options.onSoft();
      else this.#after(delays.soft, () => this.#become(false));
    } else if (action === 4) return this.on ? 'taken' : 'wrong-state';
    else if (action === 2 || action === 3) {
      if (!this.on) return 'wrong-state';
      if (action === 3) this.#after(delays.on, () => this.#start());
      else
        this.#after(delays.off, () => {
          this.#become(false);
          this.#after(delays.cycle, () => this.#become(true));
        });
    } else return 'unknown';
    this.#commanded = true;
    this.restartCause = 1;
    // The minute of one-shot flags begins anew with each command (table 28-14, parameter 3).
    this.#flagsSetAt = this.#clock.now();
    return 'taken';
  }

  /** Somebody pulls the plug, or presses the button: no command of ours. */
  press(on: boolean): void {
    this.#cancel();
    this.restartCause = 3;
    this.#become(on);
  }

  get commanded(): boolean {
    return this.#commanded;
  }

  /** Bytes of a boot option parameter, undefined where there is no such parameter. */
  bootParameter(number: number): Buffer | undefined {
    if (number === 5) this.#expire();
    return this.#parameters.get(number);
  }

  /** False where there is no such parameter; a short one leaves the rest as it was. */
  setBootParameter(number: number, bytes: Buffer): boolean {
    const kept = this.#parameters.get(number);
    if (!kept) return false;
    if (number === 5) {
      this.#flagsSetAt = this.#clock.now();
      if (this.bootTruth === 'forgets') return true;
    }
    kept.set(bytes.subarray(0, kept.length));
    if (number === 5) this.#options.onFlags?.(Buffer.from(kept));
    return true;
  }

  /** What a start now would boot; uses nothing up. */
  nextBoot(powerComes = !this.on): VirtualBoot {
    this.#expire();
    const flags = this.#parameters.get(5)!;
    const ignored =
      this.bootTruth === 'ignores' ||
      (this.bootTruth === 'ignores-once' && (flags[0]! & 0x40) === 0) ||
      (this.bootTruth === 'ignores-on' && powerComes);
    const valid = (flags[0]! & 0x80) !== 0 && !ignored;
    return {
      selector: valid ? (flags[1]! >> 2) & 0x0f : 0,
      efi: valid && (flags[0]! & 0x20) !== 0,
      persistent: valid && (flags[0]! & 0x40) !== 0,
    };
  }

  /** The machine was reset from within: a start like any other, which nobody commanded. */
  rebooted(): void {
    this.restartCause = 0;
    this.#note();
  }

  /** Takes a machine over as it is, with the flags that its BMC had kept. */
  adopt(on: boolean, flags: Buffer | undefined): void {
    this.on = on;
    if (flags) this.#parameters.get(5)!.set(flags.subarray(0, 5));
  }

  stop(): void {
    this.#cancel();
  }

  #after(ms: number, effect: () => void): void {
    this.#cancel();
    this.#cancel = () => {};
    if (ms <= 0) effect();
    else this.#cancel = this.#clock.after(ms, effect);
  }

  #become(on: boolean): void {
    if (this.on === on) return;
    this.on = on;
    this.#options.onPower?.(on);
    if (on) this.#start(true);
  }

  #start(powerComes = false): void {
    const boot = this.#note(powerComes);
    this.#options.onBoot?.(boot);
  }

  #note(powerComes = false): VirtualBoot {
    this.starts += 1;
    this.lastBoot = this.nextBoot(powerComes);
    const flags = this.#parameters.get(5)!;
    // One boot is what they were for.
    if (!(flags[0]! & 0x40)) flags.fill(0);
    return this.lastBoot;
  }

  #expire(): void {
    const flags = this.#parameters.get(5)!;
    const once = flags[0]! & 0x80 && !(flags[0]! & 0x40);
    const keeps = (this.#parameters.get(3)![0]! & KEEP_FLAGS) !== 0;
    if (once && !keeps && this.#clock.now() - this.#flagsSetAt > FLAGS_LIVE_MS) flags[0]! &= 0x7f;
  }
}
