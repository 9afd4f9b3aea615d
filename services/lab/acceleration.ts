import { spawn } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Type, { type Static } from 'typebox';
import Value from 'typebox/value';
import { writeWhole } from './description.ts';
import { type Acceleration, commonArguments, qemuProgram } from './qemu.ts';
import { machineSpeed } from './speed.ts';
import { toolEnvironment, uefiFiles } from './tools.ts';

/**
 * KVM or not. /dev/kvm may be there, accept every ioctl and run a toy guest, and still hang SeaBIOS or abort on the first model register
 * (seen on a virtual host with a paravirtual KVM). So a machine without the processor's flag is refused at once, and any other has to boot
 * a real guest, with the flags the lab uses, to its marker on the serial line.
 */

export interface Verdict {
  acceleration: Acceleration;
  /** Why, in a clause: "no /dev/kvm". */
  reason: string;
}

const Cached = Type.Object({
  bootId: Type.String(),
  acceleration: Type.Union([Type.Literal('kvm'), Type.Literal('tcg')]),
  reason: Type.String(),
});

/** A guest that says something on its serial line once it has gone through real mode, long mode, paging and a second processor. */
export interface ProbeGuest {
  what: string;
  arguments: string[];
  marker: string;
}

/** Guests that this machine has at hand, the most telling first. `kernel` names one to prefer, the deploy ramdisk's for instance. */
export function probeGuests(kernel?: string, bootDirectory = '/boot'): ProbeGuest[] {
  const kernels = existsSync(bootDirectory)
    ? readdirSync(bootDirectory)
        .filter((name) => name.startsWith('vmlinuz-'))
        .map((name) => join(bootDirectory, name))
    : [];
  const guests: ProbeGuest[] = [kernel, ...kernels]
    .filter((path) => path !== undefined)
    .filter(readable)
    .map((path) => ({
      what: `Linux (${path})`,
      // Without a root file system a kernel ends here, after all its processors, timers and drivers have been set up.
      arguments: ['-kernel', path, '-append', 'console=ttyS0 panic=-1', '-no-reboot'],
      marker: 'Unable to mount root fs',
    }));
  if (readable(uefiFiles.uefi.code)) {
    guests.push({
      what: 'UEFI firmware',
      arguments: ['-drive', `if=pflash,format=raw,readonly=on,file=${uefiFiles.uefi.code}`],
      // OVMF's boot device selection, its last phase: it runs in long mode with all processors started.
      marker: 'BdsDxe',
    });
  }
  return guests;
}

function readable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

/** Boots the guest and resolves true when its marker comes within `milliseconds`; false when QEMU ends before or says nothing of the kind. */
export function bootsTo(guest: ProbeGuest, acceleration: Acceleration, milliseconds: number): Promise<boolean> {
  return new Promise((resolve) => {
    const child = spawn(
      qemuProgram,
      [...commonArguments(acceleration, 2, 256), '-serial', 'stdio', ...guest.arguments],
      {
        stdio: ['ignore', 'pipe', 'ignore'],
        env: toolEnvironment,
      },
    );
    let heard = '';
    let seen = false;
    const timer = setTimeout(() => child.kill('SIGKILL'), milliseconds);
    child.stdout.on('data', (data: Buffer) => {
      // Firmware draws with escape sequences between words, never inside the marker.
      heard = (heard + data.toString('latin1')).slice(-4096);
      if (!seen && heard.includes(guest.marker)) {
        seen = true;
        child.kill('SIGKILL');
      }
    });
    child.once('error', () => {
      clearTimeout(timer);
      resolve(false);
    });
    child.once('close', () => {
      clearTimeout(timer);
      resolve(seen);
    });
  });
}

/** What can be said without starting anything; undefined when it has to be tried. */
export function cheapRefusal(cpuinfo: string, device: boolean): string | undefined {
  if (!device) return 'there is no /dev/kvm that this user may open';
  const flags = /^flags\s*:(.*)$/m.exec(cpuinfo)?.[1]?.split(' ') ?? [];
  if (!flags.includes('vmx') && !flags.includes('svm'))
    return 'the processor has neither vmx nor svm, whatever /dev/kvm says';
  return undefined;
}

async function judge(kernel: string | undefined, onProgress: (line: string) => void): Promise<Verdict> {
  const refusal = cheapRefusal(readFileSync('/proc/cpuinfo', 'utf8'), readable('/dev/kvm'));
  if (refusal) return { acceleration: 'tcg', reason: refusal };
  const guest = probeGuests(kernel)[0];
  if (!guest)
    return {
      acceleration: 'tcg',
      reason: 'there is no guest to try KVM with (neither a kernel in /boot nor the package ovmf)',
    };
  onProgress(`trying KVM with ${guest.what}`);
  const seconds = Math.ceil(8 * (await machineSpeed()));
  if (await bootsTo(guest, 'kvm', seconds * 1000))
    return { acceleration: 'kvm', reason: `${guest.what} boots with it` };
  return { acceleration: 'tcg', reason: `${guest.what} does not boot with KVM within ${seconds} s` };
}

/** KVM where a guest really boots with it, else TCG. The answer is kept in the file `cache` for as long as the machine stays up. */
export async function chooseAcceleration(
  cache: string,
  kernel: string | undefined,
  onProgress: (line: string) => void,
): Promise<Verdict> {
  const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  const kept = readCache(cache);
  if (kept?.bootId === bootId) return { acceleration: kept.acceleration, reason: kept.reason };
  const verdict = await judge(kernel, onProgress);
  writeWhole(cache, `${JSON.stringify({ bootId, ...verdict })}\n`);
  return verdict;
}

function readCache(path: string): Static<typeof Cached> | undefined {
  try {
    const parsed: unknown = JSON.parse(readFileSync(path, 'utf8'));
    return Value.Check(Cached, parsed) ? parsed : undefined;
  } catch {
    return undefined;
  }
}
