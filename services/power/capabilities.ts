/**
 * What a BMC may be able to do beyond power, boot device and saying who it is, one small interface for each. A driver has a
 * capability or it has not (drivers.ts is the table); a Bmc object carries exactly those of its driver, and what one lacks is
 * refused by `requireCapability` with a sentence. A machine that lacks one of its driver's (a BMC without FRU data) answers
 * with a Fault at the call.
 *
 * Every call takes an AbortSignal last and throws a Fault that names BMC and node; none ever carries a password.
 */
import { fault } from '../core/errors/index.ts';
import type { Bmc, BmcAccess } from './bmc.ts';

export type Health = 'ok' | 'warning' | 'critical' | 'absent' | 'unknown';

export const sensorKinds = ['temperature', 'voltage', 'current', 'fan', 'power', 'state', 'other'] as const;
export type SensorKind = (typeof sensorKinds)[number];

export const thresholdNames = [
  'lowerNonCritical',
  'lowerCritical',
  'lowerNonRecoverable',
  'upperNonCritical',
  'upperCritical',
  'upperNonRecoverable',
] as const;
export type ThresholdName = (typeof thresholdNames)[number];

export interface SensorReading {
  /** As the BMC names it: `CPU Temp`. */
  readonly name: string;
  readonly kind: SensorKind;
  /** In `unit`; null for sensors of states, and where there is no reading now (a machine that is off). */
  readonly value: number | null;
  /** `degrees C`, `V`, `A`, `W`, `RPM`, `%`; empty for states. */
  readonly unit: string;
  readonly health: Health;
  /** Those that the sensor has, in `unit`. */
  readonly thresholds: Readonly<Partial<Record<ThresholdName, number>>>;
  /** What is asserted now, in words: `presence detected`; of threshold sensors, the limits that are crossed. */
  readonly states: readonly string[];
}

export interface SensorReader {
  /** All sensors; seconds on a real BMC, where the list is not known yet. */
  read(signal?: AbortSignal): Promise<SensorReading[]>;
}

export interface LogEntry {
  /** The BMC's own, unique in its log. */
  readonly id: string;
  /** Null where the BMC did not know the time. */
  readonly at: Date | null;
  readonly severity: 'ok' | 'warning' | 'critical';
  /** What it is about: `Power unit`, `CPU Temp`. */
  readonly source: string;
  /** What happened: `power off`, `upper critical limit crossed: 96 degrees C`. */
  readonly text: string;
  /** As stored, for what is not understood; null where the driver gives text only. */
  readonly raw: string | null;
}

export interface EventLog {
  /** The newest `limit` entries (default 1,000), oldest first. */
  entries(options?: { readonly limit?: number }, signal?: AbortSignal): Promise<LogEntry[]>;
  clear(signal?: AbortSignal): Promise<void>;
  /** The log's clock; null while it only counts from the BMC's start. */
  time(signal?: AbortSignal): Promise<Date | null>;
  setTime(time: Date, signal?: AbortSignal): Promise<void>;
}

export const partKinds = ['chassis', 'board', 'processor', 'memory', 'disk', 'nic', 'power-supply', 'other'] as const;
export type PartKind = (typeof partKinds)[number];

export interface InventoryPart {
  readonly kind: PartKind;
  readonly name: string;
  readonly manufacturer: string | null;
  readonly model: string | null;
  readonly serial: string | null;
  readonly part: string | null;
  /** What else there is to say: `cores: 16`, `mac: 52:54:00:…`; values as the BMC writes them. */
  readonly more: Readonly<Record<string, string>>;
}

export interface HardwareInventory {
  readonly manufacturer: string | null;
  readonly model: string | null;
  readonly serial: string | null;
  readonly assetTag: string | null;
  /** In the order in which the machine's own firmware prints it; null where the BMC does not tell. */
  readonly uuid: string | null;
  readonly parts: readonly InventoryPart[];
  /** What could not be read, in sentences: a broken area does not hide the good ones. */
  readonly faults: readonly string[];
}

export interface InventoryReader {
  read(signal?: AbortSignal): Promise<HardwareInventory>;
}

export interface ConsoleOptions {
  /** Characters from the machine, in order, each once. */
  readonly onData: (data: Buffer) => void;
  /** Called once: null after `close`, else a sentence why the stream ended. */
  readonly onClose?: (reason: string | null) => void;
  /** End another console's stream first. Default false: it is then refused. */
  readonly steal?: boolean;
}

export interface ConsoleStream {
  /** Queues characters; false when 64 KiB already wait: the machine does not read. */
  write(data: Uint8Array): boolean;
  /** A serial break (the system request key); false when it cannot be sent now. */
  break(): boolean;
  /** Characters that the machine has not taken yet. */
  readonly pending: number;
  close(): Promise<void>;
}

/** The serial console, on a session of its own: polls never wait behind it. One stream a machine. */
export interface ConsoleOpener {
  open(options: ConsoleOptions, signal?: AbortSignal): Promise<ConsoleStream>;
}

export interface BmcAccount {
  readonly id: string;
  readonly name: string;
  /** Null where the BMC does not tell. */
  readonly enabled: boolean | null;
  /** `administrator`, `operator`, `user`, `callback`, `none`, or the vendor's word. */
  readonly role: string;
  /** The user that we log in as. */
  readonly own: boolean;
}

export interface CredentialKeeper {
  accounts(signal?: AbortSignal): Promise<BmcAccount[]>;
  /** Bytes of the longest password that this BMC keeps. */
  longestPassword(signal?: AbortSignal): Promise<number>;
  /** Gives our own user another password; this object goes on with the session that it has. */
  setPassword(password: string, signal?: AbortSignal): Promise<void>;
  /** Logs in as our own user with this password, on a session of its own that is closed again. False: refused. */
  proves(password: string, signal?: AbortSignal): Promise<boolean>;
}

export interface MediaSlot {
  readonly id: string;
  /** `CD`, `DVD`, `USBStick`, `Floppy`. */
  readonly types: readonly string[];
  /** What is inserted; null: nothing. */
  readonly image: string | null;
}

export interface VirtualMedia {
  slots(signal?: AbortSignal): Promise<MediaSlot[]>;
  /** Into the slot that takes a CD, unless another is named. */
  insert(image: string, slot?: string, signal?: AbortSignal): Promise<void>;
  eject(slot?: string, signal?: AbortSignal): Promise<void>;
}

export interface FirmwareVersion {
  readonly component: string;
  readonly version: string;
  /** Null where the BMC does not tell. */
  readonly updateable: boolean | null;
}

export interface FirmwareReader {
  read(signal?: AbortSignal): Promise<FirmwareVersion[]>;
}

export type IndicatorState = 'on' | 'off' | 'blinking';

/** The light that shows a person which machine is meant. */
export interface Indicator {
  /** Null where the BMC does not tell. */
  state(signal?: AbortSignal): Promise<IndicatorState | null>;
  set(state: IndicatorState, signal?: AbortSignal): Promise<void>;
}

export const powerPolicies = ['always-off', 'previous', 'always-on'] as const;
export type PowerPolicy = (typeof powerPolicies)[number];

/** What the machine does when mains power returns. */
export interface PowerPolicyKeeper {
  read(signal?: AbortSignal): Promise<PowerPolicy | null>;
  set(policy: PowerPolicy, signal?: AbortSignal): Promise<void>;
}

/** A diagnostic interrupt (NMI), at which the system writes a crash dump. */
export interface Interrupter {
  inject(signal?: AbortSignal): Promise<void>;
}

/** Restarts the BMC itself; the machine goes on. */
export interface BmcRestarter {
  restart(signal?: AbortSignal): Promise<void>;
}

export interface SuiteFacts {
  /** Cipher suites that the BMC lists before a log-in; null: it does not say. */
  readonly advertised: readonly number[] | null;
  /** Those of ours that it lets us log in with, best first. */
  readonly accepted: readonly number[];
  /** What the kept session speaks: `cipher suite 17`, `IPMI 1.5`. */
  readonly spoken: string;
}

export interface SessionFacts {
  /** What the BMC says that it has; null: it does not say. */
  readonly possible: number | null;
  /** Sessions that could be opened beside ours, at most eight. */
  readonly opened: number;
  /** It refused one more. */
  readonly refused: boolean;
  /** A session could be opened again after all of them were closed. */
  readonly freed: boolean;
}

/** What only the protocol's own client can measure, for the report card. */
export interface Prober {
  suites(signal?: AbortSignal): Promise<SuiteFacts>;
  sessions(signal?: AbortSignal): Promise<SessionFacts>;
}

/** Capabilities by the property that a Bmc carries each in. */
export interface Capabilities {
  readonly sensors: SensorReader;
  readonly eventLog: EventLog;
  readonly inventory: InventoryReader;
  readonly console: ConsoleOpener;
  readonly credentials: CredentialKeeper;
  readonly virtualMedia: VirtualMedia;
  readonly firmware: FirmwareReader;
  readonly indicator: Indicator;
  readonly powerPolicy: PowerPolicyKeeper;
  readonly interrupt: Interrupter;
  readonly restarter: BmcRestarter;
  readonly probe: Prober;
}

export type Capability = keyof Capabilities;

/** What each is called in a sentence. */
export const capabilityTitles: Readonly<Record<Capability, string>> = {
  sensors: 'sensors',
  eventLog: 'an event log',
  inventory: 'a hardware inventory',
  console: 'a serial console',
  credentials: 'users and passwords',
  virtualMedia: 'virtual media',
  firmware: 'firmware versions',
  indicator: 'an indicator light',
  powerPolicy: 'a power policy',
  interrupt: 'a diagnostic interrupt',
  restarter: 'a restart of the BMC',
  probe: 'an examination of its sessions',
};

export const capabilityNames = Object.keys(capabilityTitles) as Capability[];

/** @throws Fault `bmc-lacks` */
export function requireCapability<Name extends Capability>(
  bmc: Bmc,
  name: Name,
  access: Pick<BmcAccess, 'key' | 'name' | 'driver'>,
): Capabilities[Name] {
  const found: Partial<Capabilities>[Name] = (bmc as Partial<Capabilities>)[name];
  if (found) return found;
  const { driver } = access;
  throw fault('bmc-lacks', { driver, node: access.name ?? access.key, what: capabilityTitles[name] });
}
