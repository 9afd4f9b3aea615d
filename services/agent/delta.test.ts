/** A node that has booted and grown its image is given the next one, in which one layer of 50 MB is new: what travels, what is written. */
import { createHash, randomFillSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { chunkImage, encodeChunkIndex, type ImageBytes, readImageInfo } from '../ipa/index.ts';
import { createFetcher } from './fetcher.ts';
import { createSimulatedHardware } from './simulated.ts';
import { type FileServer, MIB, serveFiles } from './testing/chunked-image.ts';
import { writeImage } from './write-image.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'delta-'));
const at = (...names: string[]) => path.join(folder, ...names);
let server: FileServer;
beforeAll(async () => {
  server = await serveFiles();
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});

/** MiB: half of a server's image, so that the test is quick: a layer of 25 MB for one of 50. With all of it: 12.7 % and 13.0 %. */
const imageMiB = 320;
const dataMiB = 220;
const layer = { from: 100, to: 124 };

/** Half of each block is noise, half repeats: what packs to about a half. */
function fill(file: Buffer, from: number, to: number) {
  for (let block = from; block < to; block++) {
    randomFillSync(file, block * MIB, MIB / 2);
    file.fill('gold image ', block * MIB + MIB / 2, (block + 1) * MIB);
  }
}

async function offered(name: string) {
  await mkdir(at(name));
  const { index } = await chunkImage({ raw: at(`${name}.raw`), objects: at(name) });
  const text = encodeChunkIndex(index);
  server.files.set(`${name}.json`, { data: Buffer.from(text) });
  for (const object of index.objects) server.files.set(object.name, { data: readFileSync(at(name, object.name)) });
  const packed = index.objects.reduce((sum, { size }) => sum + size, 0);
  const chunks = {
    index_url: server.url(`${name}.json`),
    index_sha256: createHash('sha256').update(text).digest('hex'),
    objects: Object.fromEntries(index.objects.map((object) => [object.name, server.url(object.name)])),
  };
  return { chunks, packed: packed + text.length };
}

async function write(chunks: Awaited<ReturnType<typeof offered>>['chunks']): Promise<ImageBytes> {
  const hardware = createSimulatedHardware({ disks: [at('disk')], addresses: [] });
  const [disk] = await hardware.disks();
  const fetcher = createFetcher();
  const info = readImageInfo({ id: 'gold', chunks });
  const signal = new AbortController().signal;
  const { bytes } = await writeImage({
    hardware,
    disk: disk!,
    info,
    fetcher,
    onProgress: () => {},
    log: () => {},
    signal,
  });
  fetcher.close();
  return bytes!;
}

it('is at most 15 % of the image, on the wire and on the disk', async () => {
  const raw = Buffer.alloc(imageMiB * MIB);
  fill(raw, 0, dataMiB);
  writeFileSync(at('old.raw'), raw);
  const old = await offered('old');
  writeFileSync(at('disk'), '');
  truncateSync(at('disk'), 512 * MIB);
  const first = await write(old.chunks);
  expect(first).toMatchObject({ written: dataMiB * MIB, skipped: (imageMiB - dataMiB) * MIB });

  // Its life: the journal, some superblocks and inode tables, logs in what was free, the root grown beyond the image.
  const disk = await open(at('disk'), 'r+');
  for (const block of [1, 2, 64, 128, 300]) await disk.write(Buffer.alloc(4096, 7), 0, 4096, block * MIB + 8192);
  await disk.write(Buffer.alloc(2 * MIB, 9), 0, 2 * MIB, 400 * MIB);
  await disk.close();

  fill(raw, layer.from, layer.to);
  writeFileSync(at('new.raw'), raw);
  const next = await offered('new');
  const second = await write(next.chunks);
  const now = await open(at('disk'));
  const written = Buffer.alloc(raw.length);
  await now.read(written, 0, raw.length, 0);
  await now.close();
  expect(written.equals(raw)).toBe(true);
  const wire = second.fetched / next.packed;
  const onDisk = second.written / (dataMiB * MIB);
  expect(wire).toBeLessThanOrEqual(0.15);
  expect(onDisk).toBeLessThanOrEqual(0.15);
  // And it is not nothing: the layer, chunk 0, and what its life had changed.
  expect(second.written).toBeGreaterThanOrEqual((layer.to - layer.from + 1) * MIB);
  expect(second.written + second.skipped).toBe(imageMiB * MIB);
}, 120_000);
