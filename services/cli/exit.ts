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
  /** Interrupted by Ctrl-C (143 by SIGTERM); what was started goes on in the undercloud. */
  interrupted: 130,
} as const;

const byCode: Readonly<Record<string, number>> = {
  usage: exitCodes.usage,
  'file-unreadable': exitCodes.usage,
  'file-malformed': exitCodes.usage,
  'file-referred': exitCodes.usage,
  'input-refused': exitCodes.usage,
  'image-built-without-chunks': exitCodes.usage,
  'no-cloud': exitCodes.usage,
  'cloud-invalid': exitCodes.usage,
  'cloud-unreachable': exitCodes.unreachable,
  'stack-unsettled': exitCodes.unfinished,
  'power-unchanged': exitCodes.unfinished,
};

export function exitCodeOf(status: number, code: string): number {
  const known = byCode[code];
  if (known !== undefined) return known;
  if (status === 503) return exitCodes.unreachable;
  if (status === 401 || status === 403) return exitCodes.refused;
  return exitCodes.failed;
}
