// How a command file talks to its BMC: one function, so that the files stay free of sessions and sockets.

import { IpmiError } from '../errors.ts';

export interface AskOptions {
  lun?: number;
  once?: boolean;
  accept?: readonly number[];
  codes?: Readonly<Record<number, string>>;
}

/** Sends a command and gives what follows the completion code (or, with `accept`, the code and what follows). Rejects with IpmiError. */
export type Ask = (
  netfn: number,
  cmd: number,
  data?: readonly number[] | Uint8Array,
  options?: AskOptions,
) => Promise<Buffer>;

/** The answer if it has at least `bytes` bytes; a short one is `bad-response`, never a crash. */
export function atLeast(answer: Buffer, bytes: number, step: string): Buffer {
  if (answer.length >= bytes) return answer;
  throw new IpmiError('bad-response', `${answer.length} bytes of answer where ${bytes} are needed`, { step });
}

/** Text of a fixed field: up to the first zero byte, without trailing blanks. */
export function text(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return Buffer.from(end < 0 ? bytes : bytes.subarray(0, end))
    .toString('latin1')
    .trimEnd();
}

export function inRange(value: number, low: number, high: number, what: string): number {
  if (Number.isInteger(value) && value >= low && value <= high) return value;
  throw new IpmiError('bad-argument', `${what} ${value} is not a whole number from ${low} to ${high}`);
}

/** IPMI times are seconds since 1970; up to 0x20000000 they count from the BMC's own start, 0xffffffff is "unknown" (section 37.1). */
export function ipmiTime(seconds: number): Date | undefined {
  return seconds === 0xffffffff || seconds <= 0x20000000 ? undefined : new Date(seconds * 1000);
}
