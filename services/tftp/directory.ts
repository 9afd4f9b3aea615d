import { type FileHandle, open, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import type { OpenContent, TftpContent, TftpRefusal } from './content.ts';
import { ERROR_CODE } from './packet.ts';

/**
 * Files of one directory, and nothing outside it: no `..`, no backslashes, no links that lead out. A leading slash means the directory itself, as
 * shim and GRUB write their paths. Transfers of one file share one descriptor.
 */
export function directoryContent(root: string): OpenContent {
  const shared = new Map<string, SharedFile>();

  return async (path) => {
    const parts = partsOf(path);
    if (!parts)
      return refused(ERROR_CODE.accessViolation, `${printable(path)} leads out of the directory that is served`);
    let real: string;
    try {
      const top = await realpath(root);
      real = await realpath(join(top, ...parts));
      if (!real.startsWith(top + sep)) return missing(path);
    } catch {
      return missing(path);
    }
    const facts = await stat(real).catch(() => undefined);
    if (!facts?.isFile()) return missing(path);
    const key = `${real} ${facts.dev} ${facts.ino} ${facts.mtimeMs} ${facts.size}`;
    let file = shared.get(key);
    if (!file) {
      file = new SharedFile(facts.size, open(real, 'r'), () => shared.delete(key));
      shared.set(key, file);
    }
    try {
      return await file.take();
    } catch (error) {
      return refused(
        ERROR_CODE.accessViolation,
        `${printable(path)} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  };
}

/** The path's parts below the root, or undefined where it cannot lie there. */
export function partsOf(path: string): string[] | undefined {
  if (/[\\\0]/.test(path)) return undefined;
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  return parts.length === 0 || parts.includes('..') ? undefined : parts;
}

class SharedFile implements TftpContent {
  readonly size: number;
  readonly #handle: Promise<FileHandle>;
  readonly #onLast: () => void;
  #users = 0;

  constructor(size: number, handle: Promise<FileHandle>, onLast: () => void) {
    this.size = size;
    this.#handle = handle;
    this.#onLast = onLast;
  }

  async take(): Promise<TftpContent> {
    this.#users++;
    try {
      await this.#handle;
      return this;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  async read(buffer: Uint8Array, offset: number): Promise<number> {
    const { bytesRead } = await (await this.#handle).read(buffer, 0, buffer.length, offset);
    return bytesRead;
  }

  close(): void {
    if (--this.#users > 0) return;
    this.#onLast();
    this.#handle.then(
      (handle) => handle.close(),
      () => {},
    );
  }
}

function missing(path: string): TftpRefusal {
  return refused(ERROR_CODE.notFound, `${printable(path)} does not exist here`);
}

function refused(code: number, message: string): TftpRefusal {
  return { code, message };
}

function printable(path: string): string {
  return path.replace(/[^\x20-\x7e]/g, '?').slice(0, 200);
}
