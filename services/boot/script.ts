/**
 * iPXE scripts, for Debian's build of 2019 and newer ones. The NIC that the script was fetched through is open already;
 * should it have to be configured again, then by `ifconf -c dhcp`: plain `dhcp` also waits 16 s for IPv6.
 */

export interface AgentScript {
  /** For people at the console. */
  readonly name: string;
  readonly reason: string;
  readonly kernelUrl: string;
  readonly ramdiskUrl: string;
  readonly trustUrl: string;
  /** In order; a value of null is a bare word. */
  readonly kernelArguments: readonly (readonly [name: string, value: string | null])[];
}

/** Fetches that fail are tried again: a switch port that is still blocked by spanning tree opens after up to 30 s. */
const attempts = 10;

export function agentScript(script: AgentScript): string {
  const words = script.kernelArguments.map(([name, value]) => (value === null ? name : `${name}=${quoted(value)}`));
  // Under UEFI the kernel finds its initrds by these names; under BIOS the names mean nothing. The small one comes first:
  // it is an uncompressed cpio of a length divisible by four, so what follows is where the kernel looks for it.
  const initrds = 'initrd=trust.cpio initrd=ramdisk';
  return lines(
    '#!ipxe',
    `echo Undercloud: ${plain(script.name)} starts the deploy ramdisk (${plain(script.reason)})`,
    'set tries:int32 0',
    ':again',
    'imgfree',
    `kernel --name kernel ${script.kernelUrl} ${initrds} ${words.join(' ')} || goto failed`,
    `initrd --name trust.cpio ${script.trustUrl} || goto failed`,
    `initrd --name ramdisk ${script.ramdiskUrl} || goto failed`,
    'boot || goto failed',
    ':failed',
    'inc tries',
    `echo Undercloud: attempt \${tries} failed: \${errno}`,
    `iseq \${tries} ${attempts} && goto given_up ||`,
    'sleep 3',
    'ifconf -c dhcp ||',
    'goto again',
    ':given_up',
    'echo Undercloud: giving up; the timeline of this node says what was fetched',
    'exit 1',
  );
}

/**
 * To the disk. BIOS: iPXE boots drive 0x80 itself, without describing a SAN in the firmware's tables. UEFI: by disk.efi;
 * where Secure Boot refuses that, `exit 1` returns an error to the boot manager, which then tries its next entry, while a
 * plain `exit` returns success, whereupon the boot manager stops at its menu (UEFI 2.10 section 3.1.1).
 */
export function diskScript(diskLoaderUrl: string): string {
  return lines(
    '#!ipxe',
    'echo Undercloud: booting the local disk',
    `iseq \${platform} efi && goto efi ||`,
    'sanboot --no-describe --drive 0x80 ||',
    `echo Undercloud: the first disk does not boot: \${errno}`,
    'exit 1',
    ':efi',
    `chain ${diskLoaderUrl} ||`,
    'exit 1',
  );
}

const lines = (...all: readonly string[]) => `${all.join('\n')}\n`;

/** What iPXE would read as its own syntax, or the console cannot show, becomes a blank. */
const plain = (text: string): string => text.replaceAll(/[^\w.,:()/-]+/g, ' ').trim();

/** The kernel's own quoting (kernel-parameters.rst): double quotes around values with blanks; nothing escapes a quote. */
const quoted = (value: string): string => {
  const safe = value.replaceAll(/["\r\n$]/g, '');
  return /\s/.test(safe) ? `"${safe}"` : safe;
};
