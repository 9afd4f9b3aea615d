/** The ground floor, put together: database, recorder, operations with their wakes, secrets. */
import { hostname } from 'node:os';
import { systemClock } from '../core/clock.ts';
import { type Config, statePaths } from '../core/config.ts';
import { type Database, openDatabase } from '../core/database/index.ts';
import { migrate } from '../core/database/migrate.ts';
import { fault } from '../core/errors/index.ts';
import { createRecorder } from '../core/events/index.ts';
import type { House } from '../core/house.ts';
import { createOperations } from '../core/operations/index.ts';
import { createWakeQueue, type WakeQueue } from '../core/queue.ts';
import { readSecrets } from '../core/secrets.ts';

export interface GroundFloor extends House {
  readonly migrated: readonly string[];
  /** True when this is the only process of its name: what it held in a former life is its own again at once. */
  readonly sole: boolean;
  close(): Promise<void>;
}

/** The database may still be starting beside us; the supervisor started both. */
const databasePatienceMs = 30_000;
const retryMs = 50;

export async function openHouse(config: Config): Promise<GroundFloor> {
  const db = openDatabase({ url: config.databaseUrl, maxConnections: 16, applicationName: 'undercloud-serve' });
  await reach(db);
  const migrated = await migrate(db);
  const owner = `${hostname()}:serve`;
  const sole = await beSole(db, owner);
  const recorder = createRecorder(db);
  let queue: WakeQueue | null = null;
  const operations = createOperations({
    db,
    recorder,
    owner,
    clock: systemClock,
    tell: (holder, operation) => queue?.tell(holder, operation),
  });
  queue = createWakeQueue({ url: config.redisUrl, owner, onWake: (operation) => operations.wakeOperation(operation) });
  const secrets = readSecrets(statePaths(config.stateDir).secretKey);
  return {
    db,
    recorder,
    operations,
    secrets,
    clock: systemClock,
    migrated,
    sole: sole.isHeld,
    async close() {
      await operations.stop();
      await queue?.close();
      await recorder.drain();
      sole.release();
      await db.close();
    },
  };
}

async function reach(db: Database): Promise<void> {
  const until = Date.now() + databasePatienceMs;
  for (;;) {
    try {
      await db.pool.query('select 1');
      return;
    } catch (error) {
      if (Date.now() > until) throw fault('database-unreachable', { text: (error as Error).message }, error);
      await new Promise((resolve) => setTimeout(resolve, retryMs));
    }
  }
}

interface Sole {
  readonly isHeld: boolean;
  release(): void;
}

/**
 * An advisory lock under the owner's name, held by a connection for as long as the process lives: PostgreSQL drops it with
 * the connection, so holding it proves that the former process of this name is dead. That is asked once, at the start; a
 * database that restarts later takes the connection with it and nothing else.
 */
async function beSole(db: Database, owner: string): Promise<Sole> {
  const client = await db.pool.connect();
  let isOut = true;
  const release = () => {
    // Closed rather than given back: a pooled connection would go on holding the lock.
    if (isOut) client.release(true);
    isOut = false;
  };
  client.on('error', release);
  const { rows } = await client.query<{ got: boolean }>('select pg_try_advisory_lock(hashtextextended($1, 0)) as got', [
    owner,
  ]);
  const isHeld = rows[0]?.got === true;
  if (!isHeld) release();
  return { isHeld, release };
}
