// Chassis commands (IPMI 2.0 chapter 28) without the boot options, which have their own file.

import { IpmiError } from '../errors.ts';
import { type Ask, atLeast, inRange } from './ask.ts';

export type PowerPolicy = 'always-off' | 'previous' | 'always-on' | 'unknown';
const POLICIES: readonly PowerPolicy[] = ['always-off', 'previous', 'always-on', 'unknown'];

export interface ChassisStatus {
  power: 'on' | 'off';
  overload: boolean;
  interlock: boolean;
  powerFault: boolean;
  controlFault: boolean;
  policy: PowerPolicy;
  /** Why power last changed; empty when the BMC does not say. */
  lastEvents: ('ac-failed' | 'overload' | 'interlock' | 'fault' | 'command')[];
  intrusion: boolean;
  frontPanelLockout: boolean;
  driveFault: boolean;
  fanFault: boolean;
  identify: 'off' | 'timed' | 'on' | 'unknown';
}

const EVENTS = ['ac-failed', 'overload', 'interlock', 'fault', 'command'] as const;

/** Section 28.2, table 28-3. Reads 3 bytes; the fourth (front panel buttons) is not needed. */
export function parseChassisStatus(data: Buffer): ChassisStatus {
  const [power, last, misc] = atLeast(data, 3, 'Get Chassis Status') as unknown as [number, number, number];
  const identify = (misc >> 4) & 3;
  return {
    power: power & 1 ? 'on' : 'off',
    overload: (power & 0x02) !== 0,
    interlock: (power & 0x04) !== 0,
    powerFault: (power & 0x08) !== 0,
    controlFault: (power & 0x10) !== 0,
    policy: POLICIES[(power >> 5) & 3]!,
    lastEvents: EVENTS.filter((_, bit) => last & (1 << bit)),
    intrusion: (misc & 0x01) !== 0,
    frontPanelLockout: (misc & 0x02) !== 0,
    driveFault: (misc & 0x04) !== 0,
    fanFault: (misc & 0x08) !== 0,
    identify:
      (misc & 0x40) === 0
        ? 'unknown'
        : identify === 0
          ? 'off'
          : identify === 1
            ? 'timed'
            : identify === 2
              ? 'on'
              : 'unknown',
  };
}

const EMPTY = new Uint8Array(0);

export async function chassisStatus(ask: Ask): Promise<ChassisStatus> {
  return parseChassisStatus(await ask(0x00, 0x01, EMPTY));
}

/** Power actions: the number of table 28-4, and whether doing it twice harms. */
const ACTIONS = {
  off: [0, false],
  on: [1, false],
  cycle: [2, true],
  reset: [3, true],
  diag: [4, true],
  soft: [5, false],
} as const;

export type PowerAction = keyof typeof ACTIONS;
export const POWER_ACTIONS = Object.keys(ACTIONS) as PowerAction[];

/** Chassis Control (section 28.3). `on` and `off` order a state; the BMC's acceptance does not prove it: read the status afterwards. */
export async function chassisControl(ask: Ask, action: PowerAction): Promise<void> {
  const row = ACTIONS[action];
  if (!row) throw new IpmiError('bad-argument', `power action ${action} is not one of ${POWER_ACTIONS.join(', ')}`);
  await ask(0x00, 0x02, [row[0]], { once: row[1] });
}

/** Chassis Identify (section 28.5): blinks for 0 to 255 s (0 stops it), or until stopped with 'on'. */
export async function chassisIdentify(ask: Ask, seconds: number | 'on'): Promise<void> {
  if (seconds === 'on') await ask(0x00, 0x04, [0, 1]);
  else await ask(0x00, 0x04, [inRange(seconds, 0, 255, 'identify seconds')]);
}

/** Set Power Restore Policy (section 28.8). */
export async function setPowerPolicy(ask: Ask, policy: Exclude<PowerPolicy, 'unknown'>): Promise<void> {
  const number = POLICIES.indexOf(policy);
  if (number < 0 || number > 2)
    throw new IpmiError('bad-argument', `power policy ${policy} is not one of ${POLICIES.slice(0, 3).join(', ')}`);
  await ask(0x00, 0x06, [number]);
}

const RESTART_CAUSES = [
  'unknown',
  'chassis-control',
  'reset-button',
  'power-button',
  'watchdog',
  'oem',
  'always-restore',
  'previous-restore',
  'pef-reset',
  'pef-cycle',
  'soft-reset',
  'rtc',
] as const;

/** Get System Restart Cause (section 28.11). */
export async function restartCause(ask: Ask): Promise<(typeof RESTART_CAUSES)[number]> {
  const data = atLeast(await ask(0x00, 0x07, EMPTY), 1, 'Get System Restart Cause');
  return RESTART_CAUSES[data[0]! & 0x0f] ?? 'unknown';
}
