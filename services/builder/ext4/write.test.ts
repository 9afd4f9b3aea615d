import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mergeLayers, type TreeNode } from '../layers.ts';
import { DiskMap, MappedDisk, readPiece } from '../mapped-disk.ts';
import { crc32c } from './crc32c.ts';
import { planSize } from './plan.ts';
import { type Ext4Options, writeExt4 } from './write.ts';

const EPOCH = 1_760_000_000;
let work: string;

const tool = (program: string, ...args: string[]): string =>
  execFileSync(program, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
  });

async function write(
  name: string,
  layers: string[],
  root: TreeNode = mergeLayers(layers, EPOCH),
  files: Pick<Ext4Options, 'map' | 'writeFiles'> = { writeFiles: true },
): Promise<string> {
  const image = join(work, name);
  const size = planSize(root, layers.length, 8, 16);
  writeFileSync(image, '');
  truncateSync(image, size.mib * 1024 * 1024);
  await writeExt4({
    root,
    layers: layers.length,
    image,
    offset: 0,
    ...size,
    journalMib: 8,
    uuid: '11111111-2222-4333-8444-555555555555',
    hashSeed: '11111111-2222-4333-8444-666666666666',
    label: 'test',
    epoch: EPOCH,
    ...files,
  });
  return image;
}

function layer(name: string, files: Record<string, string | Buffer>): string {
  const directory = join(work, name);
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(directory, path, '..'), { recursive: true });
    writeFileSync(join(directory, path), content);
    utimesSync(join(directory, path), EPOCH - 5, EPOCH - 5);
  }
  return directory;
}

beforeAll(() => {
  work = mkdtempSync(join(tmpdir(), 'ext4-'));
});

afterAll(() => {
  rmSync(work, { recursive: true, force: true });
});

describe('crc32c', () => {
  it('gives the check value of RFC 3720, B.4', () => {
    expect((crc32c(0xffffffff, Buffer.from('123456789')) ^ 0xffffffff) >>> 0).toBe(0xe3069283);
    expect((crc32c(0xffffffff, Buffer.alloc(32)) ^ 0xffffffff) >>> 0).toBe(0x8a9136aa);
  });
});

describe('the ext4 writer', () => {
  it('writes what e2fsck finds whole: files, holes, links, long names, full directories', async () => {
    const base = layer('base', { 'etc/hostname': 'node\n', 'usr/bin/tool': Buffer.alloc(70_000, 7), empty: '' });
    linkSync(join(base, 'usr/bin/tool'), join(base, 'usr/bin/second'));
    symlinkSync('hostname', join(base, 'etc/short'));
    symlinkSync('x'.repeat(200), join(base, 'etc/long'));
    mkdirSync(join(base, 'many'));
    for (let i = 0; i < 700; i++) writeFileSync(join(base, 'many', `${i}-${'n'.repeat(40)}`), '');
    writeFileSync(join(base, 'hole'), 'begin');
    truncateSync(join(base, 'hole'), 5_000_000);
    const image = await write('one.ext4', [base]);
    tool('e2fsck', '-fn', image);
    const debugfs = (command: string): string => tool('debugfs', '-R', command, image);
    expect(debugfs('cat /etc/hostname')).toBe('node\n');
    expect(debugfs('stat /etc/short')).toContain('Fast link dest: "hostname"');
    expect(debugfs('stat /usr/bin/second')).toMatch(/Links: 2/);
    expect(debugfs('stat /hole')).toMatch(/Size: 5000000[\s\S]*Blockcount: 8\b/);
    expect(debugfs('stat /etc/hostname')).toContain(`mtime: 0x${(EPOCH - 5).toString(16)}`);
    expect(
      debugfs('ls -p /many')
        .split('\n')
        .filter((line) => line.includes('-nnn')),
    ).toHaveLength(700);
    debugfs(`dump /usr/bin/tool ${join(work, 'tool')}`);
    expect(readFileSync(join(work, 'tool')).equals(Buffer.alloc(70_000, 7))).toBe(true);
  });

  it('gives the same bytes for the same tree, whatever the times that its copy has', async () => {
    const first = layer('same-a', { 'etc/a': 'a', 'etc/b': 'b' });
    const second = layer('same-b', { 'etc/b': 'b', 'etc/a': 'a' });
    for (const path of ['etc/a', 'etc/b']) utimesSync(join(second, path), EPOCH - 5, EPOCH - 5);
    const [a, b] = [await write('a.ext4', [first]), await write('b.ext4', [second])];
    expect(readFileSync(a).equals(readFileSync(b))).toBe(true);
  });

  it('leaves the chunks of other layers alone when one changes', async () => {
    const bytes = (seed: number): Buffer =>
      Buffer.from(Array.from({ length: 3_000_000 }, (_, i) => (i * 31 + seed * 17 + (i >> 8)) & 255));
    const [base, middle, top] = [
      layer('l0', { 'usr/base': bytes(1) }),
      layer('l1', { 'opt/middle': bytes(2) }),
      layer('l2', { 'srv/top': bytes(3) }),
    ];
    const before = readFileSync(await write('before.ext4', [base, middle, top]));
    const changed = layer('l1b', { 'opt/middle': Buffer.concat([bytes(9), Buffer.from('a little more')]) });
    const after = readFileSync(await write('after.ext4', [base, changed, top]));
    tool('e2fsck', '-fn', join(work, 'after.ext4'));
    const chunk = 1024 * 1024;
    const differing = Array.from({ length: Math.ceil(after.length / chunk) }, (_, i) => i).filter(
      (i) => !before.subarray(i * chunk, (i + 1) * chunk).equals(after.subarray(i * chunk, (i + 1) * chunk)),
    );
    // Three of the layer's own data, and the first of the file system, where descriptors, bitmaps and inodes are.
    expect(differing.length).toBeLessThanOrEqual(6);
    expect(differing.length).toBeGreaterThan(2);
  });

  it('tells where the files lie, so that a disk without their bytes can be read whole', async () => {
    const base = layer('mapped', { 'a/one': randomBytes(3_000_001), 'a/two': 'short\n', b: randomBytes(70_000) });
    const holes = openSync(join(base, 'holes'), 'w');
    writeSync(holes, 'end', 5_000_000);
    closeSync(holes);
    const maps = [new DiskMap(), new DiskMap()] as const;
    const whole = await write('whole.ext4', [base], undefined, { map: maps[0], writeFiles: true });
    const sparse = await write('sparse.ext4', [base], undefined, { map: maps[1], writeFiles: false });
    expect(readFileSync(sparse).equals(readFileSync(whole))).toBe(false);
    const disks = [new MappedDisk(whole, maps[0]), new MappedDisk(sparse, maps[1])] as const;
    const bytes = readFileSync(whole);
    let named = 0;
    for (let index = 0; index < disks[0].count; index++) {
      const piece = bytes.subarray(index * 2 ** 20, (index + 1) * 2 ** 20);
      for (const disk of disks) {
        const read = Buffer.alloc(piece.length);
        readPiece(disk.piece(index), read);
        expect(read.equals(piece), `MiB ${index}`).toBe(true);
      }
      const names = disks.map((disk) => disk.name(index, 'test'));
      expect(names[1]).toBe(names[0]);
      expect(names[0] === undefined).toBe(piece.every((byte) => byte === 0));
      if (names[0] !== undefined) named += 1;
    }
    expect(named).toBeGreaterThan(3);
    for (const disk of disks) disk.close();
  });

  it('says that a file system is too small', async () => {
    const base = layer('large', { big: Buffer.alloc(20_000_000, 1) });
    const root = mergeLayers([base], EPOCH);
    const image = join(work, 'small.ext4');
    writeFileSync(image, '');
    truncateSync(image, 16 * 1024 * 1024);
    const writing = writeExt4({
      root,
      layers: 1,
      image,
      offset: 0,
      mib: 16,
      bytesPerInode: 16384,
      journalMib: 4,
      uuid: '11111111-2222-4333-8444-555555555555',
      hashSeed: '11111111-2222-4333-8444-666666666666',
      label: 't',
      epoch: EPOCH,
      writeFiles: true,
    });
    await expect(writing).rejects.toThrow('too small for the tree');
  });
});
