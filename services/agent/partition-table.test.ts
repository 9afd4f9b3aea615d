import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { closeSync, ftruncateSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addMbrPartitionAtEnd, readMbr } from './master-boot-record.ts';
import {
  addPartitionAtEnd,
  type DiskWrite,
  encodeGpt,
  gptPartitions,
  moveGptToEnd,
  PARTITION_TYPE,
  readGpt,
  TABLE_BYTES,
} from './partition-table.ts';
import { MIB } from './testing/chunked-image.ts';

let folder = '';
let disk = '';
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'table-'));
  disk = path.join(folder, 'disk');
});
afterEach(() => rmSync(folder, { recursive: true }));

function run(tool: string, ...args: string[]): string {
  return execFileSync(tool, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
}

function size(bytes: number) {
  const file = openSync(disk, 'a');
  ftruncateSync(file, bytes);
  closeSync(file);
}

function head(): Buffer {
  const file = openSync(disk, 'r');
  const buffer = Buffer.alloc(TABLE_BYTES);
  readSync(file, buffer, 0, TABLE_BYTES, 0);
  closeSync(file);
  return buffer;
}

function apply(writes: DiskWrite[]) {
  const file = openSync(disk, 'r+');
  for (const { offset, data } of writes) writeSync(file, data, 0, data.length, offset);
  closeSync(file);
}

function image() {
  size(40 * MIB);
  run(
    'sgdisk',
    '-n',
    '1:2048:+1M',
    '-t',
    '1:ef02',
    '-n',
    '2:0:+8M',
    '-t',
    '2:ef00',
    '-c',
    '2:esp',
    '-n',
    '3:0:0',
    '-c',
    '3:Würzel',
    '-A',
    '3:set:2',
    disk,
  );
}

describe('GPT', () => {
  it('reads what sgdisk wrote', () => {
    image();
    const gpt = readGpt(head())!;
    expect(gptPartitions(gpt)).toMatchObject([
      { number: 1, type: PARTITION_TYPE.biosBoot, firstLba: 2048, lastLba: 4095 },
      { number: 2, type: PARTITION_TYPE.esp, name: 'esp' },
      { number: 3, type: PARTITION_TYPE.linux, name: 'Würzel' },
    ]);
    expect(gpt.diskGuid.toUpperCase()).toBe(/Disk identifier \(GUID\): (\S+)/.exec(run('sgdisk', '-p', disk))![1]);
    // Nothing changed: the very same bytes.
    const before = readFileSync(disk);
    apply(encodeGpt(moveGptToEnd(gpt, 40 * MIB)));
    expect(readFileSync(disk).equals(before)).toBe(true);
  });

  it("moves the backup to a larger disk's end and adds a partition there, to sgdisk's content", () => {
    image();
    size(100 * MIB + 512 * 7);
    expect(run('sgdisk', '-v', disk)).toMatch(/backup.*not at the end|secondary header's self-pointer/i);
    const moved = moveGptToEnd(readGpt(head())!, 100 * MIB + 512 * 7);
    const guid = randomUUID();
    const { gpt, partition } = addPartitionAtEnd(moved, {
      bytes: MIB + 1,
      type: PARTITION_TYPE.linux,
      guid,
      name: 'config-2',
    });
    apply(encodeGpt(gpt));
    const verdict = run('sgdisk', '-v', disk);
    expect(verdict).toContain('No problems found');
    const info = run('sgdisk', '-i', '4', disk);
    expect(info).toContain("Partition name: 'config-2'");
    expect(info).toContain(`Partition unique GUID: ${guid.toUpperCase()}`);
    expect(info).toContain('Partition size: 4096 sectors');
    expect(partition.firstLba % 2048).toBe(0);
    expect(run('sgdisk', '-i', '3', disk)).toContain('Attribute flags: 0000000000000004');
    // The backup alone is enough to restore the table.
    apply([{ offset: 512, data: Buffer.alloc(512) }]);
    expect(run('sgdisk', '-p', disk)).toMatch(/4 .*config-2/);
  });

  it('refuses a disk or a partition that is too small', () => {
    image();
    const gpt = readGpt(head())!;
    expect(() => moveGptToEnd(gpt, 39 * MIB)).toThrow(/Partition 3 ends at sector \d+.*the disk is too small/);
    const wanted = { bytes: MIB, type: PARTITION_TYPE.linux, guid: randomUUID(), name: 'config-2' };
    expect(() => addPartitionAtEnd(moveGptToEnd(gpt, 40 * MIB), wanted)).toThrow(
      /A partition of 1048576 bytes for config-2 does not fit/,
    );
  });

  it('refuses a broken table and knows what is none', () => {
    image();
    const good = head();
    const spoiled = (at: number, value = good[at]! ^ 0xff) => {
      const bad = Buffer.from(good);
      bad[at] = value;
      return bad;
    };
    expect(() => readGpt(spoiled(512 + 72))).toThrow(/header's checksum/);
    expect(() => readGpt(spoiled(1024 + 5))).toThrow(/entries' checksum/);
    expect(() => readGpt(spoiled(512 + 12, 0xff))).toThrow(/header has 255|checksum/);
    expect(() => readGpt(good.subarray(0, 4096))).toThrow(/entries end at byte/);
    expect(readGpt(Buffer.alloc(TABLE_BYTES))).toBeNull();
    expect(readGpt(Buffer.alloc(100))).toBeNull();
  });
});

describe('MBR', () => {
  it('takes a config drive in a free entry', () => {
    size(64 * MIB);
    execFileSync('sfdisk', ['-q', disk], {
      input: 'label: dos\nlabel-id: 0x1234abcd\nstart=2048, size=32768, type=83, bootable\n',
    });
    const { write, partition } = addMbrPartitionAtEnd(head(), 64 * MIB, 500_000);
    apply([write]);
    expect(partition).toMatchObject({ number: 2, firstLba: 63 * 2048, lastLba: 64 * 2048 - 1 });
    expect(readMbr(head())).toMatchObject([
      { number: 1, guid: '1234abcd-01' },
      { number: 2, type: '83' },
    ]);
    expect(run('sfdisk', '-d', disk)).toMatch(/start= *129024, size= *2048, type=83/);
    expect(() => addMbrPartitionAtEnd(head(), 17 * MIB, 500_000)).toThrow(/does not fit behind sector/);
  });

  it('refuses a full table and does not take a FAT volume for one', () => {
    size(64 * MIB);
    execFileSync('sfdisk', ['-q', disk], { input: 'label: dos\nsize=2048\nsize=2048\nsize=2048\nsize=2048\n' });
    expect(() => addMbrPartitionAtEnd(head(), 64 * MIB, 1)).toThrow(/four entries are taken/);
    const fat = path.join(folder, 'fat');
    execFileSync('mkfs.vfat', ['-C', fat, '1440']);
    expect(readMbr(readFileSync(fat))).toBeNull();
  });
});
