/** SQL of what is written down and nothing more: security groups, their rules, segments, trunks. One shape, several tables. */
import { type RawBuilder, sql } from 'kysely';
import type { ListFilters } from '../model.ts';
import { type Executor, type FilterColumns, filterBy, visible } from './query.ts';

/** What every one of them has. */
export interface Standing {
  readonly id: string;
  readonly name: string;
  readonly projectId: string;
  readonly description: string;
  readonly tags: readonly string[];
  readonly revision: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

type Row = Record<string, unknown>;

const standing: Readonly<Record<string, string>> = {
  id: 'id',
  projectId: 'project_id',
  description: 'description',
  tags: 'tags',
  revision: 'revision',
  createdAt: 'created_at',
  updatedAt: 'updated_at',
};

export interface Records<R extends Standing> {
  /** `project` undefined sees everything. Oldest first. */
  list(on: Executor, filters: ListFilters, project: string | null | undefined): Promise<R[]>;
  /** Rows whose id or name this is; an id first. */
  named(on: Executor, idOrName: string, project: string | null | undefined): Promise<R[]>;
  /** @returns the id; null where an index over `once` forbids it */
  insert(on: Executor, fields: Partial<R>): Promise<string | null>;
  update(on: Executor, id: string, changes: Partial<R>): Promise<void>;
  remove(on: Executor, id: string): Promise<void>;
  /** Held until the transaction ends; false: it is gone. */
  lock(on: Executor, id: string): Promise<boolean>;
}

/**
 * @param own field → column, beside those that all have
 * @param joined field → an expression over the row `t`
 */
export function recordsOf<R extends Standing>(
  table: string,
  own: Readonly<Record<string, string>>,
  joined: Readonly<Record<string, RawBuilder<unknown>>> = {},
): Records<R> {
  const columns: Readonly<Record<string, string>> = { ...standing, ...own };
  const hasName = 'name' in own;
  const from = sql.table(`network.${table}`);
  const filters: FilterColumns = Object.fromEntries([
    ...Object.values(columns).map((column) => [column, sql`t.${sql.ref(column)}`] as const),
    ['tenant_id', sql`t.project_id`] as const,
  ]);
  const more = Object.entries(joined).map(([field, expression]) => sql`, ${expression} as ${sql.id(field)}`);
  const selected = sql`select t.*${sql.join(more, sql``)} from ${from} t`;
  const toRecord = (row: Row): R =>
    ({
      name: '',
      ...Object.fromEntries(Object.entries(columns).map(([field, column]) => [field, row[column]])),
      ...Object.fromEntries(Object.keys(joined).map((field) => [field, row[field]])),
    }) as unknown as R;
  const columnsIn = (fields: Partial<R>) =>
    Object.entries(fields).flatMap(([field, value]) =>
      columns[field] === undefined || value === undefined ? [] : [[columns[field], value] as const],
    );
  return {
    async list(on, wanted, project) {
      const { rows } = await sql<Row>`${selected}
        where ${filterBy(filters, wanted)} and ${visible(project, sql`false`)} order by t.created_at, t.id`.execute(on);
      return rows.map(toRecord);
    },
    async named(on, idOrName, project) {
      const byName = hasName ? sql`or (t.name = ${idOrName} and t.name <> '')` : sql``;
      const { rows } = await sql<Row>`${selected}
        where (t.id::text = ${idOrName} ${byName}) and ${visible(project, sql`false`)}
        order by t.id::text = ${idOrName} desc, t.created_at limit 2`.execute(on);
      return rows.map(toRecord);
    },
    async insert(on, fields) {
      const given = columnsIn(fields);
      const { rows } = await sql<{ id: string }>`
        insert into ${from} (${sql.join(given.map(([column]) => sql.ref(column)))})
        values (${sql.join(given.map(([, value]) => sql`${value}`))})
        on conflict do nothing returning id`.execute(on);
      return rows[0]?.id ?? null;
    },
    async update(on, id, changes) {
      const sets = columnsIn(changes).map(([column, value]) => sql`${sql.ref(column)} = ${value},`);
      await sql`update ${from} set ${sql.join(sets, sql` `)} revision = revision + 1, updated_at = now()
        where id = ${id}`.execute(on);
    },
    async remove(on, id) {
      await sql`delete from ${from} where id = ${id}`.execute(on);
    },
    async lock(on, id) {
      const { rows } = await sql`select 1 from ${from} where id = ${id} for update`.execute(on);
      return rows.length > 0;
    },
  };
}
