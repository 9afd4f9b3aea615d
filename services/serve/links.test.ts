/**
 * Two provisioning interfaces in one `serve`, with real clients behind each: addresses of the right subnet, TFTP, HTTP boot, the API, the
 * metadata address and DNS at the one address of the undercloud; and the probe of pool addresses. Needs root and busybox.
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ensureKeys } from '../../bootstrap/keys.ts';
import { createWorld, type World } from '../../test/setup/world.ts';
import { hearsItself } from '../boot/index.ts';
import { statePaths } from '../core/config.ts';
import { datagramFrom, datagramSocket, enterNamespace } from '../core/sockets.ts';
import { BOOTREPLY, encodePacket, MESSAGE, OPTION } from '../dhcp/index.ts';

const server = `uc-two-s-${process.pid}`;
const stateDir = mkdtempSync('/var/tmp/uc-two-');
const paths = statePaths(stateDir);
const us = '10.31.0.1';
const links = [
  { name: 'a', address: us, cidr: '10.31.0.0/24', pool: ['10.31.0.2', '10.31.0.62'], range: '10.31.0.100-10.31.0.110' },
  {
    name: 'b',
    address: '10.32.0.1',
    cidr: '10.32.0.0/24',
    pool: ['10.32.0.2', '10.32.0.62'],
    range: '10.32.0.100-10.32.0.110',
  },
] as const;
const clientOf = (name: string) => `uc-two-${name}-${process.pid}`;
const ip = (...words: string[]) => execFileSync('ip', words, { stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8' });
const inside = (name: string, ...words: string[]) => ip('netns', 'exec', clientOf(name), ...words);
const loader = Buffer.alloc(300_000, 'loader');
let world: World;
let serve: ReturnType<typeof spawn>;

beforeAll(async () => {
  world = await createWorld({ keep: true });
  for (const one of [server, ...links.map(({ name }) => clientOf(name))]) ip('netns', 'add', one);
  ip('-n', server, 'link', 'set', 'lo', 'up');
  for (const { name, address } of links) {
    ip('-n', server, 'link', 'add', `wire-${name}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', clientOf(name));
    ip('-n', server, 'address', 'add', `${address}/24`, 'dev', `wire-${name}`);
    ip('-n', server, 'link', 'set', `wire-${name}`, 'up');
    ip('-n', clientOf(name), 'link', 'set', 'eth0', 'address', `02:31:00:00:00:0${name}`, 'up');
  }
  for (const dir of [paths.keys, paths.images, paths.boot]) mkdirSync(dir, { recursive: true });
  writeFileSync(join(paths.boot, 'snponly.efi'), loader);
  const ids = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  await ensureKeys(paths, ['127.0.0.1', us], ids);
  const [first, ...further] = links.map(({ name, address, cidr, pool }) => ({
    interface: `wire-${name}`,
    address,
    cidr,
    pool,
  }));
  const config = {
    stateDir,
    listen: '127.0.0.1:6385',
    databaseUrl: world.databaseUrl,
    redisUrl: `unix://${stateDir}/none.sock`,
    lab: false,
    region: 'RegionOne',
    provisioning: {
      ...first,
      gateway: us,
      domain: 'rack.test',
      dhcp: 'server',
      dhcpRanges: links.map(({ range }) => range),
      unknownMachines: 'discover',
      further,
    },
  };
  writeFileSync(paths.config, JSON.stringify(config));
  const words = ['netns', 'exec', server, process.execPath, join(import.meta.dirname, 'links.fixture.ts'), stateDir];
  serve = spawn('ip', words, { stdio: ['pipe', 'pipe', 'inherit'] });
  for await (const line of createInterface({ input: serve.stdout ?? process.stdin })) {
    if (line.includes('"serving"')) return;
    if (line.includes('"level":60')) throw new Error(line);
  }
  throw new Error('serve has ended');
}, 60_000);

afterAll(async () => {
  const gone = new Promise((resolve) => serve.once('exit', resolve));
  serve.stdin?.end();
  await gone;
  for (const one of [server, ...links.map(({ name }) => clientOf(name))]) ip('netns', 'del', one);
  await world.close();
  rmSync(stateDir, { recursive: true });
});

/** busybox udhcpc as a machine's firmware (`boots`) or as a system, to its lease; leaves the address on. What it was given, by udhcpc's names. */
function lease(name: string, boots: boolean, mac = `02:31:00:00:00:0${name}`): ReadonlyMap<string, string> {
  ip('-n', clientOf(name), 'link', 'set', 'eth0', 'address', mac);
  ip('-n', clientOf(name), 'address', 'flush', 'dev', 'eth0');
  const script = join(stateDir, `bound-${name}`);
  const given = join(stateDir, `given-${name}`);
  const lines = [
    '#!/bin/sh',
    '[ "$1" = bound ] || exit 0',
    `env > ${given}`,
    'ip address add $ip/24 dev eth0',
    'ip route replace default via $router',
  ];
  writeFileSync(script, `${lines.join('\n')}\n`, { mode: 0o755 });
  const firmware = boots
    ? ['-x', '93:0007', '-V', 'PXEClient:Arch:00007:UNDI:003016', '-O', 'bootfile', '-O', 'tftp']
    : [];
  inside(name, 'busybox', 'udhcpc', '-i', 'eth0', '-f', '-q', '-n', '-t', '10', '-T', '1', '-s', script, ...firmware);
  return new Map(
    readFileSync(given, 'utf8')
      .split('\n')
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
}

const curl = (name: string, ...words: string[]): string =>
  inside(name, 'sh', '-c', `curl -s -k --max-time 20 ${words.join(' ')}`);

for (const { name, address, pool } of links)
  it(`boots a machine on link ${name}: its subnet’s address, and everything else at the undercloud’s one address`, () => {
    const given = lease(name, true);
    const [net, host] = [given.get('ip')?.replace(/\d+$/, ''), Number(given.get('ip')?.split('.')[3])];
    expect(net).toBe(pool[0].replace(/\d+$/, ''));
    expect(host).toBeLessThan(63);
    expect(
      Object.fromEntries(['boot_file', 'siaddr', 'router', 'serverid'].map((key) => [key, given.get(key)])),
    ).toEqual({
      boot_file: 'snponly.efi',
      siaddr: us,
      router: address,
      serverid: address,
    });
    expect(curl(name, '--tftp-blksize', '1468', `tftp://${us}/snponly.efi`, '|', 'wc', '-c').trim()).toBe('300000');
    expect(curl(name, `http://${us}:8088/boot/loader/snponly.efi`, '|', 'wc', '-c').trim()).toBe('300000');
    expect(JSON.parse(curl(name, `https://${us}:6385/baremetal/`))).toHaveProperty('default_version');
    expect(curl(name, '-o', '/dev/null', '-w', "'%{http_code}'", 'http://169.254.169.254/')).not.toBe('000');
  });

it.each(links)('answers DNS and router solicitations on link $name', async ({ name }) => {
  lease(name, true);
  const said = inside(name, 'busybox', 'nslookup', '-type=a', 'undercloud.rack.test', us).toString();
  expect(said).toMatch(new RegExp(`Name:\\s+undercloud\\.rack\\.test\\s+Address: ${us.replaceAll('.', '\\.')}`));
  expect(await hearsItself(`wire-${name}`, { netns: `/run/netns/${server}` })).toBe('heard');
});

it('gives systems addresses of the range on their own link, and sets one aside that somebody has already', async () => {
  // Somebody has put the first address of the range on by hand.
  const squatter = '02:31:00:00:00:99';
  ip(
    '-n',
    clientOf('b'),
    'link',
    'add',
    'squat',
    'link',
    'eth0',
    'address',
    squatter,
    'type',
    'macvlan',
    'mode',
    'bridge',
  );
  ip('-n', clientOf('b'), 'address', 'add', '10.32.0.100/32', 'dev', 'squat');
  ip('-n', clientOf('b'), 'link', 'set', 'squat', 'up');
  inside('b', 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/conf/all/arp_ignore');
  expect(lease('a', false, '02:31:00:00:01:0a').get('ip')).toBe('10.31.0.100');
  // Before the probe has its answer the OFFER has left, and the client may have been quicker than it.
  lease('b', false, '02:31:00:00:01:0b');
  let told: string | undefined;
  while (told === undefined) {
    const { rows } = await world.db.pool.query<{ text: string }>(
      "select data->>'text' as text from core.events where kind = 'boot.trouble' and data->>'text' like '%10.32.0.100%'",
    );
    told = rows[0]?.text;
  }
  expect(told).toContain(`but ${squatter} answers there`);
  // The second one, where the client before was slow enough to be refused the first and to take the next.
  expect(['10.32.0.101', '10.32.0.102']).toContain(lease('b', false, '02:31:00:00:01:0c').get('ip'));
}, 30_000);

it('watches every link for foreign servers, and says on which one answers', async () => {
  const blank = { htype: 1, hlen: 6, hops: 0, xid: 7, secs: 0, flags: 0x8000, ciaddr: 0, siaddr: 0, giaddr: 0 };
  const { bytes } = encodePacket(
    {
      ...{ ...blank, op: BOOTREPLY, yiaddr: 0x0a2000c8, chaddr: new Uint8Array(16), sname: '', file: '' },
      options: new Map([
        [OPTION.messageType, Uint8Array.of(MESSAGE.offer)],
        [OPTION.serverId, Uint8Array.of(10, 32, 0, 9)],
      ]),
    },
    548,
  );
  const socket = await datagramFrom(
    enterNamespace(`/run/netns/${clientOf('b')}`, () => datagramSocket('DHCP', 'eth0', '0.0.0.0', 67)),
  );
  socket.setBroadcast(true);
  socket.send(bytes, 68, '255.255.255.255');
  await expect
    .poll(async () => (await world.db.pool.query('select interface, kind, offered from boot.foreign_servers')).rows, {
      timeout: 10_000,
    })
    .toEqual([{ interface: 'wire-b', kind: 'DHCP', offered: '10.32.0.200' }]);
  socket.close();
}, 30_000);
