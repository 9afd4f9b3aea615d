/** DHCP from memory: what another process changes in the database is served at once, and nobody is looked up meanwhile. */
import { expect, it, onTestFinished } from 'vitest';
import { createWorld } from '../../test/setup/world.ts';
import { createNetwork } from '../network/index.ts';
import { hearNews } from './news.ts';

async function stage() {
  const world = await createWorld();
  const network = createNetwork(world, { authenticate: async () => world.context });
  const { network: made } = await network.ensureProvisioning({
    name: 'ctlplane',
    cidr: '192.0.2.0/24',
    pool: ['192.0.2.10', '192.0.2.20'],
  });
  const told: string[] = [];
  const waiting = new Set<() => void>();
  const tell = async (text: string) => {
    told.push(text);
    for (const wake of waiting) wake();
  };
  const news = await hearNews({
    db: world.db,
    clock: world.clock,
    onMac: tell,
    onAll: () => tell('all'),
    onTrouble: (text) => told.push(`trouble: ${text}`),
  });
  onTestFinished(() => news.stop());
  const until = (test: () => boolean) =>
    new Promise<void>((resolve) => {
      const look = () => {
        if (!test()) return;
        waiting.delete(look);
        resolve();
      };
      waiting.add(look);
      look();
    });
  return { world, network, networkId: made.id, told, news, until };
}

it('tells which MAC has a port, an address, or none any more, from the commit on', async () => {
  const { world, network, networkId, told, news, until } = await stage();
  expect([told, news.isHeard()]).toEqual([['all'], true]);
  // Another process: its own connections, and no word between the two but the database's.
  const other = await createWorld({ databaseUrl: world.databaseUrl });
  const theirs = createNetwork(other, { authenticate: async () => other.context });
  const mac = '52:54:00:aa:00:01';
  const port = await theirs.createPort(other.context, { networkId, macAddress: mac });
  await until(() => told.includes(mac));
  const before = told.length;
  await network.deletePort(world.context, port.id);
  await until(() => told.length > before);
  expect(new Set(told)).toEqual(new Set(['all', mac]));
});

it('reads everything again after its connection broke', async () => {
  const { world, told, until } = await stage();
  await world.db.pool.query(`select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and query like 'listen %'`);
  await until(() => told.filter((one) => one === 'all').length === 2);
});
