import { randomFillSync } from 'node:crypto';
import { constants, zstdCompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { frameSum } from '../ipa/index.ts';
import { type ChunkTarget, type ChunkWrite, writeChunks } from './chunk-writer.ts';
import { createFetcher } from './fetcher.ts';
import {
  drawnImage,
  type FileServer,
  MIB,
  offerImage,
  type PackedImage,
  packImage,
  serveFiles,
} from './testing/chunked-image.ts';

let server: FileServer;
beforeEach(async () => {
  server = await serveFiles();
});
afterEach(() => server.close());

/** A disk in memory that remembers what was asked of it. */
function memoryDisk(size: number, canZero = false) {
  const data = Buffer.alloc(size);
  const writes: number[] = [];
  const zeroed: [number, number][] = [];
  const target: ChunkTarget = {
    async read(buffer, position) {
      data.copy(buffer, 0, position, position + buffer.length);
    },
    async write(buffer, position) {
      writes.push(position / MIB);
      buffer.copy(data, position);
    },
    async zero(offset, length) {
      if (canZero) {
        data.fill(0, offset, offset + length);
        zeroed.push([offset / MIB, length / MIB]);
      }
      return canZero;
    },
    async flush() {},
  };
  return { data, writes, zeroed, target };
}

function write(image: PackedImage, target: ChunkTarget, more: Partial<ChunkWrite> = {}) {
  const offered = offerImage(server, image);
  const fetcher = createFetcher({ backoffMs: 1, attempts: 4, idleMs: 10_000 });
  const urls = image.index.objects.map(({ name }) => offered.objects[name]!);
  return writeChunks({ index: image.index, urls, fetcher, target, compare: 'auto', ...more }).finally(() =>
    fetcher.close(),
  );
}

describe('writing chunks', () => {
  it('brings the image to a blank disk, verified, reporting every byte', async () => {
    const image = packImage(Buffer.concat([drawnImage('xx.xa..ax.xx....xx'), Buffer.from('tail'.repeat(128))]));
    const disk = memoryDisk(24 * MIB);
    const seen: number[] = [];
    const report = await write(image, disk.target, { onProgress: (done) => seen.push(done) });
    expect(disk.data.subarray(0, image.raw.length).equals(image.raw)).toBe(true);
    expect(seen.at(-1)).toBe(image.raw.length);
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    expect(report).toMatchObject({ written: 10 * MIB + 512, zeros: 8 * MIB, zerosWritten: 0, alreadyThere: 0 });
    // Boot code and partition table come last, after having been cleared first.
    expect(disk.writes[0]).toBe(0);
    expect(disk.writes.at(-1)).toBe(0);
  });

  it('leaves no stale block where the image has zeros', async () => {
    const image = packImage(drawnImage('x.x......x'));
    for (const canZero of [false, true]) {
      const disk = memoryDisk(12 * MIB, canZero);
      randomFillSync(disk.data);
      const beyond = Buffer.from(disk.data.subarray(10 * MIB));
      const report = await write(image, disk.target);
      expect(disk.data.subarray(0, 10 * MIB).equals(image.raw)).toBe(true);
      expect(disk.data.subarray(10 * MIB).equals(beyond)).toBe(true);
      expect(report.zerosWritten).toBe(canZero ? MIB : 7 * MIB);
      expect(disk.zeroed).toEqual(canZero ? [[3, 6]] : []);
    }
  });

  it('clears no more of a block of zeros than what was written to', async () => {
    const image = packImage(drawnImage('x..x'));
    const disk = memoryDisk(4 * MIB);
    disk.data.fill(7, MIB + 200_000, MIB + 400_000);
    disk.data[3 * MIB - 1] = 1;
    const report = await write(image, disk.target);
    expect(disk.data.equals(image.raw)).toBe(true);
    expect(report.zerosWritten).toBe(5 * 65_536);
  });

  it('writes only what differs from an earlier state, and fetches no more', async () => {
    const first = drawnImage('xxxxxxxxxxxxxxxx');
    const disk = memoryDisk(16 * MIB);
    await write(packImage(first), disk.target);
    const second = Buffer.from(first);
    second.fill(7, 5 * MIB, 5 * MIB + 100);
    second.fill(0, 9 * MIB, 10 * MIB);
    disk.writes.length = 0;
    const image = packImage(second);
    const report = await write(image, disk.target);
    expect(disk.data.equals(second)).toBe(true);
    expect(disk.writes).toEqual([0, expect.any(Number), expect.any(Number), 0]);
    expect(disk.writes.slice(1, 3).sort()).toEqual([5, 9]);
    expect(report).toMatchObject({ written: 2 * MIB, alreadyThere: 13 * MIB, zerosWritten: MIB });
    expect(report.fetched).toBeLessThan(3 * MIB);
  });

  it('does not look for old blocks when told never to', async () => {
    const raw = drawnImage('xxxx');
    const disk = memoryDisk(4 * MIB);
    await write(packImage(raw), disk.target);
    expect(await write(packImage(raw), disk.target, { compare: 'never' })).toMatchObject({
      written: 4 * MIB,
      alreadyThere: 0,
    });
  });

  it('goes on where a connection was cut', async () => {
    const image = packImage(drawnImage('xxxxxxxxxxxx'));
    const offered = offerImage(server, image);
    for (const name of Object.keys(offered.objects)) server.files.get(name)!.cut = { after: 1_500_000, times: 2 };
    const disk = memoryDisk(12 * MIB);
    const fetcher = createFetcher({ backoffMs: 1, attempts: 4 });
    const urls = image.index.objects.map(({ name }) => offered.objects[name]!);
    const report = await writeChunks({ index: image.index, urls, fetcher, target: disk.target, compare: 'auto' });
    fetcher.close();
    expect(disk.data.equals(image.raw)).toBe(true);
    // Bytes that came before the cut are not fetched twice.
    expect(report.fetched).toBe([...image.objects.values()].reduce((sum, { length }) => sum + length, 0));
    expect(fetcher.resumed).toBeGreaterThan(0);
  });

  async function refusal(
    spoil: (image: PackedImage) => void,
    { image = packImage(drawnImage('xxxxxx')), idleMs = 10_000 } = {},
  ): Promise<Error> {
    const offered = offerImage(server, image);
    spoil(image);
    const disk = memoryDisk(6 * MIB);
    const fetcher = createFetcher({ backoffMs: 1, attempts: 3, idleMs });
    const urls = image.index.objects.map(({ name }) => offered.objects[name]!);
    const error = await writeChunks({ index: image.index, urls, fetcher, target: disk.target, compare: 'auto' }).then(
      () => new Error('it did not fail'),
      (cause: Error) => cause,
    );
    fetcher.close();
    // Whatever failed: the disk must not boot.
    expect(disk.data.subarray(0, MIB).every((byte) => byte === 0)).toBe(true);
    expect(error.message).not.toContain('secret');
    return error;
  }

  it.each([
    [
      1,
      /wrong checksum in chunk 2: sha256 is [0-9a-f]{64}, the index says [0-9a-f]{64} \(object object-0, byte \d+, 3 attempts\)/,
    ],
    [
      2,
      /wrong checksum in chunk 2: sha512\/256 of its 10\d{5} packed bytes is [0-9a-f]{64}, the index says [0-9a-f]{64} \(object object-0, byte \d+, 3 attempts\)/,
    ],
  ] as const)(
    'fetches a damaged chunk again, and gives up with its number, by an index of format %i',
    async (format, sentence) => {
      const at = (image: PackedImage, chunk: number) => image.index.chunks[chunk]![1] + 500;
      const image = packImage(drawnImage('xxx'), 4 * MIB, format);
      const offered = offerImage(server, image);
      server.files.get('object-0')!.spoil = { at: at(image, 2), times: 1 };
      const disk = memoryDisk(3 * MIB);
      const fetcher = createFetcher({});
      await writeChunks({
        index: image.index,
        urls: Object.values(offered.objects),
        fetcher,
        target: disk.target,
        compare: 'auto',
      });
      fetcher.close();
      expect(disk.data.equals(image.raw)).toBe(true);

      const error = await refusal(
        (packed) => {
          server.files.get('object-0')!.spoil = { at: at(packed, 2), times: 1000 };
        },
        { image: packImage(drawnImage('xxxxxx'), 4 * MIB, format) },
      );
      expect(error.message).toMatch(sentence);
    },
  );

  /** An image whose chunk 2 is stored as `frame`, and whose index says so, but tells of the chunk what it told before. */
  function withFrame(frame: Buffer, format: 1 | 2): PackedImage {
    const image = packImage(drawnImage('xxx'), 4 * MIB, format);
    const [object, offset, length, sha256] = image.index.chunks[2]!;
    const before = image.objects.get('object-0')!;
    expect(offset + length).toBe(before.length);
    const data = Buffer.concat([before.subarray(0, offset), frame]);
    image.objects.set('object-0', data);
    image.index.objects[0]!.size = data.length;
    image.index.chunks[2] = [object, offset, frame.length, sha256];
    if (format === 2) image.index.chunks[2].push(frameSum(frame));
    return image;
  }

  it.each([
    ['a bomb', Buffer.alloc(64 * MIB), /chunk 2 cannot be decompressed: .*\(object object-0, byte \d+, 1 attempt\)/],
    [
      'too little',
      Buffer.alloc(MIB / 2),
      /wrong length of chunk 2: 524288 bytes, the index says 1048576 .*1 attempt\)/,
    ],
    ['no frame', undefined, /chunk 2 cannot be decompressed: .*1 attempt\)/],
  ])('does not ask again for %s that the index itself means', async (_name, raw, sentence) => {
    const frame = raw ? zstdCompressSync(raw) : Buffer.alloc(500, 3);
    expect((await refusal(() => {}, { image: withFrame(frame, 2) })).message).toMatch(sentence);
  });

  it('knows a chunk by its raw bytes where the index has no sum of its frame', async () => {
    const other = zstdCompressSync(drawnImage('x'));
    const image = withFrame(other, 2);
    // As conversion leaves it for a frame that another image lends.
    (image.index.chunks[2] as string[]).pop();
    expect((await refusal(() => {}, { image })).message).toMatch(/wrong checksum in chunk 2: sha256 is/);
  });

  it("trusts no decoder further than the frame's own checksum", async () => {
    const raw = Buffer.alloc(MIB, 'undercloud ');
    const frame = zstdCompressSync(raw, { params: { [constants.ZSTD_c_checksumFlag]: 1 } });
    frame[frame.length - 1]! ^= 1;
    expect((await refusal(() => {}, { image: withFrame(frame, 2) })).message).toMatch(
      /chunk 2 cannot be decompressed: .*[Cc]hecksum/,
    );
  });

  it.each([
    ['a missing object', () => server.files.delete('object-1'), /object-1\?\.\.\. answered 404\./],
    [
      'an expired URL',
      () => Object.assign(server.files.get('object-0')!, { refuse: { status: 403, times: 1000 } }),
      /answered 403 \(the URL may have expired\)/,
    ],
    [
      'a server that stays down',
      () => Object.assign(server.files.get('object-0')!, { refuse: { status: 503, times: 1000 } }),
      /could not be read at byte \d+ in 3 attempts: it answered 503/,
    ],
    [
      'a server that falls silent',
      () => Object.assign(server.files.get('object-0')!, { stall: { times: 1000 } }),
      /in 3 attempts: no byte came for 0.05 s/,
    ],
    [
      'an object that is too short',
      () => Object.assign(server.files.get('object-0')!, { data: Buffer.alloc(2 * MIB) }),
      /has 2097152 bytes, and byte \d+ is needed|wrong checksum/,
    ],
    [
      'a server without ranges',
      () => Object.assign(server.files.get('object-0')!, { ignoresRanges: true }),
      /ignores byte ranges/,
    ],
  ])('ends with a sentence on %s', async (_name, spoil, sentence) => {
    const idleMs = /no byte came/.test(sentence.source) ? 50 : 10_000;
    expect((await refusal(spoil, { idleMs })).message).toMatch(sentence);
  });

  it('passes over a server that fails for a while', async () => {
    const image = packImage(drawnImage('xxxx'));
    const offered = offerImage(server, image);
    server.files.get('object-0')!.refuse = { status: 503, times: 2 };
    const disk = memoryDisk(4 * MIB);
    const fetcher = createFetcher({ backoffMs: 1, attempts: 4, connections: 1 });
    await writeChunks({
      index: image.index,
      urls: Object.values(offered.objects),
      fetcher,
      target: disk.target,
      compare: 'auto',
      connections: 1,
    });
    fetcher.close();
    expect(disk.data.equals(image.raw)).toBe(true);
  });

  it('is not misled by kept connections that the server has closed', async () => {
    const image = packImage(drawnImage('xxxxxx'), 2 * MIB);
    const offered = offerImage(server, image);
    const disk = memoryDisk(6 * MIB);
    const urls = Object.values(offered.objects);
    const complaints: string[] = [];
    const fetcher = createFetcher({ attempts: 1, connections: 2, log: (line) => complaints.push(line) });
    const whole = { index: image.index, urls, fetcher, target: disk.target, compare: 'never', connections: 2 } as const;
    await writeChunks(whole);
    server.closeIdle();
    await writeChunks(whole);
    fetcher.close();
    expect(disk.data.equals(image.raw)).toBe(true);
    expect(complaints).toEqual([]);
  });

  it('names the disk that fails', async () => {
    const disk = memoryDisk(4 * MIB);
    const failing: ChunkTarget = {
      ...disk.target,
      write: async (buffer, position) => {
        if (position === 2 * MIB) throw new Error('/dev/vda cannot be written at byte 2097152: EIO');
        await disk.target.write(buffer, position);
      },
    };
    await expect(write(packImage(drawnImage('xxxx')), failing)).rejects.toThrow(
      'The image could not be written: /dev/vda cannot be written at byte 2097152: EIO.',
    );
  });

  it('stops when told to', async () => {
    const image = packImage(drawnImage('xxxxxxxx'));
    offerImage(server, image);
    const stop = new AbortController();
    const disk = memoryDisk(8 * MIB);
    await expect(write(image, disk.target, { signal: stop.signal, onProgress: () => stop.abort() })).rejects.toThrow(
      'The write was stopped.',
    );
  });

  it('holds a bounded number of chunks, however slow the disk', async () => {
    const image = packImage(drawnImage('x'.repeat(24)), 3 * MIB);
    const disk = memoryDisk(24 * MIB);
    let held = 0;
    let most = 0;
    const slow: ChunkTarget = {
      ...disk.target,
      write: async (buffer, position) => {
        most = Math.max(most, ++held);
        for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
        await disk.target.write(buffer, position);
        held--;
      },
    };
    await write(image, slow, { inFlight: 3, connections: 2 });
    expect(disk.data.equals(image.raw)).toBe(true);
    expect(most).toBeLessThanOrEqual(3);
  });

  it('keeps pieces in their order when connections are cut while the disk is awaited', async () => {
    const image = packImage(drawnImage('x'.repeat(16)), 8 * MIB);
    const offered = offerImage(server, image);
    for (const name of Object.keys(offered.objects)) server.files.get(name)!.cut = { after: 2_500_000, times: 3 };
    const disk = memoryDisk(16 * MIB);
    const slow: ChunkTarget = {
      ...disk.target,
      // Long enough for a cut to be noticed meanwhile.
      write: async (buffer, position) => {
        for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
        await disk.target.write(buffer, position);
      },
    };
    const fetcher = createFetcher({ backoffMs: 1, attempts: 8, connections: 2 });
    const urls = image.index.objects.map(({ name }) => offered.objects[name]!);
    const report = await writeChunks({
      ...{ index: image.index, urls, fetcher, target: slow, compare: 'never' as const, inFlight: 1, connections: 2 },
    });
    fetcher.close();
    expect(disk.data.equals(image.raw)).toBe(true);
    // Nothing was wrong and nothing came twice.
    expect(report.fetched).toBe([...image.objects.values()].reduce((sum, { length }) => sum + length, 0));
  });

  it('fetches over several connections at one time', async () => {
    const image = packImage(drawnImage('xxxxxxxx'), 2 * MIB);
    const offered = offerImage(server, image);
    // No object is answered before three are asked for: with fewer connections this would never end.
    const three = Promise.withResolvers<void>();
    let asked = 0;
    const answers = async () => {
      if (++asked === 3) three.resolve();
      await three.promise;
    };
    for (const name of image.objects.keys()) server.files.get(name)!.answers = answers;
    const disk = memoryDisk(8 * MIB);
    const fetcher = createFetcher({ connections: 3 });
    await writeChunks({
      index: image.index,
      urls: Object.values(offered.objects),
      fetcher,
      target: disk.target,
      compare: 'never',
      connections: 3,
    });
    fetcher.close();
    expect(disk.data.equals(image.raw)).toBe(true);
  });
});
