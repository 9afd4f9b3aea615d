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
 * How long is gathered, by how many rows the last statement had. A statement with its fsync costs PostgreSQL some 600 µs however few
 * rows it has, a row some 10 µs. A lone machine's ACK waits for nothing; a rack that boots at once waits no longer than it would for a
 * second statement; and at a thousand exchanges a second, which no rack makes, nobody notices twenty milliseconds.
 */
const gathering = [
  { rows: 16, ms: 20 },
  { rows: 8, ms: 10 },
  { rows: 4, ms: 5 },
] as const;

interface Waiting {
  readonly binding: Binding;
  resolve(): void;
  reject(error: unknown): void;
}

export function createLeaseStore(db: Database): LeaseStore {
  let waiting: Waiting[] = [];
  let isRunning = false;
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
      for (const entry of entries) entry.resolve();
    } catch (error) {
      // One bad row must not fail its neighbours: each is tried by itself. Where the database is away, they all fail alike.
      if (entries.length === 1 || (error as { code?: string }).code === undefined || isAway(error))
        for (const entry of entries) entry.reject(error);
      else for (const entry of entries) await flush([entry]);
    }
  }

  async function run(): Promise<void> {
    let last = 0;
    // What comes in the same turn of the event loop goes out together.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (waiting.length > 0) {
      const wait = gathering.find(({ rows }) => last >= rows);
      if (wait) await new Promise<void>((resolve) => setTimeout(resolve, wait.ms));
      const entries = waiting.length > mostRows ? waiting.splice(0, mostRows) : waiting;
      if (entries === waiting) waiting = [];
      last = entries.length;
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
