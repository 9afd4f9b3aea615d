/**
 * GRUB's configuration for the Secure Boot chain: Debian's signed shim, its signed network GRUB (prefix /grub, modules
 * tftp, search, chain built in; http is not), and the signed kernel, all by TFTP. One command a line; every machine asks
 * for grub/grub.cfg and gets its own.
 */

export interface GrubAgent {
  readonly name: string;
  readonly reason: string;
  /** `192.0.2.1` */
  readonly tftpServer: string;
  /** `boot/TOKEN` */
  readonly directory: string;
  readonly kernelArguments: readonly (readonly [name: string, value: string | null])[];
}

const head = [
  'set timeout=0',
  'serial --unit=0 --speed=115200',
  'terminal_input serial console',
  'terminal_output serial console',
];

export function grubAgentConfig(agent: GrubAgent): string {
  const root = `(tftp,${agent.tftpServer})/${agent.directory}`;
  const words = agent.kernelArguments.map(([name, value]) => quoted(value === null ? name : `${name}=${value}`));
  return lines(
    ...head,
    `echo ${quoted(`Undercloud: ${agent.name} starts the deploy ramdisk (${agent.reason})`)}`,
    `linux ${root}/kernel ${words.join(' ')}`,
    // In this order: the small archive is uncompressed and its length divisible by four, so the kernel finds what follows.
    `initrd ${root}/trust.cpio ${root}/ramdisk`,
    'boot',
    'echo "Undercloud: the ramdisk could not be started; trying again in 10 s"',
    'sleep 10',
    'configfile $prefix/grub.cfg',
  );
}

/** shim, which GRUB asks to check what it starts, knows the firmware's keys: an image's own signed chain passes. */
export function grubDiskConfig(): string {
  return lines(
    ...head,
    'echo "Undercloud: booting the local disk"',
    'search --no-floppy --file --set=root /EFI/BOOT/BOOTX64.EFI',
    'chainloader /EFI/BOOT/BOOTX64.EFI',
    'boot',
    'echo "Undercloud: no disk here has a signed EFI/BOOT/BOOTX64.EFI"',
    'exit',
  );
}

export function grubNothingConfig(reason: string): string {
  return lines(...head, `echo ${quoted(`Undercloud: nothing to boot: ${reason}`)}`, 'exit');
}

const lines = (...all: readonly string[]) => `${all.join('\n')}\n`;

/** GRUB's single quotes take everything literally but a single quote. */
const quoted = (text: string): string => `'${text.replaceAll(/['\r\n]/g, ' ')}'`;
