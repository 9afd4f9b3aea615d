/**
 * Leases and fences. A lease says which process works on a subject; its fence rises with every change of holder, so a
 * late commit of a former holder is refused (`where fence = $n`). Expiry is judged by the database's clock alone. A
 * holder that cannot renew stops itself before the expiry.
 */
import { sql } from 'kysely';
import type { Clock } from '../clock.ts';
import type { Database, Tx } from '../database/index.ts';
import type { Subject } from '../events/index.ts';

/** A dead holder's work stands still for at most this long when its process is not restarted under its own name. */
export const leaseMs = 30_000;
/** Three tries to renew fit into one lease. */
const renewEveryMs = 10_000;
/** A holder gives up this long before the database would call the lease expired. */
const safetyMs = 5_000;

export interface Lease {
  readonly subject: Subject;
  readonly fence: number;
}

export interface Leases {
  /** Null when another live process holds it. */
  acquire(subject: Subject, onLost: () => void): Promise<Lease | null>;
  /** True while this process holds it for at least `forMs` more, by the database's clock; renews if that is what it takes. */
  holds(lease: Lease, forMs: number): Promise<boolean>;
  /** Within a transaction: locks the lease row and tells whether the fence still stands. */
  check(tx: Tx, lease: Lease): Promise<boolean>;
  releaseIn(tx: Tx, lease: Lease): Promise<void>;
  release(lease: Lease): Promise<void>;
  forget(lease: Lease): void;
  /** Takes back what this process's former life (same owner name) held. */
  reclaim(): Promise<void>;
  start(): void;
  stop(): void;
}

/**
 * For a store that fences a statement of its own: a select that finds (and locks) the lease while `owner` still holds it
 * under that fence. Takes four parameters, from the one numbered `first` on: see `leaseColumns`.
 */
export const leaseHeld = (first: number): string => `
  select 1 from core.leases where subject_type = $${first} and subject_id = $${first + 1} and fence = $${first + 2}
    and owner = $${first + 3} and expires_at > now() for share`;

export const leaseColumns = (lease: Lease, owner: string): readonly unknown[] => [
  lease.subject.type,
  lease.subject.id,
  lease.fence,
  owner,
];

const keyOf = (subject: Subject): string => `${subject.type}/${subject.id}`;
const interval = (ms: number) => sql`make_interval(secs => ${ms / 1000})`;

export function createLeases(db: Database, owner: string, clock: Clock): Leases {
  const held = new Map<string, { lease: Lease; onLost: () => void }>();
  let renewedAt = clock.now();
  let cancelTimer: (() => void) | null = null;
  let stopped = true;

  function lose(key: string): void {
    const entry = held.get(key);
    held.delete(key);
    entry?.onLost();
  }

  async function renew(): Promise<void> {
    const began = clock.now();
    const leases = [...held.values()].map((entry) => entry.lease);
    if (leases.length === 0) {
      renewedAt = began;
      return;
    }
    const { rows } = await sql<{ subject_type: string; subject_id: string }>`
      update core.leases l set expires_at = now() + ${interval(leaseMs)}
      from unnest(${leases.map((l) => l.subject.type)}::text[], ${leases.map((l) => l.subject.id)}::text[],
                  ${leases.map((l) => l.fence)}::bigint[]) as h (subject_type, subject_id, fence)
      where l.subject_type = h.subject_type and l.subject_id = h.subject_id and l.fence = h.fence
        and l.owner = ${owner} and l.expires_at > now()
      returning l.subject_type, l.subject_id`.execute(db.kysely);
    renewedAt = began;
    const kept = new Set(rows.map((row) => `${row.subject_type}/${row.subject_id}`));
    for (const lease of leases) if (!kept.has(keyOf(lease.subject))) lose(keyOf(lease.subject));
  }

  function schedule(): void {
    cancelTimer = clock.after(renewEveryMs, () => {
      renew()
        .catch(() => {
          if (clock.now() - renewedAt > leaseMs - safetyMs) for (const key of [...held.keys()]) lose(key);
        })
        .finally(() => {
          if (!stopped) schedule();
        });
    });
  }

  return {
    async acquire(subject, onLost) {
      const { rows } = await sql<{ fence: number }>`
        insert into core.leases as l (subject_type, subject_id, fence, owner, expires_at)
        values (${subject.type}, ${subject.id}, 1, ${owner}, now() + ${interval(leaseMs)})
        on conflict (subject_type, subject_id) do update
          set fence = l.fence + 1, owner = excluded.owner, expires_at = excluded.expires_at
          where l.expires_at <= now()
        returning fence`.execute(db.kysely);
      const fence = rows[0]?.fence;
      if (fence === undefined) return null;
      const lease = { subject, fence };
      held.set(keyOf(subject), { lease, onLost });
      return lease;
    },
    async holds(lease, forMs) {
      if (!held.has(keyOf(lease.subject))) return false;
      const { rows } = await sql<{ ok: boolean }>`
        update core.leases set expires_at = greatest(expires_at, now() + ${interval(Math.max(forMs + safetyMs, leaseMs))})
        where subject_type = ${lease.subject.type} and subject_id = ${lease.subject.id}
          and fence = ${lease.fence} and owner = ${owner} and expires_at > now()
        returning true as ok`.execute(db.kysely);
      return rows.length === 1;
    },
    async check(tx, lease) {
      const { rows } = await sql`
        select 1 from core.leases where subject_type = ${lease.subject.type} and subject_id = ${lease.subject.id}
          and fence = ${lease.fence} and owner = ${owner} and expires_at > now() for share`.execute(tx.kysely);
      return rows.length === 1;
    },
    async releaseIn(tx, lease) {
      await sql`update core.leases set expires_at = now() where subject_type = ${lease.subject.type}
        and subject_id = ${lease.subject.id} and fence = ${lease.fence} and owner = ${owner}`.execute(tx.kysely);
      tx.afterCommit(() => held.delete(keyOf(lease.subject)));
    },
    async release(lease) {
      held.delete(keyOf(lease.subject));
      await sql`update core.leases set expires_at = now() where subject_type = ${lease.subject.type}
        and subject_id = ${lease.subject.id} and fence = ${lease.fence} and owner = ${owner}`.execute(db.kysely);
    },
    forget(lease) {
      held.delete(keyOf(lease.subject));
    },
    async reclaim() {
      await sql`update core.leases set expires_at = now() where owner = ${owner} and expires_at > now()`.execute(
        db.kysely,
      );
    },
    start() {
      if (!stopped) return;
      stopped = false;
      schedule();
    },
    stop() {
      stopped = true;
      cancelTimer?.();
    },
  };
}
