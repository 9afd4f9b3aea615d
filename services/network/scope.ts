/** Who may see and change what, and whose transaction the work runs in. */
import { type Context, isAdmin } from '../core/context.ts';
import type { Database, Tx } from '../core/database/index.ts';
import { fault } from '../core/errors/index.ts';
import { mayRetry } from './store/query.ts';

/** The project that a reader is confined to; undefined sees everything. */
export const confinedTo = (context: Context): string | null | undefined =>
  isAdmin(context) ? undefined : context.projectId;

/** The project that a new thing belongs to. Only an admin names another than its own. */
export function projectFor(context: Context, wanted: string | undefined): string {
  const own = context.projectId ?? '';
  if (wanted === undefined || wanted === own) return own;
  requireAdmin(context, 'create_for_another_project');
  return wanted;
}

export function requireAdmin(context: Context, action: string): void {
  if (!isAdmin(context)) throw fault('forbidden', { action, roles: 'admin' });
}

export function requireOwner(context: Context, record: { readonly projectId: string }, action: string): void {
  if (!isAdmin(context) && record.projectId !== context.projectId)
    throw fault('forbidden', { action, roles: 'admin, or the project that owns it' });
}

const attempts = 5;

/** Runs in the caller's transaction, or in one of its own, which is tried again when the database breaks a deadlock with it. */
export async function inside<T>(db: Database, tx: Tx | undefined, work: (tx: Tx) => Promise<T>): Promise<T> {
  if (tx) return work(tx);
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await db.transaction(work);
    } catch (error) {
      if (attempt >= attempts || !mayRetry(error)) throw error;
    }
  }
}

export type Kind = 'network' | 'subnet' | 'port' | 'security-group' | 'security-group-rule' | 'segment' | 'trunk';

export const notFoundOf = (kind: Kind) =>
  kind === 'port' ? ('network-port-not-found' as const) : (`${kind}-not-found` as const);

/** Picks the one row that an id or a name means. @throws Fault */
export function theOne<T extends { readonly id: string }>(rows: readonly T[], kind: Kind, idOrName: string): T {
  const [first, second] = rows;
  if (!first) throw fault(notFoundOf(kind), { id: idOrName });
  if (second && first.id !== idOrName) throw fault('network-ambiguous', { kind, name: idOrName });
  return first;
}

export const invalid = (field: string, reason: string) => fault('network-invalid', { field, reason });
