/**
 * IPMI power polls beside FreeIPMI's ipmipower (one process, a session for each poll) and ipmitool (a process for each poll), all of
 * them against the same virtual BMCs, which run in a process of their own. All of it on loopback, with cipher suite 3.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensurePackages } from '../../../bootstrap/packages.ts';
import type { Bench } from '../row.ts';
import type { BmcsReady } from './bmcs.ts';
import { type Child, measure, type Stranger, start } from './children.ts';
import type { Cost, FleetCost, Order } from './console.ts';
import { mutatedPackets } from './mutated.ts';

const suite = '3';
const hundred = 100;
const thousand = 1_000;

const log = (text: string) => console.error(text);
const percentile = (values: readonly number[], part: number) =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * part))]!;

export const bench: Bench = async (report, { full }) => {
  await ensurePackages(['power']);
  const running: Child<unknown>[] = [];
  const room = mkdtempSync(join(tmpdir(), 'uc-power-'));
  /** A file: ten thousand addresses are more than the kernel takes as one argument. */
  const told = (ready: BmcsReady): string => {
    const file = join(room, `${ready.addresses.length}.json`);
    writeFileSync(file, JSON.stringify(ready));
    return file;
  };
  const keep = <One extends Child<unknown>>(one: One): One => {
    running.push(one);
    return one;
  };
  try {
    const few = keep(await start<BmcsReady>('./bmcs.ts', [String(hundred)]));
    const ours = keep(await start<'ready'>('./console.ts', [told(few.ready), suite]));
    const hosts = few.ready.addresses.map((address) => `${address}:${few.ready.port}`);
    const ask = <Answer>(order: Order) => ours.ask<Answer>(order);

    // Alternating, so that what else the machine does falls on both.
    const rounds = full ? 20 : 5;
    const [polls, sessions, sweeps, strangers, sweptMs]: number[][] = [[], [], [], [], []];
    for (let n = 0; n < rounds; n++) {
      polls!.push((await ask<Cost>({ what: 'polls', rounds: 40 })).cpuMs);
      sessions!.push((await ask<Cost>({ what: 'sessions', count: 2_000 })).cpuMs);
      sweeps!.push((await ask<Cost>({ what: 'sweep', rounds: 15 })).wallMs);
      const ipmipower = await measure('ipmipower', ipmipowerArguments(hosts), 5);
      const answered = ipmipower.output.match(/: (on|off)$/gm)?.length ?? 0;
      if (answered !== 5 * hundred) throw new Error(`ipmipower was answered by ${answered} BMCs of ${5 * hundred}`);
      strangers!.push(ipmipower.cpuMs / answered);
      sweptMs!.push((await measure('ipmipower', ipmipowerArguments(hosts))).wallMs);
    }
    const [address = '', port = ''] = hosts[0]!.split(':');
    const words = [
      '-I',
      'lanplus',
      '-C',
      suite,
      '-H',
      address,
      '-p',
      port,
      '-U',
      'admin',
      '-P',
      'secret',
      'power',
      'status',
    ];
    const ipmitool = (await measure('ipmitool', words, 20)).cpuMs / 20;
    const middle = (values: readonly number[] | undefined) => percentile(values ?? [], 0.5);
    log(`polls ${polls}; sessions ${sessions}; ipmipower ${strangers}; sweeps ${sweeps} against ${sweptMs}`);
    report({ name: 'poll_cpu_ms', ours: middle(polls), peer: middle(strangers), better: 'lower' });
    report({ name: 'poll_cpu_vs_ipmitool_ms', ours: middle(polls), peer: ipmitool, better: 'lower' });
    report({ name: 'session_cpu_ms', ours: middle(sessions), peer: middle(strangers), better: 'lower' });
    report({ name: 'session_cpu_vs_ipmitool_ms', ours: middle(sessions), peer: ipmitool, better: 'lower' });
    report({ name: 'sweep_100_bmcs_ms', ours: middle(sweeps), peer: middle(sweptMs), better: 'lower' });

    // One in ten falls deaf; the peer of the others' slowest hundredth is itself, without the deaf ones. The middle one of the rounds:
    // what else the machine did for a second is one round's.
    const deaf = Array.from({ length: hundred / 10 }, (_, place) => place * 10);
    const [quiet, disturbed]: number[][] = [[], []];
    for (let n = 0; n < (full ? 30 : 10); n++) {
      await few.ask({ deaf: [] });
      quiet!.push(percentile(await ask<number[]>({ what: 'latencies', deaf: [], rounds: 20 }), 0.99));
      await few.ask({ deaf });
      disturbed!.push(percentile(await ask<number[]>({ what: 'latencies', deaf, rounds: 20 }), 0.99));
    }
    log(`slowest hundredth without deaf ones ${quiet}; with them ${disturbed}`);
    report({
      name: 'p99_with_one_in_ten_stalled_ms',
      ours: middle(disturbed),
      peer: middle(quiet),
      better: 'lower',
    });
    ours.end();
    few.end();

    for (const count of full ? [thousand, 10 * thousand] : [thousand]) {
      const many = keep(await start<BmcsReady>('./bmcs.ts', [String(count)]));
      const fleet = keep(await start<'ready'>('./console.ts', [told(many.ready), suite]));
      const order: Order = { what: 'fleet', warmMs: 25_000, forMs: full ? 120_000 : 60_000 };
      const cost = await fleet.ask<FleetCost>(order);
      const allHosts = many.ready.addresses.map((one) => `${one}:${many.ready.port}`);
      // A thousand at a time: its hosts are one argument.
      const parts: Stranger[] = [];
      for (let from = 0; from < count; from += thousand)
        parts.push(await measure('ipmipower', ipmipowerArguments(allHosts.slice(from, from + thousand))));
      const cpuMs = parts.reduce((sum, part) => sum + part.cpuMs, 0);
      log(`the loop looked ${cost.looks} times at ${count} in ${order.forMs} ms, ${cost.failures} of them in vain`);
      if (cost.failures > 0) throw new Error(`${cost.failures} looks of ${cost.looks} failed`);
      report({
        name: `fleet_${count}_every_10_s_cpu_percent`,
        ours: cost.cpuPercent,
        // The same BMCs every ten seconds, of one core.
        peer: (100 * cpuMs) / 10_000,
        better: 'lower',
      });
      report({
        name: `fleet_${count}_memory_mb`,
        ours: cost.residentMb,
        peer: parts.reduce((sum, part) => sum + part.mostMb, 0),
        better: 'lower',
      });
      fleet.end();
      many.end();
    }

    // Throws where a decoder throws. The peer is the same codec reading the same captures unharmed.
    const fuzz = mutatedPackets(full ? 10_000_000 : 1_000_000);
    log(`${fuzz.packets} mutated packets, heap ${fuzz.grownMb.toFixed(1)} MB larger than before`);
    if (fuzz.grownMb > 16) throw new Error(`the heap grew by ${fuzz.grownMb} MB over ${fuzz.packets} packets`);
    report({ name: 'mutated_packets_per_s', ours: fuzz.mutatedPerS, peer: fuzz.truePerS, better: 'higher' });
  } finally {
    for (const child of running) child.end();
    rmSync(room, { recursive: true, force: true });
  }
};

const ipmipowerArguments = (hosts: readonly string[]): string[] => [
  ...['-D', 'LAN_2_0', '-I', suite, '-l', 'ADMIN', '-u', 'admin', '-p', 'secret', '--stat'],
  ...['-h', hosts.join(',')],
];
