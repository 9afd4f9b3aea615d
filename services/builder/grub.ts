import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from './command.ts';
import { SECTOR } from './gpt.ts';
import { BuildError } from './progress.ts';

/** What GRUB needs to find an ext4 root by its UUID on a GPT disk and to start Linux from it, on a serial console or a screen. */
const MODULES =
  'part_gpt part_msdos ext2 fat search search_fs_uuid normal configfile linux echo serial terminal test minicmd gzio all_video'.split(
    ' ',
  );

/** Offset in boot.img of the 64-bit LBA of core.img (GRUB_BOOT_MACHINE_KERNEL_SECTOR, grub/i386/pc/boot.h). */
const KERNEL_SECTOR = 0x5c;
/** Offset of the jump that skips the check of the BIOS drive number; two NOPs make it run, as grub-install does for hard disks (GRUB_BOOT_MACHINE_DRIVE_CHECK). */
const DRIVE_CHECK = 0x66;
/** The first block list entry ends core.img's first sector: 64-bit LBA, 16-bit count of sectors, 16-bit load segment (struct grub_pc_bios_boot_blocklist). */
const BLOCKLIST = SECTOR - 12;
/** diskboot.img loads the rest of core.img right behind itself: 0x8200 (GRUB_BOOT_MACHINE_KERNEL_SEG + 0x20). */
const LOAD_SEGMENT = 0x820;

/** boot.img as it goes into the MBR's first 440 bytes, pointing at core.img in sector `coreSector`. */
export function patchBootImage(boot: Uint8Array, coreSector: number): Buffer {
  if (boot.length !== SECTOR)
    throw new BuildError(`GRUB's boot.img has ${boot.length} bytes instead of ${SECTOR}: reinstall grub-pc-bin.`);
  const patched = Buffer.from(boot);
  patched.writeBigUInt64LE(BigInt(coreSector), KERNEL_SECTOR);
  patched.set([0x90, 0x90], DRIVE_CHECK);
  return patched;
}

/** core.img padded to whole sectors, its block list naming the sectors behind its first one. `room` is the size of the BIOS boot partition in sectors. */
export function patchCoreImage(core: Uint8Array, coreSector: number, room: number): Buffer {
  const sectors = Math.ceil(core.length / SECTOR);
  if (sectors < 2 || sectors > room)
    throw new BuildError(`GRUB's core.img takes ${sectors} sectors, and there is room for 2 to ${room}.`);
  const patched = Buffer.alloc(sectors * SECTOR);
  patched.set(core);
  patched.writeBigUInt64LE(BigInt(coreSector + 1), BLOCKLIST);
  patched.writeUInt16LE(sectors - 1, BLOCKLIST + 8);
  patched.writeUInt16LE(LOAD_SEGMENT, BLOCKLIST + 10);
  return patched;
}

/** The configuration compiled into core.img and BOOTX64.EFI: find the root by UUID, go on with its own grub.cfg. */
export function embeddedConfig(uuid: string, prefix = '/boot/grub'): string {
  return `search.fs_uuid ${uuid} root\nset prefix=($root)${prefix}\nconfigfile $prefix/grub.cfg\n`;
}

export interface MenuOptions {
  rootUuid: string;
  kernel: string;
  initrd: string;
  commandLine: string;
  timeout: number;
}

/** The image's own /boot/grub/grub.cfg. The serial port comes first: a server without a screen must still show its menu. */
export function grubMenu({ rootUuid, kernel, initrd, commandLine, timeout }: MenuOptions): string {
  return `serial --unit=0 --speed=115200
terminal_input serial console
terminal_output serial console
set timeout=${timeout}
menuentry linux {
  search --no-floppy --fs-uuid --set=root ${rootUuid}
  linux ${kernel} ${commandLine}
  initrd ${initrd}
}
`;
}

export interface GrubImages {
  /** Undefined when neither the image nor this machine has GRUB for BIOS. */
  bios?: { boot: Buffer; core: Buffer };
  efi: Buffer;
  /** The configuration that finds the menu. */
  configuration: string;
}

export interface MakeGrubOptions {
  /** UUID of the file system with the menu, and the menu's directory on it. */
  uuid: string;
  prefix: string;
  /** A directory for files in between. */
  work: string;
  /** Where GRUB's modules for a platform lie. */
  directory: (platform: string) => Promise<string>;
  signal?: AbortSignal | undefined;
}

/** Makes core.img and BOOTX64.EFI with this machine's grub-mkimage. */
export async function makeGrub({ uuid, prefix, work, directory, signal }: MakeGrubOptions): Promise<GrubImages> {
  const config = join(work, 'embedded.cfg');
  const configuration = embeddedConfig(uuid, prefix);
  await writeFile(config, configuration);
  const make = async (platform: string, output: string, modules: readonly string[]): Promise<Buffer> => {
    const args = [
      '-d',
      await directory(platform),
      '-O',
      platform,
      '-p',
      prefix,
      '-c',
      config,
      '-o',
      output,
      ...modules,
    ];
    await runCommand('grub-mkimage', args, signal === undefined ? {} : { signal });
    return readFile(output);
  };
  const bios = MODULES.filter((name) => name !== 'all_video'); // 32 KB of drivers that a text console on a BIOS does not need.
  const boot = await readFile(join(await directory('i386-pc'), 'boot.img')).catch(() => {
    throw new BuildError(
      `GRUB's boot.img is missing (${'usr/lib/grub/i386-pc'} of the image and of this machine): install grub-pc-bin.`,
    );
  });
  const core = await make('i386-pc', join(work, 'core.img'), ['biosdisk', ...bios]);
  const efi = await make('x86_64-efi', join(work, 'bootx64.img'), MODULES);
  return { bios: { boot, core }, efi, configuration };
}
