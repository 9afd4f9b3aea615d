import { copyFile, mkdir, open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MIB, type PlacedPartition, placePartitions, SECTORS_PER_MIB, sizeInMib, writeTable } from './disk.ts';
import { inodeRatio, planSize } from './ext4/plan.ts';
import { writeExt4 } from './ext4/write.ts';
import { writeEsp } from './filesystem.ts';
import { SECTOR, stableId } from './gpt.ts';
import { type GrubImages, grubMenu, makeGrub, patchBootImage, patchCoreImage } from './grub.ts';
import { findNode, putNode, type TreeNode, walkTree } from './layers.ts';
import type { Layout, LayoutFilesystem } from './layout.ts';
import type { DiskMap } from './mapped-disk.ts';
import { BuildError, type StageClock } from './progress.ts';
import { findSecureBoot } from './secure-boot.ts';

export interface AssembleOptions {
  /** The finished tree; files of the boot are added to it. */
  root: TreeNode;
  /** Number of layers that the tree is made of. */
  layers: number;
  layout: Layout;
  /** The raw image to write. */
  image: string;
  /** A directory for files in between. */
  work: string;
  /** Added to the kernel's `root=UUID=... ro`. */
  commandLine: string;
  /** Seconds that the boot menu waits. */
  menuTimeout: number;
  /** Free space in the root file system; without it as much as diskimage-builder leaves. */
  spareMib?: number | undefined;
  imageMib?: number | undefined;
  extraMib?: number | undefined;
  journalMib?: number | undefined;
  /** Blocks that the root file system can be grown to. */
  growsTo?: number | undefined;
  epoch: number;
  /** Learns where the root file system's files lie. */
  map: DiskMap;
  /** Whether the image holds their bytes too. */
  writeFiles: boolean;
  clock: StageClock;
  signal?: AbortSignal | undefined;
}

export interface BootFiles {
  /** The kernel and initrd inside the tree, such as /boot/vmlinuz-6.1.0-56-amd64. */
  kernel: string;
  initrd: string;
  commandLine: string;
}

export interface Assembled {
  /** Bytes of the raw image: a multiple of 1 MiB. */
  size: number;
  rootUuid: string;
  espUuid: string;
  firmware: ('bios' | 'uefi')[];
  secureBoot: boolean;
}

/** Kernel versions such as 6.1.0-9 and 6.1.0-56 in their natural order. */
export function newestKernel(names: readonly string[]): string | undefined {
  const versions = names.filter((name) => name.startsWith('vmlinuz-')).map((name) => name.slice('vmlinuz-'.length));
  return versions.sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1);
}

/** The kernel that the image boots, with its initrd; undefined when there is none. */
export function findBoot(root: TreeNode, rootUuid: string, extra: string): BootFiles | undefined {
  const boot = findNode(root, 'boot');
  const version = newestKernel([...(boot?.children.keys() ?? [])]);
  if (boot === undefined || version === undefined) return undefined;
  const initrd = [`initrd.img-${version}`, `initramfs-${version}.img`, `initrd-${version}`].find((name) =>
    boot.children.has(name),
  );
  if (initrd === undefined) return undefined;
  return {
    kernel: `/boot/vmlinuz-${version}`,
    initrd: `/boot/${initrd}`,
    commandLine: `root=UUID=${rootUuid} ro ${extra}`.trim(),
  };
}

function ownFile(options: AssembleOptions, path: string, source: string, size: number): void {
  const layer = options.layers - 1;
  putNode(options.root, path, { kind: 'file', mode: 0o100644, layer, source, size, time: options.epoch });
}

function ownDirectory(options: AssembleOptions, path: string): void {
  let at = '';
  for (const part of path.split('/').filter(Boolean)) {
    at = `${at}/${part}`;
    if (findNode(options.root, at) === undefined)
      putNode(options.root, at, { kind: 'directory', mode: 0o40755, layer: options.layers - 1, time: options.epoch });
  }
}

/** fstab lines: by label where diskimage-builder's configuration is in charge, which its boot loader's root=LABEL= matches, else by UUID. */
export function fstab(layout: Layout): string {
  const filesystems = [
    ...layout.partitions,
    ...layout.groups.flatMap(({ volumes }) => volumes),
    ...layout.raids,
  ].flatMap(({ filesystem }) => filesystem ?? []);
  return filesystems
    .filter(({ mount, fstab: entry }) => mount !== undefined && entry !== undefined)
    .sort((a, b) => (a.mount! < b.mount! ? -1 : 1))
    .map(({ type, label, uuid, mount, fstab: entry }) => {
      const fat = `${uuid.slice(0, 4)}-${uuid.slice(4, 8)}`.toUpperCase();
      const device = layout.standard ? `UUID=${type === 'vfat' ? fat : uuid}` : `LABEL=${label}`;
      return `${device} ${mount} ${type} ${entry!.options} ${entry!.dump} ${entry!.pass}\n`;
    })
    .join('');
}

/** fstab, and where the tree has no boot menu of its distribution's, one that follows Debian's links to the newest kernel. */
async function addBootFiles(options: AssembleOptions, boot: BootFiles | undefined): Promise<void> {
  const { root, layout, work } = options;
  const add = async (path: string, text: string): Promise<void> => {
    const source = join(work, path.replaceAll('/', '_'));
    await writeFile(source, text);
    ownFile(options, path, source, Buffer.byteLength(text));
  };
  if (findNode(root, 'etc') !== undefined) await add('/etc/fstab', fstab(layout));
  for (const { filesystem } of layout.partitions)
    if (filesystem?.mount !== undefined && filesystem.mount !== '/') ownDirectory(options, filesystem.mount);
  const configured = ['/boot/grub/grub.cfg', '/boot/grub2/grub.cfg'].some((path) => findNode(root, path) !== undefined);
  if (boot === undefined || configured) return;
  const linked = root.children.has('vmlinuz') && root.children.has('initrd.img');
  ownDirectory(options, '/boot/grub');
  const menu = grubMenu({
    rootUuid: layout.rootUuid,
    kernel: linked ? '/vmlinuz' : boot.kernel,
    initrd: linked ? '/initrd.img' : boot.initrd,
    commandLine: boot.commandLine,
    timeout: options.menuTimeout,
  });
  await add('/boot/grub/grub.cfg', menu);
}

/** Takes what lies below a mount point out of the tree: it belongs to a file system of its own. */
function detach(root: TreeNode, path: string): TreeNode {
  const node = findNode(root, path);
  if (node === undefined)
    throw new BuildError(`The tree has no directory ${path}, which the layout mounts something on.`);
  const part = { ...node, children: node.children };
  node.children = new Map();
  return part;
}

/** GRUB's modules of the image's own version, so that what its menu loads fits what was started; else this machine's. */
async function grubDirectory(root: TreeNode, platform: string, work: string): Promise<string> {
  const own = findNode(root, `usr/lib/grub/${platform}`);
  if (own === undefined || !own.children.has('moddep.lst'))
    return join(process.env.GRUB_DIRECTORY ?? '/usr/lib/grub', platform);
  const directory = join(work, 'grub', platform);
  await mkdir(directory, { recursive: true });
  for (const child of own.children.values())
    if (child.kind === 'file') await copyFile(child.source, join(directory, child.name));
  return directory;
}

/** Where core.img goes: the BIOS boot partition of a GPT, the gap before an MBR's first partition. */
function coreRoom(layout: Layout, placed: readonly PlacedPartition[]): { first: number; count: number } | undefined {
  const boot = placed.find(({ partition }) => partition.type.toLowerCase() === 'ef02');
  if (layout.table === 'gpt')
    return boot && { first: boot.firstMib * SECTORS_PER_MIB, count: boot.mib * SECTORS_PER_MIB };
  return layout.table === 'mbr' ? { first: 1, count: SECTORS_PER_MIB - 1 } : undefined;
}

async function fillEsp(
  options: AssembleOptions,
  place: PlacedPartition,
  content: TreeNode,
  grub: GrubImages | undefined,
  configuration: string,
): Promise<boolean> {
  const { work, image, epoch, signal } = options;
  const files: Record<string, string> = {};
  for (const { node, path } of walkTree(content)) if (node.kind === 'file') files[path] = node.source;
  const upper = new Set(Object.keys(files).map((path) => path.toUpperCase()));
  const signed = await findSecureBoot(options.root);
  let secure = false;
  if (!upper.has('EFI/BOOT/BOOTX64.EFI') && grub !== undefined) {
    if (signed === undefined) {
      files['EFI/BOOT/BOOTX64.EFI'] = join(work, 'bootx64.efi');
      await writeFile(files['EFI/BOOT/BOOTX64.EFI'], grub.efi);
    } else {
      secure = true;
      files['EFI/BOOT/BOOTX64.EFI'] = signed.shim;
      files['EFI/BOOT/grubx64.efi'] = signed.grub;
      if (signed.mok !== undefined) files['EFI/BOOT/mmx64.efi'] = signed.mok;
      // The prefix that is compiled into the signed GRUB.
      files[`EFI/${signed.vendor}/grub.cfg`] = join(work, 'esp-grub.cfg');
      await writeFile(join(work, 'esp-grub.cfg'), configuration);
    }
  }
  const serial = place.partition.filesystem!.uuid.replaceAll('-', '').slice(0, 8);
  await writeEsp({
    image,
    offset: place.firstMib * MIB,
    mib: place.mib,
    label: place.partition.filesystem!.label,
    serial,
    files,
    epoch,
    signal,
  });
  return secure || upper.has('EFI/BOOT/BOOTX64.EFI');
}

/** mkswap's header: signature, version, pages, UUID and label (include/linux/swap.h). */
function swapHeader(mib: number, { uuid, label }: LayoutFilesystem): Buffer {
  const page = Buffer.alloc(4096);
  page.writeUInt32LE(1, 1024);
  page.writeUInt32LE(mib * 256 - 1, 1028);
  Buffer.from(uuid.replaceAll('-', ''), 'hex').copy(page, 1036);
  page.write(label.slice(0, 15), 1052, 'latin1');
  page.write('SWAPSPACE2', 4086, 'latin1');
  return page;
}

/** Makes one disk image out of a tree without a loop device or a mount. */
export async function assemble(options: AssembleOptions, boot: BootFiles | undefined): Promise<Assembled> {
  const { root, layers, layout, image, work, epoch, clock, signal } = options;
  await mkdir(work, { recursive: true });
  await addBootFiles(options, boot);
  const prefix = ['/boot/grub2', '/boot/grub'].find((path) => findNode(root, path) !== undefined) ?? '/boot/grub';
  // Before anything is detached: the ESP's files and GRUB's modules are looked up in the whole tree.
  const bootFilesystem = layout.partitions.find(({ filesystem }) => filesystem?.mount === '/boot')?.filesystem;
  const grub =
    boot === undefined || layout.table === 'none'
      ? undefined
      : await clock.run('grub', () =>
          makeGrub({
            uuid: bootFilesystem?.uuid ?? layout.rootUuid,
            prefix: bootFilesystem === undefined ? prefix : prefix.slice('/boot'.length),
            work,
            directory: (platform) => grubDirectory(root, platform, work),
            signal,
          }),
        );
  const content = new Map<string, TreeNode>();
  const mounted = layout.partitions.filter(
    ({ filesystem }) => filesystem?.mount !== undefined && filesystem.mount !== '/',
  );
  for (const { filesystem } of [...mounted].sort((a, b) => b.filesystem!.mount!.length - a.filesystem!.mount!.length))
    content.set(filesystem!.mount!, detach(root, filesystem!.mount!));
  content.set('/', root);

  const journalMib = options.journalMib ?? (layout.standard ? 16 : 64);
  const spare = options.spareMib;
  const size = planSize(
    root,
    layers,
    journalMib,
    (spare ?? 32) + (options.extraMib ?? 0),
    16_384,
    spare === undefined && options.extraMib === undefined ? 1 / 0.6 : 1,
  );
  const given = options.imageMib ?? (layout.size === undefined ? undefined : sizeInMib(layout.size, 0));
  const disk = placePartitions(layout, size.mib, given);
  const core = grub?.bios === undefined ? undefined : coreRoom(layout, disk.partitions);
  await rm(image, { force: true });
  await writeTable(image, layout, disk, core === undefined ? undefined : patchBootImage(grub!.bios!.boot, core.first));
  const file = await open(image, 'r+');
  try {
    if (core !== undefined) {
      const bytes = patchCoreImage(grub!.bios!.core, core.first, core.count);
      await file.write(bytes, 0, bytes.length, core.first * SECTOR);
    }
    for (const { partition, firstMib, mib } of disk.partitions)
      if (partition.filesystem?.type === 'swap')
        await file.write(swapHeader(mib, partition.filesystem), 0, 4096, firstMib * MIB);
  } finally {
    await file.close();
  }
  const firmware: ('bios' | 'uefi')[] = core === undefined ? [] : ['bios'];
  let secureBoot = false;
  for (const place of disk.partitions) {
    const { filesystem, type } = place.partition;
    if (filesystem?.type === 'vfat') {
      const part = content.get(filesystem.mount ?? '') ?? { ...root, children: new Map() };
      const isEsp = type.toLowerCase() === 'ef00';
      const configuration = grub?.configuration ?? '';
      const secure = await clock.run('esp', () =>
        fillEsp(options, place, part, isEsp ? grub : undefined, configuration),
      );
      if (isEsp && grub !== undefined) firmware.push('uefi');
      if (isEsp) secureBoot = secure;
    } else if (filesystem?.type === 'ext4') {
      const part = content.get(filesystem.mount ?? '') ?? { ...root, children: new Map(), listing: 0, layer: 0 };
      await clock.run('ext4', () =>
        writeExt4({
          root: part,
          layers,
          image,
          offset: place.firstMib * MIB,
          mib: place.mib,
          bytesPerInode: inodeRatio(part, layers, place.mib),
          journalMib: place.mib < 512 ? Math.min(journalMib, 8) : journalMib,
          uuid: filesystem.uuid,
          hashSeed: stableId(`undercloud/${layout.name}`, `hash/${filesystem.mount ?? place.partition.name}`),
          label: filesystem.label,
          epoch,
          mkfsOptions: filesystem.options,
          growsTo: filesystem.mount === '/' ? options.growsTo : undefined,
          map: options.map,
          writeFiles: options.writeFiles,
          signal,
        }),
      );
    }
  }
  const esp = layout.partitions.find(
    ({ type, filesystem }) => type.toLowerCase() === 'ef00' && filesystem !== undefined,
  );
  const serial = esp?.filesystem?.uuid.replaceAll('-', '').slice(0, 8).toUpperCase() ?? '';
  return {
    size: disk.mib * MIB,
    rootUuid: layout.rootUuid,
    espUuid: serial === '' ? '' : `${serial.slice(0, 4)}-${serial.slice(4)}`,
    firmware,
    secureBoot,
  };
}
