/**
 * Hears at once, also from other processes, which MACs have got or lost a node or an address (triggers of network and baremetal
 * notify at the commit). While it hears, what is in memory is the truth, and no DISCOVER asks the database; while it does not, each is
 * looked up. It has a connection of its own, and after each interruption everything is read anew.
 */
import pg from 'pg';
import type { Clock } from '../core/clock.ts';
import type { Database } from '../core/database/index.ts';

export interface NewsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly onMac: (mac: string) => Promise<void>;
  /** Reads everything. */
  readonly onAll: () => Promise<void>;
  readonly onTrouble: (text: string) => void;
}

export interface News {
  /** Whether nothing can have been missed. */
  isHeard(): boolean;
  stop(): Promise<void>;
}

const channel = 'undercloud_macs';
const againMs = 1000;

/** Resolves when it hears, or has failed for the first time. */
export async function hearNews({ db, clock, onMac, onAll, onTrouble }: NewsDeps): Promise<News> {
  let client: pg.Client | undefined;
  let heard = false;
  let stopped = false;
  /** One after the other: a later reading must not be overtaken by an earlier one. */
  let reading = Promise.resolve();

  function read(what: () => Promise<void>): Promise<void> {
    reading = reading.then(what).catch((error: unknown) => {
      onTrouble(`what has changed could not be read: ${error instanceof Error ? error.message : String(error)}`);
      lost();
    });
    return reading;
  }

  function lost(): void {
    heard = false;
    const gone = client;
    client = undefined;
    if (!gone || stopped) return;
    gone.end().catch(() => {});
    clock.after(againMs, () => void connect());
  }

  async function connect(): Promise<void> {
    if (stopped) return;
    const own = new pg.Client({ ...db.pool.options, keepAlive: true });
    client = own;
    own.on('error', () => own === client && lost());
    own.on('end', () => own === client && lost());
    own.on('notification', ({ payload }) => {
      // Looked up again by each DISCOVER until it has been read.
      const mac = payload ?? '*';
      heard = false;
      read(async () => {
        await (mac === '*' ? onAll() : onMac(mac));
      }).then(settled);
      const mine = reading;
      function settled(): void {
        if (mine === reading && own === client) heard = true;
      }
    });
    try {
      await own.connect();
      await own.query(`listen ${channel}`);
      await read(onAll);
      heard = own === client;
    } catch {
      if (own === client) lost();
    }
  }

  await connect();
  return {
    isHeard: () => heard,
    async stop() {
      stopped = true;
      heard = false;
      await client?.end().catch(() => {});
      await reading;
    },
  };
}
