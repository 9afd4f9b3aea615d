// What a row of a virtual BMC's command table is, and the answers that rows are made of.

import type { BmcReply, BmcSessionInfo } from '../ipmi/index.ts';
import type { VirtualMachine } from './virtual-bmc-machine.ts';

export type Outcome = readonly number[] | Uint8Array | BmcReply;
export type Run = (its: VirtualMachine, data: Buffer, session: BmcSessionInfo) => Outcome;

export interface Row {
  /** Least privilege: 2 user, 3 operator, 4 administrator (appendix G). */
  readonly level: 2 | 3 | 4;
  /** Least bytes of request data; fewer is completion code 0xc7. */
  readonly bytes: number;
  readonly run: Run;
}

export const code = (completionCode: number): BmcReply => ({ completionCode });
export const OUT_OF_RANGE = code(0xc9);
export const NOT_PRESENT = code(0xcb);
export const INVALID = code(0xcc);
export const WRONG_STATE = code(0xd5);
export const RESERVATION_LOST = code(0xc5);
export const TOO_LONG = code(0xca);
export const NO_PARAMETER = code(0x80);

export const word = (value: number): number[] => [value & 0xff, (value >> 8) & 0xff];
export const long = (value: number): number[] => [...word(value & 0xffff), ...word(value >>> 16)];
