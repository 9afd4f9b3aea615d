import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { ImageDefinition } from './definition.ts';
import { stableId } from './gpt.ts';
import type { Environment } from './phases.ts';
import { BuildError } from './progress.ts';
import type { Element } from './resolve.ts';

/** A file system of a layout and where it is mounted. */
export interface LayoutFilesystem {
  type: string;
  label: string;
  uuid: string;
  options: string[];
  /** `/`, `/boot/efi`, or undefined for one that nobody mounts. */
  mount?: string;
  fstab?: { options: string; dump: number; pass: number };
}

export interface LayoutPartition {
  name: string;
  /** As written: EF00, EF02, 8300, 83, 0x41 ... */
  type: string;
  flags: string[];
  /** As written: 8MiB, 40G, 100%. */
  size: string;
  filesystem?: LayoutFilesystem;
}

/** A logical volume of a volume group on partitions or whole devices. */
export interface LayoutVolume {
  name: string;
  group: string;
  size: string;
  extents: string;
  filesystem?: LayoutFilesystem;
}

/** What diskimage-builder's block-device YAML describes, or what is made where nobody says anything. */
export interface Layout {
  table: 'gpt' | 'mbr' | 'none';
  partitions: LayoutPartition[];
  groups: { name: string; physical: string[]; volumes: LayoutVolume[] }[];
  raids: { name: string; level: string; members: string[]; filesystem?: LayoutFilesystem }[];
  /** Given by image-size or the configuration's own local_loop. */
  size?: string;
  /** Needs real devices: a file system, a volume manager or a hook that is not ours to write. */
  loop: boolean;
  why: string;
  /** The builder's own default: GPT with a BIOS boot partition and an EFI system partition. */
  standard: boolean;
  rootUuid: string;
  rootLabel: string;
  name: string;
}

type Fields = Record<string, unknown>;

const text = (value: unknown, fallback = ''): string =>
  value === undefined || value === null ? fallback : String(value);
const fieldsOf = (value: unknown): Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
const listOf = (value: unknown): unknown[] =>
  Array.isArray(value) ? value : value === undefined || value === null ? [] : [value];

function words(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : text(value).split(/\s+/).filter(Boolean);
}

/** Collects the nodes of a configuration; nested ones (mkfs below a partition, mount below mkfs) name what they stand on. */
class LayoutReader {
  readonly filesystems = new Map<string, Fields>();
  readonly mounts = new Map<string, Fields>();
  readonly partitions: { fields: Fields; name: string }[] = [];
  readonly nodes: { kind: string; fields: Fields }[] = [];
  #where: string;

  constructor(where: string) {
    this.#where = where;
  }

  refuse(what: string): never {
    throw new BuildError(`${this.#where}: ${what}`);
  }

  read(document: unknown): void {
    if (!Array.isArray(document))
      this.refuse('the block-device configuration is not a list of nodes such as "- local_loop:".');
    for (const entry of document as unknown[]) {
      const pairs = Object.entries(fieldsOf(entry));
      if (pairs.length !== 1) this.refuse(`${JSON.stringify(entry)} is not a map with one key, the kind of node.`);
      const [kind, value] = pairs[0]!;
      this.#node(kind, fieldsOf(value), undefined);
    }
  }

  #node(kind: string, fields: Fields, parent: string | undefined): void {
    const base = text(fields.base, parent ?? '');
    const name = text(fields.name, kind === 'mkfs' ? `mkfs_${base}` : kind === 'mount' ? `mount_${base}` : kind);
    const nested = (inner: string, owner: string): void => {
      if (fields[inner] !== undefined) this.#node(inner, fieldsOf(fields[inner]), owner);
    };
    switch (kind) {
      case 'local_loop':
        this.nodes.push({ kind, fields });
        nested('partitioning', name);
        nested('mkfs', name);
        return;
      case 'partitioning': {
        this.nodes.push({ kind, fields });
        for (const each of listOf(fields.partitions)) {
          const partition = fieldsOf(each);
          const own = text(partition.name);
          if (own === '') this.refuse('a partition has no name.');
          this.partitions.push({ fields: partition, name: own });
          if (partition.mkfs !== undefined) this.#node('mkfs', fieldsOf(partition.mkfs), own);
        }
        return;
      }
      case 'mkfs':
        if (this.filesystems.has(base)) this.refuse(`two file systems are to be made on "${base}".`);
        this.filesystems.set(base, { ...fields, name });
        nested('mount', base);
        return;
      case 'mount': {
        // A mount of its own names the mkfs it belongs to.
        const owner = [...this.filesystems].find(([, each]) => each.name === base)?.[0] ?? base;
        this.mounts.set(owner, fields);
        return;
      }
      case 'fstab': {
        const owner = [...this.mounts].find(([, each]) => text(each.name) === base)?.[0] ?? base;
        const mount = this.mounts.get(owner);
        if (mount !== undefined) mount.fstab = fields;
        return;
      }
      case 'lvm':
      case 'raid':
        this.nodes.push({ kind, fields });
        return;
      default:
        this.refuse(`there is no node "${kind}"; known: local_loop, partitioning, mkfs, mount, fstab, lvm, raid.`);
    }
  }
}

const LOOPLESS = new Set(['ext4', 'vfat', 'swap']);

function filesystemOf(
  reader: LayoutReader,
  on: string,
  context: { label: string; type: string; name: string; options: readonly string[] },
): LayoutFilesystem | undefined {
  const fields = reader.filesystems.get(on);
  if (fields === undefined) return undefined;
  const mount = reader.mounts.get(on);
  const place = mount === undefined ? undefined : text(mount.mount_point);
  const root = place === '/';
  const type = text(fields.type, context.type);
  const label = text(fields.label, root ? context.label : on).slice(0, type === 'vfat' ? 11 : type === 'xfs' ? 12 : 16);
  const fstab = mount === undefined ? undefined : fieldsOf(mount.fstab);
  return {
    type,
    label: type === 'vfat' ? label.toUpperCase() : label,
    uuid: text(fields.uuid, stableId(`undercloud/${context.name}`, root ? 'rootfs' : `fs/${on}`)),
    options: [...words(fields.opts), ...(root ? context.options : [])],
    ...(place === undefined || place === '' ? {} : { mount: place }),
    ...(mount?.fstab === undefined
      ? {}
      : {
          fstab: {
            options: text(fstab!.options, 'defaults'),
            dump: Number(text(fstab!['dump-freq'], '0')),
            pass: Number(text(fstab!['fsck-passno'], '2')),
          },
        }),
  };
}

/** sgdisk's codes: PyYAML reads 8E00 as text, YAML 1.2 as the number 8. */
const TYPE_CODE = /(\btype:\s*)(\d[0-9A-Fa-f]{3})(?=\s*(?:[,}#\n]|$))/g;

/** Reads a block-device configuration (diskimage-builder's YAML). `where` names it in errors. */
export function readLayout(
  yaml: string,
  where: string,
  context: { name: string; label: string; type: string; mkfsOptions: readonly string[] },
): Layout {
  let document: unknown;
  try {
    document = parse(yaml.replace(TYPE_CODE, '$1"$2"'), { maxAliasCount: 100 });
  } catch (error) {
    throw new BuildError(`${where} is not valid YAML: ${(error as Error).message}`);
  }
  const reader = new LayoutReader(where);
  reader.read(document);
  const shared = { ...context, options: context.mkfsOptions };
  const tables = reader.nodes.filter(({ kind }) => kind === 'partitioning');
  if (tables.length > 1) reader.refuse('it partitions more than one device; an image is one disk.');
  const label = text(tables[0]?.fields.label, 'mbr');
  if (tables.length > 0 && label !== 'gpt' && label !== 'mbr')
    reader.refuse(`the partition table "${label}" is neither gpt nor mbr.`);
  const loops = reader.nodes.filter(({ kind }) => kind === 'local_loop');
  if (loops.length !== 1) reader.refuse(`it has ${loops.length} local_loop nodes; an image is one disk.`);
  const withFilesystem = <Part extends object>(part: Part, on: string): Part & { filesystem?: LayoutFilesystem } => {
    const filesystem = filesystemOf(reader, on, shared);
    return filesystem === undefined ? part : { ...part, filesystem };
  };
  const partitions: LayoutPartition[] = reader.partitions.map(({ fields, name }) =>
    withFilesystem(
      {
        name,
        type: text(fields.type, label === 'gpt' ? '8300' : '0x83'),
        flags: words(fields.flags),
        size: text(fields.size, '100%'),
      },
      name,
    ),
  );
  const whole = text(loops[0]!.fields.name, 'image0');
  if (tables.length === 0) partitions.push(withFilesystem({ name: whole, type: '', flags: [], size: '100%' }, whole));
  const groups = reader.nodes
    .filter(({ kind }) => kind === 'lvm')
    .flatMap(({ fields }) =>
      listOf(fields.vgs).map((each) => {
        const group = fieldsOf(each);
        const physical = words(group.base).map((name) =>
          text(fieldsOf(listOf(fields.pvs).find((pv) => text(fieldsOf(pv).name) === name)).base, name),
        );
        const volumes = listOf(fields.lvs)
          .map(fieldsOf)
          .filter((volume) => text(volume.base) === text(group.name))
          .map(
            (volume): LayoutVolume =>
              withFilesystem(
                {
                  name: text(volume.name),
                  group: text(group.name),
                  size: text(volume.size),
                  extents: text(volume.extents),
                },
                text(volume.name),
              ),
          );
        return { name: text(group.name), physical, volumes };
      }),
    );
  const raids = reader.nodes
    .filter(({ kind }) => kind === 'raid')
    .map(({ fields }) =>
      withFilesystem(
        { name: text(fields.name), level: text(fields.level, '1'), members: words(fields.base) },
        text(fields.name),
      ),
    );
  const filesystems = [...partitions, ...groups.flatMap(({ volumes }) => volumes), ...raids].flatMap(
    ({ filesystem }) => filesystem ?? [],
  );
  const root = filesystems.find(({ mount }) => mount === '/');
  if (root === undefined) throw reader.refuse('nothing is mounted at "/".');
  const strange = filesystems.find(({ type }) => !LOOPLESS.has(type));
  const why =
    groups.length > 0
      ? 'it has logical volumes'
      : raids.length > 0
        ? 'it has a RAID'
        : strange !== undefined
          ? `it has a file system of type ${strange.type}`
          : '';
  return {
    table: tables.length === 0 ? 'none' : (label as 'gpt' | 'mbr'),
    partitions,
    groups,
    raids,
    ...(loops[0]!.fields.size === undefined ? {} : { size: text(loops[0]!.fields.size) }),
    loop: why !== '',
    why,
    standard: false,
    rootUuid: root.uuid,
    rootLabel: root.label,
    name: context.name,
  };
}

/** The layout where no element and no user gives one: boots from BIOS and UEFI, and the root is last so that it can grow. */
export function standardLayout(name: string, label: string, espMib: number): Layout {
  const id = (word: string): string => stableId(`undercloud/${name}`, word);
  const esp: LayoutFilesystem = {
    type: 'vfat',
    label: 'ESP',
    uuid: id('fat'),
    options: [],
    mount: '/boot/efi',
    // Mounted when something looks into it: no node needs it to boot.
    fstab: { options: 'umask=0077,noauto,x-systemd.automount,x-systemd.idle-timeout=60', dump: 0, pass: 0 },
  };
  const root: LayoutFilesystem = {
    type: 'ext4',
    label,
    uuid: id('rootfs'),
    options: [],
    mount: '/',
    fstab: { options: 'errors=remount-ro', dump: 0, pass: 1 },
  };
  return {
    table: 'gpt',
    partitions: [
      { name: 'bios', type: 'EF02', flags: [], size: '1MiB' },
      { name: 'esp', type: 'EF00', flags: [], size: `${espMib}MiB`, filesystem: esp },
      { name: 'root', type: 'root', flags: [], size: '100%', filesystem: root },
    ],
    groups: [],
    raids: [],
    loop: false,
    why: '',
    standard: true,
    rootUuid: root.uuid,
    rootLabel: label,
    name,
  };
}

/** The layout of an image: DIB_BLOCK_DEVICE_CONFIG (text or file://), else the first element's block-device-ARCH.yaml or block-device-default.yaml, else the standard one. */
export async function chooseLayout(
  definition: ImageDefinition,
  elements: readonly Element[],
  environment: Readonly<Record<string, string | undefined>>,
  architecture: string,
): Promise<Layout> {
  const label = definition.rootLabel ?? environment.DIB_ROOT_LABEL ?? 'cloudimg-rootfs';
  const context = {
    name: definition.name,
    label,
    type: environment.FS_TYPE ?? 'ext4',
    mkfsOptions: definition.mkfsOptions ?? [],
  };
  const given = environment.DIB_BLOCK_DEVICE_CONFIG;
  if (given !== undefined && given !== '') {
    if (!given.startsWith('file://')) return readLayout(given, 'DIB_BLOCK_DEVICE_CONFIG', context);
    const path = given.slice('file://'.length);
    const yaml = await readFile(path, 'utf8').catch(() => {
      throw new BuildError(`DIB_BLOCK_DEVICE_CONFIG names ${path}, which cannot be read.`);
    });
    return readLayout(yaml, path, context);
  }
  for (const { name, path } of elements) {
    for (const file of [`block-device-${architecture}.yaml`, 'block-device-default.yaml']) {
      const yaml = await readFile(join(path, file), 'utf8').catch(() => undefined);
      if (yaml !== undefined) return readLayout(yaml, `${file} of element "${name}"`, context);
    }
  }
  if (context.type !== 'ext4')
    return readLayout(
      '- local_loop:\n    name: image0\n    mkfs:\n      name: mkfs_root\n      mount:\n        mount_point: /\n        fstab:\n          options: defaults\n          fsck-passno: 1\n',
      'the default layout',
      context,
    );
  return standardLayout(definition.name, label, definition.espMib);
}

/** What hooks learn of the layout: variables of diskimage-builder, and answers for the programs that stand in for GRUB's. */
export function layoutEnvironment(layout: Layout): Environment {
  const mounts = [...layout.partitions, ...layout.groups.flatMap(({ volumes }) => volumes), ...layout.raids].flatMap(
    ({ filesystem }) => filesystem?.mount ?? [],
  );
  const root = layout.partitions.findIndex(({ filesystem }) => filesystem?.mount === '/');
  const type = [...layout.partitions, ...layout.groups.flatMap(({ volumes }) => volumes)].find(
    ({ filesystem }) => filesystem?.mount === '/',
  )?.filesystem?.type;
  return {
    DIB_ROOT_LABEL: layout.rootLabel,
    DIB_ROOT_FSTYPE: type ?? 'ext4',
    DIB_MOUNTPOINTS: mounts.sort().join('|'),
    IMAGE_BLOCK_DEVICE: '/dev/undercloud-image',
    IMAGE_BLOCK_DEVICES: `[image0]=/dev/undercloud-image ${layout.partitions.map(({ name }, index) => `[${name}]=/dev/undercloud-image${index + 1}`).join(' ')}`,
    UC_ROOT_UUID: layout.rootUuid,
    UC_PARTITION_TABLE: layout.table === 'mbr' ? 'msdos' : layout.table === 'gpt' ? 'gpt' : '',
    UC_ROOT_PARTITION: `${layout.table === 'mbr' ? 'msdos' : 'gpt'}${root + 1}`,
    UC_ROOT_DEVICE: `/dev/undercloud-image${layout.table === 'none' ? '' : root + 1}`,
  };
}
