import { describe, expect, it } from 'vitest';
import { embeddedConfig, grubMenu, patchBootImage, patchCoreImage } from './grub.ts';

describe('the GRUB boot sectors', () => {
  it('points boot.img at core.img and makes it check the BIOS drive', () => {
    const boot = Buffer.alloc(512, 0x11);
    const patched = patchBootImage(boot, 2048);
    expect(patched.readBigUInt64LE(0x5c)).toBe(2048n);
    expect([...patched.subarray(0x66, 0x68)]).toEqual([0x90, 0x90]);
    const changed = [...patched].flatMap((byte, at) => (byte === boot[at] ? [] : [at]));
    expect(changed.every((at) => (at >= 0x5c && at < 0x64) || at === 0x66 || at === 0x67)).toBe(true);
    expect(boot[0x66]).toBe(0x11);
    expect(() => patchBootImage(Buffer.alloc(446), 2048)).toThrow('446 bytes instead of 512');
  });

  it('gives core.img the list of its own sectors', () => {
    const core = patchCoreImage(Buffer.alloc(512 * 3 + 1, 0x22), 2048, 2048);
    expect(core.length).toBe(4 * 512);
    expect(core.readBigUInt64LE(500)).toBe(2049n);
    expect(core.readUInt16LE(508)).toBe(3);
    expect(core.readUInt16LE(510)).toBe(0x820);
    expect(core[499]).toBe(0x22);
    expect(core[512]).toBe(0x22);
    expect(core[512 * 3 + 1]).toBe(0);
    expect(() => patchCoreImage(Buffer.alloc(512 * 10), 2048, 9)).toThrow('takes 10 sectors');
    expect(() => patchCoreImage(Buffer.alloc(100), 2048, 9)).toThrow('takes 1 sectors');
  });

  it('finds the root by its UUID and starts what it is told', () => {
    expect(embeddedConfig('1234')).toContain('search.fs_uuid 1234 root\n');
    const menu = grubMenu({
      rootUuid: '1234',
      kernel: '/vmlinuz',
      initrd: '/initrd.img',
      commandLine: 'root=UUID=1234 ro quiet',
      timeout: 3,
    });
    expect(menu).toContain('  linux /vmlinuz root=UUID=1234 ro quiet\n  initrd /initrd.img\n');
    expect(menu).toContain('set timeout=3\n');
  });
});
