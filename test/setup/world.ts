/** What a test of a service stands on: a database of its own, the recorder, operations, secrets and a movable clock. */
import { randomBytes, randomUUID } from 'node:crypto';
import pg from 'pg';
import { inject, onTestFinished } from 'vitest';
import { type Clock, systemClock } from '../../services/core/clock.ts';
import { type Context, systemContext } from '../../services/core/context.ts';
import { type Database, openDatabase } from '../../services/core/database/index.ts';
import { createRecorder, type EventKind, type RecordedEvent, type Recorder } from '../../services/core/events/index.ts';
import { createOperations, type Moment, type Operations } from '../../services/core/operations/index.ts';
import { createSecrets, type Secrets } from '../../services/core/secrets.ts';

export interface World {
  db: Database;
  databaseUrl: string;
  recorder: Recorder;
  operations: Operations;
  secrets: Secrets;
  clock: Clock;
  context: Context;
  /** Resolves at the next event for which `match` holds (also one that came before, if it is still in memory). */
  heard<K extends EventKind>(
    kind: K,
    match?: (event: Omit<RecordedEvent<K>, 'id'>) => boolean,
  ): Promise<Omit<RecordedEvent<K>, 'id'>>;
  close(): Promise<void>;
}

export interface WorldOptions {
  clock?: Clock;
  probe?: (moment: Moment) => void;
  /** Carries wakes to other processes. */
  tell?: (owner: string, operation: string) => void;
  owner?: string;
  /** Another world's database, to play a second process or a restart. */
  databaseUrl?: string;
  /** Close it yourself instead of at the test's end. */
  keep?: boolean;
}

async function askCluster(host: string, statement: string): Promise<void> {
  const admin = new pg.Client({ host, user: 'undercloud', database: 'postgres' });
  await admin.connect();
  await admin.query(statement).finally(() => admin.end());
}

/** A database of its own, cloned from the migrated template. */
export async function freshDatabaseUrl(host = inject('databaseSocket')): Promise<string> {
  const name = `t_${randomBytes(6).toString('hex')}`;
  await askCluster(host, `create database ${name} template template_undercloud`);
  return `postgresql://undercloud@/${name}?host=${host}`;
}

/** A whole run makes a thousand of them, of 10 MB each. */
export async function dropDatabase(url: string): Promise<void> {
  const [, name, host] = /@\/(\w+)\?host=(.+)$/.exec(url) ?? [];
  await askCluster(host ?? '', `drop database if exists ${name} with (force)`);
}

export async function createWorld(options: WorldOptions = {}): Promise<World> {
  const databaseUrl = options.databaseUrl ?? (await freshDatabaseUrl());
  const clock = options.clock ?? systemClock;
  const db = openDatabase({ url: databaseUrl });
  const recorder = createRecorder(db);
  const operations = createOperations({
    db,
    recorder,
    owner: options.owner ?? `test-${randomUUID().slice(0, 8)}`,
    clock,
    ...(options.probe && { probe: options.probe }),
    ...(options.tell && { tell: options.tell }),
  });
  const heardSoFar: Omit<RecordedEvent, 'id'>[] = [];
  recorder.subscribe((event) => heardSoFar.push(event));
  const world: World = {
    db,
    databaseUrl,
    recorder,
    operations,
    secrets: createSecrets(Buffer.alloc(32, 7)),
    clock,
    context: { ...systemContext(), userId: 'u'.repeat(32), projectId: 'p'.repeat(32), domainId: 'default' },
    heard(kind, match = () => true) {
      type Event = Omit<RecordedEvent<typeof kind>, 'id'>;
      const fits = (event: Omit<RecordedEvent, 'id'>) => event.kind === kind && match(event as Event);
      const before = heardSoFar.find(fits);
      if (before) return Promise.resolve(before as Event);
      return new Promise<Event>((resolve) => {
        const leave = recorder.subscribe((event) => {
          if (!fits(event)) return;
          leave();
          resolve(event as Event);
        });
      });
    },
    async close() {
      await operations.stop();
      await recorder.drain();
      await db.close();
      if (!options.databaseUrl) await dropDatabase(databaseUrl);
    },
  };
  if (!options.keep) onTestFinished(() => world.close());
  return world;
}
