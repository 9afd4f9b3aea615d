/**
 * The DHCP engine's lease store over PostgreSQL. An ACK waits for its commit, so commits are gathered: everything that comes while
 * one is under way, and under load for a few milliseconds more, goes out as one prepared statement, which is one transaction and one
 * round trip. While there is work a connection is kept: no ACK waits for a busy pool.
 */
import type pg from 'pg';
import type { Database } from '../core/database/index.ts';
import { type Binding, bindingKey, type LeaseStore } from '../dhcp/index.ts';
import { findLease, pageOfLeases, writeLeases } from './store/leases.ts';

const pageSize = 5_000;
/** A statement of more rows delays those in it more than a second statement would. */
const mostRows = 2_000;
/**
 * Rows are gathered until a statement has about so many, by how fast they came last. A statement with its fsync costs PostgreSQL
 * some 600 µs however few rows it has, a row some 10 µs. More at once would not be cheaper, and their ACKs leave as one burst.
 */
const wantedRows = 48;
/** A rack that boots at once waits no longer than it would for a second statement. */
const longestMs = 20;
/** Fewer than so many are not waited for: a lone machine's ACK waits for nothing. */
const fewestRows = 4;
/** What two machines do within less than this says nothing about the third. */
const shortestMs = 6;
/** So long without any, and the pace is forgotten. */
const calmMs = 200;
/** ACKs leave in pieces of so many a millisecond: the buffer of a relay takes less than 200 at once (see core/datagrams.ts). */
const told = 64;

interface Waiting {
  readonly binding: Binding;
  resolve(): void;
  reject(error: unknown): void;
}

export function createLeaseStore(db: Database): LeaseStore {
  let waiting: Waiting[] = [];
  let isRunning = false;
  /** Rows a millisecond, and when the last statement was begun. */
  let pace = 0;
  let begun = Number.NEGATIVE_INFINITY;
  let client: pg.PoolClient | undefined;

  async function write(bindings: readonly Binding[]): Promise<void> {
    client ??= await db.pool.connect();
    const held = client;
    try {
      await writeLeases(held, bindings);
    } catch (error) {
      // A connection that has failed once is given back to be closed; the next statement opens another.
      client = undefined;
      held.release(true);
      throw error;
    }
  }

  async function flush(entries: readonly Waiting[]): Promise<void> {
    // One statement cannot write a row twice; the later call wins.
    const newest = new Map(entries.map(({ binding }) => [bindingKey(binding), binding]));
    try {
      await write([...newest.values()]);
      tell(entries);
    } catch (error) {
      // One bad row must not fail its neighbours: each is tried by itself. Where the database is away, they all fail alike.
      if (entries.length === 1 || (error as { code?: string }).code === undefined || isAway(error))
        for (const entry of entries) entry.reject(error);
      else for (const entry of entries) await flush([entry]);
    }
  }

  function tell(entries: readonly Waiting[], from = 0): void {
    const to = Math.min(from + told, entries.length);
    for (let i = from; i < to; i++) entries[i]?.resolve();
    if (to < entries.length) setTimeout(tell, 1, entries, to);
  }

  async function run(): Promise<void> {
    // What comes in the same turn of the event loop goes out together.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (waiting.length > 0) {
      if (performance.now() - begun > calmMs) pace = 0;
      const ms = Math.min(longestMs, Math.ceil(wantedRows / pace));
      if (pace * ms >= fewestRows) await new Promise<void>((resolve) => setTimeout(resolve, ms));
      const entries = waiting.length > mostRows ? waiting.splice(0, mostRows) : waiting;
      if (entries === waiting) waiting = [];
      const now = performance.now();
      pace = entries.length / Math.max(shortestMs, now - begun);
      begun = now;
      await flush(entries);
    }
    isRunning = false;
    client?.release();
    client = undefined;
  }

  return {
    async *all() {
      let last: Binding | null = null;
      for (;;) {
        const page: Binding[] = await pageOfLeases(db.kysely, last, pageSize);
        yield* page;
        if (page.length < pageSize) return;
        last = page.at(-1) ?? null;
      }
    },
    find: (subnet, address) => findLease(db.kysely, subnet, address),
    commit: (binding) =>
      new Promise((resolve, reject) => {
        waiting.push({ binding, resolve, reject });
        if (isRunning) return;
        isRunning = true;
        run();
      }),
  };
}

/** SQLSTATE classes 08 (connection), 53 (resources), 57 (shut down), 58 (system): not the row's fault. */
const isAway = (error: unknown): boolean => /^(08|53|57|58)/.test(String((error as { code?: string }).code ?? ''));
