/**
 * disk.efi: a GRUB of some 150 kB that starts EFI/BOOT/BOOTX64.EFI of whichever disk has it. UEFI firmware that was sent
 * away without a file tries PXE and HTTP boot over IPv4 and IPv6, one after the other, before it comes to the disk: more
 * than three minutes in OVMF. iPXE of 2019 cannot start a local disk under UEFI; GRUB can.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** What it needs and nothing more: no network, so it cannot be led astray. */
const modules = ['part_gpt', 'part_msdos', 'fat', 'search', 'search_fs_file', 'chain', 'boot', 'minicmd', 'echo'];

/** GRUB's rescue parser reads this: one command a line, and a line that fails is followed by the next. */
const config = `search --no-floppy --file --set=root /EFI/BOOT/BOOTX64.EFI
chainloader /EFI/BOOT/BOOTX64.EFI
boot
echo "Undercloud: no disk here has a file EFI/BOOT/BOOTX64.EFI"
exit
`;

/** Makes bootDir/disk.efi. Needs grub-mkimage (Debian: grub-common, grub-efi-amd64-bin). @throws Error with its words */
export async function makeDiskLoader(bootDir: string): Promise<void> {
  const scratch = await mkdtemp(join(tmpdir(), 'uc-disk-loader-'));
  try {
    const embedded = join(scratch, 'grub.cfg');
    const made = join(bootDir, '.disk.efi.new');
    await writeFile(embedded, config);
    await promisify(execFile)('grub-mkimage', [
      ...['-O', 'x86_64-efi', '-p', '/', '-c', embedded, '-o', made],
      ...modules,
    ]);
    await rename(made, join(bootDir, 'disk.efi'));
  } finally {
    await rm(scratch, { recursive: true });
  }
}
