/** A thousand virtual BMCs in a process of their own. Started with fork; tells where they listen, and when asked what they have cost. */
import { serveVirtualBmcs } from '../../../services/lab/index.ts';

const before = resident();
const served = await serveVirtualBmcs({ count: Number(process.argv[2]), first: '127.8.0.1' });
process.send?.({ addresses: served.addresses, port: served.port });
process.on('message', () => {
  const { user, system } = process.cpuUsage();
  process.send?.({
    cpuMs: (user + system) / 1_000,
    grownKb: resident() - before,
    sessions: served.bmcs.filter(({ sessions }) => sessions > 0).length,
  });
});
process.on('disconnect', () => process.exit(0));

function resident(): number {
  globalThis.gc?.();
  return process.memoryUsage.rss() / 1_024;
}
