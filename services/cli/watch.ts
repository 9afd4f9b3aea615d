/** Looks again and again until there is an end; a terminal is redrawn in between, so that clocks and spinners run. */
import { setTimeout as wait } from 'node:timers/promises';
import { type Board, createBoard, type Row } from './board.ts';
import type { Session } from './program.ts';

export interface Look<T> {
  /** Made anew at each redraw, so that durations run on between two looks. */
  rows(now: number): readonly Row[];
  /** Defined when there is nothing more to wait for. */
  end?: T;
}

export interface WatchOptions {
  /** Between two looks. */
  everyMs?: number;
  /** Gives up watching after this long: resolves to undefined. */
  patienceMs?: number;
  board?: Board;
}

const frameMs = 120;

/** @throws AbortError when the user interrupts; what is watched goes on */
export async function watch<T>(
  session: Session,
  look: () => Promise<Look<T>>,
  { everyMs = 700, patienceMs = Number.POSITIVE_INFINITY, board = createBoard(session.output) }: WatchOptions = {},
): Promise<T | undefined> {
  const began = Date.now();
  try {
    for (;;) {
      const seen = await look();
      board.show(seen.rows(Date.now()));
      if (seen.end !== undefined) return seen.end;
      const next = Date.now() + everyMs;
      while (Date.now() < next) {
        const pause = session.output.live ? Math.min(frameMs, next - Date.now()) : next - Date.now();
        await wait(Math.max(1, pause), undefined, { signal: session.interrupted });
        if (session.output.live) board.show(seen.rows(Date.now()));
      }
      if (Date.now() - began > patienceMs) return undefined;
    }
  } finally {
    board.end();
  }
}

/** At most `width` of them at a time, results in order: a hundred nodes are asked without a hundred connections. */
export async function inParallel<T, R>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async () => {
    for (let at = next++; at < items.length; at = next++) results[at] = await work(items[at] as T);
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, worker));
  return results;
}
