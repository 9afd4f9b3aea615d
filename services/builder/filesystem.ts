import { lstat, opendir } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from './command.ts';

/** What a tree needs of a file system. */
export interface TreeSize {
  /** 4 KiB blocks of file contents, directories and long symlinks. */
  blocks: number;
  inodes: number;
}

const BLOCK = 4096;
const MIB = 1024 * 1024;
/** ext4 keeps a symlink's target in the inode up to this length. */
const INLINE_SYMLINK = 59;

/** Counts what mke2fs will have to store; a file with several names counts once. */
export async function scanTree(root: string): Promise<TreeSize> {
  const seen = new Set<string>();
  const size: TreeSize = { blocks: 0, inodes: 0 };
  const visit = async (directory: string): Promise<void> => {
    const files: string[] = [];
    const directories: string[] = [];
    for await (const entry of await opendir(directory, { bufferSize: 512 })) {
      (entry.isDirectory() ? directories : files).push(join(directory, entry.name));
    }
    size.inodes += directories.length;
    size.blocks += directories.length; // A directory takes a block; those with thousands of entries are few.
    const infos = await Promise.all(files.map((file) => lstat(file)));
    for (const info of infos) {
      const identity = `${info.dev}:${info.ino}`;
      if (info.nlink > 1 && seen.has(identity)) continue;
      if (info.nlink > 1) seen.add(identity);
      size.inodes += 1;
      if (info.isFile() || (info.isSymbolicLink() && info.size > INLINE_SYMLINK))
        size.blocks += Math.ceil(info.size / BLOCK);
    }
    for (const each of directories) await visit(each);
  };
  await visit(root);
  return size;
}

export interface Ext4Plan {
  /** Size of the file system in MiB. */
  mib: number;
  bytesPerInode: number;
  journalMib: number;
}

/** Sizes a file system for a tree: its blocks and inode tables, a journal, a tenth to breathe and `spareMib` free. */
export function planExt4({ blocks, inodes }: TreeSize, spareMib: number): Ext4Plan {
  const journalMib = 16;
  const mib = Math.ceil(((blocks * BLOCK) / MIB + (inodes * 256) / MIB + journalMib) * 1.1) + spareMib;
  let bytesPerInode = 16384;
  while ((mib * MIB) / bytesPerInode < inodes + 2000) bytesPerInode /= 2;
  return { mib, bytesPerInode, journalMib };
}

export interface Ext4Options {
  plan: Ext4Plan;
  /** The tree to fill it with. */
  tree: string;
  /** The disk image, and the byte in it at which the file system begins. */
  image: string;
  offset: number;
  uuid: string;
  hashSeed: string;
  label: string;
  epoch: number;
  signal?: AbortSignal | undefined;
}

/** Writes the file system with mke2fs -d straight into the image: no mount, no loop device. All ids are given, so that they do not change from build to build. */
export async function writeExt4(options: Ext4Options): Promise<void> {
  const { plan, uuid, hashSeed, offset, label, epoch, signal } = options;
  const extended = `hash_seed=${hashSeed},offset=${offset},lazy_itable_init=0,lazy_journal_init=0,nodiscard,root_owner=0:0`;
  const args = [
    '-q',
    '-F',
    '-t',
    'ext4',
    '-b',
    String(BLOCK),
    '-i',
    String(plan.bytesPerInode),
    '-J',
    `size=${plan.journalMib}`,
    '-m',
    '1',
  ];
  args.push(
    '-L',
    label,
    '-U',
    uuid,
    '-O',
    '^metadata_csum_seed,^orphan_file',
    '-E',
    extended,
    '-d',
    options.tree,
    options.image,
  );
  args.push(String((plan.mib * MIB) / BLOCK));
  await runCommand('mke2fs', args, {
    env: {
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      E2FSPROGS_FAKE_TIME: String(epoch),
      SOURCE_DATE_EPOCH: String(epoch),
    },
    ...(signal === undefined ? {} : { signal }),
  });
}

export interface EspOptions {
  image: string;
  offset: number;
  mib: number;
  /** Eight hexadecimal digits. */
  serial: string;
  /** Files by their path on the partition, such as EFI/BOOT/BOOTX64.EFI. */
  files: Record<string, string>;
  epoch: number;
  signal?: AbortSignal | undefined;
}

/** Formats the EFI system partition inside the image with mtools and fills it. */
export async function writeEsp({ image, offset, mib, serial, files, epoch, signal }: EspOptions): Promise<void> {
  const options = {
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', MTOOLS_SKIP_CHECK: '1', TZ: 'UTC', SOURCE_DATE_EPOCH: String(epoch) },
    ...(signal === undefined ? {} : { signal }),
  };
  const disk = `${image}@@${offset}`;
  const sectors = mib * 2048;
  await runCommand(
    'mformat',
    ['-i', disk, '-F', '-v', 'ESP', '-N', serial, '-T', String(sectors), '-h', '64', '-s', '32', '::'],
    options,
  );
  const made = new Set<string>();
  for (const [path, source] of Object.entries(files)) {
    const parts = path.split('/').slice(0, -1);
    for (let depth = 1; depth <= parts.length; depth++) {
      const directory = parts.slice(0, depth).join('/');
      if (made.has(directory)) continue;
      made.add(directory);
      await runCommand('mmd', ['-i', disk, `::/${directory}`], options);
    }
    await runCommand('mcopy', ['-i', disk, source, `::/${path}`], options);
  }
}
