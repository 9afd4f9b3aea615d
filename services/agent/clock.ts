/** The clock before TLS: a machine whose battery is empty wakes in 2001 and would trust no certificate. */
import { readFile } from 'node:fs/promises';
import { reasonOf } from './failure.ts';
import { runTool } from './tool.ts';

/** Init sets the clock to the script's time without the seconds since; less than a minute is no skew worth a correction. */
const TOLERATED_SECONDS = 60;

/** Seconds by which a clock is ahead of `time` (seconds since 1970), taken `uptime` seconds after that; negative is behind. */
export function clockSkew(time: number, clock: number, uptime = 0): number {
  return Math.round(clock - uptime - time);
}

async function number(file: string): Promise<number> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return Number.parseFloat(text);
}

/**
 * Sets the clock forwards only: going back would make files and logs of this session older than their cause, and a clock that
 * is ahead still lies within the CA's validity. Answers the skew of the battery-backed clock, which is the machine's own fault
 * and stays as it is when the system's clock is set (the ramdisk's init may have done that already).
 */
export async function setClockForwards(time: number, log: (line: string) => void): Promise<number> {
  // The boot script was written just before this kernel was loaded.
  const uptime = (await number('/proc/uptime')) || 0;
  const hardware = await number('/sys/class/rtc/rtc0/since_epoch');
  const now = Date.now() / 1000;
  const skew = clockSkew(time, Number.isFinite(hardware) ? hardware : now, uptime);
  const behind = -clockSkew(time, now, uptime);
  if (behind <= TOLERATED_SECONDS) return skew;
  try {
    await runTool('date', ['-u', '-s', `@${Math.round(time + uptime)}`]);
    log(`the clock was ${behind} s behind and has been set forwards`);
  } catch (error) {
    log(`the clock is ${behind} s behind and could not be set: ${reasonOf(error)}`);
  }
  return skew;
}
