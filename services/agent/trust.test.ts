import { generateKeyPairSync, hash, type KeyObject, randomFillSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { encodeChunkIndex, type JsonObject, readImageInfo, type SignedManifest, signManifest } from '../ipa/index.ts';
import { createFetcher, type Fetcher } from './fetcher.ts';
import { createSimulatedHardware } from './simulated.ts';
import {
  drawnImage,
  type FileServer,
  MIB,
  offerImage,
  type PackedImage,
  packImage,
  serveFiles,
} from './testing/chunked-image.ts';
import { imageKey } from './trust.ts';
import { writeImage } from './write-image.ts';

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();

let folder = '';
let disk = '';
let before: Buffer;
let server: FileServer;
let fetcher: Fetcher;
beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'trust-'));
  disk = path.join(folder, 'disk');
  before = randomFillSync(Buffer.alloc(16 * MIB));
  writeFileSync(disk, before);
  server = await serveFiles();
  fetcher = createFetcher({ backoffMs: 1, attempts: 2 });
});
afterEach(async () => {
  fetcher.close();
  await server.close();
  rmSync(folder, { recursive: true });
});

function manifestOf(image: PackedImage, more: { id?: string; key?: KeyObject } = {}): SignedManifest {
  const index = { sha256: image.indexSha256, bytes: Buffer.byteLength(image.indexText) };
  const manifest = { format: 'undercloud.delivery/1', image: more.id ?? 'gold', name: 'debian' } as const;
  return signManifest({ ...manifest, size: image.raw.length, index }, more.key ?? privateKey);
}

async function write(info: JsonObject, key: KeyObject | undefined = imageKey(pem)) {
  const hardware = createSimulatedHardware({ disks: [disk], addresses: [] });
  const [chosen] = await hardware.disks();
  return writeImage({
    hardware,
    disk: chosen!,
    info: readImageInfo({ id: 'gold', ...info }),
    fetcher,
    key,
    onProgress: () => {},
    log: () => {},
    signal: new AbortController().signal,
  });
}

const untouched = () => readFileSync(disk).equals(before);

describe('an agent that has its undercloud’s key', () => {
  it('writes an image that is vouched for, and reports its bytes', async () => {
    const image = packImage(drawnImage('xx..xa.a'));
    const { bytes } = await write({ chunks: offerImage(server, image), manifest: { ...manifestOf(image) } });
    expect(readFileSync(disk).subarray(0, image.raw.length).equals(image.raw)).toBe(true);
    expect(bytes).toMatchObject({ written: 8 * MIB, skipped: 0 });
  });

  it('refuses manifests before it touches the disk, each with its own sentence', async () => {
    const image = packImage(drawnImage('xxx'));
    const other = packImage(drawnImage('yyy'));
    const chunks = offerImage(server, image);
    const good = manifestOf(image);
    const stranger = generateKeyPairSync('ed25519').privateKey;
    const signedByStranger = manifestOf(image, { key: stranger });
    const cases: [JsonObject, RegExp][] = [
      [{ chunks }, /comes without a signed manifest/],
      [{ chunks, manifest: { ...signedByStranger } }, /is signed by key [0-9a-f]{16}, and this ramdisk trusts/],
      // Who names the trusted key has not signed with it.
      [{ chunks, manifest: { ...signedByStranger, key_id: good.key_id } }, /does not fit its signature/],
      [{ chunks, manifest: { ...good, text: good.text.replace('debian', 'debiam') } }, /does not fit its signature/],
      [{ chunks, manifest: { ...good, text: good.text.slice(0, -5) } }, /does not fit its signature/],
      [{ chunks, manifest: { ...good, signature: good.signature.slice(0, 40) } }, /does not fit its signature/],
      [
        { chunks, manifest: { ...manifestOf(image, { id: 'silver' }) } },
        /is that of image silver \(debian\): manifests were swapped/,
      ],
      [{ chunks, manifest: { ...manifestOf(other) } }, /its manifest names [0-9a-f]{64}: the indexes were swapped/],
      [{ urls: [server.url('x')], manifest: { ...good } }, /vouches for no plain stream/],
    ];
    for (const [info, sentence] of cases) {
      await expect(write(info)).rejects.toThrow(sentence);
      expect(untouched()).toBe(true);
    }
    // What the key signed for another purpose is no manifest.
    const builder = signManifest(
      { format: 'undercloud.image/1', image: 'gold', name: 'x', size: 1 } as never,
      privateKey,
    );
    await expect(write({ chunks, manifest: { ...builder } })).rejects.toThrow(
      /well signed and cannot be used: its format is "undercloud.image\/1"/,
    );
    expect(untouched()).toBe(true);
    expect(server.requests).toEqual([]);
  });

  it('refuses a corrupt, truncated or swapped index before it touches the disk', async () => {
    const image = packImage(drawnImage('xxx'));
    const manifest = { ...manifestOf(image) };
    const chunks = offerImage(server, image);
    const serve = (text: string) => server.files.set('index', { data: Buffer.from(text) });
    serve(image.indexText.slice(0, -100));
    await expect(write({ chunks, manifest })).rejects.toThrow(
      /is truncated: it has \d+ bytes, and its manifest says \d+/,
    );
    serve(image.indexText.replace(/[0-9a-f]{64}"\]/, `${'0'.repeat(64)}"]`));
    await expect(write({ chunks, manifest })).rejects.toThrow(/wrong checksum of the chunk index/);
    serve(encodeChunkIndex(packImage(drawnImage('yyyyy')).index));
    await expect(write({ chunks, manifest })).rejects.toThrow(/wrong checksum of the chunk index/);
    expect(untouched()).toBe(true);
  });

  it.each([1, 2] as const)(
    'lets no byte of a corrupt, truncated or swapped chunk reach the disk, by an index of format %i',
    async (format) => {
      const image = packImage(drawnImage('.xyz'), 4 * MIB, format);
      const manifest = { ...manifestOf(image) };
      const refusal = async (tampered: Buffer, sentence: RegExp) => {
        writeFileSync(disk, before);
        const chunks = offerImage(server, image);
        server.files.set('object-0', { data: tampered });
        await expect(write({ chunks, manifest })).rejects.toThrow(sentence);
        const after = readFileSync(disk);
        // Chunk 0 is cleared, so that the disk does not boot; every other block is the image's own or what was there.
        for (let chunk = 1; chunk < 16; chunk++) {
          const [from, to] = [chunk * MIB, (chunk + 1) * MIB];
          const now = after.subarray(from, to);
          const own = to <= image.raw.length && now.equals(image.raw.subarray(from, to));
          expect(own || now.equals(before.subarray(from, to))).toBe(true);
        }
      };
      const object = image.objects.get('object-0')!;
      const [first, second] = image.index.chunks.filter((chunk) => chunk !== null);
      const corrupt = Buffer.from(object);
      corrupt[second![1] + 5000]! ^= 1;
      await refusal(corrupt, /chunk 2 cannot be decompressed|wrong checksum in chunk 2/);
      await refusal(object.subarray(0, object.length - 1000), /has \d+ bytes, and byte \d+ is needed|is shorter than/);
      // Two whole, well-packed chunks in each other's place.
      const swapped = Buffer.from(object);
      expect(first![2]).toBe(second![2]);
      object.copy(swapped, first![1], second![1], second![1] + second![2]);
      object.copy(swapped, second![1], first![1], first![1] + first![2]);
      await refusal(
        swapped,
        /wrong checksum in chunk [12]: sha(256|512\/256 of its \d+ packed bytes) is [0-9a-f]{64}, the index/,
      );
      const bomb = Buffer.from(object);
      zstdCompressSync(Buffer.alloc(64 * MIB)).copy(bomb, first![1]);
      await refusal(bomb, /chunk 1 cannot be decompressed|wrong (length|checksum)/);
    },
  );

  it('writes a plain stream only when its checksum is the signed one', async () => {
    const raw = drawnImage('xx');
    server.files.set('raw', { data: raw });
    const value = hash('sha512', raw, 'hex');
    const stream = { diskFormat: 'raw', algorithm: 'sha512', value };
    const manifest = {
      ...signManifest({ format: 'undercloud.delivery/1', image: 'gold', name: 'x', size: 0, stream }, privateKey),
    };
    const info = { urls: [server.url('raw')], disk_format: 'raw', manifest };
    await expect(write({ ...info, os_hash_algo: 'sha512', os_hash_value: '0'.repeat(128) })).rejects.toThrow(
      /its manifest says raw with sha512/,
    );
    await expect(write(info)).rejects.toThrow(/with no checksum, and its manifest says/);
    expect(untouched()).toBe(true);
    await write({ ...info, os_hash_algo: 'sha512', os_hash_value: value });
    expect(readFileSync(disk).subarray(0, raw.length).equals(raw)).toBe(true);
  });

  it('does not take anything for a key', () => {
    expect(() => imageKey('hello')).toThrow(/is no Ed25519 public key/);
    const { publicKey: rsa } = generateKeyPairSync('rsa', { modulusLength: 1024 });
    expect(() => imageKey(rsa.export({ type: 'spki', format: 'pem' }).toString())).toThrow(/is no Ed25519 public key/);
  });
});

it('an agent without a key (a stock undercloud’s ramdisk) takes what its conductor gives', async () => {
  const image = packImage(drawnImage('xx'));
  const hardware = createSimulatedHardware({ disks: [disk], addresses: [] });
  const [chosen] = await hardware.disks();
  const info = readImageInfo({ id: 'gold', chunks: offerImage(server, image) });
  const signal = new AbortController().signal;
  await writeImage({ hardware, disk: chosen!, info, fetcher, onProgress: () => {}, log: () => {}, signal });
  expect(readFileSync(disk).subarray(0, image.raw.length).equals(image.raw)).toBe(true);
});
