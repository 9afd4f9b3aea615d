import { runCommand } from './command.ts';
import { BuildError, type OnProgress } from './progress.ts';

/** What a boot of an image showed. */
export interface BootResult {
  how: 'nspawn' | 'qemu';
  passed: boolean;
  /** Seconds until the system said that it was up. */
  seconds: number;
  checks: { name: string; passed: boolean; output: string }[];
  console: string[];
}

export interface BootTestOptions {
  /** Holds manifest.json with index.json and objects/, or NAME.raw. */
  directory: string;
  /** Instead of that: another raw disk, or with nspawn a directory that holds a tree. */
  raw?: string;
  cache: string;
  how: 'nspawn' | 'qemu';
  firmware?: 'bios' | 'uefi';
  /** With UEFI: only what Microsoft's and Debian's keys have signed is started. */
  secureBoot?: boolean;
  timeoutSeconds: number;
  signal?: AbortSignal;
  onProgress?: OnProgress;
}

/** Executables that an image brings to say whether it is well: each must exit with 0. */
export const HEALTH_DIRECTORY = '/usr/lib/undercloud/health.d';

/** Byte and length of the root file system in a raw disk, by sfdisk. */
export async function rootPartition(raw: string): Promise<{ start: number; size: number }> {
  const text = await runCommand('sfdisk', ['--json', raw], { capture: true }).catch(() => undefined);
  if (text === undefined) return { start: 0, size: 0 };
  const { partitiontable } = JSON.parse(text) as { partitiontable: { partitions: { start: number; size: number }[] } };
  const largest = [...partitiontable.partitions].sort((a, b) => b.size - a.size)[0];
  if (largest === undefined) throw new BuildError(`${raw} has an empty partition table.`);
  return { start: largest.start * 512, size: largest.size * 512 };
}
