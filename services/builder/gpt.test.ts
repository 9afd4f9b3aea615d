import { execFileSync } from 'node:child_process';
import { mkdtempSync, openSync, rmSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { encodeGpt, type Gpt, guidBytes, PARTITION_TYPES, SECTOR, stableId } from './gpt.ts';

const directory = mkdtempSync(join(tmpdir(), 'gpt-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const gpt: Gpt = {
  diskId: stableId('test', 'disk'),
  sectors: 204800,
  partitions: [
    { name: 'bios', type: PARTITION_TYPES.biosBoot, id: stableId('test', 'bios'), first: 2048, count: 2048 },
    { name: 'root', type: PARTITION_TYPES.rootAmd64, id: stableId('test', 'root'), first: 4096, count: 198656 },
  ],
};

describe('the GPT writer', () => {
  it('stores a GUID in mixed byte order', () => {
    expect(guidBytes('c12a7328-f81f-11d2-ba4b-00a0c93ec93b').toString('hex')).toBe('28732ac11ff8d211ba4b00a0c93ec93b');
    expect(() => guidBytes('c12a7328')).toThrow('not a GUID');
  });

  it('makes the same version 4 id from the same words', () => {
    expect(stableId('a', 'b')).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(stableId('a', 'b')).toBe(stableId('a', 'b'));
    expect(stableId('a', 'b')).not.toBe(stableId('a', 'c'));
  });

  it('writes headers whose checksums, places and backup agree with the specification', () => {
    const [primary, backup] = encodeGpt(gpt);
    const head = primary!.bytes.subarray(SECTOR, 2 * SECTOR);
    expect(head.toString('latin1', 0, 8)).toBe('EFI PART');
    const copy = Buffer.from(head.subarray(0, 92));
    copy.writeUInt32LE(0, 16);
    expect(head.readUInt32LE(16)).toBe(crc32(copy));
    expect(head.readUInt32LE(88)).toBe(crc32(primary!.bytes.subarray(2 * SECTOR)));
    expect(head.readBigUInt64LE(24)).toBe(1n);
    expect(head.readBigUInt64LE(32)).toBe(204799n);
    expect(backup!.offset).toBe((204800 - 33) * SECTOR);
    const tail = backup!.bytes.subarray(32 * SECTOR);
    expect(tail.readBigUInt64LE(24)).toBe(204799n);
    expect(tail.readBigUInt64LE(72)).toBe(204767n);
    expect([...primary!.bytes.subarray(510, 512)]).toEqual([0x55, 0xaa]);
    expect(primary!.bytes[450]).toBe(0xee);
  });

  it('is read by sfdisk as it was meant, the boot code untouched by it', () => {
    const image = join(directory, 'disk.raw');
    writeFileSync(image, '');
    truncateSync(image, gpt.sectors * SECTOR);
    const file = openSync(image, 'r+');
    const boot = Buffer.alloc(512, 0x90);
    for (const { offset, bytes } of encodeGpt(gpt, boot)) writeSync(file, bytes, 0, bytes.length, offset);
    const table = JSON.parse(execFileSync('/sbin/sfdisk', ['--json', image], { encoding: 'utf8' })).partitiontable;
    expect(table).toMatchObject({ label: 'gpt', id: gpt.diskId.toUpperCase(), firstlba: 34, lastlba: 204766 });
    expect(table.partitions).toMatchObject(
      gpt.partitions.map(({ name, type, id, first, count }) => ({
        name,
        type: type.toUpperCase(),
        uuid: id.toUpperCase(),
        start: first,
        size: count,
      })),
    );
    expect(execFileSync('/sbin/sfdisk', ['--verify', image], { encoding: 'utf8' })).toContain('No errors detected');
  });

  it('refuses partitions that overlap or leave the disk', () => {
    const [bios, root] = gpt.partitions as [Gpt['partitions'][0], Gpt['partitions'][0]];
    expect(() => encodeGpt({ ...gpt, partitions: [bios, { ...root, first: 3000 }] })).toThrow('overlap at sector 3000');
    expect(() => encodeGpt({ ...gpt, partitions: [{ ...root, count: 204000 }] })).toThrow('is outside 34 to 204766');
    expect(() => encodeGpt({ ...gpt, partitions: [{ ...bios, first: 10 }] })).toThrow('is outside');
  });
});
