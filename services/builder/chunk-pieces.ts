import { crc32 } from 'node:zlib';
import { FRAME_ENCODING, frameSum, type KeptChunks } from '../ipa/index.ts';
import { MIB } from './disk.ts';
import type { MappedDisk } from './mapped-disk.ts';
import type { PieceCache } from './piece-cache.ts';

const ENCODING = `chunks/1 ${FRAME_ENCODING}`;
/** crc32 of what follows, then the sha256 of the chunk's raw bytes. */
const HEAD = 4 + 32;
/** A frame is no longer than its chunk by more than this (zstd's ZSTD_COMPRESSBOUND, with header and checksum). */
const EXCESS = 8192;

/** Chunks of a disk that were packed before, for this image or another, by what lies on the disk there. */
export function keptChunks(disk: MappedDisk, pieces: PieceCache): KeptChunks {
  const room = Buffer.alloc(HEAD + MIB + EXCESS);
  const names = new Map<number, string>();
  return {
    get(index) {
      const name = disk.name(index, ENCODING);
      if (name === undefined) return { index, sha256: '' };
      const entry = pieces.get(name, room);
      if (entry === undefined || entry.length <= HEAD || entry.readUInt32LE(0) !== crc32(entry.subarray(4))) {
        names.set(index, name);
        return undefined;
      }
      const frame = new Uint8Array(entry.subarray(HEAD));
      return { index, sha256: entry.toString('hex', 4, HEAD), frame, sum: frameSum(frame) };
    },
    put({ index, sha256, frame }) {
      const name = names.get(index);
      names.delete(index);
      // Files of zeros have a name, and no frame.
      if (name === undefined || frame === undefined) return;
      const entry = Buffer.concat([Buffer.alloc(4), Buffer.from(sha256, 'hex'), frame]);
      entry.writeUInt32LE(crc32(entry.subarray(4)), 0);
      pieces.put(name, entry);
    },
  };
}
