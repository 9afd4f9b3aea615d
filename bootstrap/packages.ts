/**
 * Debian packages, by what needs them. Installing them neither creates nor starts a service of the distribution: its
 * PostgreSQL makes no cluster, nothing is started while we install, and Redis comes from redis-tools, whose
 * redis-check-rdb is redis-server under another name (Debian's redis-server is only a symbolic link, a unit and a user).
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { command } from './command.ts';

export const packageGroups = {
  undercloud: ['postgresql', 'redis-tools', 'openssl', 'ca-certificates', 'iproute2', 'ipxe', 'genisoimage'],
  images: [
    'mmdebstrap',
    'mtools',
    'dosfstools',
    'e2fsprogs',
    'grub-pc-bin',
    'grub-efi-amd64-bin',
    'grub-common',
    'zstd',
    'cpio',
    'busybox-static',
    'squashfs-tools',
    'kexec-tools',
    'qemu-utils',
    'fdisk',
    'util-linux',
    'xz-utils',
    'kmod',
  ],
  lab: ['qemu-system-x86', 'ovmf', 'ipxe-qemu', 'openipmi', 'ipmitool', 'iproute2', 'util-linux', 'socat'],
  tests: [
    'python3-openstackclient',
    'python3-ironicclient',
    'python3-heatclient',
    'freeipmi-tools',
    'isc-dhcp-client',
    'udhcpc',
    'atftp',
    'tftp-hpa',
    'kea-admin',
    'gdisk',
    'tcpdump',
    'curl',
    'systemd-container',
    'python3',
    'git',
    'nftables',
    'radvd',
    'python3-os-collect-config',
    'python3-os-apply-config',
    'python3-os-refresh-config',
    'procps',
  ],
} as const satisfies Record<string, readonly string[]>;

export type PackageGroup = keyof typeof packageGroups;

/** Read from dpkg's own file: one read, where dpkg-query is a process and fails as a whole on a name it does not know. */
export async function missingPackages(groups: readonly PackageGroup[]): Promise<string[]> {
  const wanted = [...new Set(groups.flatMap((group) => [...packageGroups[group]]))];
  const installed = new Set<string>();
  for (const paragraph of readFileSync('/var/lib/dpkg/status', 'utf8').split('\n\n')) {
    const name = /^Package: (\S+)$/m.exec(paragraph)?.[1];
    if (name && /^Status: \S+ ok installed$/m.test(paragraph)) installed.add(name);
  }
  return wanted.filter((name) => !installed.has(name));
}

/** Installs what is missing of the groups; returns the packages installed. */
export async function ensurePackages(
  groups: readonly PackageGroup[],
  onLine: (line: string) => void = () => {},
): Promise<string[]> {
  const missing = await missingPackages(groups);
  if (missing.length === 0) return [];
  keepDistributionClusterAway();
  const release = forbidServiceStarts();
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8' };
  const install = () =>
    command('apt-get', ['install', '-y', '--no-install-recommends', '-o', 'Dpkg::Use-Pty=0', ...missing], {
      env,
      onLine,
    });
  try {
    // A fresh machine has no package lists, and an old one stale ones: ask for them only where the install needs it.
    await install().catch(async () => {
      await command('apt-get', ['update', '-q'], { env, onLine });
      await install();
    });
  } finally {
    release();
  }
  return missing;
}

/** postgresql-common reads this before postgresql's installation would make a cluster `main`. Existing ones stay. */
function keepDistributionClusterAway(): void {
  if (existsSync('/usr/bin/pg_lsclusters')) return;
  mkdirSync('/etc/postgresql-common/createcluster.d', { recursive: true });
  writeFileSync(
    '/etc/postgresql-common/createcluster.d/undercloud.conf',
    '# Written by undercloud: it runs a private cluster of its own.\ncreate_main_cluster = false\n',
  );
}

const policyFile = '/usr/sbin/policy-rc.d';
const policyText =
  '#!/bin/sh\n# Written by undercloud while it installs packages: nothing is started (Debian policy 9.3.3).\nexit 101\n';

/** Undone by the returned function; a leftover of an interrupted run is recognised by its text and removed the next time. */
function forbidServiceStarts(): () => void {
  const foreign = existsSync(policyFile) && readFileSync(policyFile, 'utf8') !== policyText;
  if (foreign) return () => {};
  writeFileSync(policyFile, policyText, { mode: 0o755 });
  return () => rmSync(policyFile, { force: true });
}
