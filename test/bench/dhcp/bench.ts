/**
 * DHCP four-way exchanges by perfdhcp (which plays a relay) over a wire between two namespaces: ours with leases in PostgreSQL, fsync
 * on, beside Kea with its memory file and dnsmasq with its lease file, all on one processor. CPU is that of the server's process and,
 * for ours, of PostgreSQL's with it. `fresh`: clients that were never seen, so that each exchange makes a durable lease.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ensurePackages } from '../../../bootstrap/packages.ts';
import { networkPeers } from '../../setup/peers/network.ts';
import { peerRoot } from '../../setup/peers/root.ts';
import { cpuSeconds } from '../network/cpu.ts';
import { startPostgresql } from '../network/postgresql.ts';
import { createWire, end, serverAddress, type Wire } from '../network/wire.ts';
import type { Bench, Report } from '../row.ts';
import { mutated } from './mutants.ts';

const cidr = '10.77.0.0/16';
const pool = ['10.77.1.0', '10.77.250.255'] as const;
const fixture = join(import.meta.dirname, 'server.fixture.ts');
const server = 0;
const client = 1;

interface Load {
  /** Exchanges a second that are offered, how many clients ask in turn, and how long or how many. */
  readonly rate: number;
  readonly clients: number;
  readonly seconds?: number;
  readonly exchanges?: number;
  /** The first client's MAC: another one makes clients that were never seen. */
  readonly mac: string;
}

interface Result {
  readonly exchanges: number;
  readonly perSecond: number;
  readonly cpuUs: number;
}

type Measured = Readonly<Record<string, Result>>;

/** Twenty thousand leases are made first; then ten thousand other clients come while these are held. */
const loads = (full: boolean): readonly (readonly [string, Load])[] => [
  ['held100', { rate: 2000, clients: 100, seconds: 4, mac: '00:0a:00:00:00:00' }],
  ['fresh', { rate: 2000, clients: 20_000, exchanges: 20_000, mac: '00:0b:00:00:00:00' }],
  ['fresh20k', { rate: 2000, clients: 10_000, exchanges: 10_000, mac: '00:0c:00:00:00:00' }],
  ['held20k', { rate: 2000, clients: 20_000, seconds: 4, mac: '00:0b:00:00:00:00' }],
  ['most', { rate: 20_000, clients: 20_000, seconds: full ? 10 : 5, mac: '00:0d:00:00:00:00' }],
];

export const bench: Bench = async (report, { full }) => {
  await ensurePackages(['tests', 'images', 'database']);
  const root = peerRoot(networkPeers);
  const ours = await measureOurs(loads(full), report);
  const kea = await measure('kea', keaWords(root), loads(full));
  // dnsmasq writes its whole lease file for each ACK: with twenty thousand it would need minutes.
  const dnsmasq = await measure('dnsmasq', dnsmasqWords(root), [
    ['held100', { rate: 500, clients: 100, seconds: 4, mac: '00:0a:00:00:00:00' }],
  ]);
  const cpu = (name: string, peer: Measured, from: string) =>
    report({ name, ours: ours[from]?.cpuUs ?? 0, peer: peer[from]?.cpuUs ?? 0, better: 'lower' });
  cpu('fresh_4way_at_20000_leases_cpu_us', kea, 'fresh20k');
  cpu('fresh_4way_cpu_us', kea, 'fresh');
  cpu('known_4way_at_20000_leases_cpu_us', kea, 'held20k');
  cpu('known_4way_at_100_leases_cpu_us', kea, 'held100');
  cpu('known_4way_at_100_leases_against_dnsmasq_cpu_us', dnsmasq, 'held100');
  const most = [ours, kea].map((one) => one.most?.perSecond ?? 0);
  report({ name: 'most_4way_per_s', ours: most[0] ?? 0, peer: most[1] ?? 0, better: 'higher' });
  // perfdhcp, on a processor of its own, takes no more than that: what a server could do in a second of its processor is told by its CPU.
  const capacity = [ours, kea].map((one) => 1e6 / (one.most?.cpuUs || Number.POSITIVE_INFINITY));
  report({ name: 'most_4way_per_cpu_s', ours: capacity[0] ?? 0, peer: capacity[1] ?? 0, better: 'higher' });
  // Cost at 20,000 leases by cost at 100, for both: 1.5 is what is allowed.
  const growth = (one: Measured) => (one.held20k?.cpuUs ?? 0) / (one.held100?.cpuUs || 1);
  report({ name: 'growth_100_to_20000', ours: growth(ours), peer: growth(kea), better: 'lower' });
};

async function measureOurs(all: readonly (readonly [string, Load])[], report: Report): Promise<Measured> {
  const database = await startPostgresql(server);
  try {
    const words = [process.execPath, fixture, database.url];
    return await measure(
      'ours',
      (device) => [...words, device, serverAddress, cidr, ...pool],
      all,
      database.pid,
      async (wire, pid) => {
        // After everything else: what they do to its memory must not be in the figures.
        const { sent, answered, grewMb } = await mutated(wire, pid);
        console.error(
          `ours: ${sent} mutated packets, ${answered} good ones answered meanwhile, memory grew by ${grewMb} MB`,
        );
        report({ name: 'good_requests_answered_amid_a_million_mutants', ours: answered, peer: 100, better: 'higher' });
      },
    );
  } finally {
    await database.close();
  }
}

async function measure(
  name: string,
  words: (device: string) => readonly string[],
  all: readonly (readonly [string, Load])[],
  helper?: number,
  then?: (wire: Wire, pid: number) => Promise<void>,
): Promise<Measured> {
  const wire = createWire();
  const child = wire.serve(server, words(wire.device), ['ignore', 'ignore', 'inherit']);
  const pid = child.pid ?? 0;
  const cpu = () => cpuSeconds(pid) + (helper === undefined ? 0 : cpuSeconds(helper));
  try {
    await until(
      async () => (await load(wire, { rate: 10, clients: 10, exchanges: 10, mac: '00:09:00:00:00:00' })).received > 0,
    );
    const results: Record<string, Result> = {};
    for (const [key, one] of all) {
      const before = cpu();
      const { received, seconds, lost } = await load(wire, one);
      const cpuUs = ((cpu() - before) * 1e6) / Math.max(1, received);
      results[key] = { exchanges: received, perSecond: received / seconds, cpuUs };
      const at = readFileSync('/proc/loadavg', 'utf8').split(' ')[0];
      console.error(
        `${name} ${key}: ${received} exchanges, ${lost} lost, ${Math.round(received / seconds)}/s, ${cpuUs.toFixed(1)} µs each, load ${at}`,
      );
    }
    await then?.(wire, pid);
    return results;
  } finally {
    await end(child);
    wire.close();
  }
}

async function load(wire: Wire, { rate, clients, seconds, exchanges, mac }: Load) {
  const until = exchanges === undefined ? ['-p', String(seconds)] : ['-n', String(exchanges)];
  const words = ['perfdhcp', '-4', '-l', wire.device, '-r', String(rate), '-R', String(clients), ...until];
  const text = await wire.ask(client, [...words, '-b', `mac=${mac}`, '-W', '1000000', serverAddress]);
  const numbers = (pattern: RegExp) => [...text.matchAll(pattern)].map((match) => Number(match[1]));
  // Two of each: DISCOVER to OFFER, REQUEST to ACK.
  return {
    received: numbers(/received packets: (\d+)/g)[1] ?? 0,
    lost: numbers(/^drops: (\d+)/gm).reduce((sum, one) => sum + one, 0),
    seconds: exchanges === undefined ? (seconds ?? 1) : exchanges / rate,
  };
}

function keaWords(root: string): (device: string) => string[] {
  return (device) => {
    rmSync(join(root, 'tmp/kea-leases.csv'), { force: true });
    mkdirSync(join(root, 'run/kea'), { recursive: true });
    const config = {
      Dhcp4: {
        'interfaces-config': { interfaces: [`${device}/${serverAddress}`], 'dhcp-socket-type': 'udp' },
        'multi-threading': { 'enable-multi-threading': false },
        'lease-database': { type: 'memfile', persist: true, name: '/tmp/kea-leases.csv', 'lfc-interval': 3600 },
        'valid-lifetime': 3600,
        'sanity-checks': { 'lease-checks': 'none' },
        subnet4: [
          {
            subnet: cidr,
            pools: [{ pool: pool.join(' - ') }],
            'option-data': [{ name: 'routers', data: serverAddress }],
          },
        ],
        loggers: [{ name: 'kea-dhcp4', output_options: [{ output: '/tmp/kea.log' }], severity: 'WARN' }],
      },
    };
    writeFileSync(join(root, 'tmp/kea.json'), JSON.stringify(config));
    return ['chroot', root, 'kea-dhcp4', '-c', '/tmp/kea.json'];
  };
}

function dnsmasqWords(root: string): (device: string) => string[] {
  return (device) => {
    rmSync(join(root, 'tmp/dnsmasq.leases'), { force: true });
    return [
      ...['chroot', root, 'dnsmasq', '-k', '-C', '/dev/null', '--port=0', `--interface=${device}`, '--bind-interfaces'],
      ...['--no-ping', `--dhcp-range=${pool.join(',')},255.255.0.0,1h`, '--dhcp-lease-max=100000', '--user=root'],
      ...['--dhcp-leasefile=/tmp/dnsmasq.leases', '--dhcp-authoritative', '--quiet-dhcp', '--pid-file='],
      '--log-facility=/dev/null',
    ];
  };
}

async function until(isReady: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 20; tries++) if (await isReady()) return;
  throw new Error('the server does not answer');
}
