/** What a node is doing, as `GET /v1/nodes/{id}/activity` tells it, and as a row of a board. */
import type { Row } from './board.ts';
import type { Client } from './client.ts';
import { duration } from './output.ts';
import {
  type Progress,
  progressOf,
  progressText,
  record,
  time,
  type Wait,
  waitClock,
  waitOf,
  waitText,
} from './waits.ts';

export interface Doing {
  readonly operation: string;
  readonly kind: string;
  readonly title: string;
  readonly startedAt: number | null;
  readonly stepStartedAt: number | null;
  readonly waiting: Wait | null;
  readonly progress: Progress | null;
  readonly error: string | null;
}

export interface Done {
  readonly operation: string;
  readonly kind: string;
  readonly state: string;
  readonly error: string | null;
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
}

export interface NodeActivity {
  readonly now: Doing | null;
  /** The newest operation, ended or not. */
  readonly last: Done | null;
}

const text = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null);

/** Also of servers, whose `activity` has the same fields in Nova's spelling. */
export function doingOf(value: unknown): Doing | null {
  const fields = record(value);
  if (!fields) return null;
  const error = record(fields.error);
  return {
    operation: text(fields.operation) ?? '',
    kind: text(fields.kind) ?? '',
    title: text(fields.title) ?? text(fields.step) ?? text(fields.kind) ?? '',
    startedAt: time(fields.started_at ?? fields.startedAt),
    stepStartedAt: time(fields.step_started_at ?? fields.stepStartedAt),
    waiting: waitOf(fields.waiting),
    progress: progressOf(fields.progress),
    error: text(error?.message) ?? text(fields.error),
  };
}

function doneOf(value: unknown): Done | null {
  const fields = record(value);
  if (!fields) return null;
  return {
    operation: text(fields.operation) ?? '',
    kind: text(fields.kind) ?? '',
    state: text(fields.state) ?? '',
    error: text(fields.error),
    startedAt: time(fields.started_at),
    finishedAt: time(fields.finished_at),
  };
}

/** Undefined when neither the node nor a memory of it is there. */
export async function nodeActivity(cloud: Client, node: string): Promise<NodeActivity | undefined> {
  const body = await cloud.find<Record<string, unknown>>('baremetal', `/v1/nodes/${encodeURIComponent(node)}/activity`);
  return body && { now: doingOf(body.activity), last: doneOf(body.last) };
}

/** `write the image: waits for the agent to …`, and the clock beside it. */
export function doingText(doing: Doing, now: number): { text: string; clock: string } {
  const { title, waiting, progress } = doing;
  const clocks = [
    progress && progressText(progress),
    waiting ? waitClock(waiting, now) : doing.stepStartedAt !== null ? duration(now - doing.stepStartedAt) : null,
  ];
  return {
    text: waiting ? `${title}: ${waitText(waiting, now)}` : title,
    clock: clocks.filter(Boolean).join(', '),
  };
}

/** A node on the way to something. `arrived`: what it is when there is nothing more to do. */
export function nodeRow(
  node: { key: string; name: string; since: number },
  activity: NodeActivity | undefined,
  arrived: string | null,
  now: number,
): Row {
  const base = { key: node.key, name: node.name };
  const { now: doing, last } = activity ?? { now: null, last: null };
  if (doing) {
    const { text: words, clock } = doingText(doing, now);
    return {
      ...base,
      state: 'running',
      text: words,
      clock,
      fields: { node: node.key, step: doing.title, ...(doing.waiting && { waiting: doing.waiting }) },
    };
  }
  const ended = last?.finishedAt ?? now;
  const clock = duration(ended - (last?.startedAt ?? node.since));
  if (last?.state === 'failed' && arrived === null)
    return { ...base, state: 'failed', text: last.error ?? 'failed', clock, fields: { node: node.key } };
  return { ...base, state: 'done', text: arrived ?? 'done', clock, fields: { node: node.key } };
}
