/**
 * Statements that come again are prepared: PostgreSQL parses and plans each once for a connection, which is more than half of what a
 * look at one row costs it. A text is worth it after some uses; texts that are made for one occasion (a list of so many values) never are.
 *
 * A pooler between us and PostgreSQL has to keep prepared statements (PgBouncer does from 1.21 on).
 */
import pg from 'pg';

/** Below this the text is perhaps not coming again. */
const usesBefore = 10;
/** Each is kept with its plan, some 20 KiB, by every connection. */
const mostNames = 200;
/** How many texts are counted before counting begins anew. */
const mostCounted = 2_000;

export interface StatementNames {
  /** Name of the statement with this text, or undefined while it is not to be prepared. */
  of(text: string): string | undefined;
}

export function createStatementNames(): StatementNames {
  const names = new Map<string, string>();
  const uses = new Map<string, number>();
  return {
    of(text) {
      const known = names.get(text);
      if (known !== undefined || names.size >= mostNames) return known;
      const count = (uses.get(text) ?? 0) + 1;
      if (count > usesBefore) {
        uses.delete(text);
        names.set(text, `uc${names.size}`);
        return names.get(text);
      }
      if (uses.size >= mostCounted) uses.clear();
      uses.set(text, count);
      return undefined;
    },
  };
}

/** A pg client for a pool whose queries with values are prepared when `names` says so. */
export function preparingClient(names: StatementNames): typeof pg.Client {
  return class extends pg.Client {
    // biome-ignore lint/suspicious/noExplicitAny: pg's query has nine signatures; this passes on whichever was called.
    override query(...given: any[]): any {
      const [text, values, ...rest] = given;
      const name = typeof text === 'string' && Array.isArray(values) ? names.of(text) : undefined;
      const query = super.query as (...args: unknown[]) => unknown;
      return name === undefined ? query.apply(this, given) : query.call(this, { name, text, values }, ...rest);
    }
  };
}
