/**
 * Debian's Ironic as a peer: API and conductor in one process on SQLite, without authentication, out of a tree of its own. It lives in
 * mount and process namespaces that end with it, so that nothing is left of it whichever way the bench ends.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Peer, peerRoot } from '../../setup/peers/root.ts';

const tree: Peer = {
  name: 'ironic',
  packages: ['ironic-api', 'ironic-conductor', 'ipmitool'],
  users: ['ironic:x:110:110::/:/bin/sh', 'nobody:x:65534:65534::/:/bin/sh'],
  groups: ['ironic:x:110:', 'nogroup:x:65534:'],
  directories: ['dev', 'srv'],
  python: true,
};

export interface Ironic {
  readonly url: string;
  /** Of unshare; Ironic is below it. */
  readonly pid: number;
  /** Of Ironic itself, outside its namespace. */
  program(): number;
  /** Seconds from the start of its program, its schema made before, to its first answer. */
  readonly coldStartS: number;
  stop(): Promise<void>;
}

/** All that has to do with other services is off; what Ironic does for fake nodes itself is as it is by default. */
function configuration(place: string, port: number): string {
  const kinds = ['bios', 'raid', 'rescue', 'vendor', 'inspect', 'console'];
  return `[DEFAULT]
auth_strategy = noauth
rpc_transport = json-rpc
host = 127.0.0.1
my_ip = 127.0.0.1
state_path = ${place}
log_file = ${place}/ironic.log
enabled_hardware_types = fake-hardware
${kinds.map((kind) => `enabled_${kind}_interfaces = no-${kind},fake`).join('\n')}
enabled_boot_interfaces = fake
enabled_deploy_interfaces = fake
enabled_management_interfaces = fake
enabled_power_interfaces = fake
enabled_network_interfaces = noop
enabled_storage_interfaces = noop,fake
default_network_interface = noop
[api]
host_ip = 127.0.0.1
port = ${port}
api_workers = 1
[json_rpc]
auth_strategy = noauth
host_ip = 127.0.0.1
port = ${port + 1}
[database]
connection = sqlite:///${place}/ironic.sqlite
[conductor]
automated_clean = false
send_sensor_data = false
[dhcp]
dhcp_provider = none
[inventory]
data_backend = none
[oslo_concurrency]
lock_path = ${place}
`;
}

/** devtmpfs would be the host's own nodes: a chroot gets null and random and nothing else. */
const script = `set -eu
root=$1; place=$2; conf=$place/ironic.conf
mount -t tmpfs -o mode=755 dev "$root/dev"
for each in null:1:3 zero:1:5 random:1:8 urandom:1:9; do
  IFS=: read -r name major minor <<EOF
$each
EOF
  mknod -m 666 "$root/dev/$name" c "$major" "$minor"
done
mkdir "$root/dev/shm"; mount -t tmpfs shm "$root/dev/shm"
mount -t proc proc "$root/proc"
chroot "$root" ironic-dbsync --config-file "$conf" create_schema >&2
echo made
exec chroot "$root" ironic --config-file "$conf" >&2
`;

export async function startIronic(port: number): Promise<Ironic> {
  const root = peerRoot(tree);
  const home = mkdtempSync(join(root, 'srv/ironic-'));
  const place = home.slice(root.length);
  for (const each of ['images', 'master', 'http', 'tftp']) mkdirSync(join(home, each));
  writeFileSync(join(home, 'ironic.conf'), configuration(place, port));
  const alone = ['--mount', '--pid', '--fork', '--kill-child=KILL', '--propagation', 'private'];
  const child = spawn('unshare', [...alone, 'sh', '-c', script, 'ironic', root, place], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let told = '';
  child.stderr.on('data', (data: Buffer) => {
    told = (told + data.toString()).slice(-4000);
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
    rmSync(home, { recursive: true, force: true });
  };
  try {
    await Promise.race([
      new Promise((resolve) => child.stdout.once('data', resolve)),
      ended.then(() => Promise.reject(new Error(`ironic-dbsync failed: ${told}`))),
    ]);
    const began = performance.now();
    await answers(`http://127.0.0.1:${port}/v1/drivers`, ended, () => told);
    return {
      url: `http://127.0.0.1:${port}`,
      pid: child.pid ?? 0,
      // The shell has become it, and unshare has one child.
      program: () => Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim().split(' ')[0]),
      coldStartS: (performance.now() - began) / 1000,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

const startMs = 120_000;

/** The conductor registers its hardware types when it is ready. */
async function answers(url: string, ended: Promise<void>, told: () => string): Promise<void> {
  const until = performance.now() + startMs;
  let gone = false;
  void ended.then(() => {
    gone = true;
  });
  for (;;) {
    if (gone || performance.now() > until) throw new Error(`ironic ${gone ? 'ended' : 'does not answer'}: ${told()}`);
    try {
      const text = await (await fetch(url)).text();
      if (text.includes('fake-hardware')) return;
    } catch {
      // Not yet.
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
