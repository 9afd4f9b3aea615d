import { runCommand } from './command.ts';

export interface EspOptions {
  image: string;
  offset: number;
  mib: number;
  label: string;
  /** Eight hexadecimal digits. */
  serial: string;
  /** Files by their path on the partition, such as EFI/BOOT/BOOTX64.EFI. */
  files: Record<string, string>;
  epoch: number;
  signal?: AbortSignal | undefined;
}

/** Formats the EFI system partition inside the image with mtools and fills it. */
export async function writeEsp({ image, offset, mib, label, serial, files, epoch, signal }: EspOptions): Promise<void> {
  const options = {
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', MTOOLS_SKIP_CHECK: '1', TZ: 'UTC', SOURCE_DATE_EPOCH: String(epoch) },
    ...(signal === undefined ? {} : { signal }),
  };
  const disk = `${image}@@${offset}`;
  const sectors = mib * 2048;
  await runCommand(
    'mformat',
    ['-i', disk, '-F', '-v', label, '-N', serial, '-T', String(sectors), '-h', '64', '-s', '32', '::'],
    options,
  );
  const made = new Set<string>();
  for (const [path, source] of Object.entries(files)) {
    const parts = path.split('/').slice(0, -1);
    for (let depth = 1; depth <= parts.length; depth++) {
      const directory = parts.slice(0, depth).join('/');
      if (made.has(directory)) continue;
      made.add(directory);
      await runCommand('mmd', ['-i', disk, `::/${directory}`], options);
    }
    await runCommand('mcopy', ['-i', disk, source, `::/${path}`], options);
  }
}
