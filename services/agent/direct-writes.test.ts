import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDirectWrites } from './direct-writes.ts';

const MIB = 1_048_576;
// A file system with a disk below it, as /tmp may not be.
let folder: string;
beforeEach(() => {
  folder = mkdtempSync('/var/tmp/direct-');
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('writes past the page cache', () => {
  it('bring whole blocks to their places, from buffers that lie anywhere', async () => {
    const file = path.join(folder, 'disk');
    writeFileSync(file, Buffer.alloc(16 * MIB, 1));
    const direct = (await openDirectWrites(file))!;
    const odd = randomBytes(9 * MIB + 1).subarray(1);
    const places = [8, 0, 5, 3, 11, 9, 2, 7];
    const done = await Promise.all(
      places.map((place, i) => direct.write(odd.subarray(i * MIB, (i + 1) * MIB), place * MIB)),
    );
    expect(done).toEqual(places.map(() => true));
    expect(await direct.write(odd.subarray(8 * MIB, 8 * MIB + 65_536), 12 * MIB + 4096)).toBe(true);
    await direct.close();
    const expected = Buffer.alloc(16 * MIB, 1);
    for (const [i, place] of places.entries()) odd.copy(expected, place * MIB, i * MIB, (i + 1) * MIB);
    odd.copy(expected, 12 * MIB + 4096, 8 * MIB, 8 * MIB + 65_536);
    expect(readFileSync(file).equals(expected)).toBe(true);
  });

  it('leave what does not fit to others, untouched', async () => {
    const file = path.join(folder, 'disk');
    writeFileSync(file, Buffer.alloc(4 * MIB, 1));
    const direct = (await openDirectWrites(file))!;
    expect(await direct.write(Buffer.alloc(MIB - 512), 0)).toBe(false);
    expect(await direct.write(Buffer.alloc(MIB), 512)).toBe(false);
    expect(await direct.write(Buffer.alloc(4096), 0)).toBe(false);
    expect(await direct.write(Buffer.alloc(2 * MIB), 0)).toBe(false);
    await direct.close();
    expect(readFileSync(file).equals(Buffer.alloc(4 * MIB, 1))).toBe(true);
  });

  it('are not there for a path that cannot be opened', async () => {
    expect(await openDirectWrites(path.join(folder, 'none'))).toBeUndefined();
  });
});
