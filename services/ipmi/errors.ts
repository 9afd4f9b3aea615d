// Every way an exchange with a BMC can fail, in one table. The code is for programs, the sentence for people; neither ever
// carries a password or key. Sentences are made here only, so that two places cannot describe one fault differently.

/** code → what it means and what to do about it; `docs/reference/ipmi.md` lists the same table and a test compares them. */
export const IPMI_ERRORS = {
  timeout:
    'no answer within the deadline; check the address, that IPMI over LAN is enabled, and UDP port 623 on the way',
  aborted: 'the caller gave the request up',
  closed: 'the session or transport was closed while the request waited',
  'bad-argument': 'the value cannot be sent; correct it',
  unresolved: 'the host name has no address; correct it or use an IP address',
  network: 'the datagram could not be sent; check routes and the local socket',
  'bad-password': 'the BMC holds another password for this user; correct it',
  'bad-kg': 'the password is right but the BMC key K_g is not; set or clear kg',
  'unknown-user': 'the BMC has no enabled user of this name; correct the name or enable the user for IPMI over LAN',
  privilege: 'the user may not work at the requested privilege level; ask for a lower one or raise the user',
  'no-session-slots':
    'the BMC has no free session; close other consoles or wait until the BMC drops idle ones (about 60 s)',
  'suite-refused': 'the BMC accepts none of the offered cipher suites; offer others or update the BMC',
  'not-supported': 'the BMC does not know this command',
  busy: 'the BMC stayed busy until the deadline; try again later',
  'session-refused': 'the BMC ended the session set-up; try again, or reset the BMC when it persists',
  'session-lost': 'the BMC stopped answering on an open session, which was dropped; try again',
  'wrong-session': 'the BMC answered for a session that is not this one; reset the BMC when it persists',
  'bad-response': 'the answer cannot be understood; report the BMC model and firmware',
  'completion-code': 'the BMC refused the command with a completion code',
  'boot-not-kept':
    'the BMC accepted a boot device and reads back another; use a persistent boot order or update the BMC',
  uncertain: 'a command that must not run twice got no answer; read the power state before repeating it',
} as const;

export type IpmiErrorCode = keyof typeof IPMI_ERRORS;

export interface IpmiErrorFacts {
  /** Who failed, `host:port`; filled in by the transport. */
  bmc?: string;
  /** Name of the command or handshake step. */
  step?: string;
  /** IPMI completion code, 1 byte. */
  completionCode?: number;
  /** RMCP+/RAKP status code, 1 byte. */
  status?: number;
}

/** The only error this folder throws or rejects with. `message` is a whole sentence: who, step, fault, remedy. */
export class IpmiError extends Error {
  override readonly name = 'IpmiError';
  readonly code: IpmiErrorCode;
  readonly fault: string;
  readonly bmc: string | undefined;
  readonly step: string | undefined;
  readonly completionCode: number | undefined;
  readonly status: number | undefined;

  constructor(code: IpmiErrorCode, fault: string, facts: IpmiErrorFacts = {}) {
    const who = facts.bmc === undefined ? '' : `BMC ${facts.bmc}: `;
    const step = facts.step === undefined ? '' : `${facts.step}: `;
    // The table's text after its first semicolon is the remedy.
    const remedy = IPMI_ERRORS[code].split('; ').slice(1).join('; ');
    super(`${who}${step}${fault}${remedy && `; ${remedy}`}`);
    this.code = code;
    this.fault = fault;
    this.bmc = facts.bmc;
    this.step = facts.step;
    this.completionCode = facts.completionCode;
    this.status = facts.status;
  }

  /** The same fault with the BMC and step named, unless it already names them. */
  at(bmc: string, step: string): IpmiError {
    return new IpmiError(this.code, this.fault, {
      bmc: this.bmc ?? bmc,
      step: this.step ?? step,
      completionCode: this.completionCode,
      status: this.status,
    });
  }
}

/** RMCP+ and RAKP message status codes: IPMI 2.0 table 13-15. Each has its own sentence and the error code it becomes. */
export const RAKP_STATUS: Readonly<Record<number, readonly [IpmiErrorCode, string]>> = {
  1: ['no-session-slots', 'the BMC has no resources left for another session'],
  2: ['session-refused', 'the BMC does not know the session id it was sent'],
  3: ['suite-refused', 'the BMC refuses the payload type'],
  4: ['suite-refused', 'the BMC refuses the authentication algorithm'],
  5: ['suite-refused', 'the BMC refuses the integrity algorithm'],
  6: ['suite-refused', 'the BMC offers no matching authentication payload'],
  7: ['suite-refused', 'the BMC offers no matching integrity payload'],
  8: ['session-refused', 'the BMC calls the session id inactive'],
  9: ['privilege', 'the BMC does not know the requested role'],
  10: ['privilege', 'the BMC does not let this user have the requested role'],
  11: ['no-session-slots', 'the BMC has no resources left for a session in the requested role'],
  12: ['unknown-user', 'the BMC refuses the length of the user name'],
  13: ['unknown-user', 'the BMC does not know the user'],
  14: ['session-refused', 'the BMC refuses the GUID of the session'],
  15: ['bad-password', 'the BMC found the integrity check of our proof wrong'],
  16: ['suite-refused', 'the BMC refuses the confidentiality algorithm'],
  17: ['suite-refused', 'the BMC knows no cipher suite with these algorithms'],
  18: ['session-refused', 'the BMC found an illegal or unrecognised parameter'],
};

/** Error for a non-zero status of Open Session, RAKP 2 or RAKP 4. `step` names the message that was answered, `user` who asked. */
export function statusError(status: number, step: string, user?: string): IpmiError {
  const known = RAKP_STATUS[status];
  const code = `0x${status.toString(16).padStart(2, '0')}`;
  const hex = user === undefined ? code : `${code}, user '${user}'`;
  // OpenIPMI's ipmi_sim answers 0x12 in RAKP 2 where the role is above the user's (proven against 2.0.33), where the table says 0x0a.
  if (status === 0x12 && step === 'RAKP 1') {
    return new IpmiError('privilege', `the BMC does not let this user have the requested role (status ${hex})`, {
      step,
      status,
    });
  }
  if (known) return new IpmiError(known[0], `${known[1]} (status ${hex})`, { step, status });
  return new IpmiError('session-refused', `the BMC answered with the unknown status ${hex}`, { step, status });
}

/** Generic completion codes: IPMI 2.0 table 5-2. */
export const COMPLETION_CODES: Readonly<Record<number, string>> = {
  192: 'node busy',
  193: 'invalid command',
  194: 'command invalid for the given LUN',
  195: 'timeout while processing the command',
  196: 'out of space',
  197: 'reservation cancelled or invalid',
  198: 'request data truncated',
  199: 'request data length invalid',
  200: 'request data field length limit exceeded',
  201: 'parameter out of range',
  202: 'cannot return the number of requested data bytes',
  203: 'requested sensor, data or record not present',
  204: 'invalid data field in request',
  205: 'command illegal for the specified sensor or record type',
  206: 'response could not be provided',
  207: 'duplicated request',
  208: 'SDR repository in update mode',
  209: 'device in firmware update mode',
  210: 'BMC initialisation in progress',
  211: 'destination unavailable',
  212: 'insufficient privilege level',
  213: 'command not supported in the present state',
  214: 'sub-function disabled or unavailable',
  255: 'unspecified error',
};

/** Error for a completion code other than 0. `own` are the command's own codes (0x80 to 0xbe), from its paragraph. */
export function completionError(cc: number, step: string, own?: Readonly<Record<number, string>>): IpmiError {
  const hex = `0x${cc.toString(16).padStart(2, '0')}`;
  const text = own?.[cc] ?? COMPLETION_CODES[cc] ?? (cc <= 0x7e ? 'a code of the vendor' : 'a code of this command');
  const code: IpmiErrorCode =
    cc === 0xd4 ? 'privilege' : cc === 0xc1 ? 'not-supported' : cc === 0xc0 ? 'busy' : 'completion-code';
  return new IpmiError(code, `the BMC answered ${text} (completion code ${hex})`, { step, completionCode: cc });
}
