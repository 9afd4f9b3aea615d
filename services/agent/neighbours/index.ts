/**
 * The neighbours of one write: announces this node to the undercloud, asks those that it is told of what they have, fetches from them, and
 * gives them what is here. Everything of it may fail: the write then goes on with the store alone.
 */
import { hash } from 'node:crypto';
import { open } from 'node:fs/promises';
import {
  CHUNK_SIZE,
  type ChunkIndex,
  chunkLength,
  NEIGHBOURS_MAX,
  type NeighbourAddress,
  neighbourName,
  readNeighbourList,
} from '../../ipa/index.ts';
import type { Frame } from '../chunk-plan.ts';
import { reasonOf } from '../failure.ts';
import type { Fetcher } from '../fetcher.ts';
import { type AskTiming, createAsker, NeighbourFault } from './ask.ts';
import { BUSY_MS, type Choice, MOST_NEIGHBOURS } from './choice.ts';
import { type Share, type ShareLimits, shareChunks } from './share.ts';

/** A slow neighbour's rest: about what the store needs to be no worse. */
const REST_MS = 5000;

export interface NeighbourOptions {
  /** For announcements: one attempt each. */
  announce: Fetcher;
  /** Where this node gives its chunks. 0 takes any free port. */
  host?: string | undefined;
  port: number;
  /** ms between two questions to a neighbour what it has. */
  lookMs?: number;
  timing?: AskTiming;
  limits?: Partial<ShareLimits>;
}

export interface JoinOptions extends NeighbourOptions {
  /** The undercloud's signed link. */
  url: string;
  index: ChunkIndex;
  indexSha256: string;
  /** Path of the disk that is being written. */
  disk: string;
  log(line: string): void;
}

export interface Neighbours {
  have(chunk: number): void;
  /** Tells the choice who has what, from now until the write's end. */
  follow(choice: Choice, changed: () => void): void;
  /** Raw and verified; undefined: that neighbour did not give it. */
  fetch(neighbour: string, frame: Frame, choice: Choice): Promise<Buffer | undefined>;
  /** Asks no more; what is here is given on. */
  settle(): void;
  /** Raw bytes that others had from here. */
  given(): number;
  close(): Promise<void>;
}

/** Undefined, with a line in the log, where it cannot be done. */
export async function joinNeighbours(options: JoinOptions): Promise<Neighbours | undefined> {
  const { url, index, indexSha256, log, lookMs = 1000 } = options;
  let share: Share | undefined;
  let asker: ReturnType<typeof createAsker> | undefined;
  const disk = await open(options.disk, 'r').catch(() => undefined);
  if (!disk) return undefined;
  const stopped = new AbortController();
  const { signal } = stopped;
  let token = '';
  const known = new Map<string, NeighbourAddress>();
  const dropped = new Set<string>();
  /** Until when those rest that were slow once; ms. */
  const resting = new Map<string, number>();
  let following: { choice: Choice; changed: () => void } | undefined;
  const timers = new Set<NodeJS.Timeout>();
  const looking = new Set<string>();

  function after(ms: number, work: () => void) {
    if (signal.aborted) return;
    const timer = setTimeout(() => {
      timers.delete(timer);
      work();
    }, ms);
    timers.add(timer);
  }

  async function announce(): Promise<number> {
    const text = await options.announce.bytes(`${url}&port=${share!.port}`, { most: NEIGHBOURS_MAX }, signal);
    const list = readNeighbourList(JSON.parse(text.toString('utf8')));
    share!.accept(list.tokens);
    token = list.tokens[0]!;
    for (const neighbour of list.neighbours) {
      const name = neighbourName(neighbour);
      if (dropped.has(name) || known.has(name) || known.size >= MOST_NEIGHBOURS) continue;
      known.set(name, neighbour);
      if (following) look(name);
    }
    return list.again_ms;
  }

  function announceAgain(ms: number) {
    after(ms, () => {
      announce().then(announceAgain, (error) => {
        if (signal.aborted) return;
        log(`the undercloud tells of no neighbours: ${reasonOf(error)}`);
        announceAgain(2 * ms);
      });
    });
  }

  /** One offence is enough: there are others, and the store. */
  function drop(name: string, why: string) {
    if (!known.delete(name)) return;
    dropped.add(name);
    following?.choice.forget(name);
    following?.changed();
    if (!signal.aborted) log(`neighbour ${name} is not asked any more: ${why}`);
  }

  /**
   * Slow is no offence at first: an emulated node, or one that is erasing its disk, answers nobody for seconds. What it was asked meanwhile is
   * the same spell; the next one is the last.
   */
  function rest(name: string, why: string) {
    const now = performance.now();
    const until = resting.get(name);
    if (until === undefined) {
      resting.set(name, now + REST_MS);
      if (!signal.aborted) log(`neighbour ${name} is asked again in ${REST_MS / 1000} s: ${why}`);
    } else if (now >= until) return drop(name, why);
    following?.choice.busy(name, resting.get(name) ?? now);
  }

  function failed(name: string, error: unknown) {
    const kind = error instanceof NeighbourFault ? error.kind : 'offence';
    if (kind === 'slow') rest(name, reasonOf(error));
    else if (kind === 'busy') following?.choice.busy(name, performance.now() + BUSY_MS);
    else drop(name, reasonOf(error));
  }

  /** What it has, now and every second. */
  function look(name: string) {
    const neighbour = known.get(name);
    if (!neighbour || !following || looking.has(name) || signal.aborted) return;
    const wait = (resting.get(name) ?? 0) - performance.now();
    if (wait > 0) return after(wait, () => look(name));
    looking.add(name);
    asker!
      .have(neighbour, token, Math.ceil(index.chunks.length / 8), signal)
      .then(
        (have) => {
          // It may have been dropped while it answered.
          if (!known.has(name)) return;
          following?.choice.heard(name, have);
          following?.changed();
        },
        (error: unknown) => failed(name, error),
      )
      .finally(() => {
        looking.delete(name);
        after(lookMs, () => look(name));
      });
  }

  async function close() {
    stopped.abort();
    for (const timer of timers) clearTimeout(timer);
    asker?.close();
    await share?.close();
    await disk!.close();
  }

  try {
    share = await shareChunks({
      image: indexSha256,
      chunks: index.chunks.length,
      chunkSize: CHUNK_SIZE,
      lengthOf: (chunk) => chunkLength(index, chunk),
      host: options.host,
      port: options.port,
      async read(buffer, position) {
        const { bytesRead } = await disk.read(buffer, 0, buffer.length, position);
        if (bytesRead !== buffer.length) throw new Error('the disk ends there');
      },
      ...(options.limits && { limits: options.limits }),
    });
    asker = createAsker(indexSha256, options.timing);
    announceAgain(await announce());
  } catch (error) {
    log(`this image is not shared with neighbours: ${reasonOf(error)}`);
    await close();
    return undefined;
  }

  return {
    have: (chunk) => share.have(chunk),
    follow(choice, changed) {
      following = { choice, changed };
      for (const name of known.keys()) look(name);
    },
    async fetch(name, frame, choice) {
      const neighbour = known.get(name);
      if (!neighbour) {
        choice.forget(name);
        return undefined;
      }
      try {
        const raw = await asker.chunk(neighbour, token, frame.chunks[0]!, frame.size, signal);
        if (hash('sha256', raw, 'hex') === frame.sha256) return raw;
        drop(name, `its chunk ${frame.chunks[0]} has a wrong checksum`);
      } catch (error) {
        failed(name, error);
      }
      return undefined;
    },
    settle() {
      following = undefined;
    },
    given: () => share.given,
    close,
  };
}
