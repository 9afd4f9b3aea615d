/**
 * TFTP: one file to 32 clients at once over a wire between two namespaces, ours beside dnsmasq (lock-step, the only way it knows) and
 * atftpd (windowsize 16). CPU of the server's process, children and kernel work included, by bytes that arrived whole.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ensurePackages } from '../../../bootstrap/packages.ts';
import { networkPeers } from '../../setup/peers/network.ts';
import { peerRoot } from '../../setup/peers/root.ts';
import { cpuSeconds } from '../network/cpu.ts';
import { createWire, end, serverAddress } from '../network/wire.ts';
import type { Bench } from '../row.ts';

const node = process.execPath;
const clients = 32;
const blockSize = 1468;
const windowSize = 16;
const name = 'bench.img';

interface Way {
  readonly name: string;
  readonly words: (dir: string, root: string, device: string) => string[];
  /** A client's command that writes the file to stdout. */
  readonly fetch: string;
}

const lockStep = `curl -s --max-time 200 --tftp-blksize ${blockSize} tftp://${serverAddress}/${name}`;
const windowed = `atftp --option "blksize ${blockSize}" --option "windowsize ${windowSize}" -g -r ${name} -l /dev/stdout ${serverAddress} 69`;
const fixture = join(import.meta.dirname, 'server.fixture.ts');
const ours = (dir: string, _root: string, device: string) => [node, fixture, device, serverAddress, dir];
const chrooted = (root: string, ...words: string[]) => ['chroot', root, ...words];
const dnsmasq = (_dir: string, root: string, device: string) =>
  chrooted(
    root,
    ...['dnsmasq', '-k', '-C', '/dev/null', '--port=0', `--interface=${device}`, '--bind-interfaces', '--enable-tftp'],
    ...['--tftp-root=/srv/boot', '--tftp-max=200', '--user=root', '--pid-file='],
  );
const atftpd = (_dir: string, root: string) =>
  chrooted(
    root,
    ...['atftpd', '--daemon', '--no-fork', '--port', '69', '--bind-address', serverAddress, '--maxthread', '200'],
    ...['--user', 'root.root', '--logfile', '/dev/null', '/srv/boot'],
  );

const ways: readonly (readonly [row: string, ours: Way, peer: Way])[] = [
  [
    `lockstep_cpu_ms_per_mb`,
    { name: 'ours', words: ours, fetch: lockStep },
    { name: 'dnsmasq', words: dnsmasq, fetch: lockStep },
  ],
  [
    `windowsize${windowSize}_cpu_ms_per_mb`,
    { name: 'ours', words: ours, fetch: windowed },
    { name: 'atftpd', words: atftpd, fetch: windowed },
  ],
];

export const bench: Bench = async (report, { full }) => {
  await ensurePackages(['tests', 'images']);
  const root = peerRoot(networkPeers);
  // Less than the whole 64 MB a client in lock-step, of which dnsmasq serves 85 MB/s to all: eight minutes are not enough on a busy machine.
  const megabytes = full ? 64 : 24;
  const bytes = randomBytes(megabytes * 1_000_000);
  const dir = mkdtempSync('/var/tmp/uc-bench-tftp-');
  mkdirSync(join(root, 'srv/boot'), { recursive: true });
  try {
    for (const place of [dir, join(root, 'srv/boot')]) writeFileSync(join(place, name), bytes);
    const sum = createHash('md5').update(bytes).digest('hex');
    for (const [row, mine, theirs] of ways) {
      const [own, peer] = [
        await run(mine, dir, root, sum, bytes.length),
        await run(theirs, dir, root, sum, bytes.length),
      ];
      report({ name: row, ours: own.cpuMsPerMb, peer: peer.cpuMsPerMb, better: 'lower' });
      report({ name: row.replace('cpu_ms_per_mb', 'mb_per_s'), ours: own.mbPerS, peer: peer.mbPerS, better: 'higher' });
    }
  } finally {
    rmSync(dir, { recursive: true });
    rmSync(join(root, 'srv/boot', name), { force: true });
  }
};

async function run(way: Way, dir: string, root: string, sum: string, size: number) {
  const wire = createWire();
  const server = wire.serve(0, way.words(dir, root, wire.device), ['ignore', 'ignore', 'inherit']);
  try {
    await until(
      async () => (await wire.ask(1, ['sh', '-c', `${first(way.fetch)} | head -c 1 | wc -c`])).trim() === '1',
    );
    const pid = server.pid ?? 0;
    const before = cpuSeconds(pid);
    const startedAt = performance.now();
    const sums = await Promise.all(
      Array.from({ length: clients }, () => wire.ask(1, ['sh', '-c', `${way.fetch} 2>/dev/null | md5sum`])),
    );
    const seconds = (performance.now() - startedAt) / 1000;
    const whole = sums.filter((one) => one.startsWith(sum)).length;
    const mb = (whole * size) / 1e6;
    const cpuMsPerMb = ((cpuSeconds(pid) - before) * 1000) / mb;
    const load = readFileSync('/proc/loadavg', 'utf8').split(' ')[0];
    console.error(
      `${way.name}: ${whole} of ${clients} whole, ${seconds.toFixed(1)} s, ${cpuMsPerMb.toFixed(2)} ms/MB, load ${load}`,
    );
    return { cpuMsPerMb, mbPerS: mb / seconds };
  } finally {
    await end(server);
    wire.close();
  }
}

/** A client that is satisfied with the first blocks, to find out whether the server listens. */
const first = (fetch: string) => `timeout 2 ${fetch} 2>/dev/null`;

async function until(isReady: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 40; tries++) {
    if (await isReady()) return;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  throw new Error('the server does not answer');
}
