/** The clock before TLS: a machine whose battery is empty wakes in 2001 and would trust no certificate. */
import { runTool } from './tool.ts';

/** Seconds that the boot itself took since the script was written are no skew worth a correction. */
export const TOLERATED_SECONDS = 2;

/** Seconds by which this machine is ahead of `time` (seconds since 1970); negative is behind. */
export function clockSkew(time: number, nowMs: number): number {
  return Math.round(nowMs / 1000 - time);
}

/**
 * Sets the clock forwards only: going back would make files and logs of this session older than their cause, and a clock that
 * is ahead still lies within the CA's validity. Answers the skew that was found.
 */
export async function setClockForwards(time: number, log: (line: string) => void): Promise<number> {
  const skew = clockSkew(time, Date.now());
  if (skew >= -TOLERATED_SECONDS) return skew;
  try {
    await runTool('date', ['-u', '-s', `@${time}`]);
    log(`the clock was ${-skew} s behind and has been set forwards`);
  } catch (error) {
    log(
      `the clock is ${-skew} s behind and could not be set: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  return skew;
}
