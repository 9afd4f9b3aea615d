/** Blobs as files below one directory, written aside and renamed. */
import { randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fault } from '../../core/errors/index.ts';
import { type BlobStore, keyPattern } from './index.ts';

export function diskBlobs(directory: string): BlobStore {
  const place = (key: string): string => {
    if (!keyPattern.test(key)) throw fault('blob-store', { action: 'name', key, reason: 'it is no proper key' });
    return join(directory, key);
  };
  const failed = (action: string, key: string) => (error: NodeJS.ErrnoException) => {
    throw error.name === 'Fault'
      ? error
      : fault('blob-store', { action, key, reason: reasons[error.code ?? ''] ?? error.message }, error);
  };
  return {
    async put(key, bytes) {
      const file = place(key);
      const aside = join(directory, 'incoming', randomBytes(8).toString('hex'));
      // A client that goes away before the first byte is read would be an error that nobody hears.
      bytes.on('error', () => {});
      try {
        await mkdir(dirname(aside), { recursive: true });
        await mkdir(dirname(file), { recursive: true });
        await pipeline(bytes, createWriteStream(aside, { mode: 0o640 }));
        await synced(aside);
        const { size } = await stat(aside);
        await rename(aside, file);
        // The name has to outlive a power cut as well as the bytes.
        await synced(dirname(file));
        return { size };
      } catch (error) {
        bytes.destroy();
        await rm(aside, { force: true }).catch(() => {});
        return failed('write', key)(error as NodeJS.ErrnoException);
      }
    },
    async stat(key) {
      try {
        const found = await stat(place(key));
        return found.isFile() ? { size: found.size } : null;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
        return failed('look at', key)(error as NodeJS.ErrnoException);
      }
    },
    async get(key, range) {
      // Opened before it is answered, so that a missing blob is an error here and not in the middle of a stream.
      const handle = await open(place(key), 'r').catch(failed('read', key));
      if (!(await handle.stat()).isFile()) {
        await handle.close();
        throw fault('blob-store', { action: 'read', key, reason: 'there is none.' });
      }
      return createReadStream('', {
        fd: handle,
        ...(range && { start: range.start, end: range.end }),
        highWaterMark: 256 * 1024,
      });
    },
    async delete(key) {
      await rm(place(key), { force: true }).catch(failed('delete', key));
    },
    async *list(prefix) {
      const from = join(directory, prefix);
      const found = await readdir(from, { recursive: true, withFileTypes: true }).catch((error) =>
        error.code === 'ENOENT' ? [] : failed('list', prefix)(error),
      );
      for (const entry of found) {
        const file = join(entry.parentPath, entry.name);
        // One that was deleted meanwhile is no blob any more.
        const about = entry.isFile() ? await stat(file).catch(() => null) : null;
        if (about) yield { key: relative(directory, file), size: about.size, modified: about.mtimeMs };
      }
    },
    async dropAbandoned(olderThanMs) {
      const aside = join(directory, 'incoming');
      for (const name of await readdir(aside).catch(() => [])) {
        const about = await stat(join(aside, name)).catch(() => null);
        if (about && about.mtimeMs < Date.now() - olderThanMs) await rm(join(aside, name), { force: true });
      }
    },
    async url() {
      return null;
    },
  };
}

async function synced(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

const reasons: Record<string, string> = {
  ENOSPC: 'the disk is full.',
  EDQUOT: 'the disk’s quota is used up.',
  EIO: 'the disk fails.',
  ENOENT: 'there is none.',
  EACCES: 'permission is denied.',
  EROFS: 'the disk is read-only.',
};
