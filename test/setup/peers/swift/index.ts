/**
 * A real S3 to test against: Debian's Swift with its s3api, all of it in one tree, on a loopback address of its own (all
 * of 127/8 answers on Linux), its data in one directory that is gone with it. Needs root and mmdebstrap.
 */
import { execFile, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { chownSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Peer, peerRoot } from '../root.ts';
import { ring } from './ring.ts';

const tree: Peer = {
  name: 'swift',
  packages: ['swift-proxy', 'swift-account', 'swift-container', 'swift-object', 'memcached'],
  users: ['swift:x:103:105::/:/bin/sh'],
  groups: ['swift:x:105:'],
  directories: ['etc/swift', 'srv/node'],
  python: true,
};

export interface Swift {
  /** `http://127.1.2.3:8080` */
  readonly endpoint: string;
  readonly host: string;
  readonly port: number;
  readonly accessKey: string;
  readonly secretKey: string;
  /** What its servers wrote. */
  logs(): string;
  stop(): Promise<void>;
}

const ports = { account: 6202, container: 6201, object: 6200, proxy: 8080, memcached: 11211 } as const;
const roles = ['account', 'container', 'object', 'proxy'] as const;
const device = 'd1';
/** A run that was killed leaves its data. */
const dayMs = 24 * 3600 * 1000;
/** uid and gid of `swift` in the tree. */
const owner = [103, 105] as const;

export interface SwiftPlace {
  /** The address that it listens on. */
  host: string;
  /** What goes before a command so that it runs in the network with that address. */
  enter: readonly string[];
}

/** @param cache where the tree is kept; the data of a run lie there too, because they need a filesystem with user xattrs */
export async function startSwift(cache: string, place?: SwiftPlace): Promise<Swift> {
  const root = peerRoot(tree, cache);
  const host = place?.host ?? `127.${randomInt(1, 255)}.${randomInt(1, 255)}.${randomInt(2, 255)}`;
  const enter = place?.enter ?? [];
  for (const left of readdirSync(cache).filter((name) => name.startsWith('swift-run-')))
    if (statSync(join(cache, left)).mtimeMs < Date.now() - dayMs) rmSync(join(cache, left), { recursive: true });
  const run = mkdtempSync(join(cache, 'swift-run-'));
  const etc = join(run, 'etc');
  const data = join(run, 'node', device);
  for (const dir of [etc, data]) mkdirSync(dir, { recursive: true });
  chownSync(data, ...owner);
  writeFileSync(join(etc, 'swift.conf'), '[swift-hash]\nswift_hash_path_suffix = test\n');
  for (const role of roles) {
    writeFileSync(join(etc, `${role}.conf`), role === 'proxy' ? proxyConfig(host) : storageConfig(role, host));
    if (role !== 'proxy') writeFileSync(join(etc, `${role}.ring.gz`), ring(host, ports[role], device));
  }
  // In mount and process namespaces of their own: with the one process below, all of it ends, even if this one is killed.
  const child = spawn(
    'setpriv',
    [
      ...['--pdeathsig', 'KILL', ...enter, 'unshare', '--mount', '--pid', '--fork', '--kill-child'],
      ...['sh', '-c', script, 'sh', root, run, host],
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let complaint = '';
  child.stderr.on('data', (piece: Buffer) => {
    complaint += piece.toString();
  });
  const gone = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const logs = () =>
    complaint + roles.map((role) => `--- ${role}\n${readIfThere(join(run, `${role}.log`))}`).join('\n');
  const stop = async () => {
    child.kill('SIGKILL');
    await gone;
    rmSync(run, { recursive: true, force: true });
  };
  try {
    for (const role of roles)
      await healthy(`http://${host}:${ports[role]}/healthcheck`, enter, () => child.exitCode === null);
  } catch (error) {
    const said = logs();
    await stop();
    throw new Error(`Swift did not start: ${(error as Error).message}\n${said}`);
  }
  const port = ports.proxy;
  return { endpoint: `http://${host}:${port}`, host, port, accessKey: 'test:tester', secretKey: 'testing', logs, stop };
}

const script = `set -e
mount --bind "$2/etc" "$1/etc/swift"
mount --bind "$2/node" "$1/srv/node"
mount -t proc proc "$1/proc"
chroot "$1" /usr/bin/memcached -u swift -l "$3" -p ${ports.memcached} -m 16 >"$2/memcached.log" 2>&1 &
for role in ${roles.join(' ')}; do
  chroot "$1" /usr/bin/swift-$role-server /etc/swift/$role.conf --verbose >"$2/$role.log" 2>&1 &
done
wait`;

const storageConfig = (role: 'account' | 'container' | 'object', host: string) => `[DEFAULT]
bind_ip = ${host}
bind_port = ${ports[role]}
user = swift
workers = 0
devices = /srv/node
mount_check = false
[pipeline:main]
pipeline = healthcheck ${role}-server
[filter:healthcheck]
use = egg:swift#healthcheck
[app:${role}-server]
use = egg:swift#${role}
`;

/** As in Swift's own proxy-server.conf-sample, with what s3api needs and nothing more. */
const proxyConfig = (host: string) => `[DEFAULT]
bind_ip = ${host}
bind_port = ${ports.proxy}
user = swift
workers = 0
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck cache listing_formats bulk s3api tempauth copy slo dlo versioned_writes symlink proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:cache]
use = egg:swift#memcache
memcache_servers = ${host}:${ports.memcached}
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_object_versioning = true
${['catch_errors', 'gatekeeper', 'healthcheck', 'listing_formats', 'bulk', 'copy', 'slo', 'dlo', 'symlink']
  .map((name) => `[filter:${name}]\nuse = egg:swift#${name}\n`)
  .join('')}`;

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** Polls: a listening socket says nothing to those who wait for it. */
async function healthy(url: string, enter: readonly string[], alive: () => boolean): Promise<void> {
  const [program = '', ...words] = [
    ...enter,
    'curl',
    '--silent',
    '--show-error',
    '--fail',
    '--output',
    '/dev/null',
    url,
  ];
  for (let tries = 0; ; tries += 1) {
    const answer = await promisify(execFile)(program, words).catch((error: Error) => error);
    if (!(answer instanceof Error)) return;
    if (!alive()) throw new Error('its processes are gone');
    if (tries > 600) throw new Error(`${url} does not answer: ${answer.message}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
