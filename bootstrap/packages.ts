/**
 * Debian packages, by what needs them. Installing them neither creates nor starts a service of the distribution: its
 * PostgreSQL makes no cluster, nothing is started while we install, and Redis comes from redis-tools, whose
 * redis-check-rdb is redis-server under another name (Debian's redis-server is only a symbolic link, a unit and a user).
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { command } from './command.ts';
import { hasDebianStore, withDebianStore } from './debian-store.ts';

const api = ['openssl', 'ca-certificates', 'iproute2', 'ipxe', 'genisoimage'] as const;
const database = ['postgresql'] as const;
const queue = ['redis-tools'] as const;

export const packageGroups = {
  /** What an appliance needs whose database and Redis are elsewhere. */
  api,
  database,
  queue,
  undercloud: [...api, ...database, ...queue],
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
    // Debian's signed boot chain, for machines that enforce Secure Boot.
    'shim-signed',
    'grub-efi-amd64-signed',
  ],
  /** diskimage-builder's elements and what their scripts call on this side. */
  elements: [
    'python3-diskimage-builder',
    'python3-yaml',
    'debootstrap',
    'git',
    'curl',
    'dosfstools',
    'debian-archive-keyring',
  ],
  /** The peers of the power bench. */
  power: ['freeipmi-tools', 'ipmitool', 'bash'],
  lab: ['qemu-system-x86', 'ovmf', 'ipxe-qemu', 'openipmi', 'ipmitool', 'iproute2', 'util-linux', 'socat', 'curl'],
  tests: [
    'python3-openstackclient',
    'python3-ironicclient',
    'python3-heatclient',
    'freeipmi-tools',
    'python3-sushy',
    'isc-dhcp-client',
    'udhcpc',
    'atftp',
    'tftp-hpa',
    'kea-admin',
    'gdisk',
    'tcpdump',
    'curl',
    // The configuration agent of the lab image, which tests run here, reads its metadata with it.
    'jq',
    'systemd',
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

const statusFile = '/var/lib/dpkg/status';

/**
 * Read from dpkg's own file: one read, where dpkg-query is a process and fails as a whole on a name it does not know. On a
 * machine without dpkg nothing can be told, and nothing is said to be missing.
 */
export async function missingPackages(groups: readonly PackageGroup[]): Promise<string[]> {
  if (!existsSync(statusFile)) return [];
  const wanted = [...new Set(groups.flatMap((group) => [...packageGroups[group]]))];
  const installed = installedIn(readFileSync(statusFile, 'utf8'));
  return wanted.filter((name) => !installed.has(name));
}

/** Names of the packages that dpkg's status file calls installed; half-installed ones of an interrupted run are not. */
export function installedIn(status: string): Set<string> {
  const installed = new Set<string>();
  for (const paragraph of status.split('\n\n')) {
    const name = /^Package: (\S+)$/m.exec(paragraph)?.[1];
    if (name && /^Status: \S+ ok installed$/m.test(paragraph)) installed.add(name);
  }
  return installed;
}

/** Another apt of the machine, or one that outlived a killed bootstrap, is waited for. */
const lockSeconds = 600;

/**
 * Installs what is missing of the groups; returns the packages installed. `store`: a directory into which a bundle's Debian packages may
 * have been loaded. Then they are taken from there, and the mirrors are asked when it lacks something: whoever carries a bundle to a
 * machine has no mirrors, or slow ones.
 */
export async function ensurePackages(
  groups: readonly PackageGroup[],
  onLine: (line: string) => void = () => {},
  store?: string,
): Promise<string[]> {
  const missing = await missingPackages(groups);
  if (missing.length === 0) {
    allowServiceStarts();
    return [];
  }
  if (missing.includes('postgresql')) keepDistributionClusterAway();
  forbidServiceStarts();
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8' };
  const options = ['-y', '-o', 'Dpkg::Use-Pty=0', '-o', `DPkg::Lock::Timeout=${lockSeconds}`];
  const install = async (from: readonly string[], mend?: () => Promise<unknown>) => {
    const words = ['install', '--no-install-recommends', ...options, ...from, ...missing];
    await command('apt-get', words, { env, onLine }).catch(async (error: Error) => {
      // Killed in the middle, dpkg wants this first and says so.
      if (error.message.includes('dpkg --configure -a'))
        await command('dpkg', ['--configure', '-a', '--force-confdef'], { env, onLine });
      else if (mend) await mend();
      else throw error;
      await command('apt-get', words, { env, onLine });
    });
  };
  // A fresh machine has no package lists, and an old one stale ones: ask for them only where the install needs it.
  const fromMirrors = () => install([], () => command('apt-get', ['update', '-q', ...options], { env, onLine }));
  const fromStore = (directory: string) => withDebianStore(directory, (from) => install(from));
  try {
    if (store === undefined || !hasDebianStore(store)) await fromMirrors();
    else
      await fromStore(store).catch(async (why: Error) => {
        onLine(`${store} does not do: ${why.message}`);
        await fromMirrors().catch((error: Error) => {
          const [of, and] = [why, error].map(({ message }) => message.trim().replace(/[.\s]*$/, ''));
          throw new Error(
            `the packages of the bundle in ${store} do not do (${of}), and neither do the mirrors: ${and}`,
            { cause: why },
          );
        });
      });
  } finally {
    allowServiceStarts();
  }
  return missing;
}

/** postgresql-common reads this before postgresql's installation would make a cluster `main`. Existing ones stay. */
function keepDistributionClusterAway(): void {
  const dir = '/etc/postgresql-common/createcluster.d';
  mkdirSync(dir, { recursive: true });
  writeFileSync(
    `${dir}/undercloud.conf`,
    '# Written by undercloud: it runs a private cluster of its own.\ncreate_main_cluster = false\n',
  );
}

const policyFile = '/usr/sbin/policy-rc.d';
const policyText =
  '#!/bin/sh\n# Written by undercloud while it installs packages: nothing is started (Debian policy 9.3.3).\nexit 101\n';

/** An operator's own policy stays in force. */
function forbidServiceStarts(): void {
  if (!existsSync(policyFile)) writeFileSync(policyFile, policyText, { mode: 0o755 });
}

/** A leftover of an interrupted run is known by its text: it would keep every service of the machine from starting. */
function allowServiceStarts(): void {
  if (existsSync(policyFile) && readFileSync(policyFile, 'utf8') === policyText) rmSync(policyFile);
}
