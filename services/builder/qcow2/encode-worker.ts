import { parentPort } from 'node:worker_threads';
import { MIB } from '../disk.ts';
import { type DiskPiece, readPiece } from '../mapped-disk.ts';
import { ClusterEncoder } from './entry.ts';

/** One piece of a disk, and its clusters as they are stored. */
export interface EncodeJob {
  index: number;
  piece: DiskPiece;
}

export interface EncodeDone {
  index: number;
  clusters: Uint8Array;
}

const port = parentPort;
const encoder = new ClusterEncoder(MIB);
const memory = new Uint8Array(MIB);
port?.on('message', ({ index, piece }: EncodeJob) => {
  const raw = memory.subarray(0, piece.length);
  readPiece(piece, raw);
  const clusters = encoder.encode(raw);
  port.postMessage({ index, clusters } satisfies EncodeDone, [clusters.buffer]);
});
