import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, expect, it } from 'vitest';
import { blobStoreConformance } from './blobs.conformance.ts';
import { diskBlobs } from './disk.ts';

const dir = mkdtempSync(join(tmpdir(), 'uc-blobs-'));
afterAll(() => rmSync(dir, { recursive: true }));

blobStoreConformance('disk', async () => diskBlobs(dir));

it('keeps no half-written file about', async () => {
  const store = diskBlobs(dir);
  async function* broken() {
    yield Buffer.from('half');
    throw new Error('cut');
  }
  await expect(store.put('objects/half', Readable.from(broken()))).rejects.toThrow();
  expect(readdirSync(join(dir, 'incoming'))).toEqual([]);
});
