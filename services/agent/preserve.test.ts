import { execFileSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
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
  folder = mkdtempSync(path.join(tmpdir(), 'keep-'));
  disk = path.join(folder, 'disk');
  server = await serveFiles();
  fetcher = createFetcher({ backoffMs: 1, attempts: 2 });
});
afterEach(async () => {
  fetcher.close();
  await server.close();
  rmSync(folder, { recursive: true });
});

const sgdisk = (...args: string[]) => execFileSync('sgdisk', args, { encoding: 'utf8' });

/** 8 MiB with one partition of random bytes. */
function image() {
  const file = path.join(folder, 'image');
  writeFileSync(file, '');
  truncateSync(file, 8 * MIB);
  sgdisk('-n', '1:2048:+5M', '-t', '1:8300', '-c', '1:root', file);
  const raw = readFileSync(file);
  randomFillSync(raw, MIB, 5 * MIB);
  return packImage(raw);
}

const dataAt = 20 * MIB;
const dataBytes = 8 * MIB;

/** A disk of 64 MiB as an earlier system left it: a root that grew, and a data partition with content. */
function used(name = 'ephemeral0', start = dataAt) {
  writeFileSync(disk, '');
  truncateSync(disk, 64 * MIB);
  sgdisk('-n', '1:2048:20479', '-c', '1:root', '-n', `5:${start / 512}:+8M`, '-c', `5:${name}`, '-A', '5:set:63', disk);
  const content = randomFillSync(Buffer.alloc(dataBytes));
  const file = openSync(disk, 'r+');
  writeSync(file, content, 0, dataBytes, start);
  closeSync(file);
  return content;
}

function data(): Buffer {
  const file = openSync(disk, 'r');
  const content = Buffer.alloc(dataBytes);
  readSync(file, content, 0, dataBytes, dataAt);
  closeSync(file);
  return content;
}

async function write(info: JsonObject, signal = new AbortController().signal, configDrive?: string) {
  const hardware = createSimulatedHardware({ disks: [disk], addresses: [] });
  const [chosen] = await hardware.disks();
  return writeImage({
    hardware,
    disk: chosen!,
    info: readImageInfo({ id: 'gold', ...info }),
    configDrive,
    fetcher,
    onProgress: () => {},
    log: () => {},
    signal,
  });
}

const keep = (...names: string[]) => ({ preserve: { names } });

function expectKept(content: Buffer) {
  expect(data().equals(content)).toBe(true);
  expect(sgdisk('-v', disk)).toContain('No problems found');
  const entry = sgdisk('-i', '5', disk);
  expect(entry).toContain("Partition name: 'ephemeral0'");
  expect(entry).toContain(`First sector: ${dataAt / 512} `);
  expect(entry).toContain('Attribute flags: 8000000000000000');
}

describe('a data partition', () => {
  it('survives the write of an image, entry and content, with a config drive beside it', async () => {
    const content = used();
    const volume = Buffer.alloc(MIB, 7);
    volume.writeUInt16LE(0xaa55, 510);
    const packed = image();
    const drive = gzipSync(volume).toString('base64');
    await write({ chunks: offerImage(server, packed), ...keep('ephemeral0') }, undefined, drive);
    expectKept(content);
    expect(sgdisk('-i', '1', disk)).toContain('Last sector: 12287');
    expect(sgdisk('-p', disk)).toContain('config-2');
    expect(
      readFileSync(disk)
        .subarray(MIB, 6 * MIB)
        .equals(packed.raw.subarray(MIB, 6 * MIB)),
    ).toBe(true);
    // And once more, with the config drive of the first life gone.
    await write({ chunks: offerImage(server, image()), ...keep('ephemeral0') }, undefined, drive);
    expectKept(content);
  });

  it('is found again after a write that was cut off', async () => {
    const content = used();
    const packed = image();
    const chunks = offerImage(server, packed);
    const object = server.files.get('object-0')!;
    server.files.set('object-0', { ...object, refuse: { status: 404, times: 1 } });
    await expect(write({ chunks, ...keep('ephemeral0') })).rejects.toThrow(/answered 404/);
    expect(
      readFileSync(disk)
        .subarray(0, MIB)
        .every((byte) => byte === 0),
    ).toBe(true);
    await write({ chunks: offerImage(server, packed), ...keep('ephemeral0') });
    expectKept(content);
  });

  it('is never written over: what cannot be kept is refused before the disk is touched', async () => {
    const chunks = offerImage(server, image());
    const refused = async (info: JsonObject, sentence: RegExp) => {
      const before = readFileSync(disk);
      await expect(write(info)).rejects.toThrow(sentence);
      expect(readFileSync(disk).equals(before)).toBe(true);
    };
    used();
    await refused(
      { chunks, ...keep('data') },
      /has no partition named "data"; its partitions are "root", "ephemeral0"/,
    );
    await refused({ urls: [server.url('x')], ...keep('ephemeral0') }, /comes as a plain stream/);
    writeFileSync(disk, '');
    truncateSync(disk, 64 * MIB);
    await refused({ chunks, ...keep('ephemeral0') }, /has no partition table \(GPT\) that can be read/);
    sgdisk('-n', '1:2048:+2M', '-c', '1:ephemeral0', disk);
    await refused(
      { chunks, ...keep('ephemeral0') },
      /the image has 8388608 bytes, and partition 1 \(ephemeral0\) of .* begins at byte 1048576/,
    );
    used('twice');
    sgdisk('-n', '6:+0:+1M', '-c', '6:twice', disk);
    await refused({ chunks, ...keep('twice') }, /has 2 partitions named "twice"/);
  });
});
