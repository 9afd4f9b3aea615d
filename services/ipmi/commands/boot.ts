// System boot options (IPMI 2.0 sections 28.12 to 28.14): which device the machine boots from, once or for good, and as what.

import { IpmiError } from '../errors.ts';
import type { Quirks } from '../quirks.ts';
import { type Ask, atLeast } from './ask.ts';

/** Selectors of parameter 5, byte 2, bits 5:2 (table 28-14). */
export const BOOT_DEVICES = {
  none: 0,
  pxe: 1,
  disk: 2,
  safe: 3,
  diag: 4,
  cdrom: 5,
  bios: 6,
  'remote-disk': 11,
  floppy: 15,
} as const;
export type BootDevice = keyof typeof BOOT_DEVICES;

export interface BootOptions {
  device: BootDevice;
  /** For every boot from now on, or for the next one only. Default false. */
  persistent?: boolean;
  /** UEFI boot rather than BIOS. Default false. */
  efi?: boolean;
}

export interface BootState {
  /** `unknown`: a selector of the vendor's; see `selector`. */
  device: BootDevice | 'unknown';
  selector: number;
  persistent: boolean;
  efi: boolean;
  /** Whether the BMC will act on the flags at the next boot. */
  valid: boolean;
}

/** What `setBootOptions` read back, and in what it differs from what was asked (the device never: that is an error). */
export interface BootOutcome extends BootState {
  differs: ('persistent' | 'efi' | 'valid')[];
}

const STEP = 'Get System Boot Options';
const NAMES = Object.entries(BOOT_DEVICES) as [BootDevice, number][];

/** The five bytes of parameter 5. */
export function encodeBootFlags(options: BootOptions, quirks: Pick<Quirks, 'uefiDiskSelector'> = {}): Buffer {
  const number = BOOT_DEVICES[options.device];
  if (number === undefined) {
    throw new IpmiError(
      'bad-argument',
      `boot device ${options.device} is not one of ${NAMES.map(([name]) => name).join(', ')}`,
    );
  }
  const flags = 0x80 | (options.persistent ? 0x40 : 0) | (options.efi ? 0x20 : 0);
  const selector =
    options.device === 'disk' && options.efi && quirks.uefiDiskSelector !== undefined
      ? quirks.uefiDiskSelector
      : number;
  return Buffer.of(flags, selector << 2, 0, 0, 0);
}

/** Reads the answer of Get System Boot Options for parameter 5: version, parameter, then the flags. */
export function parseBootFlags(answer: Buffer, quirks: Pick<Quirks, 'uefiDiskSelector'> = {}): BootState {
  atLeast(answer, 4, STEP);
  if ((answer[1]! & 0x7f) !== 5)
    throw new IpmiError('bad-response', `parameter ${answer[1]! & 0x7f} where 5 was asked for`, { step: STEP });
  const flags = answer[2]!;
  const selector = (answer[3]! >> 2) & 0x0f;
  const efi = (flags & 0x20) !== 0;
  const name = NAMES.find(([, number]) => number === selector)?.[0] ?? 'unknown';
  return {
    device: efi && selector === quirks.uefiDiskSelector ? 'disk' : name,
    selector,
    persistent: (flags & 0x40) !== 0,
    efi,
    valid: (flags & 0x80) !== 0,
  };
}

export async function getBootOptions(ask: Ask, quirks: Quirks): Promise<BootState> {
  return parseBootFlags(await ask(0x00, 0x09, [5, 0, 0]), quirks);
}

/**
 * Sets the boot device and reads it back. Parameter 3 first: bit 3 keeps the BMC from clearing the flags 60 s after they were set,
 * which a machine with a slow power-on would miss. Rejects with `boot-not-kept` when another device is read back.
 */
export async function setBootOptions(ask: Ask, options: BootOptions, quirks: Quirks): Promise<BootOutcome> {
  const flags = encodeBootFlags(options, quirks);
  if (!quirks.noBootTimeoutOverride) {
    // An old BMC may lack parameter 3 (completion code 0x80, or a generic one): the flags then simply expire.
    await ask(0x00, 0x08, [3, 0x08], { accept: [0x80, 0xc1, 0xc7, 0xc9, 0xcc, 0xff] });
  }
  await ask(0x00, 0x08, [5, ...flags], {
    codes: { 128: 'parameter not supported', 129: 'set already in progress', 130: 'read-only parameter' },
  });
  const kept = await getBootOptions(ask, quirks);
  const selector = (flags[1]! >> 2) & 0x0f;
  if (kept.selector !== selector && kept.device !== options.device) {
    throw new IpmiError(
      'boot-not-kept',
      `asked for ${options.device} and read back ${kept.device} (selector ${kept.selector})`,
      { step: STEP },
    );
  }
  const differs: BootOutcome['differs'] = [];
  if (kept.persistent !== (options.persistent ?? false)) differs.push('persistent');
  if (kept.efi !== (options.efi ?? false)) differs.push('efi');
  if (!kept.valid && options.device !== 'none') differs.push('valid');
  return { ...kept, differs };
}
