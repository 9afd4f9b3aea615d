/**
 * What perfdhcp asks of a server, and what became of it. It has a processor of its own, and one thread there, as its manual advises for
 * one processor: with two, the one that sends keeps the one that receives from emptying its socket.
 */
import { readFileSync } from 'node:fs';
import { serverAddress, type Wire } from '../network/wire.ts';

const processor = 1;

export interface Load {
  /** Exchanges a second that are offered, how many clients ask in turn, and how long or how many. */
  readonly rate: number;
  readonly clients: number;
  readonly seconds?: number | undefined;
  readonly exchanges?: number | undefined;
  /** The first client's MAC: another one makes clients that were never seen. */
  readonly mac: string;
}

export interface Server {
  readonly name: string;
  readonly wire: Wire;
  /** Seconds of CPU so far. */
  cpu(): number;
}

export interface Result {
  /** Offered, exchanges a second. */
  readonly rate: number;
  /** Of the exchanges that were begun, the part that came to their end. */
  readonly answered: number;
  readonly cpuUs: number;
}

export async function measure(server: Server, load: Load): Promise<Result> {
  const before = server.cpu();
  const { sent, received } = await offerLoad(server.wire, load);
  const cpuUs = ((server.cpu() - before) * 1e6) / Math.max(1, received);
  const answered = received / Math.max(1, sent);
  const busy = readFileSync('/proc/loadavg', 'utf8').split(' ')[0];
  console.error(
    `${server.name}: ${load.rate}/s of ${load.clients} clients: ${received} exchanges, ${(100 * answered).toFixed(2)} % of those begun, ${cpuUs.toFixed(1)} µs each, load ${busy}`,
  );
  return { rate: load.rate, answered, cpuUs };
}

/** Less than this is lost at a rate that a server sustains. */
const lostAtMost = 0.01;
const search = { from: 4_000, to: 32_000, step: 1_000 };

/**
 * The highest rate, in steps of a thousand a second, at which each server answers at least 99 % of all exchanges. Halving, each server
 * for itself but by turns; a rate is tried again once, since another program's moment is not the server's fault.
 */
export async function mostSustained(servers: readonly Server[], load: Omit<Load, 'rate'>): Promise<Result[]> {
  const ranges = servers.map((server) => ({
    server,
    low: search.from,
    high: search.to,
    best: { rate: 0, answered: 0, cpuUs: 0 } as Result,
  }));
  for (;;) {
    const open = ranges.filter(({ low, high }) => high - low > search.step);
    if (open.length === 0) return ranges.map(({ best }) => best);
    for (const range of open) {
      const rate = Math.round((range.low + range.high) / 2 / search.step) * search.step;
      const isMet = ({ answered }: Result) => answered >= 1 - lostAtMost;
      let result = await measure(range.server, { ...load, rate });
      if (!isMet(result)) result = await measure(range.server, { ...load, rate });
      if (isMet(result)) {
        range.low = rate;
        range.best = result;
      } else range.high = rate;
    }
  }
}

/** Exchanges that were begun, and those that came to their end. */
export async function offerLoad(
  wire: Wire,
  { rate, clients, seconds, exchanges, mac }: Load,
): Promise<{ readonly sent: number; readonly received: number }> {
  const until = exchanges === undefined ? ['-p', String(seconds)] : ['-n', String(exchanges)];
  const words = ['perfdhcp', '-4', '-g', 'single', '-l', wire.device, '-r', String(rate), '-R', String(clients)];
  const text = await wire.ask(processor, [...words, ...until, '-b', `mac=${mac}`, '-W', '1000000', serverAddress]);
  const numbers = (pattern: RegExp) => [...text.matchAll(pattern)].map((match) => Number(match[1]));
  // Two of each: DISCOVER to OFFER, REQUEST to ACK.
  return { sent: numbers(/sent packets: (\d+)/g)[0] ?? 0, received: numbers(/received packets: (\d+)/g)[1] ?? 0 };
}
