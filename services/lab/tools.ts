import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { LabError } from './fault.ts';

/** What the lab needs from the machine, and the Debian package that brings it. */
interface Need {
  package: string;
  /** A command on the PATH, or an absolute path of a file. */
  wants: string;
  only?: 'uefi';
}

export const uefiCode = '/usr/share/OVMF/OVMF_CODE_4M.fd';
export const uefiVariables = '/usr/share/OVMF/OVMF_VARS_4M.fd';

const needs: readonly Need[] = [
  { wants: 'ip', package: 'iproute2' },
  { wants: 'nsenter', package: 'util-linux' },
  { wants: 'qemu-system-x86_64', package: 'qemu-system-x86' },
  { wants: '/usr/lib/ipxe/qemu/efi-virtio.rom', package: 'ipxe-qemu' },
  { wants: 'ipmi_sim', package: 'openipmi' },
  { wants: 'socat', package: 'socat' },
  { wants: uefiCode, package: 'ovmf', only: 'uefi' },
  { wants: uefiVariables, package: 'ovmf', only: 'uefi' },
];

/** The Debian packages that a lab needs. */
export const labPackages: readonly string[] = [...new Set(needs.map((need) => need.package))];

// Root's PATH may lack the sbin directories (su without -, cron), where Debian keeps `ip`.
const searchPath = `${process.env.PATH ?? ''}${delimiter}/usr/local/sbin${delimiter}/usr/sbin${delimiter}/sbin${delimiter}/usr/bin`;

/** The environment for child processes: ours, with the sbin directories on the PATH. */
export const toolEnvironment: NodeJS.ProcessEnv = { ...process.env, PATH: searchPath };

function present(wants: string): boolean {
  const candidates = wants.startsWith('/')
    ? [wants]
    : searchPath.split(delimiter).map((directory) => join(directory, wants));
  return candidates.some((path) => {
    try {
      accessSync(path, wants.startsWith('/') ? constants.R_OK : constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Throws one sentence that names everything missing and the command that installs it. */
export function checkTools(uefi: boolean): void {
  const missing = needs.filter((need) => (uefi || need.only !== 'uefi') && !present(need.wants));
  if (missing.length > 0) {
    const packages = [...new Set(missing.map((need) => need.package))].join(' ');
    throw new LabError(
      `The lab needs ${missing.map((need) => need.wants).join(', ')}, which this machine lacks. Install them: apt-get install --no-install-recommends ${packages}`,
    );
  }
  if (process.getuid?.() !== 0) {
    throw new LabError('The lab makes a network namespace and tap devices, which needs root. Run the command as root.');
  }
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
  } catch {
    throw new LabError(
      'The lab needs /dev/net/tun for its tap devices. Load the module with: modprobe tun (in a container, pass the device through).',
    );
  }
}
