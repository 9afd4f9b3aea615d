/**
 * A node made of an image's tree: systemd boots it in a container, in a network namespace that has loopback alone (with an
 * address that looks like one of a network, for which agents wait). The
 * undercloud's port is there at the same address as out here; what connects to it comes out by a unix socket.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import { type Ran, run } from '../lab/undercloud.fixture.ts';

export interface NodeWish {
  readonly tree: string;
  readonly port: number;
  readonly userData: string;
  /** Laid over the tree: path below / → text, with its mode. */
  readonly files?: Readonly<Record<string, { text: string; mode?: number }>>;
  /** Directories of this machine, laid over the tree at a path. */
  readonly copies?: Readonly<Record<string, string>>;
  /** Paths of the tree that are not there for this node. */
  readonly without?: readonly string[];
  /** Units of the tree that this node starts, beside its own. */
  readonly units?: readonly string[];
}

// Mounts, network and processes go with the first one: nothing is left when the test is killed.
const boot = `
set -e
mkdir -p "$1/rw" "$1/root"
mount -t tmpfs -o mode=755,size=4g rw "$1/rw"; mkdir "$1/rw/up" "$1/rw/work"
mount -t overlay -o lowerdir="$2",upperdir="$1/rw/up",workdir="$1/rw/work" overlay "$1/root"
while read -r gone; do rm -rf "$1/root$gone"; done <"$1/without"
cp -a "$1/over/." "$1/root/"
: >"$1/root/etc/fstab"
: >"$1/root/etc/machine-id"
ip link set lo up
ip address add 198.51.100.2/24 dev lo
socat "TCP-LISTEN:$3,bind=127.0.0.1,fork,reuseaddr" "UNIX-CONNECT:$1/way-out" &
exec systemd-nspawn --quiet --register=no --keep-unit --capability=all --system-call-filter=@keyring --resolv-conf=off \\
  --timezone=off --link-journal=no --console=pipe -D "$1/root" --boot -- systemd.log_target=console systemd.journald.forward_to_console=yes
`;

/** The container's first process, as this machine numbers it. */
function leaderOf(pid: number): number | null {
  const children = (of: number): number[] => {
    try {
      return readFileSync(`/proc/${of}/task/${of}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
    } catch {
      return [];
    }
  };
  for (const child of children(pid)) {
    try {
      const isInit = /^NSpid:\s+\d+\s+(\d+\s+)*1$/m.test(readFileSync(`/proc/${child}/status`, 'utf8'));
      if (isInit && readFileSync(`/proc/${child}/comm`, 'utf8').trim() === 'systemd') return child;
    } catch {
      // It has ended meanwhile.
    }
    const deeper = leaderOf(child);
    if (deeper !== null) return deeper;
  }
  return null;
}

/** Boots it; it is shut down at the test's end. */
export async function bootNode({ tree, port, userData, files = {}, copies = {}, without = [], units = [] }: NodeWish) {
  const dir = mkdtempSync('/var/tmp/uc-node-');
  const over = join(dir, 'over');
  const lay = (path: string, text: string, mode = 0o644) => {
    mkdirSync(dirname(join(over, path)), { recursive: true });
    writeFileSync(join(over, path), text, { mode });
  };
  const drive = 'var/lib/cloud/seed/config_drive/openstack/latest';
  lay(`${drive}/meta_data.json`, JSON.stringify({ uuid: 'a6a1b8a6-0000-4000-8000-000000000001', hostname: 'node' }));
  lay(`${drive}/user_data`, userData);
  for (const [path, { text, mode }] of Object.entries(files)) lay(path, text, mode);
  for (const [path, from] of Object.entries(copies)) cpSync(from, join(over, path), { recursive: true });
  const wants = join(over, 'etc/systemd/system/multi-user.target.wants');
  mkdirSync(wants, { recursive: true });
  // Loopback is all there is, and networkd counts that as no network.
  symlinkSync('/dev/null', join(over, 'etc/systemd/system/systemd-networkd-wait-online.service'));
  for (const unit of units) symlinkSync(`/etc/systemd/system/${unit}`, join(wants, unit));
  writeFileSync(join(dir, 'without'), without.map((path) => `${path}\n`).join(''));
  const wayOut = createServer((inside) => {
    const outside = connect(port, '127.0.0.1');
    for (const one of [inside, outside]) one.on('error', () => {});
    inside.pipe(outside).pipe(inside);
  }).listen(join(dir, 'way-out'));
  const unit = ['--mount', '--net', '--pid', '--mount-proc', '--propagation', 'private', '--fork', '--kill-child'];
  const child: ChildProcess = spawn('unshare', [...unit, 'bash', '-c', boot, 'boot', dir, tree, String(port)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (data: Buffer) => {
      text += data.toString();
    });
  const ended = once(child, 'close');
  onTestFinished(async () => {
    const leader = child.pid ? leaderOf(child.pid) : null;
    if (leader !== null) process.kill(leader, 'SIGKILL');
    child.kill('SIGKILL');
    await ended;
    wayOut.close();
    rmSync(dir, { recursive: true, force: true });
  });
  let leader: number | null = null;
  for (let tries = 0; leader === null && child.exitCode === null && tries < 600; tries += 1) {
    leader = child.pid ? leaderOf(child.pid) : null;
    if (leader === null) await wait(50);
  }
  if (leader === null) throw new Error(`The node did not start: ${text}`);
  const space = ['--mount', '--uts', '--ipc', '--net', '--pid', '--cgroup', '--root', '--wd'];
  return {
    console: () => text,
    /** A program in it. */
    inside: (...argv: string[]): Promise<Ran> => run('nsenter', [`--target=${leader}`, ...space, ...argv]),
  };
}
