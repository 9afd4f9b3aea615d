/** What the agent needs of the machine that it runs on. Two adapters: the real ramdisk (linux.ts) and files (simulated.ts). */
import type { Inventory, InventoryDisk } from '../ipa/index.ts';

export interface Disk extends InventoryDisk {
  readOnly: boolean;
  removable: boolean;
}

export interface EfiEntry {
  disk: Disk;
  /** Number of the EFI system partition. */
  partition: number;
  label: string;
}

export interface LoadedKernel {
  /** Paths of local files. */
  kernel: string;
  initrd?: string;
  cmdline: string;
}

/** Errors are sentences. Paths of disks are opened by the agent itself: a block device and a file are written alike. */
export interface Hardware {
  disks(): Promise<Disk[]>;
  inventory(): Promise<Inventory>;
  bootMode(): 'bios' | 'uefi';
  /** Address from which this machine reaches `host`. */
  addressTowards(host: string): Promise<string>;
  /** Makes a stretch of the disk zero by the device's own command; false where it has none, or only a slow one. */
  zero(disk: Disk, offset: number, length: number): Promise<boolean>;
  /** Tells the kernel about a new partition table. */
  rereadPartitions(disk: Disk): Promise<void>;
  /** Makes the disk's EFI loader the first to boot; answers what was done, in words. */
  addEfiEntry(entry: EfiEntry): Promise<string>;
  /** Copies a file of the written disk's partition to `into`. */
  copyFromPartition(disk: Disk, partition: number, path: string, into: string): Promise<void>;
  /** Converts a qcow2 file to the disk; undefined where no qemu-img is there. */
  convertQcow2: ((file: string, disk: Disk) => Promise<void>) | undefined;
  logs(): Promise<{ name: string; data: Buffer }[]>;
  loadKernel(kernel: LoadedKernel): Promise<void>;
  /** The three endings; they do not come back on real hardware. */
  runLoadedKernel(): Promise<void>;
  reboot(): Promise<void>;
  powerOff(): Promise<void>;
}
