/** What something waits on, in one sentence: since when, how long that usually takes, and the remedy once it is overdue. */
import { bytes, duration } from './output.ts';

export interface Wait {
  /** Completes "waits for …". */
  readonly on: string;
  readonly since: number | null;
  readonly usualSeconds: number | null;
  readonly remedy: string;
}

export interface Progress {
  readonly done: number;
  readonly total: number;
  readonly unit: string;
}

type Fields = Readonly<Record<string, unknown>>;

export const record = (value: unknown): Fields | null =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : null;

/** Milliseconds of an ISO date; null for what is none. Heat's dates have no zone and are UTC. */
export function time(value: unknown): number | null {
  if (typeof value !== 'string' || value === '') return null;
  const at = Date.parse(/(Z|[+-]\d\d:?\d\d)$/.test(value) ? value : `${value}Z`);
  return Number.isNaN(at) ? null : at;
}

/** Services answer in their dialect's spelling: `usual_seconds` with Ironic's and Heat's, `usualSeconds` with Nova's. */
export function waitOf(value: unknown): Wait | null {
  const wait = record(value);
  if (!wait || typeof wait.on !== 'string') return null;
  const usual = wait.usual_seconds ?? wait.usualSeconds;
  return {
    on: wait.on,
    since: time(wait.since),
    usualSeconds: typeof usual === 'number' ? usual : null,
    remedy: typeof wait.remedy === 'string' ? wait.remedy : '',
  };
}

export function progressOf(value: unknown): Progress | null {
  const progress = record(value);
  if (!progress || typeof progress.done !== 'number' || typeof progress.total !== 'number') return null;
  return { done: progress.done, total: progress.total, unit: String(progress.unit ?? '') };
}

/** Twice the usual is no longer noise; what is usually quick gets some seconds more. */
const graceMs = 5_000;
/** Without experience, a wait is worth a look after this. */
const unknownUsualMs = 180_000;

export function isOverdue(wait: Wait, now: number): boolean {
  if (wait.since === null) return false;
  const allowed = wait.usualSeconds === null ? unknownUsualMs : wait.usualSeconds * 2000 + graceMs;
  return now - wait.since > allowed;
}

/** What does not change while it waits, but for the remedy that comes when it is overdue. */
export function waitText(wait: Wait, now: number): string {
  return `waits for ${wait.on}${isOverdue(wait, now) && wait.remedy ? `; overdue: ${wait.remedy}` : ''}`;
}

export function waitClock(wait: Wait, now: number): string {
  const since = wait.since === null ? '' : duration(now - wait.since);
  return wait.usualSeconds === null ? since : `${since} of usually ${duration(wait.usualSeconds * 1000)}`.trim();
}

export function progressText({ done, total, unit }: Progress): string {
  const share = total > 0 ? `${Math.floor((100 * Math.min(done, total)) / total)} %` : '';
  const amount = /^b(ytes)?$/i.test(unit) ? `${bytes(done)} of ${bytes(total)}` : `${done} of ${total} ${unit}`.trim();
  return `${share} (${amount})`.trim();
}
