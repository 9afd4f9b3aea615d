/**
 * What consoles and virtual BMCs cost: a thousand BMCs of ours in one process beside ipmi_sim, each with a kept session that is polled;
 * and recording a console (files, index of times, milestones) beside util-linux's `script`, which only writes a file.
 */
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensurePackages } from '../../../bootstrap/packages.ts';
import { ConsoleLog } from '../../../services/baremetal/console/log.ts';
import { readLog } from '../../../services/baremetal/console/log-read.ts';
import { MilestoneReader } from '../../../services/baremetal/console/milestones.ts';
import { systemClock } from '../../../services/core/clock.ts';
import { createIpmiTransport, openIpmiSocket } from '../../../services/ipmi/index.ts';
import { type Child, measure, start } from '../power/children.ts';
import type { Bench } from '../row.ts';
import { startSimulator } from './simulator.ts';

interface Ready {
  addresses: readonly string[];
  port: number;
}
interface Cost {
  cpuMs: number;
  grownKb: number;
  sessions: number;
}

const thousand = 1_000;
/** Of the 112 places that ipmi_sim has, those that answered every time here. */
const simulated = 16;
const recordedMb = 32;
const log = (text: string) => console.error(text);

/** Asks each who it is (ipmi_sim knows no power without its hook) over a kept session; `polled` measures the next rounds alone. */
async function polls(at: Ready, rounds: number, cpuMs: () => Promise<number>): Promise<number> {
  const socket = await openIpmiSocket();
  const ipmi = createIpmiTransport({ socket });
  const sessions = at.addresses.map((host) =>
    ipmi.session({ host, port: at.port, user: 'admin', password: 'secret', suites: [3], keepAlive: 0 }),
  );
  const round = async () => {
    for (let from = 0; from < sessions.length; from += 100)
      await Promise.all(sessions.slice(from, from + 100).map((session) => session.deviceId({ deadline: 20_000 })));
  };
  await round();
  const before = await cpuMs();
  for (let n = 0; n < rounds; n++) await round();
  const cost = ((await cpuMs()) - before) / (rounds * sessions.length);
  await ipmi.close({ deadline: 2_000 });
  socket.close();
  return cost;
}

/** Lines as a kernel prints them, with a milestone among each thousand. */
function bootLog(bytes: number): Buffer {
  const lines: string[] = [];
  let length = 0;
  for (let n = 0; length < bytes; n++) {
    const line =
      n % 1_000 === 7
        ? `[${(n / 100).toFixed(6).padStart(12)}] Linux version 6.1.0 (${n})\r\n`
        : `[${(n / 100).toFixed(6).padStart(12)}] systemd[1]: Starting service number ${n} of many, as the journal tells it...\r\n`;
    lines.push(line);
    length += line.length;
  }
  return Buffer.from(lines.join(''));
}

async function recording(directory: string, text: Buffer): Promise<number> {
  const recorder = new ConsoleLog({ directory, mostBytes: 8 * 1_048_576, clock: systemClock });
  const reader = new MilestoneReader();
  const before = process.cpuUsage();
  let found = 0;
  // SOL brings 200 characters at a time.
  for (let at = 0; at < text.length; at += 200) {
    const piece = text.subarray(at, at + 200);
    found += reader.read(piece, recorder.end).length;
    recorder.append(piece);
    if (at % 1_000_000 === 0) await recorder.flush();
  }
  await recorder.flush();
  const { user, system } = process.cpuUsage(before);
  log(`${found} milestones, log ends at ${recorder.end}`);
  return (user + system) / 1_000 / (text.length / 1e6);
}

export const bench: Bench = async (report) => {
  await ensurePackages(['lab']);
  const scratch = mkdtempSync(join(tmpdir(), 'uc-bench-consoles-'));
  const simulator = await startSimulator(simulated);
  let ours: Child<Ready> | undefined;
  try {
    const child = await start<Ready>(new URL('./bmcs.ts', import.meta.url).href, [String(thousand)]);
    ours = child;
    const cost = () => child.ask<Cost>({});
    const ourPoll = await polls(child.ready, 10, async () => (await cost()).cpuMs);
    const after = await cost();
    const theirPoll = await polls(simulator, 300, async () => simulator.cpuMs());
    log(
      `${after.grownKb.toFixed(0)} KB for ${thousand} BMCs of ours, ipmi_sim ${simulator.residentKb()} KB for ${simulated}`,
    );
    report({
      name: 'bmc_memory_kb',
      ours: after.grownKb / thousand,
      peer: simulator.residentKb() / simulated,
      better: 'lower',
    });
    report({ name: 'bmc_poll_cpu_ms', ours: ourPoll, peer: theirPoll, better: 'lower' });

    const text = bootLog(recordedMb * 1_048_576);
    const file = join(scratch, 'said');
    writeFileSync(file, text);
    const ourRecord = await recording(join(scratch, 'log'), text);
    const script = await measure('script', ['-q', '-c', `cat ${file}`, join(scratch, 'typescript')]);
    if (statSync(join(scratch, 'typescript')).size < text.length) throw new Error('script did not record everything');
    report({
      name: 'console_record_cpu_ms_mb',
      ours: ourRecord,
      peer: script.cpuMs / (text.length / 1e6),
      better: 'lower',
    });

    const began = process.cpuUsage();
    const page = await readLog(join(scratch, 'log'), { limit: 100, search: 'linux version' });
    const { user, system } = process.cpuUsage(began);
    const grep = await measure('grep', ['-ic', 'linux version', file], 5);
    log(`search: ${page.lines.length} lines of ${page.end - page.first} bytes`);
    report({
      name: 'log_search_cpu_ms_mb',
      ours: (user + system) / 1_000 / ((page.end - page.first) / 1e6),
      peer: grep.cpuMs / 5 / (text.length / 1e6),
      better: 'lower',
    });
  } finally {
    ours?.end();
    simulator.end();
    rmSync(scratch, { recursive: true, force: true });
  }
};
