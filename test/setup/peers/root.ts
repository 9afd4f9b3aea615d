/**
 * A tree with Debian's network daemons in it, for tests and benches to stand beside: unpacked, not installed, so that none of them
 * becomes a service of this machine. Kept between runs under a name made of its packages. Needs root and mmdebstrap.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const suite = 'bookworm';
/** dash and coreutils for the few lines of shell in between. atftpd and tftpd-hpa cannot lie in one tree; only atftpd knows windowsize. */
const packages = ['kea-dhcp4-server', 'dnsmasq-base', 'nginx-light', 'atftpd', 'isc-dhcp-relay', 'dash', 'coreutils'];
/** What `prepared` does; another number makes another tree. */
const version = 1;
const place = '/var/tmp/undercloud-bench';

/** Path of the tree. The first call on a machine takes half a minute. */
export function networkPeersRoot(cache = place): string {
  const name = createHash('sha256')
    .update(JSON.stringify([suite, packages, version]))
    .digest('hex')
    .slice(0, 12);
  const root = join(cache, `network-${name}`);
  if (existsSync(root)) return root;
  mkdirSync(cache, { recursive: true });
  const aside = mkdtempSync(join(cache, 'network-new-'));
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
  // What the scripts of base-passwd and the daemons would have done.
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n');
  writeFileSync(join(root, 'etc/group'), 'root:x:0:\nnogroup:x:65534:\n');
  writeFileSync(join(root, 'etc/hosts'), '127.0.0.1 localhost\n');
  for (const dir of [
    'run/kea',
    'run/lock/kea',
    'var/lib/kea',
    'var/log/nginx',
    'var/lib/nginx',
    'srv/boot',
    'proc',
    'tmp',
  ])
    mkdirSync(join(root, dir), { recursive: true });
}
