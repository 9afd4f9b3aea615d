import { execFileSync, spawn } from 'node:child_process';
import { createWriteStream, existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { finished } from 'node:stream/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensurePackages } from '../../bootstrap/packages.ts';
import { CPIO_DIRECTORY, CPIO_FILE, CPIO_PROGRAM, type CpioEntry, encodeCpio } from '../../services/builder/cpio.ts';
import { loadOrder, parseModulesDep } from '../../services/builder/modules.ts';
import { peerRoot } from '../setup/peers/root.ts';

/**
 * Images on logical volumes, on a RAID and on xfs, which need the kernel's device-mapper, md and loop drivers. Not every machine's kernel has them, so a kernel of Debian's is
 * booted in QEMU, with the builder inside; what it made is checked and mounted there. About six minutes without KVM.
 */

const HOUSE = resolve(import.meta.dirname, '../..');
const CACHE = '/var/tmp/undercloud-test/layouts';
const TREE = {
  name: 'layouts',
  packages: [
    ...['linux-image-amd64', 'busybox-static', 'bash', 'util-linux', 'mount', 'fdisk', 'tar', 'grep', 'sed', 'mawk'],
    ...['findutils', 'diffutils', 'kmod', 'lvm2', 'mdadm', 'xfsprogs', 'e2fsprogs', 'dosfstools', 'zstd', 'libstdc++6'],
    // What every build asks for, whatever its layout.
    ...['mtools', 'grub-common', 'apt', 'dpkg', 'libc-bin', 'git'],
  ],
  users: ['nobody:x:65534:65534::/:/bin/false', '_apt:x:42:65534::/:/bin/false'],
  groups: ['nogroup:x:65534:', 'disk:x:6:', 'tty:x:5:'],
  directories: ['dev', 'sys', 'run', 'root', 'var/tmp'],
};
/** The first is what libcrc32c asks the kernel for by name, which modules.dep does not tell. */
const MODULES =
  'crc32c_generic virtio_pci virtio_blk 9pnet_virtio 9p overlay loop dm_mod raid1 xfs ext4 vfat nls_cp437 nls_ascii'.split(
    ' ',
  );

const LAYOUTS = {
  lvm: `# size: 0.6GiB # disk
- local_loop: {name: image0}
- partitioning:
    base: image0
    label: gpt
    partitions:
      - {name: BSP, type: EF02, size: 8MiB}
      - {name: pv0, type: 8E00, size: 100%}
- lvm:
    name: lvm
    pvs: [{name: pv, base: pv0}]
    vgs: [{name: vg, base: [pv]}]
    lvs:
      - {name: lv_root, base: vg, size: 200M}
      - {name: lv_var, base: vg, extents: 90%FREE}
- mkfs: {name: fs_root, base: lv_root, type: ext4, mount: {mount_point: /, fstab: {options: defaults}}}
- mkfs: {name: fs_var, base: lv_var, type: xfs, mount: {mount_point: /var, fstab: {options: defaults}}}
`,
  raid: `# size: 0.7GiB # disk
- local_loop: {name: image0}
- partitioning:
    base: image0
    label: gpt
    partitions:
      - {name: one, type: FD00, size: 340MiB}
      - {name: two, type: FD00, size: 340MiB}
- raid: {name: root, level: 1, base: [one, two]}
- mkfs: {name: fs_root, base: root, type: xfs, mount: {mount_point: /, fstab: {options: defaults}}}
`,
  xfs: `# size: 0.4GiB # disk
- local_loop: {name: image0}
- partitioning:
    base: image0
    label: mbr
    partitions:
      - {name: root, flags: [boot, primary], size: 100%, mkfs: {type: xfs, label: img-root, mount: {mount_point: /, fstab: {options: noatime}}}}
`,
};

interface Result {
  failed?: string;
  where: string;
  fstab: string;
  program: string;
  checks: string;
  left: string;
}

let work: string;
const results = new Map<string, Result>();
let consoleText = '';

/** A ramdisk that loads what the tree's kernel needs to reach the tree over 9p, and goes on there. */
function ramdisk(root: string, version: string): Buffer {
  const modules = join(root, existsSync(join(root, 'lib/modules', version)) ? 'lib' : 'usr/lib', 'modules', version);
  if (!existsSync(join(modules, 'modules.dep'))) execFileSync('depmod', ['-b', root, version]);
  const order = loadOrder(parseModulesDep(readFileSync(join(modules, 'modules.dep'), 'utf8')), MODULES);
  const init = `#!/bin/busybox sh
b=/bin/busybox
$b mkdir -p /proc /sys /dev /tree /new
$b mount -t proc p /proc; $b mount -t sysfs s /sys; $b mount -t devtmpfs d /dev
for m in /m/*.ko; do $b insmod $m; done
$b mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=512000,cache=loose tree /tree
$b mkdir -p /up; $b mount -t ext4 /dev/vda /up; $b mkdir -p /up/u /up/w /up/work
$b mount -t overlay -o lowerdir=/tree,upperdir=/up/u,workdir=/up/w o /new
$b mount -t proc p /new/proc; $b mount -t sysfs s /new/sys; $b mount --bind /dev /new/dev; $b mount -t tmpfs r /new/run
$b mkdir -p /new/dev/pts; $b mount -t devpts d /new/dev/pts
$b mkdir -p /new/scratch /new${HOUSE}; $b mount --bind /up/work /new/scratch
$b mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=512000,cache=loose house /new${HOUSE}
$b ip link set lo up
$b chroot /new /bin/bash /run-layouts
$b sync; $b poweroff -f
`;
  const entries: CpioEntry[] = [
    { path: 'bin', mode: CPIO_DIRECTORY },
    { path: 'bin/busybox', mode: CPIO_PROGRAM, data: readFileSync(join(root, 'bin/busybox')) },
    { path: 'm', mode: CPIO_DIRECTORY },
    ...order.map((path, index) => ({
      path: `m/${String(index).padStart(3, '0')}.ko`,
      mode: CPIO_FILE,
      data: readFileSync(join(modules, path)),
    })),
    { path: 'init', mode: CPIO_PROGRAM, data: Buffer.from(init) },
  ];
  return encodeCpio(entries);
}

/** Boots the tree, builds every layout, and reads what was said. */
async function run(): Promise<void> {
  const root = peerRoot(TREE, CACHE);
  const kernel = readdirSync(join(root, 'boot')).find((name) => name.startsWith('vmlinuz-')) ?? '';
  await writeFile(join(work, 'initrd'), ramdisk(root, kernel.slice('vmlinuz-'.length)));
  const disk = join(work, 'scratch.raw');
  execFileSync('truncate', ['-s', '6G', disk]);
  // The layouts and the script that builds them travel on the scratch disk: the tree is read-only and kept between runs.
  const upper = join(work, 'upper');
  const script = ['export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root'];
  for (const [name, yaml] of Object.entries(LAYOUTS))
    script.push(
      `echo UC-LAYOUT ${name}`,
      `${process.execPath} --disable-warning=ExperimentalWarning ${HOUSE}/test/long/image-layouts.fixture.ts /scratch ${name} "$(echo ${Buffer.from(yaml).toString('base64')} | base64 -d)"`,
    );
  execFileSync('mkdir', ['-p', join(upper, 'u')]);
  await writeFile(join(upper, 'u/run-layouts'), `${script.join('\n')}\n`);
  execFileSync('mke2fs', ['-q', '-F', '-t', 'ext4', '-d', upper, disk]);
  const share = (path: string, tag: string): string[] => [
    '-virtfs',
    `local,path=${path},mount_tag=${tag},security_model=passthrough,readonly=on,multidevs=remap`,
  ];
  const machine = spawn(
    'qemu-system-x86_64',
    [
      ...['-accel', 'tcg,thread=multi,tb-size=256', '-cpu', 'max', '-machine', 'q35', '-smp', '2', '-m', '2048'],
      ...['-nographic', '-no-reboot', '-nic', 'none'],
      ...['-kernel', join(root, 'boot', kernel), '-initrd', join(work, 'initrd')],
      ...['-append', 'console=ttyS0 loglevel=3 panic=5'],
      ...['-drive', `file=${disk},format=raw,if=virtio,cache=unsafe,discard=unmap`],
      ...share(root, 'tree'),
      ...share(HOUSE, 'house'),
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const stop = (): void => void machine.kill('SIGKILL');
  process.once('exit', stop);
  const log = createWriteStream(join(work, 'console.log'));
  machine.stdout.on('data', (data: Buffer) => {
    consoleText += data.toString('latin1');
    log.write(data);
  });
  machine.stderr.on('data', (data: Buffer) => log.write(data));
  const [code] = await Promise.race([
    new Promise<[number | null]>((done) => machine.once('close', (status) => done([status]))),
    new Promise<never>((_, fail) => setTimeout(() => fail(new Error('the machine did not end')), 800_000).unref()),
  ]).finally(stop);
  process.removeListener('exit', stop);
  log.end();
  await finished(log);
  expect(code, consoleText.slice(-2000)).toBe(0);
  for (const [, name = '', text = ''] of consoleText.matchAll(/UC-LAYOUT (\S+)\s[\s\S]*?UC-RESULT (\S+)/g))
    results.set(name, JSON.parse(Buffer.from(text, 'base64').toString()) as Result);
}

beforeAll(async () => {
  await ensurePackages(['images', 'lab']);
  work = await mkdtemp('/var/tmp/image-layouts-');
  await run();
});

afterAll(async () => {
  await rm(work, { recursive: true, force: true });
});

function resultOf(name: string): Result {
  const result = results.get(name);
  if (result === undefined) throw new Error(`Nothing was heard of ${name}: ${consoleText.slice(-3000)}`);
  if (result.failed !== undefined) throw new Error(JSON.stringify(result, undefined, 1));
  // Every loop device, volume group and array was given back.
  expect(result.left).toBe('0');
  expect(result.program).toContain('busybox');
  return result;
}

describe('an image', () => {
  it('on logical volumes has what its configuration says, whole file systems, and hooks that saw its devices', () => {
    const { where, fstab, checks } = resultOf('lvm');
    expect(where).toMatch(/\/dev\/(vg\/lv_root|mapper\/vg-lv_root)\s.* \/$/m);
    expect(where).toMatch(/\/dev\/(vg\/lv_var|mapper\/vg-lv_var)\s.* \/var$/m);
    expect(fstab).toMatch(/^LABEL=\S+ \/ ext4 defaults/m);
    expect(fstab).toMatch(/^LABEL=lv_var \/var xfs defaults/m);
    expect(checks).toMatch(/vg\s+lv_root\s+200\.00m/);
    expect(checks).toMatch(/vg\s+lv_var\s+3\d\d\.00m/);
    expect(checks).toMatch(/\d+\/\d+ files .*\d+\/\d+ blocks/);
    expect(checks).toContain('No modify flag set, skipping filesystem flush and exiting.');
    expect(checks).toMatch(/Linux LVM|BIOS boot/);
  });

  it('on a mirror of two partitions is assembled from them, active on both', () => {
    const { where, fstab, checks } = resultOf('raid');
    expect(where).toMatch(/\/dev\/md\S*\s.* \/$/m);
    expect(fstab).toMatch(/^LABEL=\S+ \/ xfs defaults/m);
    expect(checks).toMatch(/active raid1/);
    expect(checks).toMatch(/\[2\/2\] \[UU\]/);
    expect(checks).toContain('Raid Level : raid1');
    expect(checks).toContain('No modify flag set, skipping filesystem flush and exiting.');
  });

  it('on xfs is what xfs_repair finds whole', () => {
    const { where, fstab, checks } = resultOf('xfs');
    expect(where).toMatch(/^\/dev\/loop\d+p1\s.* \/$/m);
    expect(fstab).toBe('LABEL=img-root / xfs noatime 0 2');
    expect(checks).toContain('No modify flag set, skipping filesystem flush and exiting.');
  });
});
