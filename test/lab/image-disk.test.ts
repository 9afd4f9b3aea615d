import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { expect, it, onTestFinished } from 'vitest';
import { diskBlobs } from '../../services/image/index.ts';

const MiB = 1024 * 1024;

it('says that the disk is full, keeps nothing of what did not fit, and goes on', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'uc-full-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'uc-full', dir]);
  onTestFinished(() => {
    execFileSync('umount', [dir]);
    rmdirSync(dir);
  });
  const store = diskBlobs(dir);
  await store.put('objects/first', Readable.from([Buffer.alloc(3 * MiB, 1)]));
  async function* large() {
    for (let piece = 0; piece < 1000; piece += 1) yield Buffer.alloc(MiB, piece);
  }
  const source = Readable.from(large());
  await expect(store.put('objects/large', source)).rejects.toThrow(/could not write objects\/large: the disk is full/);
  expect(source.destroyed).toBe(true);
  expect(readdirSync(join(dir, 'incoming'))).toEqual([]);
  expect(await store.stat('objects/large')).toBeNull();
  expect((await buffer(await store.get('objects/first'))).length).toBe(3 * MiB);
  expect(await store.put('objects/second', Readable.from([Buffer.alloc(3 * MiB, 2)]))).toEqual({ size: 3 * MiB });
});
