/** What a running command may use: the machine, the network, its node, and a voice. */
import type { KeyObject } from 'node:crypto';
import type { ImageBytes, JsonObject } from '../ipa/index.ts';
import type { Fetcher } from './fetcher.ts';
import type { Disk, Hardware } from './hardware.ts';
import type { NeighbourOptions } from './neighbours/index.ts';
import { chooseRootDisk, ROOT_DISK_MINIMUM, rootDeviceHints } from './root-device.ts';
import type { WrittenImage } from './write-image.ts';

/** What outlives a command. */
export interface Memory {
  /** The node as the undercloud described it last. */
  node: JsonObject;
  written: WrittenImage | undefined;
  /** Bytes; the smallest disk that is taken without hints. */
  rootDiskMinimum: number;
  /** By which the undercloud signs images; absent in a stock undercloud's ramdisk. */
  imageKey: KeyObject | undefined;
  /** How chunks are shared with other nodes; undefined: not at all. */
  neighbours: NeighbourOptions | undefined;
}

export function createMemory(
  rootDiskMinimum = ROOT_DISK_MINIMUM,
  imageKey?: KeyObject,
  neighbours?: NeighbourOptions,
): Memory {
  return { node: {}, written: undefined, rootDiskMinimum, imageKey, neighbours };
}

export interface Task {
  hardware: Hardware;
  fetcher: Fetcher;
  memory: Memory;
  signal: AbortSignal;
  log(line: string): void;
  /** `step` names what is counted; bytes. */
  progress(step: string, done: number, total: number, bytes?: ImageBytes): void;
  /** Runs once the command's end has been told: power off, reboot, kexec. */
  afterwards(end: () => Promise<void>): void;
}

export async function rootDisk({ hardware, memory }: Pick<Task, 'hardware' | 'memory'>): Promise<Disk> {
  const hints = rootDeviceHints(memory.node);
  const disks = (await hardware.disks()).filter(
    ({ readOnly, removable }) => !readOnly && (hints !== undefined || !removable),
  );
  return chooseRootDisk(disks, hints, memory.rootDiskMinimum);
}
