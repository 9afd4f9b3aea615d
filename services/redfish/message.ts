// What a BMC says in an answer that is no success: `error` with `@Message.ExtendedInfo` (DSP0266, "Error responses"), and the
// forms that real firmware sends instead. Pure; never throws.
import { list, object, text } from './resource.ts';

export interface Message {
  /** `IDRAC.2.1.PSU501`; empty where there is none. */
  readonly id: string;
  /** `PSU501`: what is compared, since prefix and version differ between vendors and releases. */
  readonly key: string;
  readonly text: string;
  readonly resolution: string | null;
  readonly args: readonly string[];
  /** `TransferProtocolType` of `#/TransferProtocolType` or `/TransferProtocolType`. */
  readonly properties: readonly string[];
  readonly severity: string | null;
}

const mostMessages = 16;
const mostText = 400;

const clipped = (value: string): string => {
  // Control characters would let a BMC write into terminals.
  const clean = value.replace(/[\p{Cc}\s]+/gu, ' ').trim();
  return clean.length > mostText ? `${clean.slice(0, mostText)}…` : clean;
};

function messageOf(value: unknown): Message | null {
  const from = object(value);
  // iLO 4 writes MessageID.
  const id = clipped(text(from.MessageId) ?? text(from.MessageID) ?? '');
  // Dell sends MessageArgs as the text "[]" now and then.
  const args = list(from.MessageArgs).flatMap((arg) => text(arg) ?? []);
  const said = text(from.Message);
  if (id === '' && said === null) return null;
  const key = id.split('.').pop() ?? '';
  return {
    id,
    key,
    // HPE sends the id and the arguments, and no text.
    text: clipped(said ?? (args.length > 0 ? `${key}: ${args.join(', ')}` : key)),
    resolution: text(from.Resolution) === null ? null : clipped(String(from.Resolution)),
    args: args.map(clipped),
    properties: list(from.RelatedProperties).flatMap((one) =>
      typeof one === 'string' ? [one.replace(/^#?\//, '').replaceAll('/', '.')] : [],
    ),
    severity: text(from.MessageSeverity) ?? text(from.Severity),
  };
}

/** Says no more than that there is more. */
const generic = new Set(['GeneralError', 'ExtendedInfo', 'Success']);

/** All messages of a body: from `error.@Message.ExtendedInfo` (list or single object), the body's own annotation, or bare text. */
export function messagesOf(body: unknown): Message[] {
  const whole = object(body);
  const error = object(whole.error);
  const places = [
    error['@Message.ExtendedInfo'],
    whole['@Message.ExtendedInfo'],
    // iLO 3 and 4 before Redfish 1.0.
    whole.Messages,
    error['@Message.ExtendedInfo@odata'],
  ];
  const found: Message[] = [];
  for (const place of places) {
    for (const one of Array.isArray(place) ? place : place === undefined ? [] : [place]) {
      const message = messageOf(one);
      if (message && !found.some(({ id, text }) => id === message.id && text === message.text)) found.push(message);
      if (found.length === mostMessages) return found;
    }
  }
  const own = messageOf({ MessageId: error.code, Message: error.message });
  // What stands outside says more than an id that means "an error", which is all that some put inside.
  if (own && text(error.message) !== null && found.every(({ key, text }) => generic.has(key) && text === key))
    return [own];
  if (found.length > 0) return found;
  if (own) return [own];
  const bare = text(whole.error) ?? text(whole.message) ?? text(whole.Message) ?? text(whole.detail);
  return bare === null ? [] : [{ ...emptyMessage, text: clipped(bare) }];
}

const emptyMessage: Message = { id: '', key: '', text: '', resolution: null, args: [], properties: [], severity: null };

/** One line for people: what the messages say, without the general ones where a particular one is there. */
export function saidIn(messages: readonly Message[]): string {
  const particular = messages.filter(({ key, text }) => !generic.has(key) || !/general error/i.test(text));
  const chosen = (particular.length > 0 ? particular : messages).slice(0, 3);
  return chosen.map(({ text }) => text.replace(/[.\s]+$/, '')).join('; ');
}

export const hasKey = (messages: readonly Message[], ...keys: readonly string[]): boolean =>
  messages.some(({ key }) => keys.includes(key));

/** What a BMC says that is not ready; the same request may be right in seconds. Data: key → whose, and from where it is known. */
export const busyKeys: Readonly<Record<string, string>> = {
  SYS518: 'Dell: iDRAC is not ready. The configuration values cannot be accessed (known from OpenStack’s client)',
  RAC0679: 'Dell: a job operation is already running',
  ServiceTemporarilyUnavailable: 'the registry Base: with seconds as its argument',
  ServiceInUnknownState: 'the registry Base',
  ResourceInStandby: 'the registry Base',
  ServerNotReady: 'HPE: the system’s firmware is still in its self-test',
};

export const isBusy = (messages: readonly Message[]): boolean =>
  messages.some(({ key }) => Object.hasOwn(busyKeys, key));
