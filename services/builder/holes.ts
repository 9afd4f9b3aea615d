import koffi from 'koffi';

/** Node has no lseek. */
const libc = koffi.load('libc.so.6');
const lseek = libc.func('int64_t lseek(int fd, int64_t offset, int whence)');

/** lseek(2): the next byte that is stored, and the next that is not. */
const SEEK_DATA = 3;
const SEEK_HOLE = 4;

/** The parts of an open file that are stored, in their order; a file system that does not tell says all of it. */
export function* dataRanges(fd: number, size: number): Generator<{ from: number; to: number }> {
  for (let at = 0; at < size; ) {
    const from = Number(lseek(fd, at, SEEK_DATA));
    if (from < 0) {
      if (koffi.errno() === koffi.os.errno.ENXIO) return; // Nothing but a hole up to the end.
      throw new Error(`lseek(2) failed with errno ${koffi.errno()} at byte ${at} of ${size}.`);
    }
    const to = Number(lseek(fd, from, SEEK_HOLE));
    yield { from, to };
    at = to;
  }
}
