/** Drives one resource through one action of its handler: calls it, notes what it waits for, commits how it ends. */
import { randomBytes, randomUUID } from 'node:crypto';
import { type Fault, fault, toFault } from '../../core/errors/index.ts';
import { Killed, type Run } from '../../core/operations/index.ts';
import type { Desk } from '../desk.ts';
import { stackSubject } from '../model.ts';
import { usualSeconds, writeResources } from '../store/resources.ts';
import type { Handler, Wait, Work } from './handler.ts';
import type { Limit } from './limits.ts';
import type { Session, Transition } from './session.ts';
import { emptyState, type Live, sealState } from './state.ts';
import { nodesOf, type StackNode } from './tree.ts';

export interface Crew {
  readonly desk: Desk;
  readonly run: Run<unknown>;
  readonly session: Session;
  readonly limits: Readonly<Record<NonNullable<Handler['backend']>, Limit>>;
}

/** Shorter waits are not worth keeping. */
const keptSeconds = 0.5;
const alphabet = 'abcdefghijklmnopqrstuvwxyz0123456789';

export const shortId = (): string => [...randomBytes(12)].map((byte) => alphabet[byte % alphabet.length]).join('');

/** Ends the look, whatever else is being done: the process is dead or the stack is another's. */
export const isFatal = (error: unknown): boolean =>
  error instanceof Killed || (error as { code?: string })?.code === 'lease-lost';

export function newLive(node: StackNode, name: string, type: string, now: number): Live {
  const at = new Date(now);
  return {
    row: {
      id: randomUUID(),
      stack_id: node.row.id,
      name,
      type,
      current: true,
      generation: node.row.generation,
      action: 'INIT',
      status: 'COMPLETE',
      reason: '',
      physical_id: null,
      state: '',
      requires: [],
      retain: false,
      blocked_on: null,
      started_at: null,
      created_at: at,
      updated_at: at,
    },
    state: emptyState(),
  };
}

export const stateEvent = (node: StackNode, live: Live, durationMs?: number) => ({
  kind: 'resource.state' as const,
  subject: stackSubject(node.row.id),
  data: {
    name: live.row.name,
    type: live.row.type,
    action: live.row.action,
    status: live.row.status,
    reason: live.row.reason || 'state changed',
    physicalId: live.row.physical_id,
  },
  ...(durationMs !== undefined && { options: { durationMs } }),
});

export interface Goal {
  readonly action?: string;
  readonly status: string;
  readonly reason?: string;
}

/** The transition that puts the resource into a state, with its event; in memory it is there already. */
export function transitionTo(crew: Crew, node: StackNode, live: Live, to: Goal): Transition {
  const { row } = live;
  const now = crew.desk.house.clock.now();
  const begins =
    to.status === 'IN_PROGRESS' &&
    ((to.action !== undefined && to.action !== row.action) || row.status !== 'IN_PROGRESS');
  if (to.action) row.action = to.action;
  row.status = to.status;
  row.reason = to.reason ?? '';
  row.updated_at = new Date(now);
  row.blocked_on = null;
  if (begins) row.started_at = new Date(now);
  const seconds = row.started_at ? (now - row.started_at.getTime()) / 1000 : 0;
  const ended = to.status !== 'IN_PROGRESS';
  return {
    rows: [live],
    events: [stateEvent(node, live, ended ? seconds * 1000 : undefined)],
    ...(to.status === 'COMPLETE' &&
      seconds >= keptSeconds && { durations: [{ type: row.type, action: row.action, seconds }] }),
    named: { stack: node.row.name, resource: row.name, transition: `${row.action}_${row.status}` },
  };
}

/** Puts the resource into a state, durably, with its event. */
export const move = (crew: Crew, node: StackNode, live: Live, to: Goal): Promise<void> =>
  crew.session.write(transitionTo(crew, node, live, to));

export function workOf(crew: Crew, node: StackNode, live: Live): Work {
  const { desk, run, session } = crew;
  const { row, state } = live;
  return {
    desk,
    context: run.context,
    stack: { id: node.row.id, rootId: node.row.root_id, name: node.row.name, projectId: node.row.project_id },
    id: row.id,
    name: row.name,
    type: row.type,
    action: row.action,
    properties: state.properties,
    metadata: state.metadata,
    get physicalId() {
      return row.physical_id;
    },
    data: state.data,
    attributes: state.attributes,
    get signals() {
      return session.signals.get(row.id) ?? [];
    },
    startedAt: row.started_at?.getTime() ?? desk.house.clock.now(),
    now: desk.house.clock.now(),
    physicalName: `${node.row.name}-${row.name}-${shortId()}`,
    peer(physicalId) {
      // A stack within may have been handed the id of what lies outside it.
      for (const near of [node, ...nodesOf(session.root)]) {
        for (const { row: other } of near.resources.values()) {
          if (other.physical_id === physicalId || (near === node && other.name === physicalId))
            return { id: other.id, name: other.name, signals: session.signals.get(other.id) ?? [] };
        }
      }
      return undefined;
    },
    async commit(effect) {
      // What is noted in memory must be what is durable: the copy is taken over only once the commit has succeeded.
      const after = await session.commit(async (tx) => {
        const trace = await effect(tx);
        if (!trace) return null;
        const copy: Live = {
          row: { ...row, updated_at: new Date(desk.house.clock.now()) },
          state: { ...state, data: { ...state.data, ...trace.data } },
        };
        if (trace.physicalId !== undefined) copy.row.physical_id = trace.physicalId;
        await writeResources(tx, [sealState(desk.house.secrets, copy)]);
        return copy;
      });
      if (!after) return;
      Object.assign(row, { physical_id: after.row.physical_id, updated_at: after.row.updated_at });
      Object.assign(state.data, after.state.data);
    },
  };
}

/** A single call of a handler that has not come back by then never will: what it asks answers long before. */
const mostCallMs = 600_000;

/** One call of a handler, under its backend's limit and bounded in time. */
export async function call<T>(crew: Crew, handler: Handler, live: Live, work: () => Promise<T> | T): Promise<T> {
  if (!handler.backend) return work();
  return crew.limits[handler.backend].run(async () => {
    const { row } = live;
    let cancel = () => {};
    const overdue = new Promise<never>((_, reject) => {
      cancel = crew.desk.house.clock.after(mostCallMs, () =>
        reject(
          fault('resource-call-overdue', { resource: row.name, action: row.action, minutes: mostCallMs / 60_000 }),
        ),
      );
    });
    try {
      return await Promise.race([work(), overdue]);
    } finally {
      cancel();
    }
  });
}

/** How long an action of the resource may take: its template says so under `metadata: {timeout_minutes: N}`, or its type. */
export function minutesFor(handler: Handler, live: Live): number | null {
  const { metadata } = live.state;
  const own =
    typeof metadata === 'object' && metadata !== null && !Array.isArray(metadata) ? metadata.timeout_minutes : null;
  const minutes = Number(own ?? handler.minutes ?? 0);
  return Number.isFinite(minutes) && minutes > 0 ? minutes : null;
}

/** Notes the wait, or ends it when the resource has taken too long. @throws Fault `resource-overdue` */
export async function waited(crew: Crew, node: StackNode, live: Live, handler: Handler, wait: Wait): Promise<void> {
  const minutes = minutesFor(handler, live);
  const { row } = live;
  if (minutes === null || !row.started_at) return note(crew, node, live, wait);
  const left = row.started_at.getTime() + minutes * 60_000 - crew.desk.house.clock.now();
  if (left <= 0)
    throw fault('resource-overdue', {
      resource: row.name,
      action: row.action,
      minutes,
      waiting: wait.on,
      remedy: wait.remedy,
    });
  await note(crew, node, live, { ...wait, recheckMs: Math.min(wait.recheckMs ?? left, left) });
}

/** Notes what the resource waits for; written only when that changed. */
export async function note(crew: Crew, node: StackNode, live: Live, wait: Wait): Promise<void> {
  const { desk, session } = crew;
  const { row } = live;
  const now = desk.house.clock.now();
  if (row.blocked_on?.on !== wait.on) {
    const key = `${row.type} ${row.action}`;
    const usual = session.usual.get(key) ?? usualSeconds(desk.house.db, row.type, row.action);
    session.usual.set(key, usual);
    const seconds = await usual;
    row.blocked_on = { on: wait.on, since: new Date(now).toISOString(), usual_seconds: seconds, remedy: wait.remedy };
    await session.write({
      rows: [live],
      events: [
        {
          kind: 'resource.waiting',
          subject: stackSubject(node.row.id),
          data: {
            name: row.name,
            type: row.type,
            state: `${row.action}_${row.status}`,
            on: wait.on,
            remedy: wait.remedy,
            usualSeconds: seconds,
          },
        },
      ],
    });
  }
  session.waits.push({ path: pathTo(node, row.name), wait, since: Date.parse(row.blocked_on.since) });
}

/** `group[0].server`, as people name it. */
export function pathTo(node: StackNode, name: string): string {
  const here = /^\d+$/.test(name) ? `[${name}]` : name;
  if (!node.parent) return here;
  const above = pathTo(node.parent, node.row.parent_resource ?? '');
  return here.startsWith('[') ? above + here : `${above}.${here}`;
}

/** What went wrong with a resource, as its parents tell it on. */
export interface Failure {
  /** Heat's path from the stack: `resources.g.resources[0]`. */
  readonly path: string;
  readonly fault: Fault;
  /** ` (hello.hot.yaml:12:3)`, or nothing. */
  readonly place: string;
}

export const joinPath = (name: string, inner = ''): string => {
  const here = /^\d+$/.test(name) ? `resources[${name}]` : `resources.${name}`;
  return inner === '' ? here : `${here}.${inner}`;
};

export const failureText = ({ path, fault: cause, place }: Failure): string =>
  `${path}: ${cause.sentence}${place}${cause.remedy ? ` ${cause.remedy}` : ''}`;

export const failureFault = (action: string, failure: Failure): Fault =>
  fault(
    'resource-failed',
    {
      action,
      path: failure.path,
      reason: failure.fault.sentence,
      place: failure.place,
      remedy: failure.fault.remedy,
    },
    failure.fault,
  );

export const caught = (error: unknown): Fault => {
  if (isFatal(error)) throw error;
  return toFault(error);
};
