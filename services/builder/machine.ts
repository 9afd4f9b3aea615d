import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exists } from './cache.ts';
import type { ImageType } from './definition.ts';
import type { Layout } from './layout.ts';
import { BuildError } from './progress.ts';

/** Programs and the Debian packages that bring them. */
const ALWAYS: Record<string, string> = { unshare: 'util-linux', mke2fs: 'e2fsprogs' };
const DISK: Record<string, string> = { 'grub-mkimage': 'grub-common', mformat: 'mtools' };
const BY_TYPE: Partial<Record<ImageType, [program: string, name: string]>> = {
  qcow2: ['qemu-img', 'qemu-utils'],
  vhd: ['qemu-img', 'qemu-utils'],
  vmdk: ['qemu-img', 'qemu-utils'],
  vdi: ['qemu-img', 'qemu-utils'],
  squashfs: ['mksquashfs', 'squashfs-tools'],
};
const BY_FILESYSTEM: Record<string, [program: string, name: string]> = {
  xfs: ['mkfs.xfs', 'xfsprogs'],
  btrfs: ['mkfs.btrfs', 'btrfs-progs'],
  vfat: ['mkfs.vfat', 'dosfstools'],
};

async function missingOf(wanted: Record<string, string>): Promise<string[]> {
  const path = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`.split(':');
  const missing = new Set<string>();
  for (const [program, name] of Object.entries(wanted)) {
    const found = await Promise.all(path.map((directory) => exists(join(directory, program))));
    if (!found.includes(true)) missing.add(name);
  }
  return [...missing];
}

/** Refuses before half an hour of work what this machine cannot finish. */
export async function checkMachine(types: readonly ImageType[], layout: Layout): Promise<void> {
  const wanted: Record<string, string> = { ...ALWAYS, ...DISK };
  for (const type of types) {
    const program = BY_TYPE[type];
    if (program !== undefined) wanted[program[0]] = program[1];
  }
  if (layout.loop) {
    const filesystems = [
      ...layout.partitions,
      ...layout.groups.flatMap(({ volumes }) => volumes),
      ...layout.raids,
    ].flatMap(({ filesystem }) => filesystem ?? []);
    for (const { type } of filesystems) {
      const program = BY_FILESYSTEM[type];
      if (program !== undefined) wanted[program[0]] = program[1];
    }
    if (layout.groups.length > 0) wanted.lvm = 'lvm2';
    if (layout.raids.length > 0) wanted.mdadm = 'mdadm';
    const misc = await readFile('/proc/misc', 'utf8').catch(() => '');
    if (!misc.includes('loop-control'))
      throw new BuildError(
        `The layout of image "${layout.name}" needs loop devices (${layout.why}), and this kernel has none (modprobe loop).`,
      );
    if (layout.groups.length > 0 && !misc.includes('device-mapper'))
      throw new BuildError(
        `The layout of image "${layout.name}" has logical volumes, and this machine's kernel has no device-mapper (/proc/misc): build it on one that has (modprobe dm_mod).`,
      );
    if (layout.raids.length > 0 && !(await exists('/proc/mdstat')))
      throw new BuildError(
        `The layout of image "${layout.name}" has a RAID, and this machine's kernel has no md driver (/proc/mdstat): build it on one that has (modprobe md_mod).`,
      );
  }
  const missing = await missingOf(wanted);
  if (missing.length > 0)
    throw new BuildError(`Programs are missing on this machine: apt-get install ${missing.join(' ')}`);
}
