/** Failures of a BMC that are worth another try without anybody's doing: it was silent, full, or mixed its sessions up. */
import type { ErrorCode, Fault } from '../core/errors/index.ts';

const passing: ReadonlySet<ErrorCode> = new Set(['bmc-unreachable', 'bmc-sessions-full', 'bmc-foreign-session']);

export const passesByItself = (error: Pick<Fault, 'code'>): boolean => passing.has(error.code);
