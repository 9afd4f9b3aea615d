/**
 * A tree with some of Debian's daemons in it, for tests and benches to stand beside: unpacked, not installed, so that none of them
 * becomes a service of this machine. Kept between runs under a name made of what is in it. Needs root and mmdebstrap.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Peer {
  name: string;
  packages: readonly string[];
  /** No package's scripts are run: what base-passwd and the daemons' own would have made. Lines of /etc/passwd and /etc/group. */
  users: readonly string[];
  groups: readonly string[];
  directories: readonly string[];
  /** Compiles the Python modules, or each start of a service would do so. */
  python?: boolean;
}

const suite = 'bookworm';
/** For the few lines of shell in between. */
const always = ['dash', 'coreutils'];
/** Counted up when the making of a tree changes: another number makes another tree. */
const version = 2;

/** Path of the peer's tree below `cache`. The first call on a machine takes half a minute. */
export function peerRoot(peer: Peer, cache = '/var/tmp/undercloud-bench'): string {
  const key = createHash('sha256')
    .update(JSON.stringify([suite, peer, version]))
    .digest('hex')
    .slice(0, 12);
  const root = join(cache, `${peer.name}-${key}`);
  if (existsSync(root)) return root;
  mkdirSync(cache, { recursive: true });
  const aside = mkdtempSync(join(cache, `${peer.name}-new-`));
  try {
    unpack(peer, aside);
    prepare(peer, aside);
    // Two runs at once make two trees, and the second to finish throws its own away.
    if (!existsSync(root)) renameSync(aside, root);
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
  return root;
}

/** `extract` runs no package's scripts: no users, no services, and seconds instead of minutes. */
function unpack(peer: Peer, root: string): void {
  execFileSync(
    'mmdebstrap',
    [
      '--mode=root',
      '--variant=extract',
      '--quiet',
      '--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr',
      '--aptopt=Apt::Install-Recommends "false"',
      `--include=${[...peer.packages, ...always].join(',')}`,
      suite,
      root,
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
}

function prepare(peer: Peer, root: string): void {
  const write = (file: string, lines: readonly string[]): void =>
    writeFileSync(join(root, 'etc', file), lines.map((line) => `${line}\n`).join(''));
  write('passwd', ['root:x:0:0::/:/bin/sh', ...peer.users]);
  write('group', ['root:x:0:', ...peer.groups]);
  write('hosts', ['127.0.0.1 localhost']);
  for (const each of [...peer.directories, 'proc', 'tmp']) mkdirSync(join(root, each), { recursive: true });
  if (peer.python)
    execFileSync('chroot', [root, 'python3', '-m', 'compileall', '-q', '-j0', '/usr/lib/python3/dist-packages'], {
      stdio: 'pipe',
    });
}
