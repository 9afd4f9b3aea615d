/** standby.run_image: the machine leaves this ramdisk for the system on its disk, by reset or by kexec. */
import { hash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type HandOverFile, type JsonObject, readHandOver } from '../ipa/index.ts';
import { openDisk } from './disk-file.ts';
import { readLayout } from './disk-layout.ts';
import { AgentFailure } from './failure.ts';
import type { Disk } from './hardware.ts';
import { rootDisk, type Task } from './task.ts';

/** The largest initrd that a 512 MB machine can hold beside this agent. */
const FILE_MAX = 192 * 1_048_576;

async function rootPartition(task: Task, disk: Disk): Promise<number> {
  const file = await openDisk(task.hardware, disk);
  try {
    const { root } = await readLayout(file);
    if (root) return root.number;
  } finally {
    await file.close();
  }
  throw new AgentFailure(
    'CommandExecutionError',
    `${disk.name} has no root partition to read the kernel from; name the partition, or hand over by reset.`,
  );
}

async function bring(task: Task, file: HandOverFile, into: string): Promise<void> {
  if ('url' in file) {
    const data = await task.fetcher.bytes(file.url, { most: FILE_MAX }, task.signal);
    const sum = hash('sha256', data, 'hex');
    if (sum !== file.sha256)
      throw new AgentFailure(
        'ImageChecksumError',
        `wrong checksum of ${path.basename(into)} for kexec: sha256 is ${sum}, expected ${file.sha256}.`,
      );
    await writeFile(into, data);
    return;
  }
  const disk = task.memory.written?.disk ?? (await rootDisk(task));
  const partition = file.partition ?? (await rootPartition(task, disk));
  await task.hardware.copyFromPartition(disk, partition, file.path, into);
}

/** With `kexec` in params the kernel is loaded before the command ends, so that a failure is still the command's. */
export async function runImage(params: JsonObject, task: Task): Promise<JsonObject> {
  if (params.kexec === undefined || params.kexec === null) {
    task.afterwards(() => task.hardware.reboot());
    return { result: 'run_image: rebooting' };
  }
  const { kernel, initrd, cmdline } = readHandOver(params.kexec);
  const folder = await mkdtemp(path.join(tmpdir(), 'kexec-'));
  const paths = { kernel: path.join(folder, 'kernel'), initrd: path.join(folder, 'initrd') };
  try {
    await bring(task, kernel, paths.kernel);
    if (initrd) await bring(task, initrd, paths.initrd);
    await task.hardware.loadKernel({ kernel: paths.kernel, cmdline, ...(initrd ? { initrd: paths.initrd } : {}) });
  } finally {
    // kexec_file_load has read them: in the ramdisk they would only hold memory.
    await rm(folder, { recursive: true, force: true });
  }
  task.log(`kernel loaded, its command line: ${cmdline}`);
  task.afterwards(() => task.hardware.runLoadedKernel());
  return { result: 'run_image: kexec' };
}
