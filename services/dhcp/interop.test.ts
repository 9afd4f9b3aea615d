import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { networkPeers } from '../../test/setup/peers/network.ts';
import { peerRoot } from '../../test/setup/peers/root.ts';
import type { SubnetConfig } from './index.ts';

/**
 * Real clients against the server, in network namespaces: two wires between it and them, and a third one behind ISC's relay. dhclient, busybox
 * udhcpc, systemd-networkd, perfdhcp, dhcrelay. Needs root, and the packages isc-dhcp-client, udhcpc (or busybox), systemd, kea-admin, mmdebstrap.
 */
const SERVER = `uc-dhcp-s-${process.pid}`;
const CLIENT = `uc-dhcp-c-${process.pid}`;
const RELAY = `uc-dhcp-r-${process.pid}`;
const RESERVED_MAC = '02:00:00:00:aa:01';

const SUBNETS: readonly SubnetConfig[] = [
  {
    id: 'a',
    cidr: '10.20.0.0/16',
    link: 'a',
    serverAddress: '10.20.0.1',
    mode: 'server',
    pools: [{ from: '10.20.1.0', to: '10.20.99.255' }],
    router: '10.20.0.1',
    dns: ['10.20.0.1'],
    routes: [{ destination: '169.254.169.254/32', via: '10.20.0.1' }],
    search: ['example.org', 'lab.example.org'],
  },
  {
    id: 'b',
    cidr: '198.51.100.0/24',
    link: 'b',
    serverAddress: '198.51.100.1',
    mode: 'reservations-only',
    router: '198.51.100.1',
  },
  {
    id: 'far',
    cidr: '203.0.113.0/24',
    link: 'far',
    serverAddress: '192.0.2.1',
    mode: 'server',
    pools: [{ from: '203.0.113.100', to: '203.0.113.199' }],
    router: '203.0.113.1',
  },
];

interface Line {
  readonly type: string;
  readonly seconds?: number;
  readonly exchange?: {
    readonly message: string;
    readonly outcome: string;
    readonly state: string | null;
    readonly link: string;
    readonly mac: string;
    readonly clientId: string | null;
    readonly answered: { readonly address: string } | null;
  };
}

let folder: string;
let server: ChildProcess;
const lines: Line[] = [];
const waiting = new Set<() => void>();

function ip(...words: string[]): void {
  execFileSync('ip', words, { stdio: ['ignore', 'ignore', 'pipe'] });
}

/** Resolves with the first server event from here on that passes the test. */
function event(test: (line: Line) => boolean, from = 0): Promise<Line> {
  return new Promise((resolve) => {
    const look = (): void => {
      const found = lines.slice(from).find(test);
      if (!found) return;
      waiting.delete(look);
      resolve(found);
    };
    waiting.add(look);
    look();
  });
}

function exchange(outcome: string, message: string, from = 0): Promise<Line> {
  return event((line) => line.exchange?.outcome === outcome && line.exchange.message === message, from);
}

/** Runs dhclient in the foreground until it is bound, and ends it without a release, as a crash would. */
async function bindAndKill(files: readonly string[]): Promise<void> {
  const child = spawn('ip', ['netns', 'exec', CLIENT, 'dhclient', '-d', '-1', ...files, 'ca'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let words = '';
  await new Promise<void>((resolve, reject) => {
    child.stderr.on('data', (part: Buffer) => {
      words += part.toString();
      if (words.includes('bound to')) resolve();
    });
    child.on('exit', () => reject(new Error(`dhclient ended unbound: ${words}`)));
  });
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

/** Runs a client to its end; its words, whatever its exit code. */
async function run(...words: string[]): Promise<string> {
  const child = spawn('ip', ['netns', 'exec', CLIENT, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  child.stdout.on('data', (part: Buffer) => {
    text += part.toString();
  });
  child.stderr.on('data', (part: Buffer) => {
    text += part.toString();
  });
  await once(child, 'close');
  return text;
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'uc-dhcp-'));
  ip('netns', 'add', SERVER);
  ip('netns', 'add', CLIENT);
  for (const [wire, address] of [
    ['a', '10.20.0.1/16'],
    ['b', '198.51.100.1/24'],
  ] as const) {
    ip('-n', SERVER, 'link', 'add', `s${wire}`, 'type', 'veth', 'peer', 'name', `c${wire}`, 'netns', CLIENT);
    ip('-n', SERVER, 'addr', 'add', address, 'dev', `s${wire}`);
    ip('-n', SERVER, 'link', 'set', `s${wire}`, 'up');
    ip('-n', CLIENT, 'link', 'set', `c${wire}`, 'up');
  }
  // Behind the relay: client cr - rc relay rs - sr server.
  ip('netns', 'add', RELAY);
  ip('-n', RELAY, 'link', 'add', 'rc', 'type', 'veth', 'peer', 'name', 'cr', 'netns', CLIENT);
  ip('-n', RELAY, 'link', 'add', 'rs', 'type', 'veth', 'peer', 'name', 'sr', 'netns', SERVER);
  for (const [side, device, address] of [
    [RELAY, 'rc', '203.0.113.1/24'],
    [RELAY, 'rs', '192.0.2.2/24'],
    [SERVER, 'sr', '192.0.2.1/24'],
  ] as const) {
    ip('-n', side, 'addr', 'add', address, 'dev', device);
    ip('-n', side, 'link', 'set', device, 'up');
  }
  ip('-n', CLIENT, 'link', 'set', 'cr', 'up');
  ip('-n', SERVER, 'route', 'add', '203.0.113.0/24', 'via', '192.0.2.2');
  ip('-n', CLIENT, 'link', 'set', 'cb', 'down');
  ip('-n', CLIENT, 'link', 'set', 'cb', 'address', RESERVED_MAC);
  ip('-n', CLIENT, 'link', 'set', 'cb', 'up');

  const script = join(folder, 'apply');
  writeFileSync(
    script,
    `#!/bin/sh
# udhcpc gives $1, $ip and $mask; dhclient $reason, $new_ip_address and $new_subnet_mask.
case "$1$reason" in
  bound|renew|BOUND|REBOOT|RENEW) ip addr replace "\${ip:-$new_ip_address}/\${mask:-16}" dev "$interface" ;;
  deconfig|RELEASE|STOP|EXPIRE) ip addr flush dev "$interface" scope global ;;
esac
env > "${folder}/environment.$interface"
exit 0
`,
  );
  chmodSync(script, 0o755);

  const node = fileURLToPath(new URL('../../node_modules/.bin/node', import.meta.url));
  const fixture = fileURLToPath(new URL('./interop.fixture.ts', import.meta.url));
  const orders = {
    links: [
      { link: 'a', device: 'sa' },
      { link: 'b', device: 'sb' },
      { link: 'r', device: 'sr' },
    ],
    subnets: SUBNETS,
    reservations: [{ mac: RESERVED_MAC, address: '198.51.100.77' }],
  };
  server = spawn('ip', ['netns', 'exec', SERVER, node, fixture, JSON.stringify(orders)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  createInterface({ input: server.stdout! }).on('line', (text) => {
    lines.push(JSON.parse(text) as Line);
    for (const wake of [...waiting]) wake();
  });
  await event(({ type }) => type === 'ready');
});

afterAll(async () => {
  if (server && server.exitCode === null) {
    const ended = once(server, 'exit');
    server.stdin!.end();
    await ended;
  }
  for (const name of [SERVER, CLIENT, RELAY]) {
    try {
      ip('netns', 'del', name);
    } catch {
      // It was never made: the failure that matters has been told.
    }
  }
  rmSync(folder, { recursive: true, force: true });
});

describe('busybox udhcpc', () => {
  it('gets a lease on the first wire, and releases it', async () => {
    const from = lines.length;
    const child = spawn(
      'ip',
      [
        'netns',
        'exec',
        CLIENT,
        'busybox',
        'udhcpc',
        '-f',
        '-R',
        '-i',
        'ca',
        '-s',
        join(folder, 'apply'),
        '-O',
        '121',
        '-O',
        'search',
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    let words = '';
    const obtained = new Promise<void>((resolve) => {
      child.stderr.on('data', (part: Buffer) => {
        words += part.toString();
        if (words.includes('obtained')) resolve();
      });
    });
    const ack = await exchange('acknowledged', 'REQUEST', from);
    expect(ack.exchange).toMatchObject({ link: 'a', state: 'selecting' });
    await obtained;
    expect(words).toContain(`lease of ${ack.exchange!.answered!.address} obtained from 10.20.0.1, lease time 3600`);
    const gone = once(child, 'exit');
    child.kill('SIGTERM');
    expect((await exchange('released', 'RELEASE', from)).exchange!.mac).toBe(ack.exchange!.mac);
    await gone;
  });

  it('gets its reserved address on the second wire, from the second socket', async () => {
    const from = lines.length;
    const words = await run(
      'busybox',
      'udhcpc',
      '-f',
      '-q',
      '-n',
      '-i',
      'cb',
      '-s',
      join(folder, 'apply'),
      '-x',
      '0x3d:ff0011223344',
    );
    expect(words).toContain('lease of 198.51.100.77 obtained from 198.51.100.1');
    expect(lines.slice(from).map((line) => line.exchange?.link)).toEqual(['b', 'b']);
  });
});

describe('ISC dhclient', () => {
  it('gets a lease, confirms it after a reboot, and releases it', async () => {
    const files = ['-lf', join(folder, 'leases'), '-pf', join(folder, 'pid'), '-sf', join(folder, 'apply')];
    const from = lines.length;
    await bindAndKill(files);
    const ack = await exchange('acknowledged', 'REQUEST', from);
    expect(ack.exchange!.state).toBe('selecting');
    const again = lines.length;
    await bindAndKill(files);
    const confirmed = await exchange('acknowledged', 'REQUEST', again);
    expect(confirmed.exchange).toMatchObject({
      state: 'init-reboot',
      answered: { address: ack.exchange!.answered!.address },
    });
    rmSync(join(folder, 'pid'), { force: true });
    await run('dhclient', '-r', ...files, 'ca');
    await exchange('released', 'RELEASE', again);
  });
});

describe('systemd-networkd', () => {
  it('gets a lease by its DUID, which is not its MAC, and gives it back when it ends', async () => {
    const from = lines.length;
    // It wants /run/systemd to itself; and without udev it takes links as they are only where /sys cannot be written to.
    const script = `mount -t tmpfs tmpfs /run/systemd && mkdir -p /run/systemd/network /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp &&
      chown -R systemd-network:systemd-network /run/systemd/netif && mount -o remount,ro /sys &&
      printf '[Match]\\nName=ca\\n[Network]\\nDHCP=ipv4\\nLinkLocalAddressing=no\\nIPv6AcceptRA=no\\n[DHCPv4]\\nSendRelease=yes\\n' > /run/systemd/network/10-ca.network &&
      exec /lib/systemd/systemd-networkd`;
    const words = ['netns', 'exec', CLIENT, 'unshare', '-m', 'sh', '-c', script];
    const child = spawn('ip', words, { stdio: 'ignore', env: { ...process.env, SYSTEMD_LOG_TARGET: 'null' } });
    const ack = await exchange('acknowledged', 'REQUEST', from);
    expect(ack.exchange).toMatchObject({ link: 'a', state: 'selecting' });
    // RFC 4361: type 255, an interface's number, a DUID.
    expect(ack.exchange!.clientId).toMatch(/^ff/);
    // Ended before it has put the address on, it has nothing to give back.
    await vi.waitFor(async () => expect(await run('ip', '-4', 'addr', 'show', 'ca')).toContain('dynamic'), {
      timeout: 20_000,
    });
    const gone = once(child, 'exit');
    child.kill('SIGTERM');
    await exchange('released', 'RELEASE', from);
    await gone;
  });
});

describe('ISC dhcrelay', () => {
  it('brings a client of another network its address, with option 82 out and back', async () => {
    const root = peerRoot(networkPeers);
    const from = lines.length;
    const words = [
      'netns',
      'exec',
      RELAY,
      'chroot',
      root,
      'dhcrelay',
      '-4',
      '-d',
      '--no-pid',
      '-a',
      '-i',
      'rc',
      '-i',
      'rs',
    ];
    const relay = spawn('ip', [...words, '192.0.2.1'], { stdio: ['ignore', 'ignore', 'pipe'] });
    await new Promise<void>((resolve, reject) => {
      relay.stderr.on('data', (part: Buffer) => {
        if (part.toString().includes('Sending on')) resolve();
      });
      relay.on('exit', () => reject(new Error('dhcrelay ended')));
    });
    const said = await run(
      'busybox',
      'udhcpc',
      '-f',
      '-q',
      '-n',
      '-t',
      '10',
      '-T',
      '1',
      '-i',
      'cr',
      '-s',
      join(folder, 'apply'),
    );
    expect(said).toMatch(/lease of 203\.0\.113\.1\d\d obtained from 192\.0\.2\.1/);
    const ack = await exchange('acknowledged', 'REQUEST', from);
    expect(ack.exchange).toMatchObject({ link: 'r', asked: { relay: '203.0.113.1' } });
    const gone = once(relay, 'exit');
    relay.kill('SIGTERM');
    await gone;
  });
});

describe('perfdhcp', () => {
  it('completes 2,000 exchanges of 1,000 clients through a relay, and loses none', async () => {
    ip('-n', CLIENT, 'addr', 'add', '10.20.0.2/16', 'dev', 'ca');
    const words = await run(
      'perfdhcp',
      '-4',
      '-l',
      'ca',
      '-r',
      '500',
      '-n',
      '2000',
      '-R',
      '1000',
      '-W',
      '1000000',
      '10.20.0.1',
    );
    const received = [...words.matchAll(/received packets: (\d+)/g)].map((match) => Number(match[1]));
    // On a busy machine it sends a few more than it was told to.
    expect(received.map((count) => count >= 2000)).toEqual([true, true]);
    expect([...words.matchAll(/^drops: (\d+)/gm)].map((match) => Number(match[1]))).toEqual([0, 0]);
  });
});
