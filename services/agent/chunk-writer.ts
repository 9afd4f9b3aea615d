/**
 * Brings a chunked image to a disk. Order does not matter, so chunks are fetched over several connections and written as they
 * come, each verified before it is written; memory is bounded by the gate, whatever the image's size.
 *
 * Zeros: a block that the image has as zeros must be zeros on the disk, whatever was there. A stretch of at least 4 MiB is given
 * to the device's own write-zeroes command where it has one (the kernel guarantees the result, unlike a discard's); everything
 * else is read, and written only where it is not zero already. So a blank disk costs reads, a dirty disk is cleaned, nothing is assumed.
 *
 * Chunk 0 (boot code and partition table) is cleared first and written last, after a flush: an interrupted write leaves
 * a disk that does not boot, not one that boots half an image.
 */
import { CHUNK_SIZE, type ChunkIndex, chunkLength, FRAME_MAX } from '../ipa/index.ts';
import { FrameFault, rawSum, unpackFrame } from './chunk-frame.ts';
import { type Frame, frameOf, planChunks, type Span, sampleFrames, spansOf, type ZeroRange } from './chunk-plan.ts';
import { AgentFailure, imageFailure, reasonOf } from './failure.ts';
import type { Fetcher } from './fetcher.ts';
import { createGate } from './gate.ts';
import { createChoice, FROM_NEIGHBOURS } from './neighbours/choice.ts';
import type { Neighbours } from './neighbours/index.ts';

/** Random access to the disk. `zero` makes a stretch zero by the device itself; false: it cannot, or not fast. */
export interface ChunkTarget {
  read(buffer: Buffer, position: number): Promise<void>;
  write(buffer: Buffer, position: number): Promise<void>;
  zero(offset: number, length: number): Promise<boolean>;
  flush(): Promise<void>;
}

export interface ChunkWrite {
  index: ChunkIndex;
  /** URL of each object of the index, in its order. */
  urls: string[];
  fetcher: Fetcher;
  target: ChunkTarget;
  compare: 'auto' | 'always' | 'never';
  /** Raw bytes settled so far, of index.size, and what became of them. */
  onProgress?: (done: number, report: ChunkReport) => void;
  log?: (line: string) => void;
  signal?: AbortSignal;
  connections?: number;
  /** Chunks held in memory at one time, compressed and raw: about 2 MiB each. */
  inFlight?: number;
  /** Others that write this image too. */
  neighbours?: Neighbours | undefined;
}

/** Raw bytes by what became of them; `fetched` counts compressed ones from the store, `neighbours` raw ones from there. */
export interface ChunkReport {
  written: number;
  neighbours: number;
  alreadyThere: number;
  zeros: number;
  zerosWritten: number;
  fetched: number;
}

const ZERO = Buffer.alloc(CHUNK_SIZE);
const DEVICE_ZERO_MIN = 4 * CHUNK_SIZE;
const FLUSH_EVERY = 256 * CHUNK_SIZE;
const CHECKSUM_ATTEMPTS = 3;
const LOOK_AGAIN_MS = 100;
const ZERO_PART = 65_536;

const isZero = (block: Buffer): boolean => block.equals(ZERO.subarray(0, block.length));

export async function writeChunks(order: ChunkWrite): Promise<ChunkReport> {
  const { index, urls, fetcher, target, compare, neighbours, onProgress = () => {}, log = () => {} } = order;
  const report: ChunkReport = { written: 0, neighbours: 0, alreadyThere: 0, zeros: 0, zerosWritten: 0, fetched: 0 };
  const stop = new AbortController();
  const signal = order.signal ? AbortSignal.any([stop.signal, order.signal]) : stop.signal;
  const gate = createGate(order.inFlight ?? 8);
  let done = 0;
  let unflushed = 0;
  let flushing: Promise<void> | undefined;

  function settled(bytes: number) {
    done += bytes;
    onProgress(done, report);
  }

  /** Spread flushes keep the progress honest and the page cache small; without them a slow disk stalls the end for minutes. */
  async function wrote(bytes: number) {
    unflushed += bytes;
    if (unflushed < FLUSH_EVERY || flushing) return;
    unflushed = 0;
    flushing = target.flush().finally(() => {
      flushing = undefined;
    });
    await flushing;
  }

  /** A damaged frame is fetched again, alone, before it is given up. */
  async function verified(frame: Frame, first: Buffer): Promise<Buffer> {
    let packed = first;
    for (let attempt = 1; ; attempt++) {
      try {
        return await unpackFrame(frame, packed);
      } catch (fault) {
        if (!(fault instanceof FrameFault)) throw fault;
        const object = index.objects[frame.object]!.name;
        if (attempt === CHECKSUM_ATTEMPTS || fault.lasting)
          throw imageFailure(
            `${fault.message} (object ${object}, byte ${frame.offset}, ${attempt} ${attempt === 1 ? 'attempt' : 'attempts'}). The stored image is damaged: build or upload it again.`,
            fault,
          );
        log(`${fault.message}; fetching it again from object ${object}`);
      }
      packed = await alone(frame);
    }
  }

  async function alone({ object, offset, length }: Frame): Promise<Buffer> {
    const packed = await fetcher.bytes(urls[object]!, { from: offset, to: offset + length, most: length }, signal);
    report.fetched += packed.length;
    return packed;
  }

  const store = async (frame: Frame, packed: Buffer) => put(frame, await verified(frame, packed));

  async function put(frame: Frame, raw: Buffer) {
    for (const chunk of frame.chunks) {
      signal.throwIfAborted();
      await target.write(raw, chunk * CHUNK_SIZE);
      // The first chunk is not the image's any more once the node's own partition table is in it.
      if (chunk > 0) neighbours?.have(chunk);
      report.written += raw.length;
      settled(raw.length);
      await wrote(raw.length);
    }
  }

  async function onDisk(frame: Frame, chunk: number): Promise<boolean> {
    const buffer = Buffer.allocUnsafe(frame.size);
    await target.read(buffer, chunk * CHUNK_SIZE);
    // No chunk that has a frame is all zeros: a blank disk is known without a sum.
    return !isZero(buffer) && (await rawSum(buffer)) === frame.sha256;
  }

  /** The frames of a span of which some chunk is not on the disk yet, with only those chunks. */
  async function missing(span: Span): Promise<Frame[]> {
    const wanted: Frame[] = [];
    for (const frame of span) {
      const chunks: number[] = [];
      for (const chunk of frame.chunks) {
        if (await onDisk(frame, chunk)) {
          neighbours?.have(chunk);
          report.alreadyThere += frame.size;
          settled(frame.size);
        } else chunks.push(chunk);
      }
      if (chunks.length > 0) wanted.push({ ...frame, chunks });
    }
    return wanted;
  }

  /** Places for frames on their way, used again and again: as many as the gate lets in. */
  const places: Buffer[] = [];
  const room = (): Buffer => places.pop() ?? Buffer.allocUnsafeSlow(FRAME_MAX);

  async function fetchSpan(span: Span) {
    const first = span[0]!;
    const last = span.at(-1)!;
    const pending: Promise<void>[] = [];
    let k = 0;
    let filled = 0;
    let place: Buffer | undefined;

    /** Promises only where there is something to wait for: pieces are small, and each promise costs a turn. */
    function fill(piece: Buffer, from: number): Promise<void> | undefined {
      for (let at = from; at < piece.length; ) {
        const frame = span[k]!;
        if (place === undefined) {
          const entered = gate.enter();
          if (entered)
            return entered.then(() => {
              place = room();
              return fill(piece, at);
            });
          place = room();
        }
        const taken = piece.copy(place, filled, at, Math.min(piece.length, at + frame.length - filled));
        at += taken;
        filled += taken;
        if (filled < frame.length) continue;
        pending.push(settle(frame, place));
        place = undefined;
        filled = 0;
        k++;
      }
      return undefined;
    }

    async function settle(frame: Frame, held: Buffer) {
      await store(frame, held.subarray(0, frame.length)).catch(fail);
      places.push(held);
      gate.leave();
    }

    try {
      await fetcher.receive(
        urls[first.object]!,
        first.offset,
        last.offset + last.length,
        (piece) => {
          report.fetched += piece.length;
          return fill(piece, 0);
        },
        signal,
      );
    } finally {
      if (place !== undefined) gate.leave();
      await Promise.all(pending);
    }
  }

  async function makeZero(range: ZeroRange) {
    report.zeros += range.length;
    if (range.length >= DEVICE_ZERO_MIN && (await target.zero(range.offset, range.length)))
      return settled(range.length);
    const buffer = Buffer.allocUnsafe(Math.min(CHUNK_SIZE, range.length));
    for (let at = 0; at < range.length; at += CHUNK_SIZE) {
      signal.throwIfAborted();
      const size = Math.min(CHUNK_SIZE, range.length - at);
      const piece = buffer.subarray(0, size);
      await target.read(piece, range.offset + at);
      // Of a block only what lies between the first and the last part that something was written to.
      let [from, to] = [0, size];
      while (from < to && isZero(piece.subarray(from, Math.min(to, from + ZERO_PART)))) from += ZERO_PART;
      while (from < to && isZero(piece.subarray(Math.max(from, to - ZERO_PART), to))) to -= ZERO_PART;
      if (from < to) {
        await target.write(ZERO.subarray(0, to - from), range.offset + at + from);
        report.zerosWritten += to - from;
        await wrote(to - from);
      }
      settled(size);
    }
  }

  let failure: unknown;
  function fail(error: unknown) {
    // What follows the first failure is its echo: everything else is aborted.
    failure ??= error;
    stop.abort();
    changed();
  }

  /** Who waits for something to do. */
  const waiting = new Set<() => void>();
  function changed() {
    for (const go of waiting) go();
    waiting.clear();
  }
  /** Until something changed, and never for long: a neighbour may be free again. */
  function nextChange(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(go, LOOK_AGAIN_MS);
      function go() {
        clearTimeout(timer);
        waiting.delete(go);
        resolve();
      }
      waiting.add(go);
    });
  }

  /** Does what there is to do until nothing can come any more. `work` answers false where there is nothing now. */
  async function until(over: () => boolean, work: () => Promise<boolean>) {
    try {
      while (!signal.aborted && !over()) if (!(await work())) await nextChange();
    } catch (error) {
      fail(error);
    }
    changed();
  }

  async function drain<T>(jobs: Iterator<T>, work: (job: T) => Promise<void>) {
    try {
      for (let job = jobs.next(); !job.done && !signal.aborted; job = jobs.next()) await work(job.value);
    } catch (error) {
      fail(error);
    }
  }

  const plan = planChunks(index);
  const firstLength = chunkLength(index, 0);
  try {
    let comparing = compare === 'always';
    if (compare === 'auto') {
      for (const frame of sampleFrames(plan.frames))
        if (!comparing && (await onDisk(frame, frame.chunks[0]!))) comparing = true;
      if (comparing) log('the disk holds an earlier state of this image: only blocks that differ are fetched');
    }
    await target.write(ZERO.subarray(0, firstLength), 0);
    await target.flush();

    const connections = order.connections ?? 4;
    const choice = createChoice(plan.frames, { shared: neighbours !== undefined, connections, random: Math.random });
    neighbours?.follow(choice, changed);
    const fetching = Array.from({ length: connections }, (_, i) =>
      until(choice.over, async () => {
        const span = i < choice.storeConnections() ? choice.fromStore(performance.now()) : undefined;
        if (!span) return false;
        for (const part of comparing ? spansOf(await missing(span)) : [span]) await fetchSpan(part);
        return true;
      }),
    );
    const asking = Array.from({ length: neighbours ? FROM_NEIGHBOURS : 0 }, () =>
      until(choice.over, async () => {
        const chosen = choice.fromNeighbour(performance.now());
        if (!chosen) return false;
        const [frame] = comparing ? await missing([chosen.frame]) : [chosen.frame];
        let raw: Buffer | undefined;
        if (frame) {
          await gate.enter();
          try {
            raw = await neighbours!.fetch(chosen.neighbour, frame, choice);
            if (raw) await put(frame, raw);
          } finally {
            gate.leave();
          }
        }
        if (raw) report.neighbours += raw.length;
        choice.ended(chosen.neighbour, raw ? undefined : frame);
        changed();
        return true;
      }),
    );
    await Promise.all([...fetching, ...asking, drain(plan.zeros.values(), makeZero)]);
    await flushing;
    if (failure !== undefined) throw failure;
    signal.throwIfAborted();

    await target.flush();
    const [head] = index.chunks;
    if (head) {
      const frame = frameOf(head, 0, firstLength);
      await store(frame, await alone(frame));
    } else {
      report.zeros += firstLength;
      settled(firstLength);
    }
    await target.flush();
    return report;
  } catch (error) {
    if (error instanceof AgentFailure) throw error;
    if (order.signal?.aborted) throw imageFailure('The write was stopped.', error);
    throw imageFailure(`The image could not be written: ${reasonOf(error)}.`, error);
  } finally {
    neighbours?.settle();
  }
}
