/**
 * What the appliance wants of a baseboard management controller, whatever it speaks. Power, boot device and information are what
 * every driver has; the rest are capabilities (capabilities.ts) that a driver has or has not. Adapters are `ipmi.ts`, `redfish.ts`
 * and `fake.ts`, and conformance.ts is what all of them keep.
 *
 * No function here waits for a machine to change: `setPower` returns when the BMC has taken the command, and whoever
 * wants the state looks again with `power` (an operation's step does so by its recheck). Every function throws a Fault
 * whose sentence names the BMC and the node.
 */
import type { Capabilities } from './capabilities.ts';

export type PowerState = 'on' | 'off';

/** `reboot` is a hard reset of a running machine, or power on; `soft reboot` asks the system to go down and is refused where a
 *  BMC has no such command. */
export type PowerTarget = 'on' | 'off' | 'soft off' | 'reboot' | 'soft reboot';

export const bootDeviceNames = ['pxe', 'disk', 'cdrom', 'bios', 'safe'] as const;
export type BootDeviceName = (typeof bootDeviceNames)[number];

export interface BootDevice {
  readonly device: BootDeviceName;
  /** For every boot, not only the next one. */
  readonly persistent: boolean;
  /** Boot by UEFI; false is legacy BIOS. */
  readonly efi: boolean;
}

export interface BmcInfo {
  /** What the BMC says it is, in words: `IPMI 2.0, manufacturer 343, product 0x0051`. */
  readonly description: string;
  /** As the BMC writes it. */
  readonly firmware: string | null;
  readonly manufacturerId: number | null;
  readonly productId: number | null;
  /** Vendor and model of the BMC or, where it tells only that, of the machine: with the firmware they name its report card. */
  readonly vendor: string | null;
  readonly model: string | null;
  /** IPMI: what its log-in agreed on, to be tried first the next time. */
  readonly spoken?: { readonly suite: number } | { readonly lan15: true };
}

export interface PowerControl {
  power(signal?: AbortSignal): Promise<PowerState>;
  setPower(target: PowerTarget, signal?: AbortSignal): Promise<void>;
}

export interface BootControl {
  /** Null when the machine boots by its own order. */
  bootDevice(signal?: AbortSignal): Promise<BootDevice | null>;
  /** Sets and reads back. @throws Fault `bmc-boot-device-not-kept` */
  setBootDevice(wanted: BootDevice, signal?: AbortSignal): Promise<void>;
  /** Back to the machine's own order, where the driver can say so. */
  clearBootDevice?(signal?: AbortSignal): Promise<void>;
}

export interface Bmc extends PowerControl, BootControl, Partial<Capabilities> {
  info(signal?: AbortSignal): Promise<BmcInfo>;
}

export type BmcDriver = 'ipmi' | 'redfish' | 'fake';

export interface BmcAccess {
  /** The node's uuid: events carry it as subject and the session is kept under it. */
  readonly key: string;
  /** What people call the node, in sentences; default: the key. */
  readonly name?: string;
  readonly driver: BmcDriver;
  readonly address: string;
  /** 623 where IPMI's is meant; Redfish's is in its address, and this is for sentences. */
  readonly port: number;
  readonly username: string;
  readonly password: string;
  /** Driver's own settings: `cipherSuite`, `privilege`, `kg` for IPMI; `systemId`, `verifyCa`, `authType` for Redfish; `delayMs`, `failing` for
   *  the fake. */
  readonly options: Readonly<Record<string, string | number | boolean>>;
}
