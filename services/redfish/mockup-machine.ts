// What our mock-up asks of the machine behind it: state and a reset. The lab has one (services/lab/virtual-redfish-machine.ts).

export interface MockupSensor {
  readonly id: string;
  readonly name: string;
  readonly type: 'Temperature' | 'Rotational' | 'Voltage' | 'Power';
  /** Null while the machine is off. */
  readonly reading: number | null;
  readonly units: 'Cel' | '{rev}/min' | 'V' | 'W';
  readonly upperCaution?: number;
  readonly upperCritical?: number;
  readonly lowerCritical?: number;
}

export interface MockupLogEntry {
  readonly id: string;
  readonly at: Date;
  readonly severity: 'OK' | 'Warning' | 'Critical';
  readonly text: string;
  readonly messageId: string;
}

export interface MockupAccount {
  readonly id: string;
  name: string;
  password: string;
  role: 'Administrator' | 'Operator' | 'ReadOnly';
  enabled: boolean;
}

export interface MockupBoot {
  target: string;
  enabled: 'Disabled' | 'Once' | 'Continuous';
  mode: 'UEFI' | 'Legacy';
  httpUri: string | null;
}

export interface MockupMachine {
  readonly uuid: string;
  readonly serial: string;
  readonly power: 'On' | 'Off' | 'PoweringOn' | 'PoweringOff';
  readonly boot: MockupBoot;
  readonly media: Map<string, string>;
  readonly accounts: MockupAccount[];
  readonly bios: Record<string, string>;
  readonly macs: readonly string[];
  assetTag: string;
  indicator: boolean;
  restorePolicy: 'AlwaysOn' | 'AlwaysOff' | 'LastState';
  /** The BMC's clock. */
  now(): Date;
  setNow(time: Date): void;
  sensors(): readonly MockupSensor[];
  log(): readonly MockupLogEntry[];
  clearLog(): void;
  /** A ResetType that makes sense in this state. */
  reset(type: string): void;
  /** Hears when power or boot have changed. */
  onChange(listener: () => void): () => void;
}
