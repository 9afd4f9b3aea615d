import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { MIB } from '../disk.ts';
import type { DiskPiece, MappedDisk } from '../mapped-disk.ts';
import type { PieceCache } from '../piece-cache.ts';
import type { EncodeDone, EncodeJob } from './encode-worker.ts';
import { decodeClusters, ENCODING, longestEntry } from './entry.ts';
import { CLUSTER, Qcow2File, type StoredCluster } from './file.ts';

const WORKER = new URL('./encode-worker.ts', import.meta.url);
/** Pieces of 1 MiB that are at work or wait for the one that is to be written next, for each thread. */
const AHEAD = 6;

/** Threads that are started when the first piece needs them: with a warm cache none does. */
class Encoders {
  #idle: Worker[] = [];
  #all: Worker[] = [];
  #queue: EncodeJob[] = [];
  #waiting = new Map<number, { resolve: (clusters: Uint8Array) => void; reject: (error: Error) => void }>();
  readonly threads = Math.max(1, Math.min(8, availableParallelism()));

  encode(index: number, piece: DiskPiece): Promise<Uint8Array> {
    const done = new Promise<Uint8Array>((resolve, reject) => this.#waiting.set(index, { resolve, reject }));
    this.#queue.push({ index, piece });
    if (this.#idle.length === 0 && this.#all.length < this.threads) this.#start();
    this.#feed();
    return done;
  }

  #start(): void {
    const worker = new Worker(WORKER);
    worker.on('message', ({ index, clusters }: EncodeDone) => {
      this.#waiting.get(index)?.resolve(clusters);
      this.#waiting.delete(index);
      this.#idle.push(worker);
      this.#feed();
    });
    worker.on('error', (error) => {
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
    });
    this.#all.push(worker);
    this.#idle.push(worker);
  }

  #feed(): void {
    while (this.#idle.length > 0 && this.#queue.length > 0) this.#idle.pop()!.postMessage(this.#queue.shift()!);
  }

  async close(): Promise<void> {
    await Promise.all(this.#all.map((worker) => worker.terminate()));
  }
}

export interface Qcow2Options {
  disk: MappedDisk;
  target: string;
  pieces: PieceCache;
  signal?: AbortSignal | undefined;
}

/** Writes a disk as a compressed qcow2 file. Pieces that were compressed before, for this image or another, are taken as they are; the file's bytes are the same either way. */
export async function writeQcow2({ disk, target, pieces, signal }: Qcow2Options): Promise<void> {
  const file = new Qcow2File(target, disk.size);
  const encoders = new Encoders();
  const make = async (index: number, name: string): Promise<StoredCluster[]> => {
    const bytes = await encoders.encode(index, disk.piece(index));
    pieces.put(name, bytes);
    return decodeClusters(bytes)!;
  };
  try {
    const ahead: { index: number; room: Buffer; clusters: Promise<StoredCluster[]> }[] = [];
    const most = encoders.threads * AHEAD;
    const rooms: Buffer[] = Array.from({ length: most + 1 }, () => Buffer.alloc(longestEntry(MIB)));
    const write = async (): Promise<void> => {
      const { index, room, clusters } = ahead.shift()!;
      const first = (index * MIB) / CLUSTER;
      for (const [at, cluster] of (await clusters).entries()) file.put(first + at, cluster);
      rooms.push(room);
    };
    for (let index = 0; index < disk.count; index++) {
      if (signal?.aborted) throw new Error('It was interrupted while the image was being compressed.');
      const name = disk.name(index, ENCODING);
      if (name === undefined) continue;
      const room = rooms.pop()!;
      const kept = pieces.get(name, room);
      const known = kept && decodeClusters(kept);
      const clusters = known === undefined ? make(index, name) : Promise.resolve(known);
      clusters.catch(() => {}); // Awaited when its turn comes; an earlier one's failure must not leave it unhandled.
      ahead.push({ index, room, clusters });
      while (ahead.length > most) await write();
    }
    while (ahead.length > 0) await write();
    file.finish();
  } finally {
    file.close();
    await encoders.close();
  }
}
