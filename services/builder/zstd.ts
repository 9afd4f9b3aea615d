import koffi from 'koffi';

/** Debian's own library, which qemu-img and dpkg need too. Node's zlib makes a context of a megabyte for each call, which costs more than compressing 64 KiB does. */
const libzstd = koffi.load('libzstd.so.1');
const createContext = libzstd.func('void *ZSTD_createCCtx()');
const compress = libzstd.func(
  'size_t ZSTD_compressCCtx(void *context, _Out_ uint8_t *to, size_t room, const uint8_t *from, size_t length, int level)',
);
const bound = libzstd.func('size_t ZSTD_compressBound(size_t length)');
const isError = libzstd.func('unsigned int ZSTD_isError(size_t code)');
const version = libzstd.func('const char *ZSTD_versionString()');

/** Its version: another one gives other bytes. */
export const ZSTD_VERSION = String(version());

/** A compressor that makes one frame after the other in the same memory. */
export class ZstdFrames {
  #context: unknown = createContext();
  #level: number;
  #room: Buffer;

  /** `longest` is the length of the longest piece that will be given. */
  constructor(level: number, longest: number) {
    this.#level = level;
    this.#room = Buffer.alloc(Number(bound(longest)));
  }

  /** The frame, in memory that the next call overwrites. */
  compress(bytes: Uint8Array): Buffer {
    const length = Number(compress(this.#context, this.#room, this.#room.length, bytes, bytes.length, this.#level));
    if (isError(length) !== 0) throw new Error(`libzstd could not compress ${bytes.length} bytes (code ${length}).`);
    return this.#room.subarray(0, length);
  }
}
