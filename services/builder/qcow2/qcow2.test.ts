import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DiskMap, MappedDisk } from '../mapped-disk.ts';
import { PieceCache } from '../piece-cache.ts';
import { ClusterEncoder, decodeClusters } from './entry.ts';
import { CLUSTER, Qcow2File } from './file.ts';
import { writeQcow2 } from './write.ts';

const MIB = 2 ** 20;
const encoder = new ClusterEncoder(CLUSTER);
let work: string;

beforeEach(async () => {
  work = await mkdtemp(join(tmpdir(), 'qcow2-'));
});

afterEach(async () => {
  await rm(work, { recursive: true, force: true });
});

const tool = (...args: string[]): string => execFileSync('qemu-img', args, { encoding: 'utf8', cwd: work });

/** Noise, text, zeros and halves of each, and at the end less than a cluster. */
function disk(): Buffer {
  const text = Buffer.alloc(MIB, 'the same words over and over; ');
  const mixed = Buffer.concat([randomBytes(CLUSTER), text.subarray(0, 3 * CLUSTER), Buffer.alloc(12 * CLUSTER)]);
  const words = Buffer.from(Array.from({ length: 200_000 }, () => Math.random().toString(36)).join(' ')).subarray(
    0,
    MIB,
  );
  return Buffer.concat([
    text,
    randomBytes(MIB),
    Buffer.alloc(2 * MIB),
    mixed,
    words,
    mixed,
    words,
    randomBytes(5 * 512),
  ]);
}

async function convert(raw: string, name: string, pieces: PieceCache, map = new DiskMap()): Promise<Buffer> {
  const opened = new MappedDisk(raw, map);
  try {
    await writeQcow2({ disk: opened, target: join(work, name), pieces });
  } finally {
    opened.close();
  }
  return readFile(join(work, name));
}

async function back(name: string): Promise<Buffer> {
  expect(tool('check', name)).toContain('No errors were found on the image');
  tool('convert', '-f', 'qcow2', '-O', 'raw', name, 'back.raw');
  return readFile(join(work, 'back.raw'));
}

describe('the qcow2 writer', () => {
  it('writes what qemu-img finds whole and reads back byte for byte, as small as its own', async () => {
    const raw = disk();
    await writeFile(join(work, 'raw'), raw);
    const bytes = await convert(join(work, 'raw'), 'a.qcow2', new PieceCache(join(work, 'pieces'), true));
    expect((await back('a.qcow2')).equals(raw)).toBe(true);
    const info = JSON.parse(tool('info', '--output=json', 'a.qcow2')) as Record<string, unknown>;
    expect(info).toMatchObject({ format: 'qcow2', 'virtual-size': raw.length, 'cluster-size': CLUSTER });
    expect(info['format-specific']).toMatchObject({
      data: { compat: '1.1', 'compression-type': 'zstd', corrupt: false },
    });
    tool('convert', '-f', 'raw', '-O', 'qcow2', '-c', '-o', 'compression_type=zstd', 'raw', 'theirs.qcow2');
    expect(bytes.length).toBeLessThan((await readFile(join(work, 'theirs.qcow2'))).length * 1.02 + CLUSTER);
  });

  it('gives the same bytes from a warm cache, a cold one, and one that was damaged', async () => {
    await writeFile(join(work, 'raw'), disk());
    const place = join(work, 'pieces');
    const first = await convert(join(work, 'raw'), 'a', new PieceCache(place, false));
    expect((await convert(join(work, 'raw'), 'b', new PieceCache(place, true))).equals(first)).toBe(true);
    const kept = (await readdir(place, { recursive: true, withFileTypes: true })).filter((each) => each.isFile());
    expect(kept.length).toBe(5); // Six MiB are not zero, and two of these are equal to two others; the end is one more.
    for (const each of kept) await truncate(join(each.parentPath, each.name), 100);
    expect((await convert(join(work, 'raw'), 'c', new PieceCache(place, true))).equals(first)).toBe(true);
    expect((await convert(join(work, 'raw'), 'd', new PieceCache(join(work, 'other'), true))).equals(first)).toBe(true);
  });

  it('takes files of the map from where they are, and a changed file changes its own MiB only', async () => {
    const content = Buffer.from(disk());
    await writeFile(join(work, 'file'), content);
    await writeFile(join(work, 'raw'), Buffer.alloc(12 * MIB));
    const sums = { before: createHash('sha256').update(content).digest('hex') };
    const mapped = (digest: string): DiskMap => {
      const map = new DiskMap();
      map.add({ at: MIB / 2, length: content.length, source: join(work, 'file'), position: 0, digest });
      return map;
    };
    const pieces = new PieceCache(join(work, 'pieces'), true);
    await convert(join(work, 'raw'), 'a.qcow2', pieces, mapped(sums.before));
    const whole = Buffer.alloc(12 * MIB);
    content.copy(whole, MIB / 2);
    expect((await back('a.qcow2')).equals(whole)).toBe(true);
    content[5 * MIB] = 1;
    content.copy(whole, MIB / 2);
    await writeFile(join(work, 'file'), content);
    await convert(join(work, 'raw'), 'b.qcow2', pieces, mapped('f'.repeat(64)));
    expect((await back('b.qcow2')).equals(whole)).toBe(true);
  });

  it('places clusters that no compression makes shorter on borders, and goes on behind them', () => {
    const path = join(work, 'mixed.qcow2');
    const file = new Qcow2File(path, 40 * CLUSTER);
    const want = Buffer.alloc(40 * CLUSTER);
    for (let i = 0; i < 40; i++) {
      const raw =
        i % 3 === 0 ? randomBytes(CLUSTER) : i % 3 === 1 ? Buffer.alloc(CLUSTER, `${i} `) : Buffer.alloc(CLUSTER);
      raw.copy(want, i * CLUSTER);
      file.put(i, decodeClusters(encoder.encode(raw))![0]!);
    }
    file.finish();
    file.close();
    return expect(back('mixed.qcow2').then((bytes) => bytes.equals(want))).resolves.toBe(true);
  });

  it('maps disks of more than one table, mostly holes', async () => {
    const path = join(work, 'wide.qcow2');
    const size = 3 * 2 ** 30 + 512;
    const file = new Qcow2File(path, size);
    const [cluster] = decodeClusters(encoder.encode(Buffer.alloc(CLUSTER, 'x')))!;
    for (const index of [0, 8191, 8192, size / CLUSTER - 1]) file.put(Math.floor(index), cluster!);
    file.finish();
    file.close();
    expect(tool('check', 'wide.qcow2')).toContain('No errors were found');
    expect(JSON.parse(tool('info', '--output=json', 'wide.qcow2'))).toMatchObject({ 'virtual-size': size });
    expect(JSON.parse(tool('map', '--output=json', 'wide.qcow2'))).toHaveLength(6);
  });

  it('ends when it is told to', async () => {
    await writeFile(join(work, 'raw'), disk());
    const opened = new MappedDisk(join(work, 'raw'), new DiskMap());
    const pieces = new PieceCache(join(work, 'pieces'), true);
    const writing = writeQcow2({ disk: opened, target: join(work, 'x'), pieces, signal: AbortSignal.abort() });
    await expect(writing).rejects.toThrow('interrupted');
    opened.close();
  });
});

describe('the cache of pieces', () => {
  it('keeps what was used last when it has grown too large', async () => {
    const place = join(work, 'pieces');
    await mkdir(place);
    const room = Buffer.alloc(2000);
    const pieces = new PieceCache(place, true);
    const keys = ['a', 'b', 'c'].map((word) => createHash('sha256').update(word).digest('hex')) as [
      string,
      string,
      string,
    ];
    for (const key of keys) pieces.put(key, Buffer.alloc(1000));
    execFileSync('touch', ['-d', '2001-01-01', ...keys.slice(0, 2).map((key) => join(place, key.slice(0, 2), key))]);
    expect(pieces.get(keys[0], room)).toHaveLength(1000);
    expect(pieces.get(keys[0], Buffer.alloc(999))).toBeUndefined();
    expect(await pieces.collect(2500)).toBe(1000);
    expect(keys.map((key) => pieces.get(key, room)?.length)).toEqual([1000, undefined, 1000]);
    expect(await pieces.collect(2500)).toBe(0);
  });
});
