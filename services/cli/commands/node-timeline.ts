/** `undercloud node timeline`: what has happened to a node, with durations and causes, in words. */
import { setTimeout as wait } from 'node:timers/promises';
import { styleText } from 'node:util';
import type { Command } from 'commander';
import { fault } from '../../core/errors/index.ts';
import { eventSentence, type TimelineEvent } from '../event-sentences.ts';
import { duration } from '../output.ts';
import { action } from '../program.ts';

interface TimelineFlags {
  follow?: boolean;
  limit: string;
  all?: boolean;
}

/** Told by the operation's own steps already; a thousand lines of them hide the story. */
const quiet = new Set(['bmc.command', 'node.agent-heartbeat', 'http.progress']);
const followMs = 700;
const worthTellingMs = 50;
/** As many as are kept of a node. */
const mostEvents = 10_000;

const noise = (event: TimelineEvent): boolean =>
  quiet.has(event.kind) && !event.data.error && event.data.first !== true && !(Number(event.data.attempts) > 1);

function clock(at: number, before: number | null): string {
  const stamp = new Date(at).toISOString();
  const day = stamp.slice(0, 10);
  const sameDay = before !== null && new Date(before).toISOString().slice(0, 10) === day;
  return sameDay ? stamp.slice(11, 23) : `${day} ${stamp.slice(11, 23)}`;
}

/** `operation baremetal.deploy UUID` → `baremetal.deploy`: which one of them is seen from the lines before. */
const causeWords = (cause: string): string => cause.replace(/^operation (\S+) [0-9a-f-]{36}$/, '$1');

/** One line an event; `+` is the time since the line before. */
export function timelineLines(events: readonly TimelineEvent[], before: number | null = null): string[] {
  let last = before;
  return events.map((event) => {
    const at = Date.parse(event.at);
    const gap = last === null ? '' : `+${duration(at - last)}`;
    const took = (event.duration_ms ?? 0) < worthTellingMs ? '' : ` [took ${duration(event.duration_ms ?? 0)}]`;
    const cause = event.cause ? styleText('dim', ` ← ${causeWords(event.cause)}`) : '';
    const stamp = clock(at, last);
    last = at;
    const words = eventSentence(event.kind, event.data).replace(/\s*\n\s*/g, ' ');
    return `${stamp.padStart(12)}  ${gap.padStart(12)}  ${words}${took}${cause}`;
  });
}

export function nodeTimelineCommand(node: Command): void {
  node
    .command('timeline')
    .argument('<node>', 'name or uuid')
    .option('-f, --follow', 'go on with what happens from now, until Ctrl-C')
    .option('--limit <n>', 'the newest so many events', '200')
    .option('--all', 'also each healthy BMC command, heartbeat and download progress')
    .description('what has happened to a node, with durations and causes')
    .action(
      action(async (session, name: string, flags: TimelineFlags) => {
        const limit = Number(flags.limit);
        if (!Number.isInteger(limit) || limit < 1 || limit > mostEvents)
          throw fault('usage', { reason: `--limit is a whole number from 1 to ${mostEvents}, not ${flags.limit}.` });
        const cloud = await session.cloud();
        const path = `/v1/nodes/${encodeURIComponent(name)}/timeline`;
        const look = async (query: string): Promise<TimelineEvent[]> =>
          (await cloud.get<{ events: TimelineEvent[] }>('baremetal', `${path}?${query}`)).events;
        const wanted = (events: TimelineEvent[]) => (flags.all ? events : events.filter((event) => !noise(event)));

        // What is left out must not crowd out what is asked for.
        const first = await look(`limit=${flags.all ? limit : Math.min(mostEvents, limit * 20)}`);
        const shown = wanted(first).slice(-limit);
        if (!flags.follow) {
          session.output.result(shown, () => (shown.length > 0 ? timelineLines(shown) : 'Nothing has happened yet.'));
          return undefined;
        }
        session.goesOn('Nothing was stopped but the watching.');
        let after = first.at(-1)?.id ?? 0;
        let last: number | null = null;
        const print = (events: TimelineEvent[]) => {
          if (session.output.json) for (const event of events) process.stdout.write(`${JSON.stringify(event)}\n`);
          else for (const line of timelineLines(events, last)) process.stdout.write(`${line}\n`);
          const newest = events.at(-1);
          if (newest) last = Date.parse(newest.at);
        };
        print(shown);
        for (;;) {
          await wait(followMs, undefined, { signal: session.interrupted });
          const events = await look(`limit=1000&after=${after}`);
          after = events.at(-1)?.id ?? after;
          print(wanted(events));
        }
      }),
    );
}
