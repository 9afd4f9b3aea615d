/** A tree with Debian's Swift in it: unpacked, not installed, and kept between runs under a name made of its packages. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const suite = 'bookworm';
/** dash and coreutils for the few lines of shell in between. */
const packages = ['swift-proxy', 'swift-account', 'swift-container', 'swift-object', 'memcached', 'dash', 'coreutils'];
/** What `prepared` does; another number makes another tree. */
const version = 1;

export function swiftRoot(cache: string): string {
  const name = createHash('sha256')
    .update(JSON.stringify([suite, packages, version]))
    .digest('hex')
    .slice(0, 12);
  const root = join(cache, `swift-${name}`);
  if (existsSync(root)) return root;
  mkdirSync(cache, { recursive: true });
  const aside = mkdtempSync(join(cache, 'swift-new-'));
  try {
    unpacked(aside);
    prepared(aside);
    // Two runs at once make two trees, and the second to finish throws its own away.
    if (!existsSync(root)) renameSync(aside, root);
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
  return root;
}

/** `extract` runs no package's scripts: no users, no services, and seconds instead of minutes. */
function unpacked(root: string): void {
  execFileSync(
    'mmdebstrap',
    [
      '--mode=root',
      '--variant=extract',
      '--quiet',
      '--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr',
      '--aptopt=Apt::Install-Recommends "false"',
      `--include=${packages.join(',')}`,
      suite,
      root,
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
}

function prepared(root: string): void {
  // What the scripts of base-passwd, swift and python3 would have done.
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0::/:/bin/sh\nswift:x:103:105::/:/bin/sh\n');
  writeFileSync(join(root, 'etc/group'), 'root:x:0:\nswift:x:105:\n');
  writeFileSync(join(root, 'etc/hosts'), '127.0.0.1 localhost\n');
  for (const dir of ['etc/swift', 'srv/node', 'proc', 'tmp']) mkdirSync(join(root, dir), { recursive: true });
  execFileSync('chroot', [root, 'python3', '-m', 'compileall', '-q', '-j0', '/usr/lib/python3/dist-packages'], {
    stdio: 'pipe',
  });
}
