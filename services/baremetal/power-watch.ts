/**
 * The power states of all nodes, kept in view by power's fleet loop: somebody presses a button, a breaker falls, a BMC dies, and
 * the record must not lie. What the loop needs of a node is read once and kept with its BMC; events say which nodes to read
 * again, in one query for all of them, so that ten thousand nodes at rest cost the database nothing but one question a minute (for
 * what other processes changed). What the loop finds is written in batches too: a rack that loses its mains is one transaction.
 *
 * A node that an operation works on is left to it. A BMC that is silent for long takes its node aside (maintenance, with the
 * reason; Ironic's fault `power failure`), and an answer puts it back, unless an operator has taken the node aside meanwhile.
 */
import { type Batch, createBatch } from '../core/database/batch.ts';
import type { AppendedEvent, EventKind } from '../core/events/index.ts';
import type { FleetSettings, FleetView, PowerFleet, PowerState } from '../power/index.ts';
import { accessOf } from './driver-info.ts';
import { createFleetHolder } from './fleet-holder.ts';
import { type Ground, nodeSubject, seenByFleet } from './ground.ts';
import {
  changedSince,
  forgetAgents,
  nodeUuids,
  putBack,
  recordPowers,
  takeAside,
  type WatchedRow,
  watchedRows,
} from './store/power.ts';

export interface PowerWatch {
  /** Reads all nodes and begins to look at them, now or when this process has become the one that does. */
  start(): Promise<void>;
  /** Nothing is looked at any more when it is called; resolves when another process may. */
  stop(): Promise<void>;
  /** Looks at every watched BMC now; how many states had changed. */
  sweep(): Promise<number>;
  /** What the loop knows of a node; null: it does not look at it. */
  view(uuid: string): FleetView | null;
  counts: PowerFleet['counts'];
}

type Finding =
  | { readonly kind: 'power'; readonly uuid: string; readonly power: PowerState }
  | { readonly kind: 'silent'; readonly uuid: string; readonly reason: string }
  | { readonly kind: 'return'; readonly uuid: string };

/** Events after which a node is read again. */
const readAgain: ReadonlySet<string> = new Set<EventKind>([
  ...(['node.created', 'node.updated', 'node.maintenance', 'node.provision-state'] as const),
]);

const gatherMs = 100;
const databaseAwayMs = 5_000;
const otherProcessesMs = 60_000;

export function createPowerWatch(ground: Ground, settings: Partial<FleetSettings> | null): PowerWatch {
  const { db, recorder, operations, clock, secrets } = ground.house;
  const dirty = new Set<string>();
  let cancelRead = () => {};
  let cancelRound = () => {};
  let leave = () => {};
  let reading: Promise<unknown> = Promise.resolve();
  let since: string | null = null;
  let running = false;

  const findings: Batch<Finding, 'written' | 'busy'> = createBatch(db, {
    async flush(tx, rows) {
      const busy = await operations.activities('node', [...new Set(rows.map(({ uuid }) => uuid))]);
      const idle = rows.filter(({ uuid }) => !busy.has(uuid));
      const of = <Kind extends Finding['kind']>(kind: Kind) =>
        idle.filter((row): row is Extract<Finding, { kind: Kind }> => row.kind === kind);
      const events: AppendedEvent[] = [];
      const back = of('return');
      if (back.length > 0)
        for (const uuid of await putBack(
          tx,
          back.map(({ uuid }) => uuid),
        ))
          events.push({
            ...{ kind: 'node.maintenance', subject: nodeSubject(uuid) },
            ...{ data: { on: false, reason: null }, options: { cause: 'its BMC answers again' } },
          });
      const silent = of('silent');
      if (silent.length > 0) {
        const reasons = new Map(silent.map(({ uuid, reason }) => [uuid, reason]));
        for (const uuid of await takeAside(tx, silent))
          events.push({
            ...{ kind: 'node.maintenance', subject: nodeSubject(uuid) },
            ...{ data: { on: true, reason: reasons.get(uuid) ?? null }, options: { cause: 'its BMC is silent' } },
          });
      }
      const powers = of('power');
      if (powers.length > 0) {
        const changed = await recordPowers(tx, powers);
        const off = changed.filter(({ to }) => to === 'off').map(({ uuid }) => uuid);
        for (const uuid of off.length > 0 ? await forgetAgents(tx, off) : [])
          events.push({
            ...{ kind: 'node.agent-gone', subject: nodeSubject(uuid), data: { reason: 'the machine is off' } },
          });
        for (const { uuid, from, to } of changed)
          events.push({
            kind: 'node.power-state',
            subject: nodeSubject(uuid),
            data: { from, to },
            options: { cause: seenByFleet },
          });
      }
      if (events.length > 0) await recorder.appendAll(tx, events);
      return rows.map(({ uuid }) => (busy.has(uuid) ? 'busy' : 'written'));
    },
  });

  /** Rejects where an operation has the node: the loop then keeps what it knew and tells again at its next look. */
  async function write(finding: Finding): Promise<void> {
    if ((await findings.add(finding)) === 'busy') throw new Error('an operation works on the node');
  }

  const fleet = ground.power.fleet(
    {
      onState: (uuid, power) => write({ kind: 'power', uuid, power }),
      onSilent: (uuid, { silentMs, reason }) =>
        write({ kind: 'silent', uuid, reason: `No answer from its BMC for ${inWords(silentMs)}. ${reason.sentence}` }),
      onReturn: (uuid) => write({ kind: 'return', uuid }),
    },
    settings ?? {},
  );

  function take(row: WatchedRow): void {
    if (!row.watched) {
      fleet.unwatch(row.uuid);
      return;
    }
    try {
      fleet.watch(accessOf(secrets, row), row.powerState, row.silent);
    } catch {
      // A node whose driver_info is not complete: validation says so, and nothing could be asked.
      fleet.unwatch(row.uuid);
    }
  }

  async function read(uuids: readonly string[]): Promise<void> {
    const rows = await watchedRows(db, uuids);
    const there = new Set(rows.map(({ uuid }) => uuid));
    if (!running) return;
    for (const row of rows) take(row);
    for (const uuid of uuids) if (!there.has(uuid)) fleet.unwatch(uuid);
  }

  /** One after the other: an older answer must not come behind a newer one. */
  function readNext(uuids: readonly string[]): Promise<void> {
    const next = reading.then(() => read(uuids));
    reading = next.catch(() => {});
    return next;
  }

  function readSoon(uuid: string, inMs = gatherMs): void {
    if (!running) return;
    dirty.add(uuid);
    if (dirty.size > 1) return;
    cancelRead = clock.after(inMs, () => {
      const uuids = [...dirty];
      dirty.clear();
      readNext(uuids).catch(() => {
        for (const one of uuids) readSoon(one, databaseAwayMs);
      });
    });
  }

  function round(): void {
    cancelRound = clock.after(otherProcessesMs, () => {
      otherProcesses()
        .catch(() => {})
        .finally(() => running && round());
    });
  }

  async function otherProcesses(): Promise<void> {
    const changed = await changedSince(db, since);
    since = changed.now;
    if (changed.uuids.length > 0) await readNext(changed.uuids);
    if (fleet.counts().watched === 0) return;
    const there = new Set(await nodeUuids(db));
    for (const uuid of fleet.keys()) if (!there.has(uuid)) fleet.unwatch(uuid);
  }

  async function begin(): Promise<void> {
    if (running) return;
    running = true;
    leave = recorder.subscribe(({ subject, kind, data }) => {
      if (subject.type !== 'node') return;
      if (kind === 'node.power-state') fleet.know(subject.id, (data as { to: PowerState }).to);
      else if (kind === 'node.deleted') fleet.unwatch(subject.id);
      else if (readAgain.has(kind)) readSoon(subject.id);
    });
    since = (await changedSince(db, null)).now;
    for (const row of await watchedRows(db, null)) if (running) take(row);
    if (!running) return;
    fleet.start();
    round();
  }

  function end(): void {
    running = false;
    leave();
    cancelRead();
    cancelRound();
    dirty.clear();
    fleet.stop();
    // Event streams and counts are those of whoever looks at them next.
    for (const uuid of [...fleet.keys()]) fleet.unwatch(uuid);
  }

  // Two processes on one machine bear one name.
  const owner = `${operations.owner}, process ${process.pid}`;
  const holder = createFleetHolder({ db, clock, owner, onHeld: begin, onLost: end });

  return {
    async start() {
      if (settings !== null) await holder.start();
    },
    stop: () => holder.stop(),
    async sweep() {
      // What has just happened is read before, or its nodes would be left out.
      cancelRead();
      const uuids = [...dirty];
      dirty.clear();
      if (uuids.length > 0) await readNext(uuids);
      else await reading;
      return fleet.sweep();
    },
    view: (uuid) => fleet.view(uuid),
    counts: () => fleet.counts(),
  };
}

function inWords(ms: number): string {
  const minutes = Math.round(ms / 60_000);
  return minutes >= 2 ? `${minutes} minutes` : `${Math.round(ms / 1_000)} seconds`;
}
