/** The real machine: a Linux ramdisk with busybox, util-linux's blkdiscard, and, where they are there, kx or kexec and efibootmgr. */
import { createSocket } from 'node:dgram';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { networkInterfaces, tmpdir } from 'node:os';
import path from 'node:path';
import { AgentFailure, reasonOf } from './failure.ts';
import type { Disk, EfiEntry, Hardware, LoadedKernel } from './hardware.ts';
import { readDisks, readInventory } from './inventory.ts';
import { findTool, runTool } from './tool.ts';

/** /dev/vda3, but /dev/nvme0n1p3 and /dev/mmcblk0p3: a name that ends in a digit needs the p. */
export function partitionDevice(disk: string, number: number): string {
  return /\d$/.test(disk) ? `${disk}p${number}` : `${disk}${number}`;
}

/** Options that keep a file system from replaying its journal onto a disk that is about to boot. */
const MOUNTS: [type: string, options: string][] = [
  ['ext4', 'ro,noload'],
  ['xfs', 'ro,norecovery'],
  ['btrfs', 'ro'],
  ['vfat', 'ro'],
];

async function withMounted<T>(
  disk: Disk,
  partition: number,
  use: (folder: string) => Promise<T>,
  mounts = MOUNTS,
): Promise<T> {
  const device = partitionDevice(disk.name, partition);
  const folder = await mkdtemp(path.join(tmpdir(), 'mount-'));
  let reason = '';
  try {
    for (const [type, options] of mounts) {
      try {
        await runTool('mount', ['-t', type, '-o', options, device, folder]);
      } catch (error) {
        reason ||= reasonOf(error);
        continue;
      }
      try {
        return await use(folder);
      } finally {
        await runTool('umount', [folder]);
      }
    }
    throw new AgentFailure('CommandExecutionError', `${device} cannot be mounted: ${reason}`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** In the order of preference: a distribution's shim knows its own boot entries; the removable path is always there. */
const LOADER_FOLDERS = [
  'debian',
  'ubuntu',
  'centos',
  'redhat',
  'fedora',
  'rocky',
  'almalinux',
  'opensuse',
  'sles',
  'BOOT',
];
const LOADERS = ['shimx64.efi', 'shimaa64.efi', 'grubx64.efi', 'grubaa64.efi', 'BOOTX64.EFI', 'BOOTAA64.EFI'];

/** Where every image of ours has its loader (UEFI 2.10, section 3.5.1.1). */
const REMOVABLE_LOADER = process.arch === 'arm64' ? '\\EFI\\BOOT\\BOOTAA64.EFI' : '\\EFI\\BOOT\\BOOTX64.EFI';

function findLoader(folder: string): string | undefined {
  for (const vendor of LOADER_FOLDERS)
    for (const loader of LOADERS)
      if (existsSync(path.join(folder, 'EFI', vendor, loader))) return `\\EFI\\${vendor}\\${loader}`;
  return undefined;
}

async function addEfiEntry({ disk, partition, label }: EfiEntry): Promise<string> {
  if (!(await findTool('efibootmgr')))
    return 'this ramdisk has no efibootmgr: the firmware boots the removable path EFI/BOOT';
  let why = '';
  const found = await withMounted(disk, partition, async (folder) => findLoader(folder), [['vfat', 'ro']]).catch(
    (error: unknown) => {
      why = `; its partition could not be looked into: ${reasonOf(error)}`;
      return REMOVABLE_LOADER;
    },
  );
  if (!found)
    throw new AgentFailure(
      'CommandExecutionError',
      `The EFI system partition ${partitionDevice(disk.name, partition)} holds no boot loader.`,
    );
  // An entry of the same name from an earlier deploy points to a partition that is gone; enough of them fill the NVRAM.
  const present = await runTool('efibootmgr', []);
  for (const [, number, name] of present.matchAll(/^Boot([0-9A-F]{4})\*? (.*?)(?:\t.*)?$/gm))
    if (name === label) await runTool('efibootmgr', ['-q', '-B', '-b', number!]);
  await runTool('efibootmgr', ['-q', '-c', '-d', disk.name, '-p', String(partition), '-L', label, '-l', found]);
  return `boot entry "${label}" starts ${found} from ${partitionDevice(disk.name, partition)}${why}`;
}

function addressTowards(host: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    socket.on('error', reject);
    // Connecting a datagram socket sends nothing, but makes the kernel choose route and source.
    socket.connect(9, host, () => {
      const { address } = socket.address();
      socket.close();
      resolve(address);
    });
  });
}

/** Write-zeroes by util-linux's blkdiscard; busybox's has no -z, and then it is not asked a second time. */
function createZeroing(): Hardware['zero'] {
  let able = true;
  return async (disk, offset, length) => {
    const most = await readFile(`/sys/block/${path.basename(disk.name)}/queue/write_zeroes_max_bytes`, 'utf8').catch(
      () => '0',
    );
    if (!able || Number(most) === 0) return false;
    // -z is BLKZEROOUT: the kernel guarantees zeros afterwards. A plain discard does not, whatever discard_zeroes_data says.
    // -f: util-linux 2.36 and later would open the disk exclusively, which the agent itself has done.
    const args = ['-f', '-z', '-o', String(offset), '-l', String(length), disk.name];
    able = await runTool('blkdiscard', args, 3_600_000).then(
      () => true,
      () => false,
    );
    return able;
  };
}

async function rereadPartitions(disk: Disk): Promise<void> {
  // The kernel answers EBUSY for a moment after the disk was closed, while udev or mdev still looks at it.
  for (let attempt = 1; ; attempt++) {
    try {
      await runTool('blockdev', ['--rereadpt', disk.name]);
      break;
    } catch (error) {
      if (attempt === 5) throw error;
      await new Promise((resolve) => setTimeout(resolve, 200 * attempt));
    }
  }
  if (await findTool('udevadm')) await runTool('udevadm', ['settle', '--timeout=10']).catch(() => '');
}

async function loadKernel({ kernel, initrd, cmdline }: LoadedKernel): Promise<void> {
  // kexec_file_load only: it also works under Secure Boot, where kexec_load is refused.
  if (await findTool('kx')) await runTool('kx', ['-l', kernel, ...(initrd ? [initrd] : []), cmdline]);
  else
    await runTool('kexec', [
      '-s',
      '-l',
      kernel,
      ...(initrd ? [`--initrd=${initrd}`] : []),
      `--command-line=${cmdline}`,
    ]);
}

async function collectLogs(): Promise<{ name: string; data: Buffer }[]> {
  const found: { name: string; data: Buffer }[] = [];
  const text = async (name: string, from: Promise<string>) => {
    found.push({ name, data: Buffer.from(await from.catch((error: unknown) => reasonOf(error))) });
  };
  await text('dmesg', runTool('dmesg', []));
  await text('interfaces', Promise.resolve(JSON.stringify(networkInterfaces(), null, 2)));
  for (const file of [
    '/proc/cmdline',
    '/proc/meminfo',
    '/proc/partitions',
    '/proc/mounts',
    '/proc/modules',
    '/var/log/agent.log',
  ])
    await text(path.basename(file), readFile(file, 'utf8'));
  return found;
}

export function createLinuxHardware(): Hardware {
  const bootMode = () => (existsSync('/sys/firmware/efi') ? 'uefi' : 'bios');
  return {
    disks: () => readDisks(),
    inventory: () => readInventory(bootMode()),
    bootMode,
    addressTowards,
    zero: createZeroing(),
    rereadPartitions,
    addEfiEntry,
    copyFromPartition: (disk, partition, file, into) =>
      withMounted(disk, partition, async (folder) => {
        await mkdir(path.dirname(into), { recursive: true });
        await copyFile(path.join(folder, file), into).catch((cause: unknown) => {
          throw new AgentFailure(
            'CommandExecutionError',
            `${file} cannot be read from ${partitionDevice(disk.name, partition)}: ${reasonOf(cause)}.`,
            { cause },
          );
        });
      }),
    convertQcow2: existsSync('/usr/bin/qemu-img')
      ? async (file, disk) => {
          await runTool(
            'qemu-img',
            ['convert', '-f', 'qcow2', '-O', 'host_device', '-n', '-S', '0', file, disk.name],
            3_600_000,
          );
        }
      : undefined,
    logs: collectLogs,
    loadKernel,
    async runLoadedKernel() {
      await runTool('sync', []);
      await runTool((await findTool('kx')) ? 'kx' : 'kexec', ['-e']);
    },
    async reboot() {
      await runTool('sync', []);
      await runTool('reboot', ['-f']);
    },
    async powerOff() {
      await runTool('sync', []);
      await runTool('poweroff', ['-f']);
    },
  };
}
