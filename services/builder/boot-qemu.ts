import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type BootResult, type BootTestOptions, HEALTH_DIRECTORY, rootPartition } from './boot-result.ts';
import { endGroup, runCommand } from './command.ts';

// Into a copy of the disk: systemd starts it with the others, it waits until the boot is over, and says what it saw where the machine's console is.
const UNIT = `[Unit]
Description=Health checks of the image test
[Service]
Type=simple
ExecStart=/bin/sh /etc/undercloud-image-test
StandardOutput=null
[Install]
WantedBy=multi-user.target
`;
// The console is opened anew for each line, after the boot: a getty that starts there hangs up whoever had it open (vhangup(2)).
const CHECKS = `
say() { printf '\\nUC-CHECK %s %s %s\\n' "$1" "$2" "$(head -c 2000 | base64 -w0)" >/dev/ttyS0; }
state=$(systemctl is-system-running --wait 2>/dev/null)
failed=$(systemctl list-units --state=failed --plain --no-legend 2>/dev/null)
if [ "$state" = running ] || [ -z "$failed" ]; then code=0; else code=1; fi
printf '%s' "\${failed:-$state}" | say system $code
for check in ${HEALTH_DIRECTORY}/*; do
  [ -x "$check" ] || continue
  output=$("$check" 2>&1); code=$?
  printf '%s' "$output" | say "\${check##*/}" $code
done
printf '\\nUC-CHECKED\\n' >/dev/ttyS0
`;

// Fails where the root cannot be mounted from here (logical volumes) or has no systemd: then a login prompt has to do.
const PLANT = `
set -e
mkdir -p "$1/root"
mount -o loop,offset="$3",sizelimit="$4" "$2" "$1/root"
[ -e "$1/root/lib/systemd/systemd" ]
cp "$5" "$1/root/etc/systemd/system/undercloud-image-test.service"
cp "$6" "$1/root/etc/undercloud-image-test"
mkdir -p "$1/root/etc/systemd/system/multi-user.target.wants"
ln -sf ../undercloud-image-test.service "$1/root/etc/systemd/system/multi-user.target.wants/"
umount "$1/root"
`;

/** A copy of the disk that runs the image's health checks by itself, or undefined where that cannot be. */
async function plantChecks(raw: string, work: string): Promise<string | undefined> {
  const copy = join(work, 'checked.raw');
  await runCommand('cp', ['--sparse=always', '--reflink=auto', raw, copy]);
  const { start, size } = await rootPartition(copy);
  const [unit, checks] = [join(work, 'checks.service'), join(work, 'checks')];
  await writeFile(unit, UNIT);
  await writeFile(checks, CHECKS);
  const alone = ['--mount', '--propagation', 'private', 'sh', '-c', PLANT, 'plant'];
  const done = await runCommand('unshare', [...alone, work, copy, String(start), String(size), unit, checks]).then(
    () => true,
    () => false,
  );
  return done ? copy : undefined;
}

/** What the planted unit said on the serial port so far. */
function readChecks(serial: string): BootResult['checks'] {
  return [...serial.matchAll(/^UC-CHECK (\S+) (\d+) (\S*)\r?$/gm)].map(([, name = '', code, output = '']) => ({
    name: name === 'system' ? 'system is running' : name,
    passed: code === '0',
    output: Buffer.from(output, 'base64').toString(),
  }));
}

/** Boots the whole disk, boot loader and all, in an emulated machine, and waits for the image's health checks. */
export async function bootQemu(raw: string, work: string, options: BootTestOptions): Promise<BootResult> {
  const checked = await plantChecks(raw, work);
  const began = Date.now();
  // Never KVM: /dev/kvm may be there, take every ioctl, and hang the guest in its firmware (services/lab/acceleration.ts), which would pass for an image that does not boot.
  const accelerator = ['-accel', 'tcg,thread=multi,tb-size=128'];
  const args = [
    '-machine',
    `q35${options.secureBoot ? ',smm=on' : ''}`,
    ...accelerator,
    '-cpu',
    'max',
    '-smp',
    '2',
    '-m',
    '1024',
    '-display',
    'none',
    '-no-reboot',
    '-monitor',
    'none',
    '-serial',
    'stdio',
    '-nic',
    'none',
  ];
  args.push('-drive', `file=${checked ?? raw},format=raw,if=virtio,snapshot=on`, '-device', 'virtio-rng-pci');
  if (options.firmware === 'uefi') {
    // Debian's .ms variables hold Microsoft's keys, which signed its shim; System Management Mode guards them.
    const kind = options.secureBoot ? '.ms' : '';
    if (options.secureBoot)
      args.push('-global', 'driver=cfi.pflash01,property=secure,value=on', '-global', 'ICH9-LPC.disable_s3=1');
    await runCommand('cp', [`/usr/share/OVMF/OVMF_VARS_4M${kind}.fd`, join(work, 'vars.fd')]);
    const code = `/usr/share/OVMF/OVMF_CODE_4M${options.secureBoot ? '.secboot' : ''}.fd`;
    args.push('-drive', `if=pflash,format=raw,readonly=on,file=${code}`);
    args.push('-drive', `if=pflash,format=raw,file=${join(work, 'vars.fd')}`);
  }
  const machine = spawn('qemu-system-x86_64', args, { detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  let serial = '';
  let reached = false;
  machine.stdout.on('data', (data: Buffer) => {
    serial += data.toString('latin1');
    if (checked === undefined ? /login: ?$/m.test(serial) : /^UC-CHECKED\r?$/m.test(serial)) {
      reached = true;
      endGroup(machine);
    }
  });
  machine.stderr.on('data', (data: Buffer) => (serial += data.toString()));
  const timer = setTimeout(() => endGroup(machine), options.timeoutSeconds * 1000);
  const stop = (): void => endGroup(machine);
  options.signal?.addEventListener('abort', stop, { once: true });
  await once(machine, 'close');
  clearTimeout(timer);
  options.signal?.removeEventListener('abort', stop);
  const lines = serial.split(/\r?\n/).filter((line) => line !== '' && !line.startsWith('UC-CHECK'));
  const firmware = `${options.firmware ?? 'bios'}${options.secureBoot ? ' with Secure Boot' : ''}`;
  const checks = readChecks(serial);
  if (checks.length === 0 || !reached) {
    const output = reached ? lines.at(-1)! : lines.slice(-3).join(' | ') || 'nothing on the serial port';
    checks.unshift({
      name: `${checked === undefined ? 'login prompt' : 'boot'} (${firmware})`,
      passed: reached,
      output,
    });
  }
  return {
    how: 'qemu',
    passed: reached && checks.every(({ passed }) => passed),
    seconds: (Date.now() - began) / 1000,
    checks,
    console: lines.slice(-40),
  };
}
