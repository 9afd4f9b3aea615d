/** QEMU machines with real firmware on the test's bridge, and what they boot: a kernel, a ramdisk, disks that speak. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { enterNamespace } from '../../services/core/sockets.ts';
import { bannerKey } from '../../services/lab/banner-key.ts';

/** Debian's cloud kernel (virtio, serial console), kept between runs: 27 MB from the distribution's archive. */
export function debianKernel(): string {
  const cache = '/var/tmp/undercloud-test/kernel';
  const kernel = join(cache, 'vmlinuz');
  if (existsSync(kernel)) return kernel;
  mkdirSync(cache, { recursive: true });
  const depends = execFileSync('apt-cache', ['depends', 'linux-image-cloud-amd64'], { encoding: 'utf8' });
  const name = /Depends: (\S+)/.exec(depends)?.[1];
  if (!name) throw new Error('apt knows no linux-image-cloud-amd64: run `apt-get update`');
  execFileSync('apt-get', ['download', name], { cwd: cache, stdio: 'pipe' });
  const deb = readdirSync(cache).find((file) => file.endsWith('.deb')) ?? '';
  execFileSync(
    'sh',
    ['-c', `dpkg-deb --fsys-tarfile ${deb} | tar -x --wildcards --strip-components=2 './boot/vmlinuz*'`],
    {
      cwd: cache,
    },
  );
  const found = readdirSync(cache).find((file) => file.startsWith('vmlinuz-')) ?? '';
  copyFileSync(join(cache, found), kernel);
  return kernel;
}

/** Says on the console what it was given, and switches the machine off. */
export function speakingRamdisk(scratch: string): Buffer {
  const root = join(scratch, 'initramfs');
  for (const dir of ['bin', 'proc', 'dev']) mkdirSync(join(root, dir), { recursive: true });
  copyFileSync('/bin/busybox', join(root, 'bin/busybox'));
  const init = `#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc
# The kernel's own messages would come into the middle of a line.
echo 1 >/proc/sys/kernel/printk
echo "RAMDISK arguments: $($b cat /proc/cmdline)"
echo "RAMDISK trust: $($b cat /etc/undercloud/ca.pem)"
$b poweroff -f
`;
  writeFileSync(join(root, 'init'), init, { mode: 0o755 });
  execFileSync('mknod', [join(root, 'dev/console'), 'c', '5', '1']);
  const archive = execFileSync('sh', ['-c', 'find . | cpio -o -H newc --quiet'], { cwd: root, maxBuffer: 1 << 26 });
  return gzipSync(archive, { level: 1 });
}

/** A disk whose boot sector writes its words through the BIOS and halts. */
export function speakingBiosDisk(file: string): void {
  const words = Buffer.from('DISK BOOTS\r\n\0');
  const code = Buffer.from([
    ...[0x31, 0xc0, 0x8e, 0xd8], // xor ax,ax; mov ds,ax
    ...[0xbe, 0x00, 0x7d], // mov si,0x7d00
    ...[0xac, 0x84, 0xc0, 0x74, 0x09], // lodsb; test al,al; jz halt
    ...[0xb4, 0x0e, 0xbb, 0x07, 0x00, 0xcd, 0x10], // mov ah,14; mov bx,7; int 0x10
    ...[0xeb, 0xf2], // jmp lodsb
    ...[0xf4, 0xeb, 0xfd], // hlt; jmp hlt
  ]);
  const disk = Buffer.alloc(1 << 20);
  code.copy(disk);
  words.copy(disk, 0x100);
  disk.writeUInt16LE(0xaa55, 510);
  writeFileSync(file, disk);
}

/** A disk with a FAT file system whose EFI/BOOT/BOOTX64.EFI says its words. */
export function speakingEfiDisk(file: string, scratch: string): void {
  const config = join(scratch, 'grub.cfg');
  writeFileSync(config, 'serial --unit=0 --speed=115200\nterminal_output serial\necho DISK BOOTS\nsleep 3600\n');
  const loader = join(scratch, 'bootx64.efi');
  const grub = ['grub-mkstandalone', '-O', 'x86_64-efi', '-o', loader, '--install-modules=serial echo sleep normal'];
  execFileSync(
    grub[0] ?? '',
    [...grub.slice(1), '--locales=', '--fonts=', '--themes=', `boot/grub/grub.cfg=${config}`],
    {
      stdio: 'pipe',
    },
  );
  writeFileSync(file, Buffer.alloc(32 << 20));
  execFileSync('sh', [
    '-c',
    `mformat -i ${file} :: && mmd -i ${file} ::/EFI ::/EFI/BOOT && mcopy -i ${file} ${loader} ::/EFI/BOOT/BOOTX64.EFI`,
  ]);
}

/** The same as Secure Boot wants it: Debian's signed shim and GRUB, whose configuration speaks. */
export function speakingSignedDisk(file: string, scratch: string): void {
  const config = join(scratch, 'signed.cfg');
  writeFileSync(config, 'serial --unit=0 --speed=115200\nterminal_output serial\necho DISK BOOTS\nsleep 3600\n');
  writeFileSync(file, Buffer.alloc(32 << 20));
  const copies = [
    ['/usr/lib/shim/shimx64.efi.signed', '/EFI/BOOT/BOOTX64.EFI'],
    ['/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed', '/EFI/BOOT/grubx64.efi'],
    // The prefix that Debian's signed GRUB was built with.
    [config, '/EFI/debian/grub.cfg'],
  ];
  const copy = copies.map(([from, to]) => `mcopy -i ${file} ${from} ::${to}`).join(' && ');
  execFileSync('sh', ['-c', `mformat -i ${file} :: && mmd -i ${file} ::/EFI ::/EFI/BOOT ::/EFI/debian && ${copy}`]);
}

export interface MachineOptions {
  readonly netns: string;
  readonly scratch: string;
  readonly tap: string;
  readonly mac: string;
  /** `uefi-secure`: OVMF with Microsoft's keys and Secure Boot on. */
  readonly firmware: 'bios' | 'uefi' | 'uefi-secure';
  /** `rom`: the NIC's iPXE ROM; `native`: the firmware's own PXE; `http`: UEFI HTTP boot. */
  readonly netboot: 'rom' | 'native' | 'http';
  readonly disk?: string;
  /** More of QEMU's arguments. */
  readonly more?: readonly string[];
}

export interface Machine {
  readonly process: ChildProcess;
  readonly startedAt: number;
  console(): string;
  stop(): Promise<void>;
}

export function startMachine(options: MachineOptions): Machine {
  const { scratch, mac } = options;
  const name = `m-${mac.slice(-2)}-${Date.now().toString(36)}`;
  const log = join(scratch, `${name}.log`);
  const isSecure = options.firmware === 'uefi-secure';
  const args = [
    ...[
      '-name',
      name,
      '-machine',
      `q35,usb=off,graphics=off${isSecure ? ',smm=on' : ''}`,
      '-accel',
      'tcg,thread=multi,tb-size=128',
    ],
    ...['-cpu', 'max', '-smp', '1', '-m', '512', '-display', 'none', '-vga', 'none', '-nodefaults', '-no-user-config'],
    ...['-no-reboot', '-chardev', `stdio,id=ser0,signal=off,logfile=${log}`, '-serial', 'chardev:ser0'],
    ...['-netdev', `tap,id=n0,ifname=${options.tap},script=no,downscript=no`],
    ...['-device', `virtio-net-pci,netdev=n0,mac=${mac},bootindex=1${options.netboot === 'rom' ? '' : ',romfile='}`],
  ];
  if (options.firmware !== 'bios') {
    const variables = join(scratch, `${name}.fd`);
    copyFileSync(`/usr/share/OVMF/OVMF_VARS_4M${isSecure ? '.ms' : ''}.fd`, variables);
    const code = `/usr/share/OVMF/OVMF_CODE_4M${isSecure ? '.secboot' : ''}.fd`;
    args.push('-drive', `if=pflash,format=raw,readonly=on,file=${code}`);
    args.push('-drive', `if=pflash,format=raw,file=${variables}`);
    // Only System Management Mode may write the variables, or the keys would be anybody's.
    if (isSecure)
      args.push('-global', 'driver=cfi.pflash01,property=secure,value=on', '-global', 'ICH9-LPC.disable_s3=1');
  }
  if (options.netboot === 'http')
    for (const version of ['IPv4', 'IPv6'])
      args.push('-fw_cfg', `name=opt/org.tianocore/${version}PXESupport,string=n`);
  if (options.disk)
    args.push(
      ...['-drive', `if=none,id=d0,file=${options.disk},format=raw,cache=unsafe`],
      ...['-device', 'virtio-blk-pci,drive=d0,bootindex=2'],
    );
  args.push(...(options.more ?? []));
  const startedAt = Date.now();
  const process = enterNamespace(options.netns, () =>
    spawn('qemu-system-x86_64', args, { stdio: ['pipe', 'pipe', 'inherit'] }),
  );
  // As in a lab, nobody is at the console for whom iPXE would have to stop.
  process.stdout.on(
    'data',
    bannerKey((typed) => process.stdin.write(typed)),
  );
  process.stdin.on('error', () => {});
  const gone = new Promise<void>((resolve) => process.once('exit', () => resolve()));
  return {
    process,
    startedAt,
    console: () => (existsSync(log) ? readFileSync(log, 'latin1') : ''),
    async stop() {
      process.kill('SIGKILL');
      await gone;
    },
  };
}
