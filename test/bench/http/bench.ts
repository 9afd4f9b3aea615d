/**
 * HTTP: one file to 64 clients at once, ours (the boot service's own answer, on the appliance's HTTP server) beside nginx with
 * sendfile, and one client for small files. CPU of the server's process and of the kernel's work for it.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ensurePackages } from '../../../bootstrap/packages.ts';
import { networkPeers } from '../../setup/peers/network.ts';
import { peerRoot } from '../../setup/peers/root.ts';
import { cpuSeconds } from '../network/cpu.ts';
import { createWire, end, serverAddress, type Wire } from '../network/wire.ts';
import type { Bench } from '../row.ts';

const port = '8088';
const large = 'large.img';
const small = 'script.ipxe';
const smallRequests = 2_000;
const fixture = join(import.meta.dirname, 'server.fixture.ts');

export const bench: Bench = async (report, { full }) => {
  await ensurePackages(['tests', 'images']);
  const root = peerRoot(networkPeers);
  const bytes = randomBytes((full ? 256 : 64) * 1_000_000);
  const sum = createHash('md5').update(bytes).digest('hex');
  const dir = mkdtempSync('/var/tmp/uc-bench-http-');
  const theirs = join(root, 'srv/boot');
  mkdirSync(theirs, { recursive: true });
  try {
    for (const place of [dir, theirs]) {
      writeFileSync(join(place, large), bytes);
      writeFileSync(join(place, small), '#!ipxe\n'.padEnd(1500, '#'));
    }
    writeFileSync(
      join(root, 'tmp/nginx.conf'),
      `user root; worker_processes 1; daemon off; error_log /dev/null; pid /tmp/nginx.pid;
       events { worker_connections 512; }
       http { access_log off; sendfile on; tcp_nopush on; sendfile_max_chunk 2m;
         server { listen ${port}; root /srv/boot; } }`,
    );
    const own = await run('ours', [process.execPath, fixture, serverAddress, port, dir], sum, bytes.length);
    const peer = await run('nginx', ['chroot', root, 'nginx', '-c', '/tmp/nginx.conf'], sum, bytes.length);
    report({ name: 'large_cpu_s_per_gb', ours: own.cpuPerGb, peer: peer.cpuPerGb, better: 'lower' });
    report({ name: 'large_mb_per_s', ours: own.mbPerS, peer: peer.mbPerS, better: 'higher' });
    report({ name: 'small_cpu_us_per_request', ours: own.smallUs, peer: peer.smallUs, better: 'lower' });
  } finally {
    rmSync(dir, { recursive: true });
    for (const file of [large, small]) rmSync(join(theirs, file), { force: true });
  }
};

async function run(name: string, words: string[], sum: string, size: number) {
  const wire = createWire();
  const server = wire.serve(0, words, ['ignore', 'ignore', 'inherit']);
  const pid = server.pid ?? 0;
  try {
    await ready(wire);
    const fetched = await wire.ask(1, ['sh', '-c', `${curl(large)} | md5sum`]);
    if (!fetched.startsWith(sum)) throw new Error(`${name} does not serve the file whole: ${fetched}`);
    const before = cpuSeconds(pid);
    const startedAt = performance.now();
    const sizes = await Promise.all(
      Array.from({ length: 64 }, () =>
        wire.ask(1, ['curl', '-sf', '-m', '200', '-o', '/dev/null', '-w', '%{size_download}', url(large)]),
      ),
    );
    const seconds = (performance.now() - startedAt) / 1000;
    const whole = sizes.filter((one) => Number(one) === size).length;
    const cpuPerGb = (cpuSeconds(pid) - before) / ((whole * size) / 1e9);
    const between = cpuSeconds(pid);
    // One connection, kept alive, as curl does with several addresses.
    await wire.ask(1, ['curl', '-sf', '-m', '200', '-o', '/dev/null', `${url(small)}?[1-${smallRequests}]`]);
    const smallUs = ((cpuSeconds(pid) - between) * 1e6) / smallRequests;
    const load = readFileSync('/proc/loadavg', 'utf8').split(' ')[0];
    console.error(
      `${name}: ${whole} of 64 whole, ${seconds.toFixed(1)} s, ${cpuPerGb.toFixed(3)} CPU s/GB, load ${load}`,
    );
    return { cpuPerGb, mbPerS: (whole * size) / 1e6 / seconds, smallUs };
  } finally {
    await end(server);
    wire.close();
  }
}

const url = (file: string) => `http://${serverAddress}:${port}/${file}`;
const curl = (file: string) => `curl -sf -m 60 ${url(file)}`;

async function ready(wire: Wire): Promise<void> {
  for (let tries = 0; tries < 60; tries++) {
    if ((await wire.ask(1, ['sh', '-c', `${curl(small)} | head -c 6`])) === '#!ipxe') return;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  throw new Error('the server does not answer');
}
