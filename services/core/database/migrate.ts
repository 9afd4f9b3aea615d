/**
 * Migrations are plain numbered SQL, `services/<name>/migrations/NNNN.sql`, applied floor by floor, each in its own
 * transaction with its record, so that an interrupted run goes on where it stopped.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fault } from '../errors/index.ts';
import { floors } from '../floors.ts';
import type { Database } from './index.ts';

export interface Migration {
  /** `baremetal/0001.sql` */
  readonly file: string;
  readonly sql: string;
  readonly sha256: string;
}

const servicesDir = join(import.meta.dirname, '..', '..');

export function readMigrations(root: string = servicesDir): Migration[] {
  return floors.flat().flatMap((service) => {
    const dir = service === 'core' ? join(root, 'core', 'database', 'migrations') : join(root, service, 'migrations');
    return listSql(dir).map((name) => {
      const sql = readFileSync(join(dir, name), 'utf8');
      return { file: `${service}/${name}`, sql, sha256: createHash('sha256').update(sql).digest('hex') };
    });
  });
}

function listSql(dir: string): string[] {
  try {
    return readdirSync(dir)
      .filter((name) => /^\d{4}\.sql$/.test(name))
      .sort();
  } catch {
    return [];
  }
}

/** Two starts at once must not both migrate; any constant will do as the advisory lock's key. */
const migrationLock = 7_201_001;

/** Applies what is missing and returns the files applied. @throws Fault `migration-changed`, `migration-unknown` */
export async function migrate(db: Database, migrations: readonly Migration[] = readMigrations()): Promise<string[]> {
  const client = await db.pool.connect();
  const applied: string[] = [];
  try {
    await client.query('select pg_advisory_lock($1)', [migrationLock]);
    await client.query('create schema if not exists core');
    await client.query(`create table if not exists core.migrations
      (file text primary key, sha256 text not null, applied_at timestamptz not null default now())`);
    const known = await client.query<{ file: string; sha256: string }>('select file, sha256 from core.migrations');
    const done = new Map(known.rows.map((row) => [row.file, row.sha256]));
    const names = new Set(migrations.map((m) => m.file));
    for (const file of done.keys()) if (!names.has(file)) throw fault('migration-unknown', { file });
    for (const migration of migrations) {
      const sha256 = done.get(migration.file);
      if (sha256 === migration.sha256) continue;
      if (sha256 !== undefined) throw fault('migration-changed', { file: migration.file });
      await client.query('begin');
      try {
        await client.query(migration.sql);
        await client.query('insert into core.migrations (file, sha256) values ($1, $2)', [
          migration.file,
          migration.sha256,
        ]);
        await client.query('commit');
      } catch (error) {
        await client.query('rollback');
        throw new Error(`migration ${migration.file}: ${(error as Error).message}`, { cause: error });
      }
      applied.push(migration.file);
    }
    return applied;
  } finally {
    await client.query('select pg_advisory_unlock($1)', [migrationLock]).catch(() => {});
    client.release();
  }
}
