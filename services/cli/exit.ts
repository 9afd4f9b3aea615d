/** Exit codes mean something; scripts rely on them. */
export const exitCodes = {
  /** Done. */
  ok: 0,
  /** It was tried and failed; the reason is on standard error. */
  failed: 1,
  /** The command line or an input file is wrong; nothing was done. */
  usage: 2,
  /** The undercloud could not be reached or is not there. */
  unreachable: 3,
  /** Refused: credentials or rights. */
  refused: 4,
  /** A plan or a wait ended without what was wanted (time-out, stale plan). */
  unfinished: 5,
  /** Interrupted by Ctrl-C; what was started goes on in the undercloud. */
  interrupted: 130,
} as const;

export function exitCodeOf(status: number, code: string): number {
  if (code === 'usage' || code === 'file-unreadable' || code === 'no-cloud') return exitCodes.usage;
  if (code === 'cloud-unreachable' || status === 503) return exitCodes.unreachable;
  if (status === 401 || status === 403) return exitCodes.refused;
  return exitCodes.failed;
}
