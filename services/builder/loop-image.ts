import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Assembled } from './assemble.ts';
import { fstab } from './assemble.ts';
import { exists, removeTree } from './cache.ts';
import { Room } from './chroot.ts';
import { runCommand } from './command.ts';
import type { ImageDefinition } from './definition.ts';
import { MIB, placePartitions, sizeInMib, writeTable } from './disk.ts';
import { planSize } from './ext4/plan.ts';
import { deviceNumbers, mergeLayers, type TreeNode } from './layers.ts';
import type { Layout, LayoutFilesystem } from './layout.ts';
import type { StageClock } from './progress.ts';
import { writeTar } from './tar.ts';
import type { BuiltTree, TreeBuilder } from './tree.ts';

export interface LoopOptions {
  builder: TreeBuilder;
  built: BuiltTree;
  layout: Layout;
  definition: ImageDefinition;
  /** The tree before finalise.d. */
  root: TreeNode;
  image: string;
  work: string;
  clock: StageClock;
  epoch: number;
  signal?: AbortSignal | undefined;
}

/** A file system to be made: on which device node, and what it is. */
interface Target {
  device: string;
  filesystem: LayoutFilesystem;
}

/** Devices of the machine that a build holds; given back in the opposite order, whatever happens. */
class Devices {
  #undo: (() => Promise<unknown>)[] = [];
  /** Nodes that hooks may see, by name. */
  readonly nodes = new Map<string, string>();

  hold(undo: () => Promise<unknown>): void {
    this.#undo.push(undo);
  }

  async release(): Promise<void> {
    for (const undo of this.#undo.reverse()) await undo().catch(() => undefined);
    this.#undo = [];
  }
}

/** Attaches the image to a loop device whose driver makes the partitions' nodes itself: no kpartx, no device-mapper. */
async function attach(image: string, layout: Layout, devices: Devices): Promise<string> {
  const device = (await runCommand('losetup', ['--find', '--show', '--partscan', image], { capture: true })).trim();
  devices.hold(() => runCommand('losetup', ['--detach', device]));
  await runCommand('partx', ['--update', device]).catch(() => '');
  devices.nodes.set('image0', device);
  for (const [index, { name }] of layout.partitions.entries()) {
    if (layout.table === 'none') devices.nodes.set(name, device);
    else devices.nodes.set(name, `${device}p${index + 1}`);
  }
  return device;
}

/** LVM leaves /dev/GROUP/VOLUME to udev, which containers have not: without one it makes them itself. */
const WITHOUT_UDEV = ['--config', 'activation { udev_sync=0 udev_rules=0 }'];

/** Arrays first, then volume groups: either may stand on partitions, groups also on arrays. */
async function stack(layout: Layout, devices: Devices): Promise<void> {
  for (const { name, level, members } of layout.raids) {
    const device = `/dev/md/${name}`;
    const parts = members.map((member) => devices.nodes.get(member) ?? member);
    await runCommand('mdadm', [
      '--create',
      device,
      '--run',
      '--homehost=any',
      '--metadata=1.2',
      `--level=${level}`,
      `--raid-devices=${parts.length}`,
      ...parts,
    ]);
    devices.hold(() => runCommand('mdadm', ['--stop', device]));
    devices.nodes.set(name, device);
  }
  const lvm = layout.groups.length > 0 && !(await exists('/run/udev/control')) ? WITHOUT_UDEV : [];
  for (const { name, physical, volumes } of layout.groups) {
    const parts = physical.map((each) => devices.nodes.get(each) ?? each);
    for (const part of parts) await runCommand('pvcreate', [...lvm, '--yes', '--force', part]);
    await runCommand('vgcreate', [...lvm, '--yes', name, ...parts]);
    devices.hold(() => runCommand('vgchange', [...lvm, '--activate', 'n', name]));
    for (const volume of volumes) {
      const size = volume.extents === '' ? ['--size', volume.size] : ['--extents', volume.extents];
      await runCommand('lvcreate', [...lvm, '--yes', '--name', volume.name, ...size, name]);
      devices.nodes.set(volume.name, `/dev/${name}/${volume.name}`);
    }
  }
}

async function makeFilesystem({ device, filesystem }: Target, epoch: number): Promise<void> {
  const { type, label, uuid, options } = filesystem;
  const env = {
    PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
    SOURCE_DATE_EPOCH: String(epoch),
    E2FSPROGS_FAKE_TIME: String(epoch),
  };
  const commands: Record<string, string[]> = {
    xfs: ['mkfs.xfs', '-q', '-f', '-L', label, '-m', `uuid=${uuid}`, ...options, device],
    btrfs: ['mkfs.btrfs', '-q', '-f', '-L', label, '-U', uuid, ...options, device],
    vfat: ['mkfs.vfat', '-n', label, '-i', uuid.replaceAll('-', '').slice(0, 8), ...options, device],
    swap: ['mkswap', '-L', label, '-U', uuid, device],
  };
  const [program = '', ...args] = commands[type] ?? [
    `mkfs.${type}`,
    '-q',
    '-F',
    '-L',
    label,
    '-U',
    uuid,
    ...options,
    device,
  ];
  await runCommand(program, args, { env });
}

/** A device's node in the build's own /dev (and the tree's): hooks see the image's devices and no other. */
async function showNodes(room: Room, directory: string, devices: Devices): Promise<void> {
  for (const path of new Set(devices.nodes.values())) {
    const info = await stat(path);
    const { major, minor } = deviceNumbers(info.rdev);
    const script = 'mkdir -p "$(dirname "$1")"; rm -f "$1"; mknod -m 660 "$1" b "$2" "$3"';
    await room.runOutside([
      'sh',
      '-c',
      script,
      'node',
      join(directory, path.slice('/dev/'.length)),
      String(major),
      String(minor),
    ]);
  }
}

function targets(layout: Layout, devices: Devices): Target[] {
  const all = [...layout.partitions, ...layout.raids, ...layout.groups.flatMap(({ volumes }) => volumes)];
  return all.flatMap(({ name, filesystem }) =>
    filesystem === undefined ? [] : [{ device: devices.nodes.get(name)!, filesystem }],
  );
}

/**
 * Builds the disk on a loop device, for layouts that only the kernel can write: xfs, btrfs, logical volumes, RAID. finalise.d and cleanup.d run on the mounted image, as with
 * diskimage-builder; GRUB's own grub-install finds real devices.
 */
export async function buildOnLoop(options: LoopOptions): Promise<{ assembled: Assembled; tree: TreeNode }> {
  const { builder, built, layout, definition, root, image, work, clock, epoch, signal } = options;
  const size = planSize(root, built.layers.length, 64, 64, 16_384, 1 / 0.6);
  const given =
    definition.imageGb === undefined
      ? layout.size === undefined
        ? undefined
        : sizeInMib(layout.size, 0)
      : Math.ceil(definition.imageGb * 1024);
  // xfs refuses to be smaller than 300 MB, and its log takes 64.
  const disk = placePartitions(
    layout,
    Math.max(size.mib + 128 + Math.ceil((definition.extraGb ?? 0) * 1024), 512),
    given,
  );
  await writeTable(image, layout, disk);
  const devices = new Devices();
  const mount = join(work, 'device');
  let room: Room | undefined;
  try {
    const device = await attach(image, layout, devices);
    await stack(layout, devices);
    const made = targets(layout, devices);
    await clock.run('mkfs', async () => {
      for (const target of made) await makeFilesystem(target, epoch);
    });
    room = await Room.open({ root: mount, writable: builder.writable, signal });
    await showNodes(room, '/dev', devices);
    const mounted = made
      .filter(({ filesystem }) => filesystem.mount !== undefined)
      .sort((a, b) => (a.filesystem.mount! < b.filesystem.mount! ? -1 : 1));
    for (const { device: node, filesystem } of mounted)
      await room.runOutside([
        'sh',
        '-c',
        'mkdir -p "$2" && mount -t "$3" "$1" "$2"',
        'mount',
        node,
        join(mount, filesystem.mount!),
        filesystem.type,
      ]);
    const tar = join(work, 'tree.tar');
    writeTar(tar, root, { epoch });
    await clock.run('copy', () =>
      room!.runOutside([
        'tar',
        '-C',
        mount,
        '-xpf',
        tar,
        '--numeric-owner',
        '--xattrs',
        '--xattrs-include=*',
        '--same-owner',
      ]),
    );
    await writeFile(join(work, 'fstab'), fstab(layout));
    await room.runOutside([
      'sh',
      '-c',
      'mkdir -p "$2/etc" "$2/tmp/in_target.d" && cp "$1" "$2/etc/fstab"',
      'fstab',
      join(work, 'fstab'),
      mount,
    ]);
    const names = [...devices.nodes].map(([name, path]) => `[${name}]=${path}`).join(' ');
    await builder.finishOnDevice(
      room,
      mount,
      { IMAGE_BLOCK_DEVICE: device, IMAGE_BLOCK_DEVICES: names, LOOPDEV: device },
      (directory) => showNodes(room!, directory, devices),
    );
    const copy = join(work, 'device-tree');
    await room.runOutside([
      'sh',
      '-c',
      'mkdir -p "$2" && tar -C "$1" --one-file-system --exclude=./proc --exclude=./sys -cf - --xattrs --xattrs-include=* . | tar -C "$2" -xpf - --numeric-owner --xattrs --xattrs-include=* --same-owner',
      'copy',
      mount,
      copy,
    ]);
    await room.runOutside(['sh', '-c', 'sync -f "$1"; umount -R "$1"', 'umount', mount]);
    const grub = layout.partitions.some(({ type }) => type.toLowerCase() === 'ef00');
    const assembled: Assembled = {
      size: disk.mib * MIB,
      rootUuid: layout.rootUuid,
      espUuid: '',
      firmware: grub ? ['bios', 'uefi'] : ['bios'],
      secureBoot: false,
    };
    return { assembled, tree: mergeLayers([copy], epoch) };
  } finally {
    await room?.close();
    await devices.release();
    await removeTree(join(work, 'tree.tar'));
  }
}
