/**
 * What firmware loads first, put where the boot service serves it from: iPXE from Debian's package, and the signed chain
 * for Secure Boot. The signed packages are unpacked and not installed: their scripts would set up this machine's own boot.
 */
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { signedFiles } from '../services/boot/index.ts';
import { command } from './command.ts';

/** From the package `ipxe`. */
const loaders: Readonly<Record<string, string>> = {
  'undionly.kpxe': '/usr/lib/ipxe/undionly.kpxe',
  'ipxe.pxe': '/usr/lib/ipxe/ipxe.pxe',
  'snponly.efi': '/usr/lib/ipxe/snponly.efi',
  'ipxe.efi': '/boot/ipxe.efi',
};

const signedPackages = ['shim-signed', 'shim-helpers-amd64-signed', 'grub-efi-amd64-signed'];

export async function ensureLoaders(dir: string, say: (line: string) => void): Promise<void> {
  for (const [name, from] of Object.entries(loaders)) copyFileSync(from, join(dir, name));
  // A machine that has them is kept up to date by its own upgrades.
  const isInstalled = Object.values(signedFiles).every((from) => existsSync(from));
  if (!isInstalled && Object.keys(signedFiles).every((name) => existsSync(join(dir, name)))) return;
  const scratch = mkdtempSync(join(tmpdir(), 'uc-signed-'));
  try {
    if (!isInstalled) await unpackSigned(scratch);
    for (const [name, from] of Object.entries(signedFiles))
      copyFileSync(isInstalled ? from : join(scratch, 'root', from), join(dir, name));
  } catch (error) {
    // Everything but Secure Boot works without them.
    say(`the signed loaders for Secure Boot could not be had: ${(error as Error).message}`);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

async function unpackSigned(scratch: string): Promise<void> {
  const root = join(scratch, 'root');
  mkdirSync(root);
  // As root apt would hand the download to a user of its own, who may not write here.
  await command('apt-get', ['download', '-q', '-o', 'APT::Sandbox::User=root', ...signedPackages], { cwd: scratch });
  for (const file of readdirSync(scratch).filter((name) => name.endsWith('.deb')))
    await command('dpkg-deb', ['-x', join(scratch, file), root]);
}
