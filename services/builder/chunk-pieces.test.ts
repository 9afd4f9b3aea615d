import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type ChunkedImage, chunkImage } from '../ipa/index.ts';
import { keptChunks } from './chunk-pieces.ts';
import { DiskMap, MappedDisk } from './mapped-disk.ts';
import { PieceCache } from './piece-cache.ts';

const MIB = 2 ** 20;
let work: string;

beforeEach(async () => {
  work = await mkdtemp(join(tmpdir(), 'chunk-pieces-'));
});

afterEach(async () => {
  await rm(work, { recursive: true, force: true });
});

async function pack(raw: string, map: DiskMap, pieces: PieceCache, name: string): Promise<ChunkedImage> {
  const disk = new MappedDisk(raw, map);
  try {
    return await chunkImage({ raw, objects: join(work, name), kept: keptChunks(disk, pieces) });
  } finally {
    disk.close();
  }
}

it('gives the same index and objects from nothing, from kept pieces, and from damaged ones', async () => {
  const raw = join(work, 'raw');
  const file = randomBytes(2.5 * MIB);
  // What the ext4 writer leaves: the file in the disk, and the map that tells of it; a file of zeros; bytes that no file has.
  const disk = Buffer.concat([Buffer.alloc(MIB), randomBytes(512), Buffer.alloc(MIB / 2 - 512), file], 7 * MIB);
  await writeFile(raw, disk);
  await writeFile(join(work, 'file'), file);
  const map = new DiskMap();
  const digest = createHash('sha256').update(file).digest('hex');
  map.add({ at: 1.5 * MIB, length: file.length, source: join(work, 'file'), position: 0, digest });
  map.add({ at: 5 * MIB, length: MIB, source: '/dev/zero', position: 0, digest: '0'.repeat(64) });
  const plain = await chunkImage({ raw, objects: join(work, 'plain') });
  const place = join(work, 'pieces');
  const results = [await pack(raw, map, new PieceCache(place, true), 'cold')];
  const kept = (await readdir(place, { recursive: true, withFileTypes: true })).filter((each) => each.isFile());
  expect(kept).toHaveLength(3);
  results.push(await pack(raw, map, new PieceCache(place, true), 'warm'));
  await truncate(join(kept[0]!.parentPath, kept[0]!.name), 50);
  results.push(await pack(raw, map, new PieceCache(place, true), 'damaged'));
  for (const each of results) expect(each).toEqual(plain);
  for (const { name } of plain.index.objects)
    for (const each of ['cold', 'warm', 'damaged'])
      expect((await readFile(join(work, each, name))).equals(await readFile(join(work, 'plain', name)))).toBe(true);
});
