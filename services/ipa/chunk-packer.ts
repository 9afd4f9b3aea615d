import { createHash } from 'node:crypto';
import { type FileHandle, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { CHUNK_FORMAT, CHUNK_SIZE, type ChunkIndex, type ChunkObject, type ChunkRef, frameSum } from './chunk-index.ts';
import type { ChunkDone, ChunkJob, DigestsDone } from './chunk-worker.ts';

/** An object is closed when it has reached this size: large enough for S3, small enough to be fetched in parallel. */
export const OBJECT_MINIMUM = 64 * 1024 * 1024;

const LEVEL = 3;
/** Names the way a frame is made (chunk-worker.ts): frames that were made in another way are other bytes. */
export const FRAME_ENCODING = `zstd ${process.versions.zstd} level ${LEVEL} with checksum`;

const WORKER = new URL('./chunk-worker.ts', import.meta.url);

/** Packs frames one after the other into objects named by the sha256 of their bytes. Equal chunks share one frame. */
export class ObjectPacker {
  readonly objects: ChunkObject[] = [];
  #directory: string;
  #minimum: number;
  #file: FileHandle | undefined;
  #hash = createHash('sha256');
  #size = 0;
  #frames = new Map<string, ChunkRef>();

  constructor(directory: string, minimum = OBJECT_MINIMUM) {
    this.#directory = directory;
    this.#minimum = minimum;
  }

  /** Where a chunk that was packed before lies. */
  find(sha256: string): ChunkRef | undefined {
    return this.#frames.get(sha256);
  }

  /** `sum`: the frame's own, where somebody has it already. */
  async add(sha256: string, frame: Uint8Array, sum = frameSum(frame)): Promise<ChunkRef> {
    const known = this.#frames.get(sha256);
    if (known !== undefined) return known;
    this.#file ??= await open(this.#partial(), 'w');
    const ref: ChunkRef = [this.objects.length, this.#size, frame.length, sha256, sum];
    await this.#file.write(frame, 0, frame.length, this.#size);
    this.#hash.update(frame);
    this.#size += frame.length;
    this.#frames.set(sha256, ref);
    if (this.#size >= this.#minimum) await this.close();
    return ref;
  }

  /** Finishes the object at work, if there is one. */
  async close(): Promise<void> {
    if (this.#file === undefined) return;
    await this.#file.close();
    this.#file = undefined;
    const sha256 = this.#hash.digest('hex');
    await rename(this.#partial(), join(this.#directory, sha256));
    this.objects.push({ name: sha256, size: this.#size, sha256 });
    this.#hash = createHash('sha256');
    this.#size = 0;
  }

  /** Gives up: closes the file at work and removes it. */
  async abandon(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
    await rm(this.#partial(), { force: true });
  }

  #partial(): string {
    return join(this.#directory, `.partial-${process.pid}`);
  }
}

/** Where a chunk lies that some store has already. */
export interface KnownChunk {
  object: ChunkObject;
  offset: number;
  length: number;
}

export interface ChunkOptions {
  raw: string;
  /** Directory for the objects; it is created. */
  objects: string;
  level?: number;
  threads?: number;
  objectMinimum?: number;
  signal?: AbortSignal | undefined;
  /** Those of these chunks (by the sha256 of their raw bytes) that need not be packed again. Asked for a few at a time. */
  known?: (sha256s: readonly string[]) => Promise<ReadonlyMap<string, KnownChunk>>;
  kept?: KeptChunks;
  onProgress?: (done: number, total: number) => void;
}

/** Chunks that were made before, for whoever can tell what a chunk holds without reading it. What `get` does not know is made, and given to `put`. */
export interface KeptChunks {
  get(index: number): ChunkDone | undefined;
  put(done: ChunkDone): void;
}

export interface ChunkedImage {
  index: ChunkIndex;
  sha256: string;
  sha512: string;
}

const nothing: ReadonlyMap<string, KnownChunk> = new Map();

/** Takes the chunks out that follow one another from `next` on. */
function inOrder(waiting: Map<number, ChunkDone>, next: number): ChunkDone[] {
  const ready: ChunkDone[] = [];
  for (let done = waiting.get(next); done !== undefined; done = waiting.get(next + ready.length)) {
    waiting.delete(done.index);
    ready.push(done);
  }
  return ready;
}

/** Objects of other images. Their frames have no sum of ours: what whoever uploaded them says of them is not vouched for. They are counted from -1 downwards until all of the image's own are known, which come first. */
class LentObjects {
  #places = new Map<string, number>();
  #objects: ChunkObject[] = [];

  refer({ object, offset, length }: KnownChunk, sha256: string): ChunkRef {
    let place = this.#places.get(object.name);
    if (place === undefined) {
      this.#objects.push(object);
      place = -this.#objects.length;
      this.#places.set(object.name, place);
    }
    return [place, offset, length, sha256];
  }

  joined(own: ChunkObject[], chunks: (null | ChunkRef)[]): Pick<ChunkIndex, 'objects' | 'chunks'> {
    const settled = chunks.map((chunk): null | ChunkRef => {
      if (chunk === null || chunk[0] >= 0) return chunk;
      const [place, ...rest] = chunk;
      return [own.length - place - 1, ...rest];
    });
    return { objects: [...own, ...this.#objects], chunks: settled };
  }
}

function startWorker<Message>(
  job: ChunkJob,
  onMessage: (message: Message, worker: Worker) => void,
  onFailure: (error: Error) => void,
): Worker {
  const worker = new Worker(WORKER, { workerData: job });
  worker.on('message', (message: Message) => onMessage(message, worker));
  worker.on('error', onFailure);
  return worker;
}

/**
 * Cuts a raw image into 1 MiB chunks, each an independent zstd frame, and packs them into objects, in the image's order. Runs in worker threads; holds a few chunks a
 * thread in memory. The digests of the whole raw file are made beside it.
 */
export async function chunkImage(options: ChunkOptions): Promise<ChunkedImage> {
  const { raw, level = LEVEL, signal, onProgress } = options;
  const { size } = await stat(raw);
  const total = Math.ceil(size / CHUNK_SIZE);
  await mkdir(options.objects, { recursive: true });
  const packer = new ObjectPacker(options.objects, options.objectMinimum);
  const lent = new LentObjects();
  const chunks: (null | ChunkRef)[] = new Array<null | ChunkRef>(total).fill(null);
  const threads = Math.max(1, Math.min(options.threads ?? availableParallelism(), 8, total));
  const workers: Worker[] = [];
  const waiting = new Map<number, ChunkDone>();
  const ahead = threads * 6; // Chunks handed out beyond the one to be packed next: bounds memory when one chunk is slow.
  try {
    const digests = new Promise<DigestsDone>((resolve, reject) => {
      workers.push(startWorker<DigestsDone>({ kind: 'digests', path: raw, chunkSize: CHUNK_SIZE }, resolve, reject));
    });
    const packed = new Promise<void>((resolve, reject) => {
      let handedOut = 0;
      let next = 0;
      let packing = false;
      const idle: Worker[] = [];
      const feed = (): void => {
        while (idle.length > 0 && handedOut < total && handedOut < next + ahead) {
          const kept = options.kept?.get(handedOut);
          if (kept !== undefined) {
            waiting.set(handedOut, kept);
            handedOut += 1;
            continue;
          }
          const offset = handedOut * CHUNK_SIZE;
          idle.pop()!.postMessage({ index: handedOut, offset, length: Math.min(CHUNK_SIZE, size - offset) });
          handedOut += 1;
        }
      };
      const drain = async (): Promise<void> => {
        if (packing) return;
        packing = true;
        do {
          for (let ready = inOrder(waiting, next); ready.length > 0; ready = inOrder(waiting, next)) {
            const fresh = ready.filter(({ frame, sha256 }) => frame !== undefined && !packer.find(sha256));
            const known = (fresh.length > 0 && (await options.known?.(fresh.map(({ sha256 }) => sha256)))) || nothing;
            for (const { frame, sha256, sum } of ready) {
              const there = known.get(sha256);
              if (frame !== undefined)
                chunks[next] = there ? lent.refer(there, sha256) : await packer.add(sha256, frame, sum);
              next += 1;
              if (next % 64 === 0) onProgress?.(next, total);
            }
          }
          feed();
          // Kept chunks come with the feeding, and no worker tells of them.
        } while (waiting.has(next));
        packing = false;
        if (next === total) resolve();
      };
      const abort = (): void => reject(new Error('It was interrupted while the image was being compressed.'));
      if (signal?.aborted) return abort();
      signal?.addEventListener('abort', abort, { once: true });
      for (let i = 0; i < threads; i++) {
        const take = (done: ChunkDone, worker: Worker): void => {
          waiting.set(done.index, done);
          idle.push(worker);
          try {
            options.kept?.put(done);
            feed();
          } catch (error) {
            reject(error);
          }
          drain().catch(reject);
        };
        const worker = startWorker<ChunkDone>({ kind: 'chunks', path: raw, level }, take, reject);
        workers.push(worker);
        idle.push(worker);
      }
      feed();
      drain().catch(reject);
    });
    digests.catch(() => {}); // Awaited below; a failure of the packing must not leave this one unhandled.
    await packed;
    await packer.close();
    const { sha256, sha512 } = await digests;
    onProgress?.(total, total);
    return {
      index: { format: CHUNK_FORMAT, size, chunkSize: CHUNK_SIZE, ...lent.joined(packer.objects, chunks) },
      sha256,
      sha512,
    };
  } catch (error) {
    await packer.abandon();
    throw error;
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}
