import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type JsonObject, readImageInfo } from '../ipa/index.ts';
import { createFetcher, type Fetcher } from './fetcher.ts';
import { createSimulatedHardware } from './simulated.ts';
import { type FileServer, MIB, offerImage, packImage, serveFiles } from './testing/chunked-image.ts';
import { writeImage } from './write-image.ts';

let folder = '';
let disk = '';
let server: FileServer;
let fetcher: Fetcher;
beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'image-'));
  disk = path.join(folder, 'disk');
  server = await serveFiles();
  fetcher = createFetcher({ backoffMs: 1, attempts: 3 });
});
afterEach(async () => {
  fetcher.close();
  await server.close();
  rmSync(folder, { recursive: true });
});

const ROOT_UUID = '0c2bb6f8-6d5b-4a6f-9f4c-2f1c3d4e5f60';

/** A disk image as the builder makes it: BIOS boot, ESP, ext4; 24 MiB. */
let built: Buffer | undefined;
function buildImage(): Buffer {
  built ??= assembleImage();
  return Buffer.from(built);
}

function assembleImage(): Buffer {
  const file = path.join(folder, 'image');
  writeFileSync(file, '');
  truncateSync(file, 24 * MIB);
  execFileSync('sgdisk', [
    '-n',
    '1:2048:+1M',
    '-t',
    '1:ef02',
    '-n',
    '2:4096:+4M',
    '-t',
    '2:ef00',
    '-n',
    '3:12288:0',
    '-t',
    '3:8300',
    '-c',
    '3:root',
    file,
  ]);
  const esp = path.join(folder, 'esp');
  execFileSync('mkfs.vfat', ['-i', 'ABCD1234', '-C', esp, '4096']);
  const root = path.join(folder, 'root');
  writeFileSync(root, '');
  truncateSync(root, 17 * MIB);
  execFileSync('mke2fs', ['-q', '-t', 'ext4', '-U', ROOT_UUID, root]);
  const raw = readFileSync(file);
  readFileSync(esp).copy(raw, 4096 * 512);
  readFileSync(root).copy(raw, 12288 * 512);
  return raw;
}

/** A FAT volume labelled as cloud-init expects it. */
function buildConfigDrive(): { volume: Buffer; text: string } {
  const file = path.join(folder, 'config');
  execFileSync('mkfs.vfat', ['-n', 'config-2', '-C', file, '1000'], { stdio: 'ignore' });
  const volume = readFileSync(file);
  return { volume, text: gzipSync(volume).toString('base64') };
}

function blank(bytes: number, filler?: number) {
  writeFileSync(disk, filler === undefined ? '' : Buffer.alloc(bytes, filler));
  truncateSync(disk, bytes);
}

async function write(info: JsonObject, more: { configDrive?: string; sectors?: number } = {}) {
  const hardware = createSimulatedHardware({ disks: [disk], addresses: [] });
  const [chosen] = await hardware.disks();
  const progress: [number, number][] = [];
  const written = await writeImage({
    hardware,
    disk: { ...chosen!, ...(more.sectors ? { logical_sectors: more.sectors } : {}) },
    info: readImageInfo({ id: 'gold', ...info }),
    configDrive: more.configDrive,
    fetcher,
    onProgress: (done, total) => progress.push([done, total]),
    log: () => {},
    signal: new AbortController().signal,
  });
  return { written, progress };
}

function problems(): string {
  return execFileSync('sgdisk', ['-v', disk], { encoding: 'utf8' });
}

describe('write_image', () => {
  it.each([
    ['a blank disk', undefined],
    ['a disk full of another system', 0xa5],
  ])('makes %s boot: chunks, moved table, config drive, UUIDs', async (_name, filler) => {
    const raw = buildImage();
    const { text } = buildConfigDrive();
    blank(64 * MIB, filler);
    const { written, progress } = await write({ chunks: offerImage(server, packImage(raw)) }, { configDrive: text });
    expect(problems()).toContain('No problems found');
    expect(written.uuids).toEqual({
      'root uuid': ROOT_UUID,
      'efi system partition uuid': 'ABCD-1234',
      'disk identifier': expect.stringMatching(/^[0-9a-f-]{36}$/),
      disk,
    });
    expect(written.summary).toBe(`image (gold) written to device ${disk} root_uuid=${ROOT_UUID}`);
    expect(progress.at(-1)).toEqual([raw.length, raw.length]);
    const entry = execFileSync('sgdisk', ['-i', '4', disk], { encoding: 'utf8' });
    expect(entry).toContain("Partition name: 'config-2'");
    const first = Number(/First sector: (\d+)/.exec(entry)![1]);
    const blkid = execFileSync('blkid', ['-p', '-o', 'export', '-O', String(first * 512), '-S', String(MIB), disk], {
      encoding: 'utf8',
    });
    expect(blkid).toMatch(/LABEL=config-2|LABEL_FATBOOT=config-2/);
    const now = await readFile(disk);
    // Every byte of the partitions is the image's; what the image left zero is zero.
    expect(now.subarray(2048 * 512, 23 * MIB).equals(raw.subarray(2048 * 512, 23 * MIB))).toBe(true);
    // The backup table that the image brought is gone from its middle.
    expect(now.subarray(24 * MIB - 33 * 512, 24 * MIB).every((byte) => byte === 0)).toBe(true);
    execFileSync('e2fsck', ['-fn', `${disk}?offset=${12288 * 512}`], { stdio: 'ignore' });
  });

  it('writes a config drive recorded from Ironic, and finds its label', async () => {
    const recorded = JSON.parse(readFileSync('test/captures/ipa/ironic-29.0.json', 'utf8')) as {
      request?: { name?: string; params?: { step?: { args?: { configdrive?: string } } } };
    }[];
    const text = recorded.find(({ request }) => request?.name === 'deploy.execute_deploy_step')!.request!.params!.step!
      .args!.configdrive!;
    blank(64 * MIB);
    await write({ chunks: offerImage(server, packImage(buildImage())) }, { configDrive: text });
    const first = Number(
      /First sector: (\d+)/.exec(execFileSync('sgdisk', ['-i', '4', disk], { encoding: 'utf8' }))![1],
    );
    const blkid = execFileSync('blkid', ['-p', '-o', 'export', '-O', String(first * 512), disk], { encoding: 'utf8' });
    expect(blkid).toContain('LABEL=config-2');
    expect(blkid).toContain('TYPE=iso9660');
  });

  it('writes again only what changed', async () => {
    const image = packImage(buildImage());
    blank(64 * MIB);
    await write({ chunks: offerImage(server, image) });
    const before = await readFile(disk);
    server.requests.length = 0;
    await write({ chunks: offerImage(server, image) });
    expect((await readFile(disk)).equals(before)).toBe(true);
    expect(problems()).toContain('No problems found');
    // The index, chunk 0 and, because the table was moved out of it, the last chunk.
    expect(server.requests.filter(({ name }) => name !== 'index').length).toBeLessThanOrEqual(3);
  });

  it('refuses before it touches the disk', async () => {
    const raw = buildImage();
    const chunks = offerImage(server, packImage(raw));
    blank(8 * MIB, 0xa5);
    const refused = async (info: JsonObject, more: Parameters<typeof write>[1], sentence: RegExp) => {
      await expect(write(info, more)).rejects.toThrow(sentence);
      expect((await readFile(disk)).equals(Buffer.alloc(8 * MIB, 0xa5))).toBe(true);
    };
    await refused({ chunks }, {}, new RegExp(`disk ${disk} has 8388608 bytes, the image needs 25165824\\.`));
    await refused(
      { chunks: { ...chunks, index_sha256: 'a'.repeat(64) } },
      {},
      /wrong checksum of the chunk index of image gold: sha256 is/,
    );
    await refused({ chunks: { ...chunks, objects: {} } }, {}, /names object object-0, and no URL was given/);
    await refused({ chunks }, { sectors: 4096 }, /sectors of 4096 bytes/);
    await refused({ chunks }, { configDrive: 'not base64!' }, /config drive is refused: it is not base64/);
    await refused({ chunks }, { configDrive: Buffer.from('hello').toString('base64') }, /not a gzip/);
    await refused(
      { chunks },
      { configDrive: gzipSync(Buffer.from('hello')).toString('base64') },
      /neither an ISO 9660 nor a FAT/,
    );
    await refused(
      { chunks },
      { configDrive: gzipSync(Buffer.alloc(65 * MIB)).toString('base64') },
      /cannot be unpacked into 67108864 bytes/,
    );
    await refused({ urls: [server.url('a')], disk_format: 'vmdk' }, {}, /disk_format vmdk/);
    await refused({ urls: [server.url('a')], disk_format: 'qcow2' }, {}, /has no qemu-img/);
    server.files.set('bad', { data: Buffer.from('{}') });
    const badSum = createHash('sha256').update('{}').digest('hex');
    await refused(
      { chunks: { ...chunks, index_url: server.url('bad'), index_sha256: badSum } },
      {},
      /The chunk index is refused: its format is undefined/,
    );
  });

  it('says that a config drive has no room on a disk of just the size of the image', async () => {
    blank(24 * MIB);
    await expect(
      write({ chunks: offerImage(server, packImage(buildImage())) }, { configDrive: buildConfigDrive().text }),
    ).rejects.toThrow(/A partition of 1048576 bytes for config-2 does not fit/);
  });

  it.each([
    ['raw', (raw: Buffer) => raw],
    ['raw packed by zstd', (raw: Buffer) => zstdCompressSync(raw)],
    ['raw packed by gzip', (raw: Buffer) => gzipSync(raw, { level: 1 })],
  ])('writes a plain stream for a stock conductor: %s', async (_name, pack) => {
    const raw = buildImage();
    const data = pack(raw);
    server.files.set('image', { data, cut: { after: Math.floor(data.length / 3), times: 1 } });
    blank(64 * MIB, 0xa5);
    const { written } = await write({
      urls: [server.url('image')],
      disk_format: 'raw',
      checksum: createHash('md5').update(data).digest('hex'),
      configdrive: buildConfigDrive().text,
    });
    expect(problems()).toContain('No problems found');
    expect(written.uuids['root uuid']).toBe(ROOT_UUID);
    expect((await readFile(disk)).subarray(2048 * 512, 23 * MIB).equals(raw.subarray(2048 * 512, 23 * MIB))).toBe(true);
  });

  it('leaves no boot sector where a stream fails', async () => {
    const raw = buildImage();
    server.files.set('image', { data: raw });
    server.files.set('large', { data: Buffer.alloc(65 * MIB, 1) });
    server.files.set('broken', {
      data: Buffer.concat([zstdCompressSync(raw).subarray(0, 5000), Buffer.alloc(5000, 3)]),
    });
    server.files.set('qcow', { data: Buffer.concat([Buffer.from('QFI\xfb', 'latin1'), Buffer.alloc(600)]) });
    const failing = async (info: JsonObject, sentence: RegExp) => {
      blank(64 * MIB, 0xa5);
      await expect(write({ disk_format: 'raw', ...info })).rejects.toThrow(sentence);
    };
    await failing(
      { urls: [server.url('image')], os_hash_algo: 'sha512', os_hash_value: 'ab'.repeat(64) },
      /wrong checksum of image gold: sha512 is .*, expected abab/,
    );
    expect((await readFile(disk)).subarray(0, MIB).every((byte) => byte === 0)).toBe(true);
    await failing({ urls: [server.url('large')] }, /has 67108864 bytes, the image needs more/);
    expect((await readFile(disk)).subarray(0, MIB).every((byte) => byte === 0)).toBe(true);
    await failing({ urls: [server.url('broken')] }, /cannot be unpacked/);
    await failing({ urls: [server.url('qcow')] }, /is a qcow2 image although its disk_format says raw/);
    await failing({ urls: [server.url('nothing')] }, /answered 404/);
  });

  it('converts qcow2 where qemu-img is there, and never one that names other files', async () => {
    expect(existsSync('/usr/bin/qemu-img')).toBe(true);
    const raw = buildImage();
    const source = path.join(folder, 'image');
    writeFileSync(source, raw);
    const qcow = path.join(folder, 'image.qcow2');
    const backed = path.join(folder, 'backed.qcow2');
    execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', source, qcow]);
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', '/etc/passwd', '-F', 'raw', backed]);
    server.files.set('good', { data: readFileSync(qcow) });
    server.files.set('backed', { data: readFileSync(backed) });
    blank(64 * MIB);
    const converted: string[] = [];
    const hardware = createSimulatedHardware({
      disks: [disk],
      addresses: [],
      replace: {
        async convertQcow2(file, { name }) {
          converted.push(file);
          execFileSync('qemu-img', ['convert', '-f', 'qcow2', '-O', 'raw', '-n', file, name]);
        },
      },
    });
    const [chosen] = await hardware.disks();
    const order = {
      hardware,
      disk: chosen!,
      fetcher,
      onProgress: () => {},
      log: () => {},
      signal: new AbortController().signal,
    };
    const info = (name: string) => readImageInfo({ id: name, urls: [server.url(name)], disk_format: 'qcow2' });
    await writeImage({ ...order, info: info('good') });
    expect(problems()).toContain('No problems found');
    await expect(writeImage({ ...order, info: info('backed') })).rejects.toThrow('names a backing file');
    expect(converted).toHaveLength(1);
  });

  it('names a disk that is gone', async () => {
    const hardware = createSimulatedHardware({ disks: [disk], addresses: [] });
    blank(64 * MIB);
    const [chosen] = await hardware.disks();
    rmSync(disk);
    const info = readImageInfo({ id: 'gold', chunks: offerImage(server, packImage(Buffer.alloc(2 * MIB, 1))) });
    const order = {
      hardware,
      disk: chosen!,
      info,
      fetcher,
      onProgress: () => {},
      log: () => {},
      signal: new AbortController().signal,
    };
    await expect(writeImage(order)).rejects.toThrow(`${disk} cannot be opened: ENOENT`);
    await (await open(disk, 'w')).close();
    await expect(writeImage(order)).rejects.toThrow(`${disk} cannot be read at byte 1048576: it ends there.`);
  });
});
