import { mkdir, open, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { planExt4, scanTree, writeEsp, writeExt4 } from './filesystem.ts';
import { encodeGpt, type Gpt, PARTITION_TYPES, SECTOR, stableId } from './gpt.ts';
import { grubMenu, makeGrub, patchBootImage, patchCoreImage } from './grub.ts';
import { BuildError, type StageClock } from './progress.ts';

const MIB = 1024 * 1024;
const BIOS_FIRST = 2048;
const ESP_FIRST = 4096;
const SECTORS_PER_MIB = MIB / SECTOR;

export interface AssembleOptions {
  /** The finished tree. */
  tree: string;
  /** The raw image to write. */
  image: string;
  /** A directory for files in between; it is removed. */
  work: string;
  /** All ids of the disk derive from this word. */
  seed: string;
  label: string;
  /** Added to the kernel's `root=UUID=... ro`. */
  commandLine: string;
  /** Seconds that the boot menu waits. */
  menuTimeout: number;
  espMib: number;
  spareMib: number;
  epoch: number;
  clock: StageClock;
  signal?: AbortSignal | undefined;
}

export interface Assembled {
  /** Bytes of the raw image: a multiple of 1 MiB. */
  size: number;
  rootUuid: string;
  espUuid: string;
  commandLine: string;
  /** The kernel and initrd inside the tree, such as /boot/vmlinuz-6.1.0-56-amd64. */
  kernel: string;
  initrd: string;
}

/** Kernel versions such as 6.1.0-9 and 6.1.0-56 in their natural order. */
export function newestKernel(names: readonly string[]): string | undefined {
  const versions = names.filter((name) => name.startsWith('vmlinuz-')).map((name) => name.slice('vmlinuz-'.length));
  return versions.sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1);
}

async function findKernel(tree: string): Promise<string> {
  const version = newestKernel(await readdir(join(tree, 'boot')).catch(() => []));
  if (version === undefined) {
    throw new BuildError(
      'The tree holds no kernel (/boot/vmlinuz-*): add an element that installs one, such as "boot".',
    );
  }
  return version;
}

/** fstab and grub.cfg; the links /vmlinuz and /initrd.img follow Debian's kernel packages, so that an upgraded kernel is the one that boots. */
async function writeBootFiles(
  options: AssembleOptions,
  version: string,
  rootUuid: string,
  fatSerial: string,
): Promise<Assembled> {
  const { tree } = options;
  const espUuid = `${fatSerial.slice(0, 4)}-${fatSerial.slice(4)}`.toUpperCase();
  const commandLine = `root=UUID=${rootUuid} ro ${options.commandLine}`.trim();
  const [top, boot] = await Promise.all([readdir(tree), readdir(join(tree, 'boot'))]);
  if (!boot.includes(`initrd.img-${version}`)) {
    throw new BuildError(
      `The tree holds kernel ${version} without an initrd (/boot/initrd.img-${version}): initramfs-tools did not run.`,
    );
  }
  const kernel = `/boot/vmlinuz-${version}`;
  const initrd = `/boot/initrd.img-${version}`;
  const linked = top.includes('vmlinuz') && top.includes('initrd.img');
  await mkdir(join(tree, 'boot/grub'), { recursive: true });
  await mkdir(join(tree, 'boot/efi'), { recursive: true });
  const menu = grubMenu({
    rootUuid,
    kernel: linked ? '/vmlinuz' : kernel,
    initrd: linked ? '/initrd.img' : initrd,
    commandLine,
    timeout: options.menuTimeout,
  });
  await writeFile(join(tree, 'boot/grub/grub.cfg'), menu);
  const fstab = [
    `UUID=${rootUuid} / ext4 errors=remount-ro 0 1`,
    // Mounted when something looks into it: no node needs it to boot.
    `UUID=${espUuid} /boot/efi vfat umask=0077,noauto,x-systemd.automount,x-systemd.idle-timeout=60 0 0`,
  ];
  await writeFile(join(tree, 'etc/fstab'), `${fstab.join('\n')}\n`);
  return { size: 0, rootUuid, espUuid, commandLine, kernel, initrd };
}

/** Makes one GPT image out of a tree that boots from BIOS and UEFI: a BIOS boot partition, an EFI system partition, and an ext4 root at the end, which can grow. */
export async function assemble(options: AssembleOptions): Promise<Assembled> {
  const { tree, image, work, seed, clock, epoch, signal } = options;
  await mkdir(work, { recursive: true });
  try {
    const id = (word: string): string => stableId(seed, word);
    const fatSerial = id('fat').slice(0, 8);
    const rootUuid = id('rootfs');
    const assembled = await writeBootFiles(options, await findKernel(tree), rootUuid, fatSerial);
    const grub = await clock.run('grub', () => makeGrub(rootUuid, work, (path, text) => writeFile(path, text), signal));
    const plan = await clock.run('size', async () => planExt4(await scanTree(tree), options.spareMib));
    const rootFirst = ESP_FIRST + options.espMib * SECTORS_PER_MIB;
    const rootCount = plan.mib * SECTORS_PER_MIB;
    const gpt: Gpt = {
      diskId: id('disk'),
      sectors: rootFirst + rootCount + SECTORS_PER_MIB, // One MiB behind the root for the backup table, so that the size stays whole MiB.
      partitions: [
        {
          name: 'bios',
          type: PARTITION_TYPES.biosBoot,
          id: id('bios'),
          first: BIOS_FIRST,
          count: ESP_FIRST - BIOS_FIRST,
        },
        { name: 'esp', type: PARTITION_TYPES.efiSystem, id: id('esp'), first: ESP_FIRST, count: rootFirst - ESP_FIRST },
        { name: 'root', type: PARTITION_TYPES.rootAmd64, id: id('root'), first: rootFirst, count: rootCount },
      ],
    };
    await rm(image, { force: true });
    const file = await open(image, 'w');
    try {
      await file.truncate(gpt.sectors * SECTOR);
      for (const { offset, bytes } of encodeGpt(gpt, patchBootImage(grub.boot, BIOS_FIRST))) {
        await file.write(bytes, 0, bytes.length, offset);
      }
      const core = patchCoreImage(grub.core, BIOS_FIRST, ESP_FIRST - BIOS_FIRST);
      await file.write(core, 0, core.length, BIOS_FIRST * SECTOR);
    } finally {
      await file.close();
    }
    await clock.run('esp', () =>
      writeEsp({
        image,
        offset: ESP_FIRST * SECTOR,
        mib: options.espMib,
        serial: fatSerial,
        files: { 'EFI/BOOT/BOOTX64.EFI': join(work, 'bootx64.efi') },
        epoch,
        signal,
      }),
    );
    const ext4 = {
      plan,
      tree,
      image,
      offset: rootFirst * SECTOR,
      uuid: rootUuid,
      hashSeed: id('hash'),
      label: options.label,
      epoch,
      signal,
    };
    await clock.run('ext4', () => writeExt4(ext4));
    return { ...assembled, size: gpt.sectors * SECTOR };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
