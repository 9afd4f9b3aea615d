// The BMC's watchdog timer (IPMI 2.0 chapter 27).

import { IpmiError } from '../errors.ts';
import { type Ask, atLeast, inRange } from './ask.ts';

const USES = ['none', 'bios', 'post', 'os-load', 'os', 'oem'] as const;
const ACTIONS = ['none', 'reset', 'off', 'cycle'] as const;

export interface Watchdog {
  use: (typeof USES)[number];
  action: (typeof ACTIONS)[number];
  running: boolean;
  /** Seconds, steps of 0.1. */
  initial: number;
  /** Undefined where the BMC leaves it out (proven: ipmi_sim before the timer was ever set). */
  present: number | undefined;
}

export async function getWatchdog(ask: Ask): Promise<Watchdog> {
  const data = atLeast(await ask(0x06, 0x25), 6, 'Get Watchdog Timer');
  return {
    use: USES[data[0]! & 7] ?? 'none',
    action: ACTIONS[data[1]! & 7] ?? 'none',
    running: (data[0]! & 0x40) !== 0,
    initial: data.readUInt16LE(4) / 10,
    present: data.length >= 8 ? data.readUInt16LE(6) / 10 : undefined,
  };
}

/** Sets the timer, which stops it; `resetWatchdog` starts it. `seconds` 0 to 6553.5. */
export async function setWatchdog(
  ask: Ask,
  wanted: { use: Watchdog['use']; action: Watchdog['action']; seconds: number },
): Promise<void> {
  const use = USES.indexOf(wanted.use);
  const action = ACTIONS.indexOf(wanted.action);
  if (use < 0 || action < 0)
    throw new IpmiError('bad-argument', `watchdog use ${wanted.use} or action ${wanted.action} is not known`);
  const ticks = inRange(Math.round(wanted.seconds * 10), 0, 0xffff, 'watchdog tenths of a second');
  // Last bytes: no pre-timeout, clear this use's expiry flag, the countdown.
  await ask(0x06, 0x24, [use, action, 0, use ? 1 << use : 0, ticks & 0xff, ticks >> 8]);
}

/** Starts or feeds the timer; completion code 0x80 says that it was never set. */
export async function resetWatchdog(ask: Ask): Promise<void> {
  await ask(0x06, 0x22, [], { codes: { 128: 'attempt to start an uninitialised watchdog' } });
}
