/**
 * Stacks beside Debian's Heat 19 with Keystone, MariaDB and RabbitMQ, both over HTTP, in a room of namespaces that nobody
 * else sees. The first run on a machine makes Heat's tree, which takes some minutes; it is kept under /var/tmp.
 */
import { ensurePackages } from '../../../bootstrap/packages.ts';
import type { Bench, Row } from '../row.ts';
import { heatRoot } from './heat/root.ts';
import { inRoom, program } from './room.ts';

const minute = 60_000;

export const bench: Bench = async (report, { full }) => {
  const log = (line: string) => console.error(line);
  await ensurePackages(['undercloud', 'images', 'lab'], log);
  const tree = await heatRoot(log);
  await inRoom(program('./round.ts', tree, full ? 'full' : 'short'), {
    mostMs: (full ? 30 : 7.5) * minute,
    onLine: (line) => report(JSON.parse(line) as Row),
  });
};
