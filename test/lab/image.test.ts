import { execFileSync, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chmod, copyFile, mkdir, mkdtemp, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BuildProgress, buildImage, buildRamdisk, type ImageDefinition } from '../../services/builder/index.ts';
import { CHUNK_SIZE, parseChunkIndex } from '../../services/ipa/index.ts';

/** Builds a small image with the shipped elements and one of the test's own, and boots it with both firmwares, from its own disk, in an emulated machine. */

let root: string;
let out: string;
// Kept between runs: what a build fetches and unpacks first.
const cache = process.env.UNDERCLOUD_TEST_CACHE ?? '/var/tmp/undercloud-test-cache';

const MARKER = `#!/bin/sh
# Init of the test image: says what it sees and turns the machine off.
mount -t sysfs sys /sys 2>/dev/null
mount -t proc proc /proc 2>/dev/null
firmware=bios
[ -d /sys/firmware/efi ] && firmware=uefi
echo "IMAGE-BOOTED firmware=$firmware element=$(cat /etc/marker) root=$(awk '$2 == "/" {print $1}' /proc/mounts)"
sync
echo o >/proc/sysrq-trigger
while :; do sleep 1; done
`;

async function writeElement(name: string, files: Record<string, string>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    const file = join(root, 'elements', name, path);
    await mkdir(join(file, '..'), { recursive: true });
    await writeFile(file, text);
    await chmod(file, /\.d\/|sbin/.test(path) ? 0o755 : 0o644);
  }
}

const definition = (name: string, ...extra: string[]): ImageDefinition => ({
  name,
  elements: ['debian-base', 'boot', 'marker', ...extra],
  packages: [],
  environment: {
    DIB_BOOT_PROFILE: 'lab',
    DIB_BOOT_KERNEL: 'cloud',
    DIB_BOOTLOADER_DEFAULT_CMDLINE: 'console=ttyS0,115200n8 quiet init=/usr/local/sbin/marker',
  },
  types: ['chunks', 'raw'],
  spareMib: 32,
  espMib: 64,
});

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'image-test-'));
  out = join(root, 'out');
  await writeElement('marker', {
    'static/usr/local/sbin/marker': MARKER,
    'environment.d/10-marker.bash': 'export MARKER_WORD="from environment.d"\n',
    'pre-install.d/30-private-dev':
      '#!/bin/sh\nset -e\ntest "$(stat -c %a /dev/null)" = 666\nchmod 600 /dev/null /dev/zero\ntest ! -e /dev/vda -a ! -e /dev/sda\n! touch /sys/x 2>/dev/null\n/usr/sbin/policy-rc.d || test $? = 101\n',
    // Another text in each run: a layer that an earlier run left in the cache would be taken as it is, and nothing would run.
    'install.d/20-marker': `#!/bin/bash\n# ${randomUUID()}\nset -eu\necho "$MARKER_WORD" >/etc/marker\n(sleep 1000 &)\n`,
    'cleanup.d/10-marker':
      '#!/bin/bash\nset -eu\ntest -e "$TARGET_ROOT/etc/marker"\ntouch "$TARGET_ROOT/tmp/left-over"\n',
  });
  await writeElement('broken', { 'install.d/50-broken': '#!/bin/sh\necho about to fail\nls /no/such/place\n' });
  await writeElement('endless', {
    'install.d/50-endless': '#!/bin/sh\nmount -t tmpfs forgotten /mnt\necho waiting now\nexec sleep 100000\n',
  });
});

afterAll(async () => {
  await rm(root, { recursive: true, force: true });
});

/** Runs a machine until it turns itself off; returns what it wrote to its serial port. */
async function runMachine(args: readonly string[], until?: RegExp): Promise<string> {
  const base = [
    '-accel',
    'tcg,thread=multi,tb-size=128',
    '-cpu',
    'max',
    '-smp',
    '1',
    '-machine',
    'q35',
    '-display',
    'none',
    '-no-reboot',
    '-monitor',
    'none',
    '-serial',
    'stdio',
  ];
  const machine = spawn('qemu-system-x86_64', [...base, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  let serial = '';
  machine.stdout.on('data', (data: Buffer) => {
    serial += data.toString('latin1');
    if (until?.test(serial)) machine.kill('SIGKILL');
  });
  const deadline = setTimeout(() => machine.kill('SIGKILL'), 240_000);
  await once(machine, 'close');
  clearTimeout(deadline);
  return serial;
}

async function bootFromDisk(image: string, firmware: 'bios' | 'uefi'): Promise<string> {
  const args = ['-m', '512', '-nic', 'none', '-drive', `file=${image},format=raw,if=virtio,snapshot=on`];
  if (firmware === 'uefi') {
    const variables = join(root, 'vars.fd');
    await copyFile('/usr/share/OVMF/OVMF_VARS_4M.fd', variables);
    args.push(
      '-drive',
      'if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd',
      '-drive',
      `if=pflash,format=raw,file=${variables}`,
    );
  }
  return runMachine(args);
}

describe('a gold image', () => {
  it('is built from elements, chunked, and boots on BIOS and UEFI', async () => {
    const progress: BuildProgress[] = [];
    const devices = await Promise.all(['/dev/null', '/dev/zero'].map(async (path) => (await stat(path)).mode));
    const built = await buildImage({
      definition: definition('tiny'),
      out,
      cache,
      elementsPath: [join(root, 'elements')],
      onProgress: (each) => progress.push(each),
    });
    expect(built.unchanged).toBe(false);
    expect(await Promise.all(['/dev/null', '/dev/zero'].map(async (path) => (await stat(path)).mode))).toEqual(devices);
    expect(progress).toContainEqual({ phase: 'install.d', element: 'marker', script: '20-marker' });
    expect(built.manifest.elements).toEqual(['debian-base', 'boot', 'marker']);
    expect(built.manifest.packages.map(({ name }) => name)).toContain('linux-image-cloud-amd64');
    const raw = join(built.directory, 'tiny.raw');
    expect((await stat(raw)).size).toBe(built.manifest.size);
    expect(execFileSync('sha256sum', [raw], { encoding: 'utf8' }).split(' ')[0]).toBe(built.manifest.sha256);

    const index = parseChunkIndex(await readFile(join(built.directory, 'index.json'), 'utf8'));
    const objects = await Promise.all(
      index.objects.map(({ name }) => readFile(join(built.directory, 'objects', name))),
    );
    const rebuilt = join(root, 'rebuilt.raw');
    const file = await open(rebuilt, 'w');
    await file.truncate(index.size);
    for (const [at, chunk] of index.chunks.entries()) {
      if (chunk === null) continue;
      const [object, offset, length] = chunk;
      await file.write(
        zstdDecompressSync(objects[object]!.subarray(offset, offset + length)),
        0,
        undefined,
        at * CHUNK_SIZE,
      );
    }
    await file.close();
    expect(execFileSync('cmp', [raw, rebuilt], { encoding: 'utf8' })).toBe('');

    // The root file system by itself, for e2fsck.
    const { partitiontable } = JSON.parse(execFileSync('/sbin/sfdisk', ['--json', raw], { encoding: 'utf8' }));
    const { start, size } = partitiontable.partitions.find((each: { name: string }) => each.name === 'root');
    const filesystem = join(root, 'root.ext4');
    execFileSync('dd', [
      `if=${raw}`,
      `of=${filesystem}`,
      'bs=1M',
      'conv=sparse',
      `skip=${start / 2048}`,
      `count=${size / 2048}`,
      'status=none',
    ]);
    execFileSync('/sbin/e2fsck', ['-f', '-n', filesystem], { stdio: 'ignore' });
    const listing = execFileSync('/sbin/debugfs', ['-R', 'ls -p /tmp', filesystem], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    expect(listing).not.toContain('left-over');
    const machineId = execFileSync('/sbin/debugfs', ['-R', 'stat /etc/machine-id', filesystem], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    // Empty, or not there at all, as in this tree without systemd: no two nodes may share one.
    expect(machineId).toMatch(/^$|Size: 0\b/);

    for (const firmware of ['bios', 'uefi'] as const) {
      expect(await bootFromDisk(rebuilt, firmware)).toContain(
        `IMAGE-BOOTED firmware=${firmware} element=from environment.d root=/dev/`,
      );
    }
    expect(await readdir(join(cache, 'work'))).toEqual([]);
    const again = await buildImage({
      definition: definition('tiny'),
      out,
      cache,
      elementsPath: [join(root, 'elements')],
    });
    expect(again.unchanged).toBe(true);
  });

  it('says which script of which element failed, with its last lines, and leaves nothing behind', async () => {
    const building = buildImage({
      definition: definition('broken-image', 'broken'),
      out,
      cache,
      elementsPath: [join(root, 'elements')],
    });
    await expect(building).rejects.toThrow(
      /Script install\.d\/50-broken of element "broken" ended with exit code 2\. Its last lines:\nabout to fail\n.*\/no\/such\/place/s,
    );
    expect((await readdir(out)).filter((name) => name.includes('broken'))).toEqual([]);
    expect(await readdir(join(cache, 'work'))).toEqual([]);
  });

  it('can be interrupted in the middle of a script', async () => {
    const abort = new AbortController();
    const building = buildImage({
      definition: definition('endless-image', 'endless'),
      out,
      cache,
      elementsPath: [join(root, 'elements')],
      signal: abort.signal,
      onProgress: ({ line }) => {
        if (line === 'waiting now') abort.abort();
      },
    });
    await expect(building).rejects.toThrow('was interrupted');
    expect(await readdir(join(cache, 'work'))).toEqual([]);
    expect(execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })).not.toContain('sleep 100000');
    expect(await readFile('/proc/self/mountinfo', 'utf8')).not.toContain('forgotten');
  });
});

describe('a builder that is killed', () => {
  it('leaves no process and no mount, and the next build sweeps its work away', async () => {
    const front = new URL('../../services/builder/index.ts', import.meta.url).href;
    const options = {
      definition: definition('killed-image', 'endless'),
      out,
      cache,
      elementsPath: [join(root, 'elements')],
    };
    const code = `import { buildImage } from '${front}';
      await buildImage({ ...${JSON.stringify(options)}, onProgress: ({ line }) => line === 'waiting now' && console.log('ready') });`;
    const builder = spawn(process.execPath, ['--input-type=module', '-e', code], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(builder.stdout, 'data');
    const sleeper = execFileSync('pgrep', ['-f', '^sleep 100000$'], { encoding: 'utf8' }).trim();
    builder.kill('SIGKILL');
    await once(builder, 'close');
    // The kernel ends the namespace's processes on its own; a handle on one of them closes when it is gone.
    const watcher = spawn('tail', ['--pid', sleeper, '-f', '/dev/null'], { stdio: 'ignore' });
    await once(watcher, 'close');
    expect(await readFile('/proc/self/mountinfo', 'utf8')).not.toContain(join(cache, 'work'));
    expect(await readdir(join(cache, 'work'))).toHaveLength(1);
    await expect(buildImage({ ...options, definition: definition('broken-image', 'broken') })).rejects.toThrow(
      '50-broken',
    );
    expect(await readdir(join(cache, 'work'))).toEqual([]);
  });
});

describe('the deploy ramdisk', () => {
  it('starts the agent in 512 MB', async () => {
    const ramdisk = await buildRamdisk({ profile: 'lab', out, cache });
    const { kernel, initrd } = ramdisk.manifest;
    expect(kernel.size + initrd.size).toBeLessThan(60e6);
    const append = `${ramdisk.manifest.commandLine.replace('console=tty0 ', '')} uc-time=1900000000 ipa-api-url=http://10.0.2.2:9`;
    // The user network is QEMU's own and leads nowhere; it answers DHCP.
    const args = [
      '-m',
      '512',
      '-nic',
      'user,model=virtio-net-pci,restrict=on',
      '-kernel',
      ramdisk.kernel,
      '-initrd',
      ramdisk.initrd,
      '-append',
      append,
    ];
    const serial = await runMachine(args, /agent: .*|STOPPED: .*/);
    expect(serial).toMatch(/clock set forward by \d+ s to \w+ Mar 17 .* 2030/);
    expect(serial).toMatch(/network: eth0 [0-9a-f:]{17} 10\.0\.2\.15\/24/);
    expect(serial).toMatch(/agent: /);
    expect(serial).not.toContain('STOPPED');
  });
});
