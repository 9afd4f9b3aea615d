// The BMC's log of the machine (DSP0268 LogService, LogEntry).
import type { AskOptions, RedfishClient } from './client.ts';
import { RedfishError } from './errors.ts';
import type { Found } from './find.ts';
import { type Action, actionOf, lastOf, linkOf, pathOf, type Resource, text } from './resource.ts';

export interface RedfishLogEntry {
  readonly id: string;
  readonly at: Date | null;
  readonly severity: 'ok' | 'warning' | 'critical';
  readonly source: string;
  readonly text: string;
  readonly messageId: string | null;
}

export interface RedfishLog {
  readonly id: string;
  readonly path: string;
  readonly entries: string;
  readonly clear: Action | null;
  readonly time: string | null;
}

/** Ids of logs of the machine's hardware, the best first: Dell, HPE, Supermicro and Lenovo, OpenBMC. */
const order = [/^sel$/i, /^iml$/i, /^log1$/i, /^(platform|active|standard)log$/i, /^eventlog$/i, /^lclog$/i, /^iel$/i];

const rank = (id: string): number => {
  const place = order.findIndex((pattern) => pattern.test(id));
  return place === -1 ? order.length : place;
};

/** The log that says most of the machine. @throws RedfishError not-supported */
export async function findLog(client: RedfishClient, found: Found, options: AskOptions): Promise<RedfishLog> {
  const logs: RedfishLog[] = [];
  for (const owner of [found.system, ...found.managers, ...found.chassis]) {
    const services = linkOf((await client.get(owner, options)).json.LogServices);
    if (services === null) continue;
    for (const json of await client.members(services, { ...options, most: 16 })) {
      const path = pathOf(json['@odata.id']);
      const entries = linkOf(json.Entries);
      if (path === null || entries === null) continue;
      logs.push({
        id: text(json.Id) ?? lastOf(path),
        path,
        entries,
        clear: actionOf(json, 'LogService.ClearLog', 'LogEntryCodes'),
        time: text(json.DateTime),
      });
    }
    if (logs.some(({ id }) => rank(id) < order.length)) break;
  }
  const [best] = logs.sort((a, b) => rank(a.id) - rank(b.id));
  if (!best) throw new RedfishError('not-supported', 'it has no event log');
  return best;
}

const severities: Readonly<Record<string, RedfishLogEntry['severity']>> = {
  ok: 'ok',
  informational: 'ok',
  repaired: 'ok',
  warning: 'warning',
  caution: 'warning',
  critical: 'critical',
  fatal: 'critical',
};

/** Null for a date before BMCs had Redfish: a clock that was never set. */
export function timeOf(value: unknown): Date | null {
  const given = text(value);
  const at = given === null ? Number.NaN : Date.parse(given);
  return Number.isNaN(at) || at < Date.UTC(2001, 0, 1) ? null : new Date(at);
}

export function logEntryOf(json: Resource): RedfishLogEntry | null {
  const id = text(json.Id) ?? lastOf(pathOf(json['@odata.id']) ?? '');
  if (id === '') return null;
  return {
    id,
    at: timeOf(json.EventTimestamp) ?? timeOf(json.Created),
    severity: severities[(text(json.Severity) ?? 'ok').toLowerCase()] ?? 'ok',
    source: text(json.SensorType) ?? text(json.EntryType) ?? 'event',
    text: text(json.Message) ?? text(json.MessageId) ?? text(json.Name) ?? 'an entry without a text',
    messageId: text(json.MessageId),
  };
}

function isLater(one: RedfishLogEntry, other: RedfishLogEntry): boolean {
  const times = [one, other].map(({ at }) => at?.getTime() ?? 0);
  const [a = 0, b = 0] = times[0] === times[1] ? [Number(one.id), Number(other.id)] : times;
  return a > b;
}

/** Oldest first, whichever way the BMC has them. */
export async function readLog(
  client: RedfishClient,
  log: RedfishLog,
  limit: number,
  options: AskOptions,
): Promise<RedfishLogEntry[]> {
  const entries = (await client.members(log.entries, options)).flatMap((json) => logEntryOf(json) ?? []);
  const first = entries[0];
  const last = entries.at(-1);
  // Only the direction is taken from the times, and from the numbers where all is of one second: entries keep their order.
  if (first && last && isLater(first, last)) entries.reverse();
  return entries.slice(-limit);
}

export async function clearLog(client: RedfishClient, log: RedfishLog, options: AskOptions): Promise<void> {
  if (!log.clear) throw new RedfishError('not-supported', `its log ${log.id} cannot be cleared`);
  await client.post(log.clear.target, {}, options);
}
