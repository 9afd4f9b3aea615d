/** What can be spoken to a BMC, as a table; a driver that is not there is refused with a sentence. */
import { fault } from '../core/errors/index.ts';
import type { BmcDriver } from './bmc.ts';
import { type Capability, capabilityNames } from './capabilities.ts';

export interface DriverRow {
  readonly there: boolean;
  readonly title: string;
  /** What each Bmc of this driver carries; held by conformance.ts. */
  readonly capabilities: readonly Capability[];
}

export const bmcDrivers: Readonly<Record<BmcDriver, DriverRow>> = {
  ipmi: {
    there: true,
    title: 'IPMI 2.0 over LAN (RMCP+), with IPMI 1.5 where a BMC has nothing better',
    // Virtual media has no command in IPMI: each vendor has its own.
    capabilities: capabilityNames.filter((name) => name !== 'virtualMedia'),
  },
  fake: { there: true, title: 'machines that are not there', capabilities: capabilityNames },
  redfish: {
    there: true,
    title: 'Redfish over HTTPS, with what its vendors do otherwise',
    capabilities: capabilityNames.filter((name) => name !== 'probe'),
  },
};

/** @throws Fault `driver-not-there`, `driver-unknown` */
export function requireDriver(driver: string, node: string): BmcDriver {
  const row = (bmcDrivers as Record<string, DriverRow | undefined>)[driver];
  const known = Object.entries(bmcDrivers)
    .filter(([, { there }]) => there)
    .map(([name]) => name)
    .join(', ');
  if (!row) throw fault('driver-unknown', { driver, node, known });
  if (!row.there) throw fault('driver-not-there', { driver, node, known });
  return driver as BmcDriver;
}
