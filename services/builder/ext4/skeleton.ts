import { runCommand } from '../command.ts';
import { BLOCK } from './geometry.ts';

const MIB = 1024 * 1024;
/** Blocks of a group: what one block of bitmap describes. */
const GROUP_MIB = 128;
/** flex_bg: mke2fs keeps the tables of so many groups together at the first of them. */
const FLEX_GROUPS = 16;
/** Below this size, steadiness would cost more space than the chunks are worth. */
const STEADY_FROM_MIB = 256;
/** 2 TiB in blocks: what the file system can grow to with the descriptors that are set aside; the kernel goes on from there with meta_bg. */
const GROWS_TO = 2 ** 29;

export interface SkeletonOptions {
  image: string;
  /** Byte in the image at which the file system begins, and its size in MiB. */
  offset: number;
  mib: number;
  bytesPerInode: number;
  journalMib: number;
  uuid: string;
  hashSeed: string;
  label: string;
  epoch: number;
  /** Blocks that the file system can be grown to without meta_bg (--max-online-resize). */
  growsTo?: number | undefined;
  mkfsOptions?: readonly string[] | undefined;
  signal?: AbortSignal | undefined;
}

/** MiB at the beginning for superblock, descriptors, bitmaps and the tables of the first sixteen groups, used or not. */
function tablesMib(bytesPerInode: number): number {
  return 8 + (FLEX_GROUPS * GROUP_MIB * 256) / bytesPerInode;
}

/**
 * Where layers begin, in MiB. It depends on nothing that a somewhat larger tree would change: a file system that grew by a group has its data where it was, and nodes have it already.
 * 0: wherever there is room.
 */
export function dataStartMib({
  mib,
  journalMib,
  bytesPerInode,
}: Pick<SkeletonOptions, 'mib' | 'journalMib' | 'bytesPerInode'>): number {
  return mib < STEADY_FROM_MIB ? 0 : tablesMib(bytesPerInode) + journalMib;
}

/** Journal, tables, backups of the superblock with their descriptors, bitmaps: what a file system of this size needs for itself, in MiB. */
export function overheadMib(mib: number, journalMib: number, bytesPerInode: number): number {
  const tables = Math.max((mib / bytesPerInode) * 256, dataStartMib({ mib, journalMib, bytesPerInode }) - journalMib);
  return journalMib + tables + mib / 256 + 16;
}

/**
 * Lays out the empty file system: superblock, descriptors, journal, the inode that growing needs. All ids are given; the tables stay holes. The journal goes before the data instead
 * of into the middle, each group has the same number of inodes, and each backup the same number of blocks, whatever the size.
 */
export async function makeSkeleton(options: SkeletonOptions): Promise<void> {
  const { uuid, hashSeed, offset, epoch, signal, mib, bytesPerInode, journalMib } = options;
  const blocks = (mib * MIB) / BLOCK;
  const steady = dataStartMib(options) > 0;
  const extended = [
    `hash_seed=${hashSeed}`,
    `offset=${offset}`,
    'lazy_itable_init=1',
    'lazy_journal_init=1',
    'nodiscard',
    'root_owner=0:0',
  ];
  const growsTo = options.growsTo ?? GROWS_TO;
  if ((steady || options.growsTo !== undefined) && growsTo > blocks) extended.push(`resize=${growsTo}`);
  const inodes = steady
    ? ['-N', String(Math.ceil(mib / GROUP_MIB) * ((GROUP_MIB * MIB) / bytesPerInode))]
    : ['-i', String(bytesPerInode)];
  const journal = steady ? `size=${journalMib},location=${tablesMib(bytesPerInode)}M` : `size=${journalMib}`;
  const args = ['-q', '-F', '-t', 'ext4', '-b', String(BLOCK), '-I', '256', ...inodes, '-J', journal, '-m', '1'];
  args.push('-L', options.label, '-U', uuid, ...(options.mkfsOptions ?? []));
  args.push('-O', '^metadata_csum_seed,^orphan_file', '-E', extended.join(','), options.image, String(blocks));
  await runCommand('mke2fs', args, {
    env: {
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      E2FSPROGS_FAKE_TIME: String(epoch),
      SOURCE_DATE_EPOCH: String(epoch),
    },
    ...(signal === undefined ? {} : { signal }),
  });
}
