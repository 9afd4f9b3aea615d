/** What a new definition does to a resource that is there: pure, so that a plan and the engine cannot disagree. */
import type { PropertySchemas } from '../language/index.ts';
import type { Plain } from '../model.ts';
import type { Properties } from './state.ts';

export type Verdict =
  | { readonly kind: 'keep' }
  /** Its making was cut short from outside, and nothing about it has changed: it goes on. */
  | { readonly kind: 'resume' }
  | { readonly kind: 'update'; readonly changed: readonly string[] }
  | { readonly kind: 'replace'; readonly because: string; readonly changed: readonly string[] };

export interface Present {
  readonly type: string;
  readonly action: string;
  readonly status: string;
  readonly properties: Properties;
  readonly metadata: Plain;
  /** Of an update that did not end: what it was to change. */
  readonly unfinished?: readonly string[];
  /** Its action was cut short by a cancel, a time-out or another action; it did not fail by itself. */
  readonly aborted?: boolean;
}

/** What the reason of such a resource begins with, after its action; Heat's words. */
export const abortedText = 'aborted';
export const isAborted = (row: {
  readonly action: string;
  readonly status: string;
  readonly reason: string;
}): boolean => row.status === 'FAILED' && row.reason.startsWith(`${row.action} ${abortedText}`);

export interface Wanted {
  readonly type: string;
  readonly properties: Properties;
  readonly metadata: Plain;
  readonly schemas: PropertySchemas;
  /** Whether the type can be changed in place at all. */
  readonly updatable: boolean;
}

export function same(a: Plain | undefined, b: Plain | undefined): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null || a === undefined || b === undefined)
    return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, i) => same(item, b[i]));
  }
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => key in b && same(a[key], b[key]));
}

export function judge(present: Present, wanted: Wanted): Verdict {
  const names = new Set([...Object.keys(present.properties), ...Object.keys(wanted.properties)]);
  const differs = (name: string) => !same(present.properties[name] ?? null, wanted.properties[name] ?? null);
  const unfinished = present.status === 'COMPLETE' ? [] : (present.unfinished ?? []);
  const changed = [...names].filter((name) => differs(name) || unfinished.includes(name));
  if (present.type !== wanted.type) return { kind: 'replace', because: 'type', changed };
  const untouched = changed.length === 0 && same(present.metadata, wanted.metadata);
  if (present.aborted && present.action === 'CREATE' && untouched) return { kind: 'resume' };
  // A resource that never came to be, or was marked unhealthy, is made anew; a failed update is tried again.
  if (present.status !== 'COMPLETE' && present.action !== 'UPDATE')
    return { kind: 'replace', because: `it is ${present.action}_${present.status}`, changed };
  const fixed = changed.find((name) => wanted.schemas[name]?.update_allowed !== true);
  if (fixed !== undefined) return { kind: 'replace', because: fixed, changed };
  const metadata = !same(present.metadata, wanted.metadata);
  if (changed.length === 0 && !metadata && present.status === 'COMPLETE') return { kind: 'keep' };
  if (!wanted.updatable && changed.length > 0) return { kind: 'replace', because: changed[0] as string, changed };
  return { kind: 'update', changed };
}
