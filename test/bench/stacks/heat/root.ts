/**
 * A tree with Debian's Heat in it and what Heat needs: Keystone, MariaDB, RabbitMQ; its databases laid out and its users made.
 * Nothing of it is installed on this machine. Kept between runs under a name made of what it is made of. The first call on a
 * machine takes about five minutes. Needs root and mmdebstrap.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { inRoom, program } from '../room.ts';

const suite = 'bookworm';
const packages = [
  'heat-engine',
  'heat-api',
  'heat-api-cfn',
  'keystone',
  'mariadb-server',
  'rabbitmq-server',
  'python3-pymysql',
];
const place = '/var/tmp/undercloud-bench';
const dayMs = 24 * 3600 * 1000;

/** What is done to the tree is in these files: when they change, another tree is made. */
const makers = ['prepare.ts', 'settings.ts'];

export async function heatRoot(onLine: (line: string) => void, cache = place): Promise<string> {
  const texts = makers.map((file) => readFileSync(join(import.meta.dirname, file), 'utf8'));
  const name = createHash('sha256')
    .update(JSON.stringify([suite, packages, texts]))
    .digest('hex')
    .slice(0, 12);
  const root = join(cache, `heat-${name}`);
  if (existsSync(root)) return root;
  mkdirSync(cache, { recursive: true });
  dropLeft(cache);
  const aside = mkdtempSync(join(cache, 'heat-new-'));
  try {
    const tree = join(aside, 'tree');
    onLine('unpacking Debian’s Heat, Keystone, MariaDB and RabbitMQ');
    const options = ['--mode=root', '--variant=minbase', '--quiet', '--aptopt=Apt::Install-Recommends "false"'];
    const words = ['mmdebstrap', ...options, `--include=${packages.join(',')}`, suite, tree];
    await inRoom(words, { online: true, mostMs: 900_000 });
    onLine('laying out its databases and users');
    await inRoom(program('./heat/prepare.ts', tree), { mostMs: 300_000, onLine });
    // Two runs at once make two trees, and the second to finish throws its own away.
    if (!existsSync(root)) renameSync(tree, root);
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
  return root;
}

/** What a killed run left, and trees of former versions: each is more than a gigabyte. */
function dropLeft(cache: string): void {
  for (const left of readdirSync(cache).filter((one) => one.startsWith('heat-'))) {
    const path = join(cache, left);
    if (statSync(path).mtimeMs < Date.now() - dayMs) rmSync(path, { recursive: true, force: true });
  }
}
