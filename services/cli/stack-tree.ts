/** A stack in progress as rows of a board: nested groups indented, each resource with what it waits for. Pure. */
import type { Row, RowState } from './board.ts';
import { duration } from './output.ts';
import { record, time, type Wait, waitClock, waitOf, waitText } from './waits.ts';

export interface TreeResource {
  readonly name: string;
  readonly type: string;
  readonly action: string;
  readonly status: string;
  readonly reason: string;
  readonly physicalId: string | null;
  readonly startedAt: number | null;
  readonly seconds: number | null;
  readonly waiting: Wait | null;
  readonly requires: readonly string[];
  readonly resources: readonly TreeResource[];
}

export interface Tree {
  readonly id: string;
  readonly name: string;
  readonly action: string;
  readonly status: string;
  readonly reason: string;
  readonly step: string | null;
  readonly resources: readonly TreeResource[];
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');

function resourcesOf(value: unknown): TreeResource[] {
  if (!Array.isArray(value)) return [];
  return value.map((item) => {
    const fields = record(item) ?? {};
    return {
      name: text(fields.name),
      type: text(fields.type),
      action: text(fields.action),
      status: text(fields.status),
      reason: text(fields.reason),
      physicalId: text(fields.physical_id) || null,
      startedAt: time(fields.started_at),
      seconds: typeof fields.seconds === 'number' ? fields.seconds : null,
      waiting: waitOf(fields.blocked_on),
      requires: Array.isArray(fields.requires) ? fields.requires.map(String) : [],
      resources: resourcesOf(fields.resources),
    };
  });
}

/** What `GET …/activity` answers. */
export function treeOf(body: unknown): Tree {
  const outer = record(body) ?? {};
  const fields = record(outer.activity) ?? record(outer.stack) ?? outer;
  return {
    id: text(fields.id),
    name: text(fields.name),
    action: text(fields.action),
    status: text(fields.status),
    reason: text(fields.reason),
    step: text(fields.step) || null,
    resources: resourcesOf(fields.resources),
  };
}

export const isSettled = (tree: Pick<Tree, 'status'>): boolean => tree.status !== 'IN_PROGRESS' && tree.status !== '';

const markOf = (one: TreeResource): string => [one.action, one.status, one.physicalId, one.startedAt].join(' ');

/** Names resources by path with what a change would alter; two looks that agree saw no change in between. */
export function marksOf(tree: Tree): Map<string, string> {
  const marks = new Map<string, string>();
  const walk = (list: readonly TreeResource[], prefix: string) => {
    for (const one of list) {
      const path = prefix + one.name;
      marks.set(path, markOf(one));
      walk(one.resources, `${path}.`);
    }
  };
  walk(tree.resources, '');
  return marks;
}

const verbs: Readonly<Record<string, [present: string, past: string]>> = {
  INIT: ['not begun', 'not begun'],
  CREATE: ['creating', 'created'],
  UPDATE: ['updating', 'updated'],
  DELETE: ['deleting', 'deleted'],
  ROLLBACK: ['rolling back', 'rolled back'],
  CHECK: ['checking', 'checked'],
  SUSPEND: ['suspending', 'suspended'],
  RESUME: ['resuming', 'resumed'],
};
export const doing = (action: string): string => verbs[action]?.[0] ?? action.toLowerCase();
export const did = (action: string): string => verbs[action]?.[1] ?? action.toLowerCase();

export interface TreeView {
  /** As the tree was before this change began: what is still so is kept, not done again. */
  readonly before?: ReadonlyMap<string, string>;
  /** Children of what is done are left out. */
  readonly fold: boolean;
  /** When watching began. */
  readonly since: number;
  /** Made readable: URLs as paths. */
  readonly words?: (sentence: string) => string;
}

/** What failed only because something else did: Heat's words for what it cut short. */
const isAborted = (one: TreeResource): boolean => one.status === 'FAILED' && /^[A-Z]+ aborted\b/.test(one.reason);

const stateOf = (one: TreeResource, stack: string): RowState => {
  // On its way out: what failed before has been told, and its turn comes.
  if (stack === 'DELETE' && one.action !== 'DELETE') return 'idle';
  if (one.action === 'INIT') return 'idle';
  if (one.status === 'FAILED') return 'failed';
  return one.status === 'COMPLETE' ? 'done' : 'running';
};

/** More names than these are no help in one line. */
const mostNamed = 5;

const ended = (state: RowState): boolean => state === 'done' || state === 'skipped';

export function treeRows(tree: Tree, view: TreeView, now: number): Row[] {
  const { before, fold, words = (sentence) => sentence } = view;
  const rows: Row[] = [];

  const kept = (one: TreeResource, path: string): boolean =>
    before?.get(path) === markOf(one) && one.status === 'COMPLETE';

  function add(list: readonly TreeResource[], prefix: string, depth: number): void {
    const byName = new Map(list.toReversed().map((one) => [one.name, one]));
    for (const one of list) {
      // What is being replaced goes by the name of its successor, which comes first.
      const former = byName.get(one.name) !== one;
      const path = prefix + one.name + (former ? ` (before, ${one.physicalId ?? 'never made'})` : '');
      const state = kept(one, path) ? 'skipped' : stateOf(one, tree.action);
      rows.push({
        key: path,
        depth,
        name: `${one.name}${former ? ' (before)' : ''}  ${shortType(one.type)}`,
        path,
        state,
        ...tell(one, state, byName),
        fields: {
          type: one.type,
          action: one.action,
          status: one.status,
          ...(one.waiting && { waiting: one.waiting }),
        },
      });
      if (one.resources.length > 0 && !(fold && ended(state))) add(one.resources, `${path}.`, depth + 1);
    }
  }

  function tell(one: TreeResource, state: RowState, byName: ReadonlyMap<string, TreeResource>) {
    const took = one.seconds !== null ? duration(one.seconds * 1000) : undefined;
    const clock = took === undefined ? {} : { clock: took };
    switch (state) {
      case 'skipped':
        return { text: 'kept as it is' };
      case 'done':
        return { text: did(one.action), ...clock };
      case 'failed':
        return { text: failureText(one), ...clock };
      case 'running': {
        if (one.waiting) return { text: words(waitText(one.waiting, now)), clock: waitClock(one.waiting, now) };
        return { text: doing(one.action), ...(one.startedAt !== null && { clock: duration(now - one.startedAt) }) };
      }
      default: {
        if (tree.action === 'DELETE') return { text: '' };
        const open = one.requires.filter((name) => {
          const other = byName.get(name);
          return other !== undefined && other.status !== 'COMPLETE';
        });
        if (open.length > 0) return { text: `waits for ${open.join(', ')}` };
        return { text: one.waiting ? words(waitText(one.waiting, now)) : '' };
      }
    }
  }

  /** The cause is told where it is, not at all that it brought down. */
  function failureText(one: TreeResource): string {
    if (isAborted(one)) return 'cut short, because something else failed';
    const within = failuresOf({ resources: one.resources }).map(({ path }) => `${one.name}.${path}`);
    if (within.length > 0) return `failed: ${within.slice(0, mostNamed).join(', ')}`;
    return words(one.reason) || 'failed';
  }

  const settled = isSettled(tree);
  rows.push({
    key: '',
    name: tree.name,
    path: `stack ${tree.name}`,
    state: !settled ? 'running' : tree.status === 'FAILED' ? 'failed' : 'done',
    // The cause is told at its resource, and again at the end.
    text: settled ? (tree.status === 'FAILED' ? `${tree.action} failed` : did(tree.action)) : doing(tree.action),
    clock: [tally(tree), duration(now - view.since)].filter(Boolean).join(', '),
    fields: { action: tree.action, status: tree.status },
  });
  add(tree.resources, '', 1);
  return rows;
}

/** `12 of 40`: leaves that are complete. */
function tally(tree: Tree): string {
  let all = 0;
  let complete = 0;
  const walk = (list: readonly TreeResource[]) => {
    for (const one of list) {
      if (one.resources.length > 0) {
        walk(one.resources);
        continue;
      }
      all += 1;
      if (one.status === 'COMPLETE' && one.action !== 'INIT') complete += 1;
    }
  };
  walk(tree.resources);
  return all === 0 ? '' : `${complete} of ${all}`;
}

/** `file:///…/web.yaml` → `web.yaml`; `OS::Nova::Server` as it is. */
const shortType = (type: string): string => (/^(file|https?):/.test(type) ? (type.split('/').at(-1) ?? type) : type);

export interface Failure {
  readonly path: string;
  readonly reason: string;
}

/** The innermost resources that failed by themselves: outer ones only repeat them, and others were cut short. */
export function failuresOf(tree: Pick<Tree, 'resources'>): Failure[] {
  const found: (Failure & { aborted: boolean })[] = [];
  const walk = (list: readonly TreeResource[], prefix: string): boolean => {
    let any = false;
    for (const one of list) {
      const path = prefix + one.name;
      const inside = walk(one.resources, `${path}.`);
      if (one.status === 'FAILED' && !inside) found.push({ path, reason: one.reason, aborted: isAborted(one) });
      any ||= inside || one.status === 'FAILED';
    }
    return any;
  };
  walk(tree.resources, '');
  const own = found.filter(({ aborted }) => !aborted);
  return (own.length > 0 ? own : found).map(({ path, reason }) => ({ path, reason }));
}

/** Whether anything of the stack is deployed: a server that came up. Networks and generated texts are quickly made again. */
export function isDeployed(tree: Tree): boolean {
  const walk = (list: readonly TreeResource[]): boolean =>
    list.some(
      (one) =>
        (/::Server$/.test(one.type) &&
          one.status === 'COMPLETE' &&
          ['CREATE', 'UPDATE', 'CHECK', 'RESUME'].includes(one.action)) ||
        walk(one.resources),
    );
  return walk(tree.resources);
}
