// Every way an exchange with a Redfish service can fail, in one table. The code is for programs, the sentence for people; neither
// ever carries a password or token. `docs/reference/redfish.md` lists the same table and a test compares them.

/** code → what it means and what to do about it. */
export const REDFISH_ERRORS = {
  timeout: 'no answer within the deadline; check the address, and TCP port 443 on the way',
  unresolved: 'the host name has no address; correct it or use an IP address',
  network: 'the connection failed; check the address, routes, and that the BMC’s web server is enabled',
  certificate:
    'the certificate of the BMC is not trusted; name the CA file in redfish_verify_ca, or set it to False to trust any',
  'not-redfish': 'what answers is no Redfish service; check address and port, and that Redfish is enabled on the BMC',
  credentials: 'the BMC refuses the user name or password; correct them',
  'password-expired': 'the BMC lets the user do nothing but change the password; change it there first',
  privilege: 'the user may not do this; give it the role Administrator on the BMC',
  'system-unknown': 'the BMC has no such system; set redfish_system_id to one of those it has',
  'not-supported': 'the BMC does not offer this; update its firmware or do without',
  'action-not-allowed': 'the BMC does not allow this power action; use one that it allows',
  'boot-not-kept': 'the BMC accepted a boot device and reads back another; set the boot order or update the BMC',
  'media-refused': 'the BMC did not take the image; check that it can reach the URL, and its virtual media licence',
  busy: 'the BMC stayed busy until the deadline; try again later',
  precondition: 'the BMC refused every form of the resource’s ETag; update the BMC',
  'task-failed': 'the BMC began the task and failed; look into its event log',
  refused: 'the BMC refused the request; the reason is its own',
  'bad-response': 'the answer cannot be understood; report the BMC model and firmware',
  'bad-argument': 'the value cannot be sent; correct it',
  uncertain: 'a command that must not run twice got no answer; read the power state before repeating it',
  aborted: 'the caller gave the request up',
  closed: 'the session was closed while the request waited',
} as const;

export type RedfishErrorCode = keyof typeof REDFISH_ERRORS;

export interface RedfishErrorFacts {
  /** `host:port`. */
  readonly bmc?: string;
  /** What was being done: `read the power state`. */
  readonly step?: string;
  readonly status?: number;
  /** MessageIds of the answer, as the BMC writes them. */
  readonly messageIds?: readonly string[];
  /** Names that would have been right: systems, reset types. */
  readonly known?: readonly string[];
}

/** The only error this folder throws or rejects with. `message` is a whole sentence: who, step, fault, remedy. */
export class RedfishError extends Error {
  override readonly name = 'RedfishError';
  readonly code: RedfishErrorCode;
  /** The fault alone, without who, step and remedy. */
  readonly fault: string;
  readonly bmc: string | undefined;
  readonly step: string | undefined;
  readonly status: number | undefined;
  readonly messageIds: readonly string[];
  readonly known: readonly string[];

  constructor(code: RedfishErrorCode, fault: string, facts: RedfishErrorFacts = {}) {
    const who = facts.bmc === undefined ? '' : `BMC ${facts.bmc}: `;
    const step = facts.step === undefined ? '' : `${facts.step}: `;
    const remedy = REDFISH_ERRORS[code].split('; ').slice(1).join('; ');
    super(`${who}${step}${fault}${remedy && `; ${remedy}`}`);
    this.code = code;
    this.fault = fault;
    this.bmc = facts.bmc;
    this.step = facts.step;
    this.status = facts.status;
    this.messageIds = facts.messageIds ?? [];
    this.known = facts.known ?? [];
  }
}
