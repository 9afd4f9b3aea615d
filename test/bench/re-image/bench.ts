/**
 * `npm run -s bench -- re-image`: what the next image costs a node that has booted and grown the one before, when one layer of 50 MB is another: bytes
 * on the wire and bytes written to the disk, in percent of the new image. The peer is every deploy that knows no chunks: all of the
 * image, each time.
 */
import { execFile, spawn } from 'node:child_process';
import { hash } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, readSync, truncateSync, writeFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ensurePackages } from '../../../bootstrap/packages.ts';
import { buildImage, loadDefinition } from '../../../services/builder/index.ts';
import { type ChunkIndex, chunkLength, parseChunkIndex } from '../../../services/ipa/index.ts';
import { type RangeServer, serveDirectories } from '../first-image/range-server.ts';
import type { Bench } from '../row.ts';

const MIB = 2 ** 20;
const CACHE = '/var/tmp/undercloud-bench/images';
/** A disk is larger than its image: the root grows into it. */
const DISK = 8 * 1024 * MIB;
const BOOT_MS = 5 * 60_000;

/** Of the 50 MB half packs well, as files of packages do on the whole. */
const layer = (word: string) => `#!/bin/bash
set -eu
noise() { openssl enc -aes-128-ctr -nosalt -K "$(printf %s ${word} | md5sum | cut -c1-32)" -iv 0 </dev/zero 2>/dev/null | head -c 25000000 || true; }
mkdir -p /opt/layer
noise >/opt/layer/noise
(yes "layer ${word}" || true) | head -c 25000000 >/opt/layer/text
mkdir -p /var/lib/cloud/seed/config_drive/openstack/latest
# Its metadata comes with it: nobody has asked for a server.
echo '{"uuid": "reimaged-${word}", "name": "reimaged", "hostname": "reimaged"}' >/var/lib/cloud/seed/config_drive/openstack/latest/meta_data.json
`;

/** A server's first hours: it boots, its root grows, a user is added, a log gets its first megabyte. */
const LIFE = `#!/bin/sh
say() { echo "LIFE: $*" >/dev/ttyS0; }
tries=0
while [ "$(df -m --output=size / | tail -n 1)" -lt 4096 ] || pgrep -x resize2fs >/dev/null; do
  tries=$((tries + 1))
  [ $tries -lt 120 ] || { say "the root did not grow: $(df -m / | tail -n 1)"; break; }
  sleep 1
done
od -An -tx1 -v -N 350000 /dev/urandom >/var/log/first-day.log
useradd --create-home tenant
sync
say "lived on $(df -m --output=size,used / | tail -n 1)"
systemctl poweroff
`;
const UNIT = `[Unit]
Description=The first hours of a server
After=local-fs.target
[Service]
Type=exec
ExecStart=/usr/local/sbin/life
[Install]
WantedBy=multi-user.target
`;

async function writeElements(root: string): Promise<void> {
  const files: Record<string, string> = {
    'life/static/usr/local/sbin/life': LIFE,
    'life/static/etc/systemd/system/life.service': UNIT,
    'life/post-install.d/80-life': '#!/bin/sh\nset -eu\nsystemctl enable life.service\n',
    'layer-a/post-install.d/90-layer': layer('a'),
    'layer-b/post-install.d/90-layer': layer('b'),
  };
  for (const [path, text] of Object.entries(files)) {
    await mkdir(join(root, path, '..'), { recursive: true });
    await writeFile(join(root, path), text);
    await chmod(join(root, path), path.endsWith('.service') ? 0o644 : 0o755);
  }
}

interface Image {
  directory: string;
  index: ChunkIndex;
  /** Bytes that all of it takes on the wire, and on the disk: what is no zeros. */
  packed: number;
  data: number;
  sha256: string;
}

/** The lab's image, which boots and grows in few emulated seconds, with packages that make it as large as a server's. */
async function build(word: string, work: string): Promise<Image> {
  const lab = await loadDefinition('lab');
  const packages = [...lab.packages, 'curl', 'git', 'less', 'openssh-client', 'perl', 'procps', 'python3', 'vim'];
  const elements = [...lab.elements, 'life', `layer-${word}`];
  const { directory } = await buildImage({
    definition: { ...lab, name: `image-${word}`, elements, packages },
    out: join(work, 'out'),
    cache: CACHE,
    elementsPath: [join(work, 'elements')],
  });
  const text = readFileSync(join(directory, 'index.json'));
  const index = parseChunkIndex(text);
  const data = index.chunks.filter((chunk) => chunk !== null).length * MIB;
  const packed = index.objects.reduce((sum, { size }) => sum + size, 0) + text.length;
  return { directory, index, packed, data, sha256: hash('sha256', text, 'hex') };
}

interface Written {
  fetched: number;
  written: number;
  skipped: number;
  handed: number;
}

async function give(image: Image, disk: string): Promise<Written> {
  const server: RangeServer = await serveDirectories([image.directory, join(image.directory, 'objects')]);
  const url = `http://127.0.0.1:${server.port}`;
  try {
    const objects = Object.fromEntries(image.index.objects.map(({ name }) => [name, `${url}/${name}`]));
    const chunks = { index_url: `${url}/index.json`, index_sha256: image.sha256, objects, compare: 'auto' };
    const program = join(import.meta.dirname, 'write.fixture.ts');
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [
      '--disable-warning=ExperimentalWarning',
      program,
      disk,
      JSON.stringify({ id: 're-image', chunks }),
    ]);
    console.error(stderr.trim());
    return JSON.parse(stdout) as Written;
  } finally {
    server.close();
  }
}

/** Boots the disk as it is, boot loader and all, until it turns itself off. */
async function live(disk: string): Promise<string> {
  const machine = spawn(
    'setpriv',
    [
      ...['--pdeathsig', 'KILL', 'qemu-system-x86_64', '-accel', 'tcg,thread=multi,tb-size=256', '-cpu', 'max'],
      ...['-smp', '2', '-m', '1024', '-machine', 'q35', '-display', 'none', '-no-reboot', '-monitor', 'none'],
      ...['-serial', 'stdio', '-nic', 'user,model=virtio,restrict=on', '-device', 'virtio-rng-pci'],
      ...['-drive', `file=${disk},format=raw,if=virtio,cache=unsafe,discard=unmap`],
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let serial = '';
  machine.stdout.on('data', (piece: Buffer) => {
    serial += piece.toString('latin1');
  });
  const deadline = setTimeout(() => machine.kill('SIGKILL'), BOOT_MS);
  await once(machine, 'close');
  clearTimeout(deadline);
  const [, size] = /LIFE: lived on\s+(\d+)/.exec(serial) ?? [];
  if (!(Number(size) > DISK / MIB / 2))
    throw new Error(`the node did not boot, grow and live:\n${serial.slice(-3000)}`);
  return size!;
}

/** What is on the disk has to be the image, or a figure would be worth nothing. The first MiB has the node's own partition table, the last had the backup of the image's. */
function compare({ index }: Image, disk: string): void {
  const file = openSync(disk, 'r');
  const zero = Buffer.alloc(MIB);
  for (let chunk = 1; chunk < index.chunks.length - 1; chunk++) {
    const raw = Buffer.alloc(chunkLength(index, chunk));
    readSync(file, raw, 0, raw.length, chunk * MIB);
    const wanted = index.chunks[chunk];
    const is = wanted ? hash('sha256', raw, 'hex') === wanted[3] : raw.equals(zero.subarray(0, raw.length));
    if (!is) throw new Error(`MiB ${chunk} of the disk is not the image's`);
  }
  closeSync(file);
}

export const bench: Bench = async (report) => {
  await ensurePackages(['images', 'lab']);
  const work = await mkdtemp('/var/tmp/undercloud-bench-re-image-');
  try {
    await writeElements(join(work, 'elements'));
    const old = await build('a', work);
    const next = await build('b', work);
    const disk = join(work, 'disk');
    writeFileSync(disk, '');
    truncateSync(disk, DISK);
    const first = await give(old, disk);
    console.error(`first image: ${JSON.stringify(first)}`);
    console.error(`it lives; its root has ${await live(disk)} MiB`);
    const second = await give(next, disk);
    console.error(`next image of ${next.data} bytes, ${next.packed} packed: ${JSON.stringify(second)}`);
    compare(next, disk);
    const percent = (part: number, of: number) => (100 * part) / of;
    report({ name: 'reimage_wire_percent', ours: percent(second.fetched, next.packed), peer: 100, better: 'lower' });
    report({ name: 'reimage_disk_percent', ours: percent(second.handed, next.data), peer: 100, better: 'lower' });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
};
