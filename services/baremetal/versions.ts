/** Which API version a request speaks. Ironic's rules and words, because every client reads them. */
import { fault } from '../core/errors/index.ts';

export const minVersion = '1.1';
export const maxVersion = '1.95';
const maxMinor = 95;

export interface Negotiated {
  readonly minor: number;
}

const unsupported = (version: string, said: string) =>
  fault('api-version', {
    text: `${said} The supported version range is: [${minVersion}, ${maxVersion}].`,
    version,
    ranged: true,
  });

/** X-OpenStack-Ironic-API-Version, or else OpenStack-API-Version: `baremetal 1.N`; none is 1.1. @throws Fault `api-version` */
export function negotiate(ironic: string | undefined, openstack: string | undefined): Negotiated {
  const named = /(?:^|,)\s*baremetal\s+(\S+)/i.exec(openstack ?? '')?.[1];
  const asked = (ironic ?? named ?? minVersion).trim();
  if (asked.toLowerCase() === 'latest') return { minor: maxMinor };
  const parts = /^(\d+)\.(\d+)$/.exec(asked);
  if (!parts)
    throw fault('api-version', { text: 'Invalid value for X-OpenStack-Ironic-API-Version header', ranged: false });
  const minor = Number(parts[2]);
  if (parts[1] !== '1')
    throw unsupported(
      asked,
      `Mutually exclusive versions requested. Version ${asked} requested but not supported by this service.`,
    );
  if (minor < 1 || minor > maxMinor)
    throw unsupported(asked, `Version ${asked} was requested but the minor version is not supported by this service.`);
  return { minor };
}
