/** What a check of the machine is and what it finds. */
import type { NetworkReport, SelfHearing } from '../services/boot/index.ts';
import type { DhcpMode } from '../services/core/config.ts';
import type { PackageGroup } from './packages.ts';

export interface Diagnosis {
  check: string;
  ok: boolean;
  /** What was found. */
  finding: string;
  /** Empty when all is well. */
  remedy: string;
  /** A fault that bootstrap cannot mend by itself. */
  blocking: boolean;
}

export interface DoctorOptions {
  stateDir: string;
  listen: string;
  provisioningInterface?: string;
  lab?: boolean;
  groups: readonly PackageGroup[];
  /** Address and prefix that the undercloud is to have on the interface; absent: the one that is there. */
  provisioningAddress?: string;
  /** Further interfaces that nodes boot from: each is looked at as the first is. */
  furtherInterfaces?: readonly { readonly interface: string; readonly address?: string }[];
  /** Who may answer DHCP there beside us; with mode `proxy` the server whose addresses we stand beside. */
  wire?: { readonly dhcp?: DhcpMode; readonly knownServers?: readonly string[] };
  /** Listens on the provisioning interface for who else answers there; needs root. */
  probeNetwork?: (device: string) => Promise<NetworkReport>;
  /** Of an undercloud that runs: whether its own router advertisement is heard there; undefined is its own choice of interface, as in a lab. */
  hearsItself?: (device: string | undefined) => Promise<SelfHearing>;
}

export interface Check {
  name: string;
  when?: (options: DoctorOptions) => boolean;
  run(options: DoctorOptions): Promise<Omit<Diagnosis, 'check'>>;
}

type Finding = Omit<Diagnosis, 'check'>;
export const well = (finding: string): Finding => ({ ok: true, finding, remedy: '', blocking: false });
export const ill = (finding: string, remedy: string, blocking = true): Finding => ({
  ok: false,
  finding,
  remedy,
  blocking,
});
