/** Our side, in a process of its own: what it costs is its own CPU time and memory and nobody else's. */

import { readFileSync } from 'node:fs';
import { createIpmiTransport, openIpmiSocket } from '../../../services/ipmi/index.ts';
import { type BmcAccess, createPower } from '../../../services/power/index.ts';
import type { BmcsReady } from './bmcs.ts';

export type Order =
  | { readonly what: 'polls'; readonly rounds: number }
  | { readonly what: 'sessions'; readonly count: number }
  | { readonly what: 'sweep'; readonly rounds: number }
  | { readonly what: 'fleet'; readonly warmMs: number; readonly forMs: number }
  | { readonly what: 'latencies'; readonly deaf: readonly number[]; readonly rounds: number };

export interface Cost {
  /** CPU ms for each of what was asked. */
  readonly cpuMs: number;
  readonly wallMs: number;
}

export interface FleetCost {
  /** Of one core, in percent. */
  readonly cpuPercent: number;
  readonly residentMb: number;
  readonly looks: number;
  readonly failures: number;
}

const { addresses, port } = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as BmcsReady;
const suite = Number(process.argv[3] ?? 3);
const accesses = addresses.map(
  (address, place): BmcAccess => ({
    ...{ key: `bmc-${place}`, driver: 'ipmi', address, port, username: 'admin', password: 'secret' },
    options: { cipherSuite: suite },
  }),
);
const nobody = { emit() {} };
const power = createPower({ recorder: nobody as never });

const cpuOf = (since: NodeJS.CpuUsage) => {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1_000;
};
const collect = () => (globalThis as { gc?: () => void }).gc?.();
const residentMb = () => process.memoryUsage.rss() / 1_048_576;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

const sweepOnce = (some: readonly BmcAccess[]) => Promise.all(some.map((access) => power.bmc(access).power()));

const orders = {
  /** Power polls over sessions that are open, all BMCs at a time. */
  async polls({ rounds }: { rounds: number }): Promise<Cost> {
    await sweepOnce(accesses);
    for (let n = 0; n < 3; n++) await sweepOnce(accesses);
    collect();
    const [since, startedAt] = [process.cpuUsage(), performance.now()];
    for (let n = 0; n < rounds; n++) await sweepOnce(accesses);
    const polls = rounds * accesses.length;
    return { cpuMs: cpuOf(since) / polls, wallMs: (performance.now() - startedAt) / polls };
  },
  /** What ipmipower does for each poll: open, authenticate, raise the privilege, ask, close. */
  async sessions({ count }: { count: number }): Promise<Cost> {
    const ipmi = createIpmiTransport({ socket: await openIpmiSocket() });
    const one = async (place: number) => {
      const host = addresses[place % addresses.length]!;
      const session = ipmi.session({ host, port, user: 'admin', password: 'secret', suites: [suite], keepAlive: 0 });
      await session.chassisStatus();
      await session.close();
    };
    const run = async (most: number) => {
      let next = 0;
      const worker = async () => {
        while (next < most) await one(next++);
      };
      await Promise.all(Array.from({ length: 20 }, worker));
    };
    await run(200);
    collect();
    const [since, startedAt] = [process.cpuUsage(), performance.now()];
    await run(count);
    const cost = { cpuMs: cpuOf(since) / count, wallMs: (performance.now() - startedAt) / count };
    await ipmi.close();
    return cost;
  },
  /** Milliseconds of each sweep of 100 BMCs over open sessions; the middle one. */
  async sweep({ rounds }: { rounds: number }): Promise<Cost> {
    const hundred = accesses.slice(0, 100);
    await sweepOnce(hundred);
    const walls: number[] = [];
    const since = process.cpuUsage();
    for (let n = 0; n < rounds; n++) {
      const startedAt = performance.now();
      await sweepOnce(hundred);
      walls.push(performance.now() - startedAt);
      await pause(20);
    }
    return { cpuMs: cpuOf(since) / rounds, wallMs: walls.sort((a, b) => a - b)[rounds >> 1]! };
  },
  /** The fleet loop itself, every BMC every ten seconds. Memory from before the first session to after the last look. */
  async fleet({ warmMs, forMs }: { warmMs: number; forMs: number }): Promise<FleetCost> {
    collect();
    const before = residentMb();
    const fleet = power.fleet({ onState() {} }, { everyMs: 10_000, jitter: 0 });
    for (const access of accesses) fleet.watch(access, 'off');
    fleet.start();
    await pause(warmMs);
    const { looks, failures } = fleet.counts();
    const [since, startedAt] = [process.cpuUsage(), performance.now()];
    await pause(forMs);
    const cpuPercent = (100 * cpuOf(since)) / (performance.now() - startedAt);
    const after = fleet.counts();
    collect();
    const grown = residentMb() - before;
    fleet.stop();
    return { cpuPercent, residentMb: grown, looks: after.looks - looks, failures: after.failures - failures };
  },
  /** Milliseconds of looks at healthy BMCs, while looks at deaf ones are always under way. */
  async latencies({ deaf, rounds }: { deaf: readonly number[]; rounds: number }): Promise<number[]> {
    const healthy = accesses.filter((_, place) => place < 100 && !deaf.includes(place) && place % 10 !== 0);
    const stop = new AbortController();
    const stalled = deaf.map(async (place) => {
      while (!stop.signal.aborted)
        await power
          .bmc(accesses[place]!)
          .power(stop.signal)
          .catch(() => pause(10));
    });
    const found: number[] = [];
    for (let n = 0; n < rounds; n++) {
      // As the loop does: spread, not in one burst that would measure its own queue.
      await Promise.all(
        healthy.map(async (access, place) => {
          await pause(place * 2);
          const startedAt = performance.now();
          await power.bmc(access).power();
          found.push(performance.now() - startedAt);
        }),
      );
    }
    stop.abort(new Error('measured'));
    await Promise.all(stalled);
    return found;
  },
};

process.send?.('ready');
process.on('message', async (order: Order) => {
  process.send?.(await orders[order.what](order as never));
});
process.on('disconnect', () => process.exit(0));
