/**
 * DHCP four-way exchanges by perfdhcp (which plays a relay) over wires between namespaces: ours with leases in PostgreSQL, fsync on,
 * beside Kea with its memory file and dnsmasq with its lease file, all on one processor and perfdhcp on another. Ours and Kea take
 * turns at each load, so that what else the machine does falls on both. CPU is that of the server's process and, for ours, of
 * PostgreSQL's with it. `fresh`: clients that were never seen, so that each exchange makes a durable lease.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ensurePackages } from '../../../bootstrap/packages.ts';
import { networkPeers } from '../../setup/peers/network.ts';
import { peerRoot } from '../../setup/peers/root.ts';
import { cpuSeconds } from '../network/cpu.ts';
import { startPostgresql } from '../network/postgresql.ts';
import { createWire, end, serverAddress, type Wire } from '../network/wire.ts';
import type { Bench } from '../row.ts';
import { type Load, measure, mostSustained, offerLoad, type Result } from './load.ts';
import { mutated } from './mutants.ts';

const cidr = '10.77.0.0/16';
const pool = ['10.77.1.0', '10.77.250.255'] as const;
const fixture = join(import.meta.dirname, 'server.fixture.ts');
const server = 0;

const loads = {
  held100: { rate: 2000, clients: 100, seconds: 4, mac: '00:0a:00:00:00:00' },
  /** The server's first twenty thousand leases, in ten seconds in which its code is still being compiled. */
  fresh: { rate: 2000, clients: 20_000, exchanges: 20_000, mac: '00:0b:00:00:00:00' },
  /** While these are held, ten thousand other clients come. */
  fresh20k: { rate: 2000, clients: 10_000, exchanges: 10_000, mac: '00:0c:00:00:00:00' },
  held20k: { rate: 2000, clients: 20_000, seconds: 4, mac: '00:0b:00:00:00:00' },
  /** Seen before the search for the highest rate, in which they come again and again. */
  rush: { rate: 4000, clients: 20_000, exchanges: 20_000, mac: '00:0d:00:00:00:00' },
} as const satisfies Readonly<Record<string, Load>>;

/** The server as it stands: its processes' CPU, and its clients' side of the wire. */
interface Standing {
  readonly name: string;
  readonly wire: Wire;
  readonly pid: number;
  cpu(): number;
}

export const bench: Bench = async (report, { full }) => {
  await ensurePackages(['tests', 'images', 'database']);
  const root = peerRoot(networkPeers);
  await standingOurs((ours) =>
    standing('kea', keaWords(root), async (kea) => {
      const both = [ours, kea] as const;
      const each = async (load: Load) => [await measure(ours, load), await measure(kea, load)] as const;
      const cpu = (name: string, [a, b]: readonly [Result, Result]) =>
        report({ name, ours: a.cpuUs, peer: b.cpuUs, better: 'lower' });
      const held100 = await each(loads.held100);
      const fresh = await each(loads.fresh);
      const fresh20k = await each(loads.fresh20k);
      const held20k = await each(loads.held20k);
      cpu('fresh_4way_at_20000_leases_cpu_us', fresh20k);
      cpu('fresh_4way_cpu_us', fresh);
      cpu('known_4way_at_20000_leases_cpu_us', held20k);
      cpu('known_4way_at_100_leases_cpu_us', held100);
      // Cost at 20,000 leases by cost at 100, for both: 1.5 is what is allowed.
      const [growth, keaGrowth] = both.map((_, i) => held20k[i]!.cpuUs / (held100[i]!.cpuUs || 1));
      report({ name: 'growth_100_to_20000', ours: growth!, peer: keaGrowth!, better: 'lower' });

      await each(loads.rush);
      const most = await mostSustained(both, { ...loads.rush, exchanges: undefined, seconds: full ? 10 : 3 });
      report({ name: 'most_4way_per_s', ours: most[0]!.rate, peer: most[1]!.rate, better: 'higher' });
      // What a server can do in a second of its processor, by what it used at that rate.
      const [capacity, keaCapacity] = most.map(({ cpuUs }) => 1e6 / (cpuUs || Number.POSITIVE_INFINITY));
      report({ name: 'most_4way_per_cpu_s', ours: capacity!, peer: keaCapacity!, better: 'higher' });

      // dnsmasq writes its whole lease file for each ACK: with twenty thousand it would need minutes.
      await standing('dnsmasq', dnsmasqWords(root), async (dnsmasq) => {
        const load = { ...loads.held100, rate: 500 };
        cpu('known_4way_at_100_leases_against_dnsmasq_cpu_us', [
          await measure(ours, load),
          await measure(dnsmasq, load),
        ]);
      });

      // After everything else: what they do to its memory must not be in the figures.
      const { sent, answered, grewMb } = await mutated(ours.wire, ours.pid);
      console.error(
        `ours: ${sent} mutated packets, ${answered} good ones answered meanwhile, memory grew by ${grewMb} MB`,
      );
      report({ name: 'good_requests_answered_amid_a_million_mutants', ours: answered, peer: 100, better: 'higher' });
    }),
  );
};

async function standingOurs(work: (ours: Standing) => Promise<void>): Promise<void> {
  const database = await startPostgresql(server);
  try {
    const words = [process.execPath, fixture, database.url];
    await standing('ours', (device) => [...words, device, serverAddress, cidr, ...pool], work, database.pid);
  } finally {
    await database.close();
  }
}

/** Starts a server on a wire of its own, and ends it when the work is done. */
async function standing(
  name: string,
  words: (device: string) => readonly string[],
  work: (standing: Standing) => Promise<void>,
  beside?: number,
): Promise<void> {
  const wire = createWire();
  const child = wire.serve(server, words(wire.device), ['ignore', 'ignore', 'inherit']);
  const pid = child.pid ?? 0;
  const cpu = () => cpuSeconds(pid) + (beside === undefined ? 0 : cpuSeconds(beside));
  try {
    const hello = { rate: 10, clients: 10, exchanges: 10, mac: '00:09:00:00:00:00' };
    await until(async () => (await offerLoad(wire, hello)).received > 0);
    await work({ name, wire, pid, cpu });
  } finally {
    await end(child);
    wire.close();
  }
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
