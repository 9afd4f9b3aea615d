/**
 * Writes that go past the page cache (open(2), O_DIRECT). What an image brings is written once and not read again: keeping a copy of it in
 * memory costs as much as unpacking it, pushes out what a small machine needs, and hides until the end that a disk is slow.
 *
 * The kernel takes them from memory and to places that are multiples of the disk's block. Node tells nobody where a Buffer lies; a
 * WebAssembly.Memory begins at a page, because its own accesses are checked by page protection.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { createGate } from './gate.ts';

/** Of the language and not of Node, whose types know nothing of it. */
declare const WebAssembly: {
  Memory: new (pages: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
};

const PIECE = 1_048_576;
const PAGE = 65_536;
/** The largest logical block of any disk; a multiple of the others. */
const BLOCK = 4096;
/** Below this a write is one of a table or a label, of which the kernel may well keep a copy. */
const LEAST = 65_536;
/** As many as there are threads that wait for the disk. */
const PIECES = 4;

export interface DirectWrites {
  /** False: this is none for it, or the disk takes none; nothing was written then. @throws as FileHandle.write */
  write(buffer: Buffer, position: number): Promise<boolean>;
  close(): Promise<void>;
}

/** Undefined where the path knows no such writes: a file of a test on a tmpfs. */
export async function openDirectWrites(path: string): Promise<DirectWrites | undefined> {
  const file: FileHandle | undefined = await open(path, constants.O_WRONLY | constants.O_DIRECT).catch(() => undefined);
  if (!file) return undefined;
  const memory = new WebAssembly.Memory({
    initial: (PIECES * PIECE) / PAGE,
    maximum: (PIECES * PIECE) / PAGE,
  });
  const pieces = Array.from({ length: PIECES }, (_, i) => Buffer.from(memory.buffer, i * PIECE, PIECE));
  const gate = createGate(PIECES);
  let able = true;

  /** Answers false where the kernel says that memory or place do not suit it. */
  async function put(piece: Buffer, position: number): Promise<boolean> {
    for (let done = 0; done < piece.length; ) {
      const { bytesWritten } = await file!.write(piece, done, piece.length - done, position + done).catch((error) => {
        if (error.code === 'EINVAL') return { bytesWritten: 0 };
        throw error;
      });
      if (bytesWritten === 0) return false;
      done += bytesWritten;
    }
    return true;
  }

  return {
    async write(buffer, position) {
      if (
        !able ||
        buffer.length < LEAST ||
        buffer.length > PIECE ||
        position % BLOCK !== 0 ||
        buffer.length % BLOCK !== 0
      )
        return false;
      await gate.enter();
      const piece = pieces.pop()!;
      try {
        buffer.copy(piece);
        const done = await put(piece.subarray(0, buffer.length), position);
        // What others have under way meanwhile does not make it able again.
        if (!done) able = false;
        return done;
      } finally {
        pieces.push(piece);
        gate.leave();
      }
    },
    close: () => file.close(),
  };
}
