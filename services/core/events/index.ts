/**
 * The flight recorder: everything that happens to a machine or a stack is one typed event. Logs, metrics, timelines,
 * the UI and "why is it waiting" are readers of it. Two ways in:
 *
 *   recorder.emit('dhcp.exchange', node, {...})             traffic: batched, bounded, shed under load
 *   recorder.append(tx, 'node.provision-state', node, ...)  state transitions: in the transition's own transaction, never shed
 */
import { sql } from 'kysely';
import { createBatch } from '../database/batch.ts';
import type { Database, Tx } from '../database/index.ts';
import type { EventMap } from './map/index.ts';

export type { EventMap } from './map/index.ts';
export type EventKind = keyof EventMap & string;

export interface Subject {
  /** `node`, `stack`, `server`, `image`, `port`, `bmc`, `system` ... */
  readonly type: string;
  readonly id: string;
}

export interface RecordedEvent<K extends EventKind = EventKind> {
  readonly id: number;
  readonly at: Date;
  readonly subject: Subject;
  readonly kind: K;
  readonly data: EventMap[K];
  readonly durationMs: number | null;
  readonly cause: string | null;
}

export interface EmitOptions {
  /** How long the thing took, where it has a duration. */
  durationMs?: number;
  /** What made it happen, in words: `operation deploy`, `request req-…`, `sweep`. */
  cause?: string;
  requestId?: string;
}

/** One event of `appendAll`. */
export type AppendedEvent = {
  [K in EventKind]: { kind: K; subject: Subject; data: EventMap[K]; options?: EmitOptions };
}[EventKind];

type Listener = (event: Omit<RecordedEvent, 'id'>) => void;

export interface Recorder {
  emit<K extends EventKind>(kind: K, subject: Subject, data: EventMap[K], options?: EmitOptions): void;
  append<K extends EventKind>(
    tx: Tx,
    kind: K,
    subject: Subject,
    data: EventMap[K],
    options?: EmitOptions,
  ): Promise<void>;
  /** As `append`, for many at once in one statement: what a batch of transitions needs. */
  appendAll(tx: Tx, events: readonly AppendedEvent[]): Promise<void>;
  /** Tells listeners of events that the caller's own statement has made durable (see `eventColumns`). */
  announce(events: readonly AppendedEvent[]): void;
  /** Hears every event of this process after it is durable (appended) or accepted (emitted). Returns the way out. */
  subscribe(listener: Listener): () => void;
  /** Newest `limit` events of the subject, oldest first; `after` continues from an event id. */
  timeline(subject: Subject, options?: { limit?: number; after?: number }): Promise<RecordedEvent[]>;
  /** Drops what is over 10,000 a subject or older than 90 days; returns how many rows went. */
  trim(): Promise<number>;
  /** Events shed because the database could not keep up, since the start. */
  readonly shed: number;
  drain(): Promise<void>;
}

interface EventRow {
  subject: Subject;
  kind: EventKind;
  at: Date;
  data: unknown;
  options: EmitOptions;
}

/** Beyond this many events waiting for the database, traffic events are shed: protocol work goes first. */
const queueLimit = 20_000;
const keptPerSubject = 10_000;
const keptDays = 90;

export function createRecorder(db: Database): Recorder {
  const listeners = new Set<Listener>();
  let shed = 0;
  const batch = createBatch<EventRow, void>(db, {
    maxRows: 2000,
    async flush(tx, rows) {
      await insert(tx, rows);
      return rows.map(() => undefined);
    },
  });

  function publish(row: EventRow): void {
    for (const listener of listeners) {
      listener({
        at: row.at,
        subject: row.subject,
        kind: row.kind,
        data: row.data as EventMap[EventKind],
        durationMs: row.options.durationMs ?? null,
        cause: row.options.cause ?? null,
      });
    }
  }

  return {
    emit(kind, subject, data, options = {}) {
      const row = { subject, kind, at: new Date(), data, options };
      if (batch.pending >= queueLimit) shed += 1;
      // A database that is away loses traffic events, nothing else; state transitions fail with their transaction.
      else
        batch.add(row).catch(() => {
          shed += 1;
        });
      publish(row);
    },
    async append(tx, kind, subject, data, options = {}) {
      const row = { subject, kind, at: new Date(), data, options };
      await insert(tx, [row]);
      tx.afterCommit(() => publish(row));
    },
    async appendAll(tx, events) {
      if (events.length === 0) return;
      const at = new Date();
      const rows = events.map(({ kind, subject, data, options = {} }) => ({ kind, subject, data, at, options }));
      await insert(tx, rows);
      tx.afterCommit(() => {
        for (const row of rows) publish(row);
      });
    },
    announce(events) {
      const at = new Date();
      for (const { kind, subject, data, options = {} } of events) publish({ kind, subject, data, at, options });
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async timeline(subject, { limit = 1000, after = 0 } = {}) {
      const { rows } = await sql<StoredRow>`
        select * from (
          select id, at, kind, data, duration_ms, cause from core.events
          where subject_type = ${subject.type} and subject_id = ${subject.id} and id > ${after}
          order by id desc limit ${limit}) newest order by at, id`.execute(db.kysely);
      return rows.map((row) => ({
        id: row.id,
        at: row.at,
        subject,
        kind: row.kind,
        data: row.data,
        durationMs: row.duration_ms,
        cause: row.cause,
      }));
    },
    async trim() {
      const old = await sql`delete from core.events where at < now() - make_interval(days => ${keptDays})`.execute(
        db.kysely,
      );
      const many = await sql`
        delete from core.events e using (
          select subject_type, subject_id, (array_agg(id order by id desc))[${sql.lit(keptPerSubject)} + 1] as newest_to_go
          from core.events group by 1, 2 having count(*) > ${keptPerSubject}) over_limit
        where e.subject_type = over_limit.subject_type and e.subject_id = over_limit.subject_id
          and e.id <= over_limit.newest_to_go`.execute(db.kysely);
      return Number(old.numAffectedRows ?? 0) + Number(many.numAffectedRows ?? 0);
    },
    get shed() {
      return shed;
    },
    drain: () => batch.drain(),
  };
}

interface StoredRow {
  id: number;
  at: Date;
  kind: EventKind;
  data: EventMap[EventKind];
  duration_ms: number | null;
  cause: string | null;
}

/**
 * For a statement of another store that writes its rows and their events in one: the columns in the order of
 * `eventInsert`, each an array. What is written so is told with `announce` once it is durable.
 */
export function eventColumns(events: readonly AppendedEvent[]): unknown[][] {
  const at = new Date();
  return [
    events.map(() => at),
    events.map(({ subject }) => subject.type),
    events.map(({ subject }) => subject.id),
    events.map(({ kind }) => kind),
    events.map(({ data }) => JSON.stringify(data)),
    events.map(({ options }) => options?.durationMs ?? null),
    events.map(({ options }) => options?.cause ?? null),
    events.map(({ options }) => options?.requestId ?? null),
  ];
}

/** The insert that takes `eventColumns` from the parameter numbered `first` on. */
export const eventInsert = (first: number): string => `
  insert into core.events (at, subject_type, subject_id, kind, data, duration_ms, cause, request_id)
  select * from unnest($${first}::timestamptz[], $${first + 1}::text[], $${first + 2}::text[], $${first + 3}::text[],
    $${first + 4}::jsonb[], $${first + 5}::float8[], $${first + 6}::text[], $${first + 7}::text[])`;

async function insert(tx: Tx, rows: readonly EventRow[]): Promise<void> {
  await sql`
    insert into core.events (at, subject_type, subject_id, kind, data, duration_ms, cause, request_id)
    select * from unnest(
      ${rows.map((r) => r.at)}::timestamptz[], ${rows.map((r) => r.subject.type)}::text[],
      ${rows.map((r) => r.subject.id)}::text[], ${rows.map((r) => r.kind)}::text[],
      ${rows.map((r) => JSON.stringify(r.data))}::jsonb[], ${rows.map((r) => r.options.durationMs ?? null)}::float8[],
      ${rows.map((r) => r.options.cause ?? null)}::text[], ${rows.map((r) => r.options.requestId ?? null)}::text[])
  `.execute(tx.kysely);
}
