// Events of a BMC: a stream of server-sent events where it offers one (DSP0266 "Server-sent events"), else subscriptions that it POSTs
// to (EventDestination). Reading both is pure.
import type { AskOptions, RedfishClient } from './client.ts';
import { RedfishError } from './errors.ts';
import { linkOf, list, object, pathOf, type Resource, text } from './resource.ts';

export interface RedfishEvent {
  readonly id: string | null;
  /** `ResourceEvent.1.0.ResourcePoweredOn`. */
  readonly messageId: string;
  readonly text: string;
  readonly severity: string | null;
  /** What it is about. */
  readonly origin: string | null;
  readonly at: string | null;
}

const mostEvents = 256;

/** The records of an Event payload (`#Event`), from a stream or a POST. Anything else is no event. */
export function eventsOf(payload: unknown): RedfishEvent[] {
  return list(object(payload).Events)
    .slice(0, mostEvents)
    .map((one) => {
      const from = object(one);
      return {
        id: text(from.EventId) ?? text(from.MemberId),
        messageId: text(from.MessageId) ?? '',
        text: text(from.Message) ?? '',
        severity: text(from.MessageSeverity) ?? text(from.Severity),
        origin: linkOf(from.OriginOfCondition),
        at: text(from.EventTimestamp),
      };
    });
}

/**
 * Message keys that tell of power: registries ResourceEvent and Platform, Dell, HPE, OpenBMC. Others that name the system may do so
 * too (`ResourceChanged`), which is why an event is a reason to look and never the truth itself.
 */
const powerKeys =
  /(ResourcePoweredOn|ResourcePoweredOff|ResourcePoweringOn|ResourcePoweringOff|ResourceChanged|StatusChange|PowerStateChanged|ServerPoweredOn|ServerPoweredOff|SystemPowerOn|SystemPowerOff|HostStateChanged|DCPowerOn|DCPowerOff|SYS10(00|01|03|52)|PSU50\d|Power(ed)?O(n|ff))/i;

export const tellsOfPower = (event: RedfishEvent): boolean => powerKeys.test(event.messageId);

const mostBuffered = 1024 * 1024;

/** Splits a text/event-stream into the `data` of each event (WHATWG HTML 9.2.6). An event over 1 MiB is dropped. */
export class EventSplitter {
  #rest = '';
  #data: string[] = [];
  #held = 0;

  feed(chunk: string): string[] {
    const whole = this.#rest + chunk;
    // A CR at the end may be half of a CRLF.
    const lines = whole.split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? '';
    if (this.#rest.length > mostBuffered) this.#rest = '';
    const found: string[] = [];
    for (const line of lines) {
      if (line === '') {
        if (this.#data.length > 0 && this.#held <= mostBuffered) found.push(this.#data.join('\n'));
        this.#data = [];
        this.#held = 0;
      } else if (line.startsWith('data:')) {
        this.#held += line.length;
        if (this.#held <= mostBuffered) this.#data.push(line.slice(line[5] === ' ' ? 6 : 5));
      }
    }
    return found;
  }
}

export interface EventService {
  readonly stream: string | null;
  readonly subscriptions: string | null;
}

export async function eventService(client: RedfishClient, root: Resource, options: AskOptions): Promise<EventService> {
  const path = linkOf(root.EventService);
  if (path === null) return { stream: null, subscriptions: null };
  const { json } = await client.get(path, options);
  if (json.ServiceEnabled === false) return { stream: null, subscriptions: null };
  return { stream: pathOf(json.ServerSentEventUri), subscriptions: linkOf(json.Subscriptions) };
}

/** Events as they come, until the BMC ends the stream, the signal, or `close`. @throws RedfishError refused and the transport's */
export async function* listen(
  client: RedfishClient,
  stream: string,
  options: { readonly signal?: AbortSignal },
): AsyncGenerator<RedfishEvent[]> {
  const splitter = new EventSplitter();
  for await (const chunk of client.stream(stream, { ...options, step: 'listen to its events' })) {
    for (const data of splitter.feed(chunk)) {
      let payload: unknown;
      try {
        payload = JSON.parse(data);
      } catch {
        continue;
      }
      const events = eventsOf(payload);
      if (events.length > 0) yield events;
    }
  }
}

const mostSubscriptions = 100;

/** Paths of those subscriptions whose destination begins so. */
export async function subscriptionsOf(
  client: RedfishClient,
  subscriptions: string,
  prefix: string,
  options: AskOptions,
): Promise<string[]> {
  const { json } = await client.get(subscriptions, options);
  const found: string[] = [];
  for (const member of list(json.Members).slice(0, mostSubscriptions)) {
    const path = linkOf(member);
    if (path === null) continue;
    // One that has gone meanwhile, or that only its maker may read, is none of ours.
    const one = await client.get(path, options).catch((error) => {
      if (error instanceof RedfishError && (error.status === 404 || error.status === 403)) return null;
      throw error;
    });
    if ((text(one?.json.Destination) ?? '').startsWith(prefix)) found.push(path);
  }
  return found;
}

/** Has the BMC POST its events to `destination`; returns the subscription's path, which `client.delete` ends. */
export async function subscribe(
  client: RedfishClient,
  subscriptions: string,
  wanted: { readonly destination: string; readonly context: string },
  options: AskOptions,
): Promise<string> {
  const { headers, json } = await client.post(
    subscriptions,
    { Destination: wanted.destination, Context: wanted.context, Protocol: 'Redfish', EventFormatType: 'Event' },
    options,
  );
  const path = pathOf(headers.location) ?? pathOf(json['@odata.id']);
  if (path === null) throw new RedfishError('bad-response', 'it took the subscription and does not say where it is');
  return path;
}
