/**
 * How a node's `driver_info` says that its Redfish service is reached: Ironic's names and meanings, read into what
 * services/redfish takes. Each wrong value is refused with its field.
 */
import { readFileSync, statSync } from 'node:fs';
import { fault } from '../core/errors/index.ts';
import { type AuthType, originOf, type RedfishBmcOptions, RedfishError } from '../redfish/index.ts';
import type { BmcAccess } from './bmc.ts';

const authTypes: readonly AuthType[] = ['auto', 'session', 'basic', 'none'];
const yes = /^(true|yes|on|1|t|y)$/i;
const no = /^(false|no|off|0|f|n)$/i;
const mostCaBytes = 1024 * 1024;

function refuse(access: BmcAccess, field: string, value: string, text: string): never {
  throw fault('bmc-access-invalid', { node: access.name ?? access.key, field, value, text });
}

/** True, false, or the PEM text of the file that is named. @throws Fault `bmc-access-invalid` */
export function trustOf(access: BmcAccess, given: string): boolean | string {
  if (given === '' || yes.test(given)) return true;
  if (no.test(given)) return false;
  const field = 'redfish_verify_ca';
  if (!given.startsWith('/')) refuse(access, field, given, 'it is neither True nor False nor the path of a file');
  let pem: string;
  try {
    if (statSync(given).size > mostCaBytes)
      return refuse(access, field, given, 'the file is too large for certificates');
    pem = readFileSync(given, 'utf8');
  } catch (error) {
    const { code = '' } = error as { code?: string };
    const why =
      code === 'EISDIR'
        ? 'it is a directory; name one file with the CA’s certificate'
        : `the file cannot be read (${code})`;
    return refuse(access, field, given, why);
  }
  if (!pem.includes('-----BEGIN CERTIFICATE-----')) refuse(access, field, given, 'the file holds no PEM certificate');
  return pem;
}

/** @throws Fault `bmc-access-invalid` */
export function redfishOptions(access: BmcAccess): RedfishBmcOptions {
  const option = (name: string) => String(access.options[name] ?? '').trim();
  let origin: URL;
  try {
    origin = originOf(access.address);
  } catch (error) {
    const text = error instanceof RedfishError ? error.fault : String(error);
    // An address with a password in it is not repeated.
    return refuse(access, 'redfish_address', access.address.replace(/\/\/[^/@]*@/, '//******@'), text);
  }
  const auth = option('authType').toLowerCase() || 'auto';
  const known = authTypes.find((type) => type === auth);
  if (!known) return refuse(access, 'redfish_auth_type', auth, `it is none of ${authTypes.join(', ')}`);
  const system = option('systemId');
  return {
    address: origin.origin,
    username: access.username,
    password: access.password,
    auth: known,
    verify: trustOf(access, option('verifyCa')),
    ...(system !== '' && { system }),
  };
}
