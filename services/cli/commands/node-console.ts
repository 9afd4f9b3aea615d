/** `undercloud node console`: the serial console over the API, from any machine, and what was recorded of it. */
import type { Command } from 'commander';
import { fault } from '../../core/errors/index.ts';
import { runConsole } from '../console-session.ts';
import { consoleTerminal } from '../console-terminal.ts';
import { action, type Session } from '../program.ts';

interface ConsoleFlags {
  watch?: boolean;
  takeOver?: boolean;
  log?: boolean;
  search?: string;
  since?: string;
  until?: string;
  from?: string;
  limit?: string;
}

interface LogPage {
  lines: { offset: number; at: string | null; text: string }[];
  first_offset: number;
  end_offset: number;
  next_offset: number | null;
}

const units: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const ofLog = ['search', 'since', 'until', 'from', 'limit'] as const;

/** `10m` ago, or a time that a Date reads. @throws Fault `usage` */
export function momentOf(flag: string, text: string, now = Date.now()): string {
  const [, count, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const at = count !== undefined && unit !== undefined ? now - Number(count) * (units[unit] ?? 0) : Date.parse(text);
  if (Number.isNaN(at))
    throw fault('usage', {
      reason: `${flag} is a time (2026-11-21T03:04:05Z) or an age (30s, 10m, 2h, 1d), not ${text}.`,
    });
  return new Date(at).toISOString();
}

export function nodeConsoleCommand(node: Command): void {
  node
    .command('console')
    .argument('<node>', 'name or uuid')
    .option('--watch', 'look on; nothing that is typed reaches the machine')
    .option('--take-over', 'take the writer’s place, and the console itself from whoever holds it at the BMC')
    .option('--log', 'what was recorded, instead of a live console')
    .option('--search <text>', 'with --log: lines with this text, in letters of either case')
    .option('--since <time>', 'with --log: from then on; a time, or an age such as 10m')
    .option('--until <time>', 'with --log: until then')
    .option('--from <offset>', 'with --log: from this place on, as the timeline names it')
    .option('--limit <n>', 'with --log: lines (default 1000; the newest, or with --since and --from the oldest)')
    .description('the serial console; `~.` after a new line leaves, `~?` helps')
    .action(
      action(async (session, name: string, flags: ConsoleFlags) => {
        if (flags.log) return showLog(session, name, flags);
        const stray = ofLog.find((flag) => flags[flag] !== undefined);
        if (stray) throw fault('usage', { reason: `--${stray} belongs to --log.` });
        if (session.output.json) throw fault('usage', { reason: 'A live console is no JSON; with --log it is.' });
        const signal = session.interrupted;
        const cloud = await session.cloud();
        const terminal = consoleTerminal();
        try {
          await runConsole(cloud, terminal, {
            node: name,
            watch: flags.watch === true,
            takeOver: flags.takeOver === true,
            signal,
          });
        } finally {
          terminal.restore();
        }
        return undefined;
      }),
    );
}

async function showLog(session: Session, name: string, flags: ConsoleFlags): Promise<undefined> {
  if (flags.watch || flags.takeOver)
    throw fault('usage', { reason: '--watch and --take-over are for a live console, --log is for what was.' });
  const query = new URLSearchParams();
  for (const flag of ['from', 'limit'] as const) {
    const value = flags[flag];
    if (value === undefined) continue;
    if (!/^\d{1,15}$/.test(value)) throw fault('usage', { reason: `--${flag} is a whole number, not ${value}.` });
    query.set(flag, value);
  }
  if (flags.search !== undefined) query.set('search', flags.search);
  if (flags.since !== undefined) query.set('since', momentOf('--since', flags.since));
  if (flags.until !== undefined) query.set('until', momentOf('--until', flags.until));
  const cloud = await session.cloud();
  const page = await cloud.get<LogPage>('baremetal', `/v1/nodes/${encodeURIComponent(name)}/console/log?${query}`);
  session.output.result(page, () =>
    page.lines.length > 0
      ? page.lines.map(({ at, text }) => `${at ?? ''.padEnd(24)}  ${text}`)
      : page.end_offset === 0
        ? 'Nothing was recorded yet; what is recorded when is in the guide on consoles.'
        : 'No line of the log is like that.',
  );
  if (page.next_offset !== null) session.output.progress(`There is more: go on with --from ${page.next_offset}.`);
  return undefined;
}
