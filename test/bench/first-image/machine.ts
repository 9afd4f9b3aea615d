/**
 * A first image onto a node's disk: the agent beside `curl | zstd -d | dd`, in the same virtual machine with two processors, in the same run. The
 * machine starts the deploy ramdisk; in place of its last step it does both, each twice and in turns, each onto a disk of its own that
 * is blank.
 *
 * What is counted. Theirs: from the start of the three programs until dd has flushed the disk and ended. Ours: from the step's begin
 * in an agent that runs, as it does for minutes when a deploy comes to it, until `writeImage` is through: index fetched and verified, every chunk
 * verified and written, the disk flushed, its partition table read again. Nothing has been compiled or fetched before that begin. Beside it the
 * same from the start of the process, which a deploy does not wait for: Node and the agent's modules are loaded while a machine boots.
 */
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { ensurePackages } from '../../../bootstrap/packages.ts';
import { CPIO_DIRECTORY, CPIO_FILE, CPIO_PROGRAM, type CpioEntry, encodeCpio } from '../../../services/builder/cpio.ts';
import { buildRamdisk } from '../../../services/builder/index.ts';
import { chunkImage, encodeChunkIndex } from '../../../services/ipa/index.ts';
import { type RangeServer, serveDirectories } from './range-server.ts';

const MIB = 2 ** 20;
const CACHE = '/var/tmp/undercloud-bench';
/** MiB with data, as a server's image has them, and all of it. */
const data = 500;
const whole = 640;

/** Programs and libraries of this machine for `/sbin/curl | /bin/zstd | /bin/dd`: the ramdisk has none of them, and a static build would be another program. */
function peerPrograms(): CpioEntry[] {
  const programs = ['/usr/bin/curl', '/usr/bin/zstd', '/usr/bin/dd'];
  const libraries = new Set<string>();
  for (const program of programs)
    for (const [, path] of execFileSync('ldd', [program], { encoding: 'utf8' }).matchAll(/(\/\S+) \(0x/g))
      libraries.add(path!);
  return [...programs, ...libraries].map((path) => ({
    path: `etc/undercloud/peer/${basename(path)}`,
    mode: CPIO_PROGRAM,
    data: readFileSync(path),
  }));
}

const measure = (url: string, info: object) => `#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t tmpfs tmpfs /run; mount -t tmpfs tmpfs /tmp
for round in 1 2 3; do cat /sys/bus/*/devices/*/modalias 2>/dev/null | sort -u | xargs modprobe -q -a -b 2>/dev/null; done
ip link set lo up; ip link set eth0 up; ip address add 10.0.2.15/24 dev eth0
peer=/etc/undercloud/peer
run() { name=$1; shift; LD_LIBRARY_PATH=$peer $peer/ld-linux-x86-64.so.2 --library-path $peer $peer/$name "$@"; }
now() { cut -d' ' -f1 /proc/uptime; }
theirs() {
  sync; echo 3 >/proc/sys/vm/drop_caches
  from=$(now)
  run curl -sS --fail ${url}/stream.zst | run zstd -dc | run dd of=/dev/$1 bs=1M iflag=fullblock conv=fsync status=none
  echo "MEASURED theirs $1 $from $(now)"
}
ours() {
  sync; echo 3 >/proc/sys/vm/drop_caches
  from=$(now)
  node --max-old-space-size=256 /etc/undercloud/ours.mjs $1 || echo "MEASURED failed"
  echo "MEASURED process $1 $from $(now)"
}
cat >/tmp/info.json <<'X'
${JSON.stringify(info)}
X
theirs vda; ours vdb; ours vdc; theirs vdd
echo "MEASURED end"
sync
poweroff -f
`;

/** The agent's own way to the disk. */
const ours = `
import { readFileSync } from 'node:fs';
import { createFetcher } from '/opt/undercloud/services/agent/fetcher.js';
import { createLinuxHardware } from '/opt/undercloud/services/agent/linux.js';
import { writeImage } from '/opt/undercloud/services/agent/write-image.js';
import { readImageInfo } from '/opt/undercloud/services/ipa/index.js';
const hardware = createLinuxHardware();
const disk = (await hardware.disks()).find(({ name }) => name === '/dev/' + process.argv[2]);
const info = readImageInfo(JSON.parse(readFileSync('/tmp/info.json', 'utf8')));
const signal = new AbortController().signal;
const now = () => readFileSync('/proc/uptime', 'utf8').split(' ')[0];
const from = now();
await writeImage({ hardware, disk, info, fetcher: createFetcher(), onProgress() {}, log: console.log, signal });
console.log('MEASURED ours', process.argv[2], from, now());
process.exit(0);
`;

/** Real files of this machine, as they come, and zeros behind them. */
async function makeImage(dir: string) {
  const raw = join(dir, 'image.raw');
  execFileSync('sh', ['-c', `tar -cf - /usr/lib /usr/bin 2>/dev/null | head -c ${data * MIB} >${raw} || true`]);
  truncateSync(raw, whole * MIB);
  execFileSync('zstd', ['-q', '-3', '-T2', raw, '-o', join(dir, 'stream.zst')]);
  const objects = join(dir, 'objects');
  await mkdir(objects);
  const { index } = await chunkImage({ raw, objects });
  const text = encodeChunkIndex(index);
  writeFileSync(join(objects, 'index.json'), text);
  return { index, sha256: createHash('sha256').update(text).digest('hex') };
}

/** MiB of the image a second; `process` is ours from the start of its process on. */
export interface Rates {
  ours: number;
  process: number;
  theirs: number;
}

export async function firstImage(): Promise<Rates> {
  await ensurePackages(['images', 'lab']);
  const dir = await mkdtemp(join(tmpdir(), 'uc-first-image-'));
  const cache = join(CACHE, 'ramdisk');
  let server: RangeServer | undefined;
  try {
    const ramdisk = await buildRamdisk({ profile: 'lab', out: join(dir, 'out'), cache });
    const { index, sha256 } = await makeImage(dir);
    server = await serveDirectories([dir, join(dir, 'objects')]);
    const url = `http://10.0.2.2:${server.port}`;
    const objects = Object.fromEntries(index.objects.map(({ name }) => [name, `${url}/${name}`]));
    const chunks = { index_url: `${url}/index.json`, index_sha256: sha256, objects, compare: 'auto' };
    const init = await readFile(new URL('../../../elements/deploy-ramdisk/initramfs/init', import.meta.url), 'utf8');
    const extra: CpioEntry[] = [
      ...['etc', 'etc/undercloud', 'etc/undercloud/peer'].map((path) => ({ path, mode: CPIO_DIRECTORY })),
      // The later file of a name wins: the ramdisk goes on with our last step in place of its own.
      {
        path: 'init',
        mode: CPIO_PROGRAM,
        data: Buffer.from(init.replace('/newroot /sbin/init', '/newroot /etc/undercloud/measure')),
      },
      { path: 'etc/undercloud/measure', mode: CPIO_PROGRAM, data: Buffer.from(measure(url, { id: 'first', chunks })) },
      { path: 'etc/undercloud/ours.mjs', mode: CPIO_FILE, data: Buffer.from(ours) },
      ...peerPrograms(),
    ];
    const initrd = join(dir, 'initrd');
    const first = await readFile(ramdisk.initrd);
    // An archive begins at a multiple of four bytes (Documentation/driver-api/early-userspace/buffer-format.rst).
    const padding = Buffer.alloc((4 - (first.length % 4)) % 4);
    writeFileSync(initrd, Buffer.concat([first, padding, encodeCpio(extra)]));
    const disks = ['a', 'b', 'c', 'd'].flatMap((letter) => {
      const file = join(dir, `disk-${letter}`);
      writeFileSync(file, '');
      truncateSync(file, 1024 * MIB);
      return ['-drive', `file=${file},format=raw,if=virtio,cache=unsafe`];
    });
    const machine = spawn(
      'setpriv',
      [
        // It ends with us, however we end.
        ...['--pdeathsig', 'KILL', 'qemu-system-x86_64'],
        ...['-accel', 'tcg,thread=multi,tb-size=128', '-cpu', 'max', '-smp', '2', '-m', '1024', '-machine', 'q35'],
        ...['-display', 'none', '-no-reboot', '-monitor', 'none', '-serial', 'stdio', ...disks],
        ...['-netdev', 'user,id=n0', '-device', 'virtio-net-pci,netdev=n0,romfile='],
        ...['-kernel', ramdisk.kernel, '-initrd', initrd],
        ...['-append', ramdisk.manifest.commandLine.replace('console=tty0 ', '')],
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    let serial = '';
    machine.stdout.on('data', (piece: Buffer) => {
      serial += piece.toString('latin1');
      process.stderr.write(piece);
      if (/MEASURED (end|failed)|STOPPED/.test(serial)) machine.kill();
    });
    const deadline = setTimeout(() => machine.kill('SIGKILL'), 6 * 60_000);
    await once(machine, 'close');
    clearTimeout(deadline);
    const seconds: Rates = { ours: 0, process: 0, theirs: 0 };
    const runs = [...serial.matchAll(/MEASURED (ours|process|theirs) \S+ ([\d.]+) ([\d.]+)/g)];
    if (runs.length !== 6) throw new Error(`the machine did not get to its end:\n${serial.slice(-2000)}`);
    for (const [, who, from, to] of runs) seconds[who as keyof Rates] += Number(to) - Number(from);
    // What was written is compared, or a figure would be worth nothing.
    for (const letter of ['a', 'b', 'c', 'd'])
      execFileSync('cmp', [
        '-n',
        String(data * MIB - MIB),
        '-i',
        String(MIB),
        join(dir, 'image.raw'),
        join(dir, `disk-${letter}`),
      ]);
    const rate = (taken: number) => (2 * whole) / taken;
    return { ours: rate(seconds.ours), process: rate(seconds.process), theirs: rate(seconds.theirs) };
  } finally {
    server?.close();
    await rm(dir, { recursive: true, force: true });
  }
}
