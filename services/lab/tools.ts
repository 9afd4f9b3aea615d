import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fault } from '../core/errors/index.ts';
import type { BmcKind } from './description.ts';

/** What is to be done: each scope needs what the ones before it need, and its own. */
const scopes = ['network', 'machines', 'uefi'] as const;
export type ToolScope = (typeof scopes)[number];

/** What the lab needs from the machine, and the Debian package that brings it. */
interface Need {
  package: string;
  /** A command on the PATH, or an absolute path of a file. */
  wants: string;
  scope: ToolScope;
  /** Of a lab whose BMCs are this alone. */
  bmcs?: BmcKind;
}

/** OVMF as Debian has it; the secure pair holds Microsoft's keys, and only System Management Mode may write its variables. */
export const uefiFiles = {
  uefi: { code: '/usr/share/OVMF/OVMF_CODE_4M.fd', variables: '/usr/share/OVMF/OVMF_VARS_4M.fd' },
  'uefi-secure': { code: '/usr/share/OVMF/OVMF_CODE_4M.secboot.fd', variables: '/usr/share/OVMF/OVMF_VARS_4M.ms.fd' },
} as const;

const needs: readonly Need[] = [
  { scope: 'network', wants: 'ip', package: 'iproute2' },
  { scope: 'network', wants: 'nsenter', package: 'util-linux' },
  { scope: 'machines', wants: 'qemu-system-x86_64', package: 'qemu-system-x86' },
  { scope: 'machines', wants: '/usr/lib/ipxe/qemu/efi-virtio.rom', package: 'ipxe-qemu' },
  { scope: 'machines', wants: 'ipmi_sim', package: 'openipmi', bmcs: 'ipmi_sim' },
  { scope: 'machines', wants: 'socat', package: 'socat', bmcs: 'ipmi_sim' },
  ...Object.values(uefiFiles).flatMap(({ code, variables }) =>
    [code, variables].map((wants) => ({ scope: 'uefi' as const, wants, package: 'ovmf' })),
  ),
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
export function checkTools(scope: ToolScope, kind: BmcKind = 'ipmi_sim'): void {
  const missing = needs.filter(
    ({ scope: from, bmcs = kind, wants }) =>
      scopes.indexOf(from) <= scopes.indexOf(scope) && bmcs === kind && !present(wants),
  );
  if (missing.length > 0) {
    const packages = [...new Set(missing.map((need) => need.package))].join(' ');
    throw fault('lab-tools-missing', { missing: missing.map((need) => need.wants).join(', '), packages });
  }
  if (process.getuid?.() !== 0) {
    throw fault('lab-needs-root');
  }
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
  } catch {
    throw fault('lab-no-tun');
  }
}
