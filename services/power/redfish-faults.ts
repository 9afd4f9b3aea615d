/** What a failed Redfish call means to an operator: each way to fail has its own sentence in core/errors/power.ts. */
import { type ErrorCode, type Fault, fault } from '../core/errors/index.ts';
import { RedfishError, type RedfishErrorCode } from '../redfish/index.ts';
import type { BmcAccess } from './bmc.ts';

/** The rest is `bmc-refused`. */
const faults: Readonly<Partial<Record<RedfishErrorCode, ErrorCode>>> = {
  timeout: 'bmc-unreachable',
  unresolved: 'bmc-unreachable',
  network: 'bmc-unreachable',
  uncertain: 'bmc-unreachable',
  closed: 'bmc-unreachable',
  certificate: 'bmc-certificate',
  'not-redfish': 'bmc-not-redfish',
  credentials: 'bmc-credentials',
  privilege: 'bmc-privilege',
  'password-expired': 'bmc-password-expired',
  'system-unknown': 'bmc-system-unknown',
  'action-not-allowed': 'bmc-action-not-allowed',
  'media-refused': 'bmc-media-refused',
  'boot-not-kept': 'bmc-boot-device-not-kept',
};

const listed = (names: readonly string[]): string => (names.length === 0 ? 'none' : names.join(', '));

export function redfishFault(
  access: Pick<BmcAccess, 'key' | 'name' | 'username'>,
  bmc: string,
  command: string,
  error: unknown,
  wanted?: string,
): Fault {
  const node = access.name ?? access.key;
  if (!(error instanceof RedfishError)) return fault('bmc-refused', { bmc, node, command, text: String(error) }, error);
  const details = {
    bmc,
    node,
    user: access.username || '(empty)',
    command,
    text: error.fault,
    known: listed(error.known),
    wanted,
    found: error.code === 'boot-not-kept' ? listed(error.known) : error.fault,
  };
  return fault(faults[error.code] ?? 'bmc-refused', details, error);
}
