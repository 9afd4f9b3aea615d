/**
 * PostgreSQL, the only truth. A pool, Kysely for typed SQL, and transactions whose announcements wait for the commit:
 * `tx.afterCommit(fn)` runs only when the rows are durable ("every state change commits before it is announced").
 */
import { Kysely, PostgresDialect, type Transaction } from 'kysely';
import pg from 'pg';
import { createStatementNames, preparingClient } from './prepared.ts';

// bigint columns (fences, sequence numbers, byte counts) stay below 2^53 here; as strings they would break comparisons.
pg.types.setTypeParser(pg.types.builtins.INT8, Number);

// biome-ignore lint/complexity/noBannedTypes: each store narrows the empty schema with withTables<...>()
export type Empty = {};

export interface Database {
  readonly pool: pg.Pool;
  /** Narrow with `db.kysely.withTables<MyTables>()` in a store. */
  readonly kysely: Kysely<Empty>;
  transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

export interface Tx {
  readonly kysely: Transaction<Empty>;
  /** Runs after a successful commit, in the order added; never when the transaction rolled back. */
  afterCommit(fn: () => void): void;
}

export interface DatabaseOptions {
  /** `postgresql://user@/name?host=/run/dir` or any URL that pg understands. */
  url: string;
  maxConnections?: number;
  applicationName?: string;
}

export function openDatabase(options: DatabaseOptions): Database {
  const pool = new pg.Pool({
    Client: preparingClient(createStatementNames()),
    connectionString: options.url,
    max: options.maxConnections ?? 10,
    application_name: options.applicationName ?? 'undercloud',
    connectionTimeoutMillis: 10_000,
  });
  // An idle connection that the server closed must not end the process; the next query reconnects or says why not.
  pool.on('error', () => {});
  // One that is at work when the server dies fails its query, and says so a second time to whoever listens: nobody, and an
  // unheard error ends the process. The pool's own listener is off while a connection is lent.
  pool.on('connect', (client) => client.on('error', () => {}));
  const kysely = new Kysely<Empty>({ dialect: new PostgresDialect({ pool }) });
  return {
    pool,
    kysely,
    async transaction(work) {
      const announcements: (() => void)[] = [];
      const result = await kysely
        .transaction()
        .execute((trx) => work({ kysely: trx, afterCommit: (fn) => announcements.push(fn) }));
      for (const announce of announcements) announce();
      return result;
    },
    // Not kysely.destroy(): it leaves the pool open when Kysely itself never ran a query.
    close: () => pool.end(),
  };
}
