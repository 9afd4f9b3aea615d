/** Clean steps: a disk that forgets what it was (metadata) or what it held (all of it). */
import { type DiskFile, openDisk } from './disk-file.ts';
import { AgentFailure, reasonOf } from './failure.ts';
import type { Disk } from './hardware.ts';
import { readMbr } from './master-boot-record.ts';
import { gptPartitions, type Partition, PartitionTableError, readGpt, SECTOR, TABLE_BYTES } from './partition-table.ts';
import type { Task } from './task.ts';

const MIB = 1_048_576;
/** Stretches whose erasure is reported one by one; long, because each is one command to the device. */
const STRIDE = 1024 * MIB;

/** Removable media are left alone, as IPA does: a BMC's virtual medium may be what this ramdisk booted from. */
async function erasable({ hardware }: Task): Promise<Disk[]> {
  return (await hardware.disks()).filter(({ readOnly, removable }) => !readOnly && !removable);
}

function partitionsOf(head: Buffer): Partition[] {
  try {
    const gpt = readGpt(head);
    return gpt ? gptPartitions(gpt) : (readMbr(head) ?? []);
  } catch (error) {
    // A broken table is what this step removes.
    if (error instanceof PartitionTableError) return [];
    throw error;
  }
}

/**
 * Superblocks and labels lie within the first or last MiB of a partition or a disk: GPT, LVM, ext, XFS, FAT, md 0.9 to 1.2, ZFS, bcache.
 * btrfs keeps its first superblock at 64 KiB; its copies further in are not looked at without it.
 */
async function forgetMetadata(file: DiskFile) {
  const size = file.disk.size;
  for (const { firstLba, lastLba } of partitionsOf(await file.head(TABLE_BYTES))) {
    const from = firstLba * SECTOR;
    const to = Math.min((lastLba + 1) * SECTOR, size);
    if (from >= to) continue;
    await file.clear(from, Math.min(MIB, to - from));
    await file.clear(Math.max(from, to - MIB), MIB);
  }
  await file.clear(0, 2 * MIB);
  await file.clear(size - 2 * MIB, 2 * MIB);
}

async function eachDisk(
  task: Task,
  step: string,
  work: (file: DiskFile, before: number, total: number) => Promise<void>,
) {
  const disks = await erasable(task);
  const total = disks.reduce((sum, { size }) => sum + size, 0);
  const faults: string[] = [];
  let before = 0;
  for (const disk of disks) {
    try {
      const file = await openDisk(task.hardware, disk);
      try {
        await work(file, before, total);
        await file.flush();
      } finally {
        await file.close();
      }
      await task.hardware.rereadPartitions(disk);
      task.log(`${step}: ${disk.name} done`);
    } catch (error) {
      // The other disks are still erased; the step fails in the end, naming each that was not.
      if (task.signal.aborted) throw error;
      faults.push(reasonOf(error));
    }
    before += disk.size;
    task.progress(step, before, total);
  }
  if (faults.length > 0)
    throw new AgentFailure(
      'BlockDeviceEraseError',
      `${step} failed on ${faults.length} of ${disks.length} disks: ${faults.join(' ')}`,
    );
}

export async function eraseDevicesMetadata(task: Task): Promise<null> {
  await eachDisk(task, 'erase_devices_metadata', (file) => forgetMetadata(file));
  return null;
}

export async function eraseDevices(task: Task): Promise<null> {
  await eachDisk(task, 'erase_devices', async (file, before, total) => {
    for (let at = 0; at < file.disk.size; at += STRIDE) {
      const length = Math.min(STRIDE, file.disk.size - at);
      if (await file.zero(at, length)) {
        task.progress('erase_devices', before + at + length, total);
        continue;
      }
      for (let within = 0; within < length; within += 16 * MIB) {
        task.signal.throwIfAborted();
        await file.clear(at + within, Math.min(16 * MIB, length - within));
        task.progress('erase_devices', Math.min(before + at + within + 16 * MIB, before + file.disk.size), total);
      }
    }
  });
  return null;
}
