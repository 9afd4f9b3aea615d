import { SECTOR } from './gpt.ts';

/** A primary partition of an MBR disk, in sectors of 512 bytes. `type` is the byte of the partition table, such as 0x83. */
export interface MbrPartition {
  type: number;
  active: boolean;
  first: number;
  count: number;
}

/** The first sector: boot code, disk signature, four entries. CHS fields say "use LBA" (0xfe 0xff 0xff), as every tool writes them today. */
export function encodeMbr(signature: number, partitions: readonly MbrPartition[], boot?: Uint8Array): Buffer {
  if (partitions.length > 4)
    throw new Error(`An MBR holds four primary partitions, not ${partitions.length}: use a GPT (label: gpt).`);
  const sector = Buffer.alloc(SECTOR);
  if (boot !== undefined) sector.set(boot.subarray(0, 440), 0);
  sector.writeUInt32LE(signature >>> 0, 440);
  partitions.forEach(({ type, active, first, count }, index) => {
    if (first + count > 2 ** 32)
      throw new Error(`Partition ${index + 1} ends beyond 2 TiB, which an MBR cannot say: use a GPT (label: gpt).`);
    const at = 446 + 16 * index;
    sector.set([active ? 0x80 : 0, 0xfe, 0xff, 0xff, type, 0xfe, 0xff, 0xff], at);
    sector.writeUInt32LE(first, at + 8);
    sector.writeUInt32LE(count, at + 12);
  });
  sector.set([0x55, 0xaa], 510);
  return sector;
}
