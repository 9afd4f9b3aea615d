/** What the stores of this room share: who runs a statement, and how list filters become SQL. */
import { type Kysely, type RawBuilder, sql } from 'kysely';
import type { Empty } from '../../core/database/index.ts';
import type { ListFilters } from '../model.ts';

/** The pool or a transaction. */
export type Executor = Kysely<Empty>;

/** By filter name, the column (or expression) it is compared with, as text. */
export type FilterColumns = Readonly<Record<string, RawBuilder<unknown>>>;

/** `true` when there is nothing to filter by; names that the table does not have are ignored, as Neutron does. */
export function filterBy(columns: FilterColumns, filters: ListFilters): RawBuilder<unknown> {
  const conditions = Object.entries(filters).flatMap(([name, value]) => {
    const column = columns[name];
    if (!column || value === undefined) return [];
    const values = (typeof value === 'string' ? [value] : value).map((text) => booleans[text.toLowerCase()] ?? text);
    return [sql`(${column})::text = any(${values}::text[])`];
  });
  return conditions.length === 0 ? sql`true` : sql.join(conditions, sql` and `);
}

/** Python's clients write True and False. */
const booleans: Readonly<Record<string, string>> = { true: 'true', false: 'false' };

/** What a reader may see: an admin everything, others their project's rows and what `shared` allows. */
export function visible(project: string | null | undefined, shared: RawBuilder<unknown>): RawBuilder<unknown> {
  return project === undefined ? sql`true` : sql`(project_id = ${project ?? ''} or ${shared})`;
}

interface DatabaseError {
  code?: string;
  constraint?: string;
}

/** Name of the unique index that a write ran against, or null for any other error. */
export function violated(error: unknown): string | null {
  const { code, constraint } = error as DatabaseError;
  return code === '23505' ? (constraint ?? '') : null;
}

/** PostgreSQL undid this transaction so that another could go on; it may be tried again. */
export const mayRetry = (error: unknown): boolean => ['40P01', '40001'].includes((error as DatabaseError).code ?? '');
