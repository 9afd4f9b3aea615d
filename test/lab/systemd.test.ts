/**
 * The systemd way: this very Debian, booted in a container with systemd as its first process, bootstrapped by the launcher.
 * The container's tree is an overlay over the machine's own, so that its packages are there and nothing of it is changed;
 * its network is its own and has no way out.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Standing } from '../../bootstrap/index.ts';
import { type Ran, run } from './undercloud.fixture.ts';

const root = resolve(import.meta.dirname, '../..');
const launcher = join(root, 'bootstrap/undercloud');
const scratch = mkdtempSync('/var/tmp/uc-systemd-');
const tree = join(scratch, 'tree');
const minutes = 60_000;
const unit = 'undercloud.service';

let container: ChildProcess | null = null;
/** The container's first process, as the machine numbers it. */
let leader = 0;

function sh(script: string): void {
  execFileSync('sh', ['-ec', script], { stdio: 'pipe' });
}

/** Mounts come and go with the test: the container's own namespace has them, and ours until the end. */
function layOut(): void {
  const upper = join(scratch, 'upper');
  sh(`mkdir -p ${tree} ${upper}
    mount -t tmpfs -o size=8g tmpfs ${upper}
    mkdir ${upper}/changes ${upper}/work
    mount -t overlay overlay -o lowerdir=/,upperdir=${upper}/changes,workdir=${upper}/work ${tree}`);
  // What the machine itself runs shall not run a second time, and what an undercloud here has left is not the container's.
  for (const dir of readdirSync(join(tree, 'etc/systemd/system')))
    if (dir.endsWith('.wants') || dir.startsWith('undercloud'))
      rmSync(join(tree, 'etc/systemd/system', dir), { recursive: true, force: true });
  for (const gone of ['var/lib/undercloud', 'usr/local/bin/undercloud', 'usr/local/bin/overcloud', 'etc/machine-id'])
    rmSync(join(tree, gone), { recursive: true, force: true });
  writeFileSync(join(tree, 'etc/machine-id'), '');
  writeFileSync(join(tree, 'etc/hostname'), 'booted\n');
}

async function boot(): Promise<void> {
  const options = [
    ...['--quiet', '--directory', tree, '--boot', '--private-network', '--machine', 'booted'],
    // There is no systemd outside to register with.
    ...['--register=no', '--keep-unit', '--capability=all', `--bind-ro=${root}`],
    ...['--resolv-conf=off', '--timezone=off', '--link-journal=no', '--console=pipe'],
  ];
  container = spawn('systemd-nspawn', options, { stdio: 'ignore' });
  const { pid } = container;
  await until('the container to boot', async () => {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
    leader = Number(children.find((one) => one && readFileSync(`/proc/${one}/comm`, 'utf8').trim() === 'systemd') ?? 0);
    // Degraded: something of the machine's that a container cannot do, such as loading kernel modules.
    return leader > 0 && /^(running|degraded)$/.test((await inside('systemctl', 'is-system-running')).stdout.trim());
  });
}

/** SIGRTMIN+4 to systemd is a power off (systemd(1)); Node knows no real-time signals by name. */
async function powerOff(): Promise<void> {
  const ended = new Promise((done) => container?.once('exit', done));
  sh(`kill -s RTMIN+4 ${leader}`);
  await ended;
  container = null;
}

/** Looks again until it holds: what systemd does by itself has no event that reaches us. */
async function until(what: string, look: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + minutes;
  for (;;) {
    if (await look().catch(() => false)) return;
    if (Date.now() > end) throw new Error(`waited a minute for ${what}`);
    await wait(50);
  }
}

const inside = (...argv: string[]): Promise<Ran> =>
  run('nsenter', [`--target=${leader}`, ...'--mount --uts --ipc --net --pid --root --wd'.split(' '), ...argv]);
const undercloud = (...args: string[]): Promise<Ran> => inside(launcher, ...args);
async function well(...args: string[]): Promise<string> {
  const ran = await undercloud(...args);
  expect(ran.code, `${args.join(' ')}\n${ran.stdout}\n${ran.stderr}`).toBe(0);
  return ran.stdout;
}
const picture = async (): Promise<Standing> => JSON.parse((await undercloud('status', '--json')).stdout);
const isWell = async (): Promise<boolean> => {
  const now = await picture();
  return now.running && now.children.every((child) => child.pid !== null) && (await answers());
};
const answers = async (): Promise<boolean> => (await undercloud('node', 'list')).code === 0;
const state = async (word: string): Promise<string> => (await inside('systemctl', word, unit)).stdout.trim();

beforeAll(async () => {
  layOut();
  await boot();
}, 3 * minutes);

afterAll(async () => {
  if (container) await powerOff();
  sh(`umount ${tree}; umount ${join(scratch, 'upper')}`);
  rmSync(scratch, { recursive: true, force: true });
});

describe('where systemd runs', () => {
  it('bootstrap makes a unit that is enabled and active, in under 30 s', async () => {
    const began = Date.now();
    await well('bootstrap');
    expect(Date.now() - began).toBeLessThan(30_000);
    expect([await state('is-enabled'), await state('is-active')]).toEqual(['enabled', 'active']);
    expect(await isWell()).toBe(true);
    // Again: nothing to do, and nothing is restarted.
    const { supervisor } = await picture();
    await well('bootstrap');
    expect((await picture()).supervisor).toBe(supervisor);
  });

  it('what is killed comes back: serve by its supervisor, the supervisor by systemd', async () => {
    const before = await picture();
    await inside('kill', '-9', String(before.serve));
    await until('serve to come back', async () => (await isWell()) && (await picture()).serve !== before.serve);
    expect((await picture()).supervisor).toBe(before.supervisor);
    await inside('kill', '-9', String(before.supervisor));
    await until('the supervisor', async () => (await isWell()) && (await picture()).supervisor !== before.supervisor);
    expect((await picture()).orphans).toEqual([]);
  });

  it('systemctl restarts it, and it starts by itself when the machine does', async () => {
    const before = await picture();
    expect((await inside('systemctl', 'restart', unit)).code).toBe(0);
    await until('the restart', async () => (await isWell()) && (await picture()).supervisor !== before.supervisor);
    await powerOff();
    await boot();
    await until('the start at boot', isWell);
  });

  it('stop ends it for good and leaves nothing running; start takes it up again', async () => {
    await well('stop');
    expect((await undercloud('status')).code).not.toBe(0);
    expect(existsSync(join(tree, 'etc/systemd/system', unit))).toBe(false);
    expect((await inside('pgrep', '-u', 'undercloud')).stdout).toBe('');
    expect((await inside('ls', '/run/undercloud')).code).not.toBe(0);
    await well('start');
    expect(await isWell()).toBe(true);
    expect([await state('is-enabled'), await state('is-active')]).toEqual(['enabled', 'active']);
  });
});
