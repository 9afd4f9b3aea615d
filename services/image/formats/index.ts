/**
 * What an uploaded file really is, told from its own bytes before any other program opens it. A disk format that names
 * other files (a backing file, a data file, an extent) makes whoever opens it read them: the host's own files would end
 * in a tenant's image (CVE-2024-32498 and its kin). So each format is read here, as far as its header, and refused by a
 * sentence when it reaches outside itself.
 */
import { qcow2 } from './qcow2.ts';
import { isoFormat, luks, vdi, vhd } from './simple.ts';
import { vhdx } from './vhdx.ts';
import { vmdk } from './vmdk.ts';

/** The file's first bytes (up to `headBytes`), its last 512, and how many it has; `size` is null while it still comes in. */
export interface Sample {
  readonly head: Buffer;
  readonly tail: Buffer;
  readonly size: number | null;
}

export interface DiskFormat {
  /** Glance's name of it; `luks` is none of those. */
  readonly name: string;
  is(sample: Sample): boolean;
  /** Bytes of the disk within. @throws Error with the reason why the file is refused, as the end of a sentence */
  virtualSize(sample: Sample): number;
}

/** A VHDX keeps its metadata behind a log of 1 MiB; every other header is shorter. */
export const headBytes = 4 * 1024 * 1024;
export const tailBytes = 512;

/** In the order of their certainty: a fixed VHD is known by its last sector alone. */
const formats: readonly DiskFormat[] = [qcow2, vmdk, vhdx, vdi, luks, isoFormat, vhd];

/** Glance's formats whose bytes are a disk, or a box around one. What is not listed (kernels, ramdisks) is not looked into. */
export const inspected: ReadonlySet<string> = new Set(['raw', 'qcow2', 'vmdk', 'vhd', 'vhdx', 'vdi', 'iso']);

/** 16 TiB, as the chunk index. */
const largestDisk = 16 * 2 ** 40;

/**
 * @param declared Glance's disk_format of the image
 * @returns bytes of the disk within, null where the format has none
 * @throws Error whose message ends the sentence "the image is refused: "
 */
export function inspect(declared: string, sample: Sample): number | null {
  if (!inspected.has(declared)) return null;
  const found = formats.find((format) => format.is(sample));
  // An ISO may carry a partition table, and is then as good a raw disk as any (isohybrid).
  const plain = found === undefined || found === isoFormat;
  if (declared === 'raw' && plain) return sample.size;
  if (declared === 'iso' && found === isoFormat) return null;
  if (found?.name !== declared)
    throw new Error(`its disk_format is ${declared}, and its bytes are ${found ? found.name : 'of no known format'}.`);
  const size = found.virtualSize(sample);
  if (size <= 0 || size > largestDisk)
    throw new Error(`its ${declared} header says that the disk has ${size} bytes; at most ${largestDisk} are taken.`);
  return size;
}
