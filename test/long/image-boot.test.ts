import { randomUUID } from 'node:crypto';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensurePackages } from '../../bootstrap/packages.ts';
import { type BootTestOptions, type BuiltImage, buildImage, testImage } from '../../services/builder/index.ts';

/** One disk, started by BIOS, by UEFI and by UEFI with Secure Boot: `image test` waits for its services and its own health checks. */

const cache = process.env.UNDERCLOUD_TEST_CACHE ?? '/var/tmp/undercloud-test-cache';
let work: string;
let image: BuiltImage;

async function writeElement(files: Record<string, string>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    const file = join(work, 'elements/healthy', path);
    await mkdir(join(file, '..'), { recursive: true });
    await writeFile(file, text);
    await chmod(file, 0o755);
  }
}

const build = (name: string): Promise<BuiltImage> =>
  buildImage({
    definition: {
      name,
      elements: ['debian-base', 'boot', 'healthy'],
      packages: ['systemd-sysv', 'udev', 'dbus'],
      environment: { DIB_BOOT_KERNEL: 'cloud', DIB_BOOTLOADER_DEFAULT_CMDLINE: 'console=ttyS0,115200n8' },
      types: ['raw'],
      spareMib: 64,
      espMib: 64,
    },
    out: join(work, 'out'),
    cache,
    elementsPath: [join(work, 'elements')],
  });

beforeAll(async () => {
  await ensurePackages(['images', 'lab', 'tests']);
  work = await mkdtemp('/var/tmp/image-boot-');
  const health = 'static/usr/lib/undercloud/health.d';
  await writeElement({
    [`${health}/10-well`]: '#!/bin/sh\necho "running $(uname -r)"\n',
    [`${health}/20-firmware`]:
      '#!/bin/sh\n[ -d /sys/firmware/efi ] && echo uefi || echo bios\ndmesg | grep -o "Secure boot enabled" || true\n',
    // Fails in the image that has a hook for it.
    [`${health}/30-ill`]: '#!/bin/sh\necho "this one is ill"\n[ ! -e /etc/ill ]\n',
  });
  image = await build('healthy');
});

afterAll(async () => {
  await rm(work, { recursive: true, force: true });
});

const boot = (how: Pick<BootTestOptions, 'how' | 'firmware' | 'secureBoot'>) =>
  testImage({ directory: image.directory, cache, timeoutSeconds: 600, ...how });

describe('image test', () => {
  it.each([
    [{ how: 'nspawn' as const }, /^(bios|uefi)/],
    [{ how: 'qemu' as const, firmware: 'bios' as const }, /^bios$/],
    [{ how: 'qemu' as const, firmware: 'uefi' as const }, /^uefi$/],
    [{ how: 'qemu' as const, firmware: 'uefi' as const, secureBoot: true }, /^uefi\nSecure boot enabled/],
  ])('boots it with %j and runs its health checks', async (how, firmware) => {
    const result = await boot(how);
    expect(result.checks.map(({ name, passed }) => [name, passed])).toEqual([
      ['system is running', true],
      ['10-well', true],
      ['20-firmware', true],
      ['30-ill', true],
    ]);
    expect(result.passed).toBe(true);
    expect(result.checks[1]?.output).toMatch(/^running \d+\.\d+/);
    expect(result.checks[2]?.output.trim()).toMatch(firmware);
  });

  it('tells which health check failed, with what it said', async () => {
    await writeElement({ 'finalise.d/90-ill': `#!/bin/sh\n# ${randomUUID()}\n: >/etc/ill\n` });
    const ill = await build('ill');
    const result = await testImage({ directory: ill.directory, cache, timeoutSeconds: 600, how: 'nspawn' });
    expect(result.passed).toBe(false);
    expect(result.checks.find(({ passed }) => !passed)).toEqual({
      name: '30-ill',
      passed: false,
      output: 'this one is ill',
    });
  });
});
