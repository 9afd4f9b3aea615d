import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inspect, type Sample } from './index.ts';
import { sampling } from './sampling.ts';

const dir = mkdtempSync(join(tmpdir(), 'uc-formats-'));
afterAll(() => rmSync(dir, { recursive: true }));

const sample = (bytes: Buffer): Sample => ({
  head: bytes.subarray(0, 4 << 20),
  tail: bytes.subarray(-512),
  size: bytes.length,
});
const size = 8 << 20;

/** qemu-img's name and options for each of Glance's formats. */
const made: [declared: string, format: string, options: string[]][] = [
  ['qcow2', 'qcow2', []],
  ['qcow2', 'qcow2', ['-o', 'compat=0.10']],
  ['qcow2', 'qcow2', ['-o', 'compression_type=zstd,extended_l2=on,cluster_size=128k']],
  ['vmdk', 'vmdk', ['-o', 'subformat=monolithicSparse']],
  ['vmdk', 'vmdk', ['-o', 'subformat=streamOptimized']],
  ['vhd', 'vpc', ['-o', 'subformat=dynamic,force_size=on']],
  ['vhd', 'vpc', ['-o', 'subformat=fixed,force_size=on']],
  ['vhdx', 'vhdx', ['-o', 'subformat=dynamic']],
  ['vdi', 'vdi', []],
];
const files = new Map<string, Buffer>();
const create = (name: string, ...args: string[]): Buffer => {
  execFileSync('qemu-img', ['create', '-q', ...args.map((arg) => arg.replace('@', join(dir, name)))], { cwd: dir });
  return readFileSync(join(dir, name));
};
beforeAll(() => {
  for (const [, format, options] of made)
    files.set(
      [format, ...options].join(' '),
      create(`${files.size}.${format}`, '-f', format, ...options, '@', String(size)),
    );
});

describe('what an upload really is', () => {
  it.each(made)('knows a %s as qemu-img makes it (%s %j)', (declared, format, options) => {
    const bytes = files.get([format, ...options].join(' ')) as Buffer;
    expect(inspect(declared, sample(bytes))).toBe(size);
    for (const other of ['raw', 'qcow2', 'vdi', 'vhdx'].filter((name) => name !== declared))
      expect(() => inspect(other, sample(bytes)), other).toThrow(
        `its disk_format is ${other}, and its bytes are ${declared}.`,
      );
  });

  it('takes any other bytes as a raw disk and as nothing else', () => {
    const bytes = Buffer.alloc(4096, 7);
    expect(inspect('raw', sample(bytes))).toBe(4096);
    expect(() => inspect('qcow2', sample(bytes))).toThrow('its bytes are of no known format');
    expect(inspect('aki', sample(bytes))).toBeNull();
  });

  it.each([
    ['a backing file', 'qcow2', ['-f', 'qcow2', '-F', 'raw', '-b', '/etc/hostname', '@', '1M'], /backing file/],
    ['an external data file', 'qcow2', ['-f', 'qcow2', '-o', 'data_file=aside.raw', '@', '1M'], /external data file/],
    ['extents in other files', 'vmdk', ['-f', 'vmdk', '-o', 'subformat=monolithicFlat', '@', '1M'], /descriptor alone/],
    ['two extents', 'vmdk', ['-f', 'vmdk', '-o', 'subformat=twoGbMaxExtentSparse', '@', '1M'], /descriptor alone/],
  ] as const)('refuses %s', (name, declared, args, reason) => {
    expect(() => inspect(declared, sample(create(`${name.replaceAll(' ', '-')}.bad`, ...args)))).toThrow(reason);
  });

  const spoilt = (key: string, spoil: (bytes: Buffer) => void): Sample => {
    const bytes = Buffer.from(files.get(key) as Buffer);
    spoil(bytes);
    return sample(bytes);
  };
  it.each<[string, string, string, (bytes: Buffer) => unknown, RegExp]>([
    ['an unknown feature', 'qcow2', 'qcow2', (b) => b.writeBigUInt64BE(1n << 40n, 72), /features \(0x10000000000\)/],
    ['encryption', 'qcow2', 'qcow2', (b) => b.writeUInt32BE(2, 32), /encrypted/],
    ['another version', 'qcow2', 'qcow2', (b) => b.writeUInt32BE(9, 4), /qcow version 9/],
    ['a petabyte', 'qcow2', 'qcow2', (b) => b.writeBigUInt64BE(1n << 50n, 24), /at most 17592186044416/],
    ['a table for more than the disk', 'qcow2', 'qcow2', (b) => b.writeUInt32BE(2 ** 31, 36), /2147483648 entries/],
    [
      'an extent with a path',
      'vmdk',
      'vmdk -o subformat=monolithicSparse',
      (b) => b.write('/etc/shadow"', b.indexOf('SPARSE "') + 8),
      /one sparse extent/,
    ],
    [
      'a parent',
      'vmdk',
      'vmdk -o subformat=monolithicSparse',
      (b) => b.write('parentCID=12345678', b.indexOf('parentCID=')),
      /child of another VMDK/,
    ],
    [
      'a differencing disk',
      'vhd',
      'vpc -o subformat=dynamic,force_size=on',
      (b) => b.writeUInt32BE(4, 60),
      /child of another VHD/,
    ],
    [
      'metadata far away',
      'vhdx',
      'vhdx -o subformat=dynamic',
      (b) => b.writeBigUInt64LE(1n << 40n, b.indexOf('06a27c8b90479a4bb8fe575f050f886e', 196_608, 'hex') + 16),
      /behind its first 4 MiB/,
    ],
    ['a snapshot', 'vdi', 'vdi', (b) => b.writeUInt32LE(4, 76), /VDI type is 4/],
  ])('refuses %s', (_name, declared, key, spoil, reason) => {
    expect(() => inspect(declared, spoilt(key, spoil))).toThrow(reason);
  });

  it('says so, and nothing worse, of every file cut short or mutated', () => {
    let seed = 1;
    const random = (below: number) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
      return seed % below;
    };
    for (const [declared, format, options] of made) {
      const whole = files.get([format, ...options].join(' ')) as Buffer;
      for (let round = 0; round < 300; round += 1) {
        const bytes = Buffer.from(
          round % 3 === 0 ? whole.subarray(0, random(whole.length)) : whole.subarray(0, 1 << 20),
        );
        for (let n = random(8); n > 0 && bytes.length > 0; n -= 1)
          bytes[random(Math.min(bytes.length, 1024))] = random(256);
        try {
          expect(inspect(declared, sample(bytes)) ?? 0).toBeLessThanOrEqual(16 * 2 ** 40);
        } catch (error) {
          expect((error as Error).message).toMatch(/^(it|its) .*[.;]|^its .*\.$/);
          expect(error).not.toBeInstanceOf(RangeError);
        }
      }
    }
  });

  it('judges a stream as soon as its head is there, and the same whatever its pieces', () => {
    const bytes = Buffer.concat([Buffer.from('QFI\xfb', 'latin1'), Buffer.alloc(6 << 20)]);
    const early = sampling('raw');
    expect(() => {
      for (let at = 0; at < bytes.length; at += 65_536) early.take(bytes.subarray(at, at + 65_536));
    }).toThrow('its bytes are qcow2');
    for (const piece of [1, 511, 100_000]) {
      const fixed = files.get('vpc -o subformat=fixed,force_size=on') as Buffer;
      const whole = sampling('vhd');
      const part = fixed.subarray(-200_000);
      for (let at = 0; at < part.length; at += piece) whole.take(part.subarray(at, at + piece));
      expect(whole.end()).toBe(size);
    }
  });
});
