/**
 * Two nodes that are given the same image at one time, from a bucket of Debian's Swift (s3api) that they reach themselves: chunks come from
 * there and from the other node, none through the undercloud; their way to the bucket is cut for some seconds in the middle of it. The
 * servers demand an image that was tested, and it is tested first. All of it is in a network namespace, the bucket on the provisioning link.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildRamdisk } from '../../services/builder/index.ts';
import { statePaths } from '../../services/core/config.ts';
import { labLayout, labNetns } from '../../services/lab/index.ts';
import { launcher, type Ran, run } from '../lab/undercloud.fixture.ts';
import { type Swift, startSwift } from '../setup/peers/swift/index.ts';
import { writeGold } from './gold.fixture.ts';

const scratch = mkdtempSync('/var/tmp/uc-rack-');
const state = join(scratch, 'state');
const cache = process.env.UNDERCLOUD_TEST_CACHE ?? '/var/tmp/undercloud-test-cache';
const minutes = 60_000;
const MIB = 2 ** 20;
/** The bucket's, on the provisioning link beyond the lab's pool. */
const store = '192.0.2.250';
const wire = 'uc-store';

let machine: ChildProcess | undefined;
let swift: Swift | undefined;
const enter = () => ['nsenter', '--target', String(machine?.pid), '--net', '--'];
const inside = (command: string, ...args: string[]): Promise<Ran> => {
  const [program = '', ...words] = [...enter(), command, ...args];
  return run(program, words, { env: { OS_CLIENT_CONFIG_FILE: statePaths(state).clouds, OS_CLOUD: 'undercloud' } });
};
const well = async (command: string, ...args: string[]): Promise<string> => {
  const { code, stdout, stderr } = await inside(command, ...args);
  expect(code, `${command} ${args.join(' ')}\n${stdout}\n${stderr}`).toBe(0);
  return stdout;
};
const undercloud = (...args: string[]) => well(launcher, '--state', state, ...args);

beforeAll(async () => {
  // The service user has to pass through.
  chmodSync(scratch, 0o755);
  writeGold(scratch);
  // What has to be built is built where mirrors can be reached.
  const ramdisk = await buildRamdisk({ profile: 'lab', out: join(cache, 'ramdisks'), cache });
  const served = join(statePaths(state).boot, 'ramdisk', 'lab');
  mkdirSync(served, { recursive: true });
  copyFileSync(ramdisk.kernel, join(served, 'kernel'));
  copyFileSync(ramdisk.initrd, join(served, 'ramdisk'));
  copyFileSync(join(ramdisk.directory, 'manifest.json'), join(served, 'manifest.json'));
  const built = await run(launcher, [
    ...['--state', state, 'image', 'build', join(scratch, 'gold.yaml'), '--image', 'gold-a', '--no-register'],
    ...['--elements-path', join(scratch, 'elements'), '--image-cache', cache],
  ]);
  expect(built.code, built.stderr).toBe(0);
  const script = `set -e
ip link set lo up
ip link add ${wire} type veth peer name ${wire}-lab
ip addr add ${store}/24 dev ${wire}
ip link set ${wire} up
echo there
exec sleep infinity`;
  machine = spawn('setpriv', ['--pdeathsig', 'KILL', 'unshare', '--net', 'sh', '-c', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(machine.stdout!, 'data');
  swift = await startSwift(cache, { host: store, enter: enter() });
  const credentials = join(scratch, 'credentials');
  writeFileSync(credentials, `${swift.accessKey}\n${swift.secretKey}\n`, { mode: 0o600 });
  await undercloud(
    ...['bootstrap', '--lab', '--listen', '127.0.0.1:26389'],
    ...['--image-store', `s3+${swift.endpoint}/images`, '--image-store-credentials', credentials],
  );
  const { name } = labNetns(state);
  await well('ip', 'link', 'set', `${wire}-lab`, 'netns', name);
  await well('ip', '-n', name, 'link', 'set', `${wire}-lab`, 'master', 'br0', 'up');
  await undercloud('image', 'register', 'gold-a');
  await undercloud('lab', 'up', '--nodes', '2');
  await undercloud('node', 'import', labLayout(state).instackenv);
}, 15 * minutes);

afterAll(async () => {
  if (machine) {
    await inside(launcher, '--state', state, 'stop');
    await inside(launcher, '--state', state, 'lab', 'down');
    await swift?.stop();
    machine.kill();
  }
  expect(existsSync(labNetns(state).file)).toBe(false);
  rmSync(scratch, { recursive: true, force: true });
}, 3 * minutes);

const create = (name: string): string[] => [
  ...['server', 'create', '--image', 'gold-a', '--flavor', 'baremetal', '--network', 'ctlplane'],
  ...['--hint', 'tested_image=true', name, '-f', 'json'],
];

it(
  'nodes are refused an image that nobody has tested, and given it when its test is passed',
  async () => {
    const refused = await inside('openstack', ...create('early'));
    expect([refused.code === 0, refused.stderr]).toEqual([false, expect.stringMatching(/gold-a has not been tested/)]);
    expect(JSON.parse(await well('openstack', 'server', 'list', '-f', 'json'))).toEqual([]);
    await undercloud('image', 'test', 'gold-a', '--record');
    const shown = JSON.parse(await well('openstack', 'image', 'show', 'gold-a', '-f', 'json')) as {
      properties: Record<string, string>;
    };
    expect(shown.properties).toMatchObject({ test_result: 'passed', test_boot: 'nspawn' });
  },
  5 * minutes,
);

/** Bytes that the bucket has sent to the provisioning link. */
async function sent(): Promise<number> {
  const counted = await well('nft', '--json', 'list', 'counter', 'inet', 'store', 'sent');
  const { nftables } = JSON.parse(counted) as { nftables: { counter?: { bytes: number } }[] };
  return nftables.find(({ counter }) => counter)?.counter?.bytes ?? 0;
}

interface Written {
  written: number;
  fetched: number;
  neighbours?: number;
  resumed?: number;
}

async function writtenBy(node: string): Promise<Written> {
  const events = JSON.parse(await undercloud('--json', 'node', 'timeline', node)) as {
    kind: string;
    data: Written;
  }[];
  return events.findLast(({ kind }) => kind === 'node.image-written')!.data;
}

it(
  'two nodes have it from the bucket and from each other, and go on where their way to the bucket broke',
  async () => {
    const rules = `table inet store {
  counter sent {}
  chain out { type filter hook output priority 0; oifname "${wire}" tcp sport ${swift!.port} counter name sent; }
  chain in { type filter hook input priority 0; }
}`;
    writeFileSync(join(scratch, 'rules.nft'), rules);
    await well('nft', '-f', join(scratch, 'rules.nft'));
    for (const name of ['one', 'two']) await well('openstack', ...create(name));
    while ((await sent()) < 20 * MIB) await delay(200);
    await well('nft', `add rule inet store in iifname ${wire} tcp dport ${swift!.port} reject with tcp reset`);
    const atCut = await sent();
    await delay(4000);
    await well('nft', 'flush', 'chain', 'inet', 'store', 'in');
    expect((await sent()) - atCut).toBeLessThan(4 * MIB);
    for (;;) {
      const servers = JSON.parse(await well('openstack', 'server', 'list', '-f', 'json')) as { Status: string }[];
      expect(servers.map(({ Status }) => Status)).not.toContain('ERROR');
      if (servers.length === 2 && servers.every(({ Status }) => Status === 'ACTIVE')) break;
      await delay(2000);
    }
    const nodes = await Promise.all(['node-1', 'node-2'].map(writtenBy));
    const sum = (name: keyof Written) => nodes.reduce((all, node) => all + (node[name] ?? 0), 0);
    const index = JSON.parse(readFileSync(join(statePaths(state).cache, 'images', 'gold-a', 'index.json'), 'utf8')) as {
      chunks: unknown[];
      objects: { size: number }[];
    };
    const packed = index.objects.reduce((all, { size }) => all + size, 0);
    console.log(JSON.stringify({ nodes, packed, data: index.chunks.filter((chunk) => chunk !== null).length * MIB }));
    expect(sum('neighbours')).toBeGreaterThan(4 * MIB);
    // What came from a neighbour did not come from the bucket; how much that is depends on how busy this machine is.
    expect(sum('fetched')).toBeLessThan(2 * packed);
    expect(sum('resumed')).toBeGreaterThan(0);
    // From the bucket itself: what they fetched went out of its port.
    expect(await sent()).toBeGreaterThanOrEqual(sum('fetched'));
    const timelines = await Promise.all(['node-1', 'node-2'].map((name) => undercloud('node', 'timeline', name)));
    expect(timelines.join('')).toMatch(/image written: .* from the store, .* from neighbours/);
    expect(timelines.join('')).toMatch(/broken connections? resumed/);
    // Both come up from it.
    const consoles = ['node-1', 'node-2'].map((name) => labLayout(state).node(name).consoleLog);
    while (!consoles.every((log) => /login:/.test(readFileSync(log, 'latin1')))) await delay(1000);
  },
  20 * minutes,
);

it(
  'the image boots as a whole disk too, and that is what is recorded of it then',
  async () => {
    await undercloud('image', 'test', 'gold-a', '--qemu', '--record', '--timeout', '600');
    const { properties } = JSON.parse(await well('openstack', 'image', 'show', 'gold-a', '-f', 'json')) as {
      properties: Record<string, string>;
    };
    expect(properties).toMatchObject({ test_result: 'passed', test_boot: 'qemu' });
  },
  12 * minutes,
);
