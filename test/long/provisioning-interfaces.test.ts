/**
 * An undercloud with two provisioning interfaces, made by `bootstrap` as an operator makes it, on a machine that is a network namespace.
 * Behind the second is a rack that nobody has enrolled (a lab of another state directory): its machine is discovered, captured, accepted
 * and inspected over that wire. Behind the first is a client that asks for what every machine asks for.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stopServices } from '../../bootstrap/services.ts';
import { buildRamdisk } from '../../services/builder/index.ts';
import { statePaths } from '../../services/core/config.ts';
import { enterNamespace } from '../../services/core/sockets.ts';
import { type Lab, type LabNode, labDown, labNetns, labUp } from '../../services/lab/index.ts';
import { ip } from '../lab/namespace.fixture.ts';
import { launcher, type Ran, run } from '../lab/undercloud.fixture.ts';

const scratch = mkdtempSync('/var/tmp/uc-two-wires-');
const state = join(scratch, 'state');
const rack = join(scratch, 'rack');
const paths = statePaths(state);
const id = randomBytes(4).toString('hex');
const machine = `uct-${id}`;
const client = `uct-${id}-c`;
const us = '10.51.0.1';
const links = [
  { card: 'prov0', address: us },
  { card: 'prov1', address: '10.52.0.1' },
] as const;
const bmcAddress = '203.0.113.1';
const minutes = 60_000;

let lab: Lab;
let node: LabNode;
let relay: ChildProcess | null = null;

const there = (program: string, ...args: string[]): Promise<Ran> =>
  run('ip', ['netns', 'exec', machine, program, ...args]);
const undercloud = (...args: string[]): Promise<Ran> => there(launcher, ...args, '--state', state);
async function well(...args: string[]): Promise<string> {
  const ran = await undercloud(...args);
  expect(ran.code, `${args.join(' ')}\n${ran.stdout}\n${ran.stderr}`).toBe(0);
  return ran.stdout;
}

/** The cables: the client's, the rack's uplink, and the BMCs' network, which is the relay alone. */
function plug(): void {
  for (const name of [machine, client]) {
    ip(`netns add ${name}`);
    ip(`-n ${name} link set lo up`);
  }
  const inRack = `-n ${lab.netns.name}`;
  ip(`link add prov0 netns ${machine} type veth peer name eth0 netns ${client}`);
  ip(`link add prov1 netns ${machine} type veth peer name uplink netns ${lab.netns.name}`);
  ip(`link add bmc0 netns ${machine} type veth peer name bmcs netns ${lab.netns.name}`);
  for (const { card, address } of links) {
    ip(`-n ${machine} address add ${address}/24 dev ${card}`);
    ip(`-n ${machine} link set ${card} up`);
  }
  ip(`-n ${client} link set eth0 up`);
  // A switch has no address on the link: the lab's own undercloud is not there.
  ip(`${inRack} address flush dev br0`);
  ip(`${inRack} link set uplink master br0 up`);
  ip(`${inRack} address add ${bmcAddress}/24 dev bmcs`);
  ip(`${inRack} link set bmcs up`);
  ip(`-n ${machine} address add 203.0.113.254/24 dev bmc0`);
  ip(`-n ${machine} link set bmc0 up`);
  const to = `UDP4:${node.bmc.address}:${node.bmc.port}`;
  relay = enterNamespace(lab.netns.file, () =>
    spawn('socat', ['-T', '600', `UDP4-LISTEN:623,bind=${bmcAddress},fork`, to], { stdio: 'ignore', detached: true }),
  );
}

const power = (word: 'on' | 'off') => {
  const { user, password } = node.bmc;
  const bmc = ['-I', 'lanplus', '-C', '17', '-H', bmcAddress, '-U', user, '-P', password];
  return there('ipmitool', ...bmc, 'chassis', 'power', word);
};

/** Begins to capture; resolves as soon as it does. What resolves then gives what tcpdump reads of it. */
async function capture(what: string): Promise<(interrupt: boolean) => Promise<string>> {
  const file = join(scratch, `${what.replaceAll(':', '-')}.pcap`);
  const words = ['netns', 'exec', machine, launcher, 'net', 'capture', what, '--output', file, '--state', state];
  const child = spawn('ip', words, { stdio: 'ignore' });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  await expect.poll(() => existsSync(file) && statSync(file).size >= 24, { timeout: 30_000 }).toBe(true);
  return async (interrupt) => {
    if (interrupt) child.kill('SIGINT');
    await ended;
    // The ramdisk itself would be 70 MB of text: DHCP, requests by HTTP, and the API are enough.
    const filter = 'port 67 or port 6385 or tcp[((tcp[12] & 0xf0) >> 2):4] = 0x47455420';
    return execFileSync('tcpdump', ['-nn', '-A', '-r', file, filter], {
      encoding: 'latin1',
      stdio: ['ignore', 'pipe', 'ignore'],
      maxBuffer: 1 << 26,
    });
  };
}

interface Candidate {
  state: string;
  bmc_address: string | null;
  neighbours: unknown;
  events?: { data: { text?: string } }[];
}

beforeAll(async () => {
  // The service user has to pass through.
  chmodSync(scratch, 0o755);
  for (const dir of [state, paths.cache, rack]) mkdirSync(dir, { recursive: true });
  // A machine behind these cables has no way to Debian's archive; it finds here what it would have fetched. Hard links: it is only read.
  const builder = join(paths.cache, 'builder');
  const unpacked = join(process.env.UNDERCLOUD_TEST_CACHE ?? '/var/tmp/undercloud-test-cache', 'unpacked');
  mkdirSync(builder);
  if (existsSync(unpacked)) execFileSync('cp', ['-al', unpacked, builder]);
  await buildRamdisk({ profile: 'hardware', out: join(paths.cache, 'ramdisks'), cache: builder });
  lab = await labUp({ stateDir: rack, nodes: 1, bmcs: 'own' });
  node = lab.nodes[0] as LabNode;
  plug();
}, 10 * minutes);

afterAll(async () => {
  await stopServices(state);
  // It forks for each session: the whole group ends.
  if (relay?.pid) process.kill(-relay.pid);
  await labDown({ stateDir: rack });
  for (const name of [machine, client]) ip(`netns del ${name}`);
  rmSync(scratch, { recursive: true, force: true });
  expect(existsSync(labNetns(rack).file)).toBe(false);
}, 3 * minutes);

describe('an undercloud with two provisioning interfaces', () => {
  it(
    'is made by bootstrap, and doctor looks at both',
    async () => {
      const interfaces = links.flatMap(({ card }) => ['--provisioning-interface', card]);
      await well('bootstrap', ...interfaces, '--listen', '127.0.0.1:6385', '--domain', 'rack.test', '--discover');
      const { stdout } = await undercloud('doctor', '--json');
      const found = JSON.parse(stdout) as { check: string; ok: boolean; finding: string }[];
      for (const { card, address } of links) {
        const of = (check: string) => found.find((one) => one.check === `${check} ${card}`);
        expect(of('provisioning interface')).toMatchObject({
          ok: true,
          finding: `${card} is up and has ${address}/24`,
        });
        expect(of('foreign DHCP server')).toMatchObject({ ok: true, finding: `nobody else answers on ${card}` });
        expect(of('IPv6 routers')).toMatchObject({ ok: true });
        expect(of('router advertisement')).toMatchObject({
          ok: true,
          finding: expect.stringContaining('are answered'),
        });
      }
    },
    10 * minutes,
  );

  it('serves a client behind the first', () => {
    const inside = (...words: string[]) =>
      execFileSync('ip', ['netns', 'exec', client, ...words], { encoding: 'utf8' });
    const script = join(scratch, 'bound');
    const lines = ['#!/bin/sh', '[ "$1" = bound ] || exit 0', 'ip address add $ip/24 dev eth0'];
    writeFileSync(script, `${lines.join('\n')}\n`, { mode: 0o755 });
    const firmware = ['-x', '93:0007', '-V', 'PXEClient:Arch:00007:UNDI:003016'];
    inside('busybox', 'udhcpc', '-i', 'eth0', '-f', '-q', '-n', '-t', '10', '-T', '1', '-s', script, ...firmware);
    expect(inside('ip', '-4', '-br', 'address', 'show', 'eth0')).toMatch(/ 10\.51\.0\.\d+\/24/);
    expect(
      inside(
        'curl',
        '-s',
        '--tftp-blksize',
        '1468',
        '-o',
        '/dev/null',
        '-w',
        '%{size_download}',
        `tftp://${us}/snponly.efi`,
      ),
    ).toMatch(/^\d{6}/);
    expect(inside('busybox', 'nslookup', '-type=a', 'undercloud.rack.test', us)).toContain(`Address: ${us}`);
  });

  it(
    'discovers a machine behind the second, and captures its boot there',
    async () => {
      const captured = await capture(node.mac);
      expect((await power('on')).stdout).toContain('Up/On');
      await expect
        .poll(
          async () => {
            const listed = JSON.parse(await well('node', 'discovered', '--json')) as (Candidate & { mac: string })[];
            return listed.find(({ mac }) => mac === node.mac);
          },
          { timeout: 5 * minutes, interval: 3_000 },
        )
        .toMatchObject({
          state: 'reported',
          bmc_address: node.bmc.address,
          neighbours: { eth0: { port: 'tap1', portDescription: node.name, system: 'lab' } },
        });
      const shown = await well('node', 'discovered', node.mac);
      process.stdout.write(`${shown}\n`);
      expect(shown).toMatch(/switches +eth0: lab tap1/);
      expect(shown).toMatch(/was discovered on prov1/);
      expect(shown).toMatch(/was offered 10\.52\.0\.\d+/);
      const packets = await captured(true);
      expect(packets).toMatch(/10\.52\.0\.1\.67 > .*BOOTP\/DHCP, Reply/);
      expect(packets).toContain('GET /boot/');
    },
    7 * minutes,
  );

  it(
    'makes a node of it, inspects it over that wire, and knows it by name there',
    async () => {
      const secret = join(scratch, 'password');
      writeFileSync(secret, `${node.bmc.password}\n`, { mode: 0o600 });
      const accepted = ['--name', 'far-1', '--address', bmcAddress, '--username', node.bmc.user];
      await well('node', 'accept', node.mac, ...accepted, '--password-file', secret, '--no-provide');
      await expect.poll(() => well('node', 'list'), { timeout: minutes, interval: 1_000 }).toMatch(/far-1.*manageable/);
      const captured = await capture('far-1');
      await well('node', 'inspect', 'far-1');
      // Of a node it ends by itself, with the agent's first word.
      expect(await captured(false)).toMatch(/10\.52\.0\.\d+\.\d+ > 10\.51\.0\.1\.6385/);
      expect(await well('node', 'timeline', 'far-1')).toMatch(/was offered 10\.52\.0\.\d+/);
      const asked = await run('ip', ['netns', 'exec', client, 'busybox', 'nslookup', '-type=a', 'far-1.rack.test', us]);
      expect(asked.stdout).toMatch(/Address: 10\.52\.0\.\d+/);
      expect(JSON.parse(await well('node', 'discovered', '--json'))).not.toContainEqual(
        expect.objectContaining({ mac: node.mac }),
      );
    },
    7 * minutes,
  );
});
