// Answers that are not there yet: 202 with a task monitor (DSP0266, "Asynchronous operations"). Pure.
import { type Message, messagesOf } from './message.ts';
import { at, linkOf, list, object, pathOf, type Resource, text } from './resource.ts';

export interface HttpHead {
  readonly status: number;
  /** Names in small letters. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Seconds of Retry-After, or an HTTP date held against the answer's own Date: our clock and the BMC's differ. Milliseconds. */
export function retryAfterMs(headers: Readonly<Record<string, string>>): number | null {
  const given = headers['retry-after'];
  if (given === undefined) return null;
  if (/^\d{1,6}$/.test(given.trim())) return Number(given) * 1000;
  const until = Date.parse(given);
  const now = Date.parse(headers.date ?? '');
  return Number.isNaN(until) || Number.isNaN(now) ? null : Math.max(0, until - now);
}

/** Where to ask after a 202: Location, the body’s TaskMonitor, or the task itself. Null: the BMC says no more. */
export const monitorOf = (headers: Readonly<Record<string, string>>, body: Resource): string | null =>
  pathOf(headers.location) ?? linkOf(body.TaskMonitor) ?? (isTask(body) ? pathOf(body['@odata.id']) : null);

const isTask = (body: Resource): boolean =>
  text(body.TaskState) !== null || text(body.JobState) !== null || /#(Task|.*Job)\./.test(String(body['@odata.type']));

export type TaskLook =
  | { readonly state: 'running'; readonly percent: number | null; readonly waitMs: number | null }
  /** It will happen at the next reset: nothing to wait for. */
  | { readonly state: 'scheduled' }
  | { readonly state: 'done' }
  | { readonly state: 'failed'; readonly said: string; readonly messages: readonly Message[] };

/** TaskState and Dell’s JobState → what it comes to. What is not named here is running. */
const states: Readonly<Record<string, 'done' | 'failed' | 'scheduled'>> = {
  Completed: 'done',
  Exception: 'failed',
  Killed: 'failed',
  Cancelled: 'failed',
  Interrupted: 'failed',
  Failed: 'failed',
  CompletedWithErrors: 'failed',
  RebootFailed: 'failed',
  Scheduled: 'scheduled',
  Pending: 'scheduled',
};

const mostMessages = 8;

/**
 * What an answer of a task monitor (or of the task, which some BMCs name as its own monitor and answer with 200 from the first
 * moment) says. `first`: nothing was heard of the task before, so that a missing one is a fault rather than its end.
 */
export function lookAtTask(head: HttpHead, body: Resource, first: boolean): TaskLook {
  if (head.status === 404 || head.status === 410)
    return first ? { state: 'failed', said: 'its task is not there', messages: [] } : { state: 'done' };
  if (head.status >= 400) {
    const messages = messagesOf(body);
    return { state: 'failed', said: messages[0]?.text ?? `status ${head.status}`, messages };
  }
  const named = text(body.TaskState) ?? text(body.JobState);
  const state = named === null ? undefined : states[named];
  if (named !== null && state === undefined)
    return { state: 'running', percent: percentOf(body), waitMs: retryAfterMs(head.headers) };
  if (state === 'failed') {
    const messages = [...messagesOf({ '@Message.ExtendedInfo': list(body.Messages).slice(0, mostMessages) })];
    const said = messages.at(-1)?.text ?? text(body.Message) ?? named ?? 'no reason given';
    return { state, said, messages };
  }
  if (state === 'done') {
    // A task may end well in its state and badly in its status.
    const status = text(body.TaskStatus);
    if (status === 'Critical') {
      const messages = messagesOf({ '@Message.ExtendedInfo': list(body.Messages) });
      return { state: 'failed', said: messages.at(-1)?.text ?? 'it ended with status Critical', messages };
    }
    return { state };
  }
  if (state === 'scheduled') return { state };
  return head.status === 202
    ? { state: 'running', percent: null, waitMs: retryAfterMs(head.headers) }
    : { state: 'done' };
}

function percentOf(body: Resource): number | null {
  const percent = at(object(body), 'PercentComplete');
  return typeof percent === 'number' ? percent : null;
}
