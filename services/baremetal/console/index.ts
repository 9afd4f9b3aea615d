/**
 * The consoles of all nodes: who is on each line, what is recorded of it, and what of that belongs into the node's timeline.
 *
 * Recorded is what the machine says, never what is typed: a password that the machine does not echo is nowhere. Which machines are
 * recorded while nobody watches is the policy's to say (`console.record` in undercloud.json).
 */
import { join } from 'node:path';
import { fault } from '../../core/errors/index.ts';
import { requireCapability } from '../../power/index.ts';
import { requireNode } from '../change.ts';
import { accessOf } from '../driver-info.ts';
import { type Ground, nodeSubject } from '../ground.ts';
import { consoleEnabledNodes, setConsoleEnabled } from '../store/consoles.ts';
import { listNodesBriefly } from '../store/nodes.ts';
import { type AttachWish, ConsoleLine, type LineState, type Party } from './line.ts';
import { ConsoleLog, removeLog } from './log.ts';
import { type LogPage, type LogQuery, readLog, tailOf } from './log-read.ts';
import { MilestoneReader } from './milestones.ts';

export type { AttachWish, ConsoleLine, LineMessage, LineState, Party } from './line.ts';
export type { LogLine, LogPage, LogQuery } from './log-read.ts';

/**
 * `operations`: while a deploy, clean or inspection runs and for two minutes after, and whenever somebody watches. `watched`: only
 * then. `always`: every node that has a console. `never`: nothing, not even what is watched.
 */
export const recordPolicies = ['always', 'operations', 'watched', 'never'] as const;
export type RecordPolicy = (typeof recordPolicies)[number];

export interface ConsoleSettings {
  readonly record?: RecordPolicy;
  /** Names or uuids of nodes that are recorded all the time, whatever `record` says (but for `never`). */
  readonly nodes?: readonly string[];
  /** Bytes of log kept for a node; default 8 MiB. */
  readonly mostBytes?: number;
}

export interface ConsoleDeps extends ConsoleSettings {
  /** Holds a directory for each node; null keeps no log. */
  readonly directory: string | null;
}

export interface ConsoleView {
  readonly state: LineState;
  readonly enabled: boolean;
  readonly writer: string | null;
  readonly watchers: number;
  readonly recording: boolean;
  /** Why it is not open, where somebody wants it. */
  readonly reason: string | null;
}

export interface Attached {
  readonly line: ConsoleLine;
  /** The newest `tail` bytes of the log up to the first byte that the party hears itself. */
  readonly before: Buffer;
}

export interface Consoles {
  /** @throws Fault `bmc-lacks`, `console-in-use`, `bmc-unreachable` and the BMC's other sentences */
  attach(uuid: string, party: Party, wish: AttachWish, tail: number): Promise<Attached>;
  view(uuid: string): ConsoleView;
  /** Ironic's console_enabled: the line is kept open, and recorded, until it is told otherwise. */
  enable(uuid: string, on: boolean): Promise<void>;
  enabled(uuid: string): boolean;
  /** @throws Fault `bmc-lacks`, `driver-unknown`, `bmc-access-incomplete` */
  check(uuid: string): Promise<void>;
  log(uuid: string, query: LogQuery): Promise<LogPage>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

interface Kept {
  readonly line: ConsoleLine;
  readonly log: ConsoleLog | null;
}

const mostBytes = 8 * 1_048_576;
/** What the written system says as it starts is worth as much as the deploy. */
const afterMs = 120_000;
const recordedOperations = /^baremetal\.(deploy|clean|inspect|undeploy-and-erase)$/;
/** A machine that panics in a loop must not push everything else out of its timeline. */
const sameMilestoneMs = 60_000;

export function createConsoles(ground: Ground, deps: ConsoleDeps): Consoles {
  const { recorder, db, secrets, clock, operations } = ground.house;
  const { directory } = deps;
  const policy = deps.record ?? 'operations';
  const kept = new Map<string, Kept>();
  const enabledNodes = new Set<string>();
  /** The oldest holds of operations, by node: what ends them later. */
  const lingering = new Map<string, () => void>();
  const forgetting = new Set<Promise<void>>();
  let leave = () => {};
  let stopped = false;

  const directoryOf = (uuid: string): string => join(directory ?? '', uuid);
  const capability = async (uuid: string) => {
    const node = await requireNode(db, uuid);
    // Somebody has said that this node is to have none.
    if (node.interfaces.console === 'no-console')
      throw fault('node-unsupported', { driver: node.driver, extension: 'console' });
    const access = accessOf(secrets, node);
    return requireCapability(ground.power.bmc(access), 'console', access);
  };

  function lineOf(uuid: string): Kept {
    const found = kept.get(uuid);
    if (found) return found;
    const subject = nodeSubject(uuid);
    const reader = new MilestoneReader();
    const seen = new Map<string, number>();
    /** Counts on without a log too. */
    let offset = 0;
    const log =
      directory === null || policy === 'never'
        ? null
        : new ConsoleLog({
            directory: directoryOf(uuid),
            mostBytes: deps.mostBytes ?? mostBytes,
            clock,
            onError: (error) =>
              recorder.emit('node.console', subject, {
                state: 'unrecorded',
                reason: error.message,
                by: null,
                offset: null,
              }),
          });
    const at = () => log?.end ?? null;
    const line: ConsoleLine = new ConsoleLine(
      uuid,
      {
        open: async (options, signal) => (await capability(uuid)).open(options, signal),
        onData(data) {
          const from = log ? log.end : offset;
          offset += data.length;
          log?.append(data);
          for (const { milestone, text, offset: place } of reader.read(data, from)) {
            const now = clock.now();
            if (now - (seen.get(milestone.name) ?? Number.NEGATIVE_INFINITY) < sameMilestoneMs) continue;
            seen.set(milestone.name, now);
            const { name, level } = milestone;
            recorder.emit('node.console-milestone', subject, {
              milestone: name,
              level,
              line: text,
              offset: log ? place : null,
            });
          }
        },
        onOpen(by, took) {
          reader.reset();
          recorder.emit('node.console', subject, {
            state: took ? 'taken over' : 'open',
            reason: null,
            by,
            offset: at(),
          });
        },
        onRefused: (reason) =>
          recorder.emit('node.console', subject, { state: 'refused', reason, by: null, offset: at() }),
        onLost: (reason) => recorder.emit('node.console', subject, { state: 'lost', reason, by: null, offset: at() }),
        onClose: () =>
          recorder.emit('node.console', subject, { state: 'closed', reason: null, by: null, offset: at() }),
        onWriter: (who, from) => recorder.emit('node.console-writer', subject, { who, from }),
        onIdle() {
          // Not before the last bytes are written: another log of the same directory would count from where the files end.
          void (log?.flush() ?? Promise.resolve()).then(() => {
            if (kept.get(uuid)?.line === line && line.state === 'closed' && !line.wanted) kept.delete(uuid);
          });
        },
      },
      clock,
    );
    const made = { line, log };
    kept.set(uuid, made);
    return made;
  }

  function hold(uuid: string, why: string): void {
    if (!stopped && directory !== null && policy !== 'never') lineOf(uuid).line.hold(why);
  }

  /** Only nodes that have a console: a driver without one is no fault of the operation. */
  async function holdWhereThere(uuid: string, why: string): Promise<void> {
    try {
      await capability(uuid);
    } catch {
      return;
    }
    hold(uuid, why);
  }

  function operationEvent(uuid: string, operation: string, runs: boolean): void {
    if (policy !== 'operations' || !recordedOperations.test(operation)) return;
    lingering.get(uuid)?.();
    lingering.delete(uuid);
    if (runs) return void holdWhereThere(uuid, 'operation');
    const cancel = clock.after(afterMs, () => {
      lingering.delete(uuid);
      kept.get(uuid)?.line.release('operation');
    });
    lingering.set(uuid, cancel);
  }

  const consoles: Consoles = {
    async attach(uuid, party, wish, tail) {
      if (stopped) throw fault('console-closed', { node: uuid });
      await capability(uuid);
      const { line, log } = lineOf(uuid);
      // In one turn with the party's entry: what comes after is the party's own to hear.
      const end = log?.end ?? 0;
      await line.attach(party, wish);
      if (!log || tail === 0) return { line, before: Buffer.alloc(0) };
      await log.flush();
      return { line, before: await tailOf(directoryOf(uuid), tail, end) };
    },
    view(uuid) {
      const line = kept.get(uuid)?.line;
      const log = kept.get(uuid)?.log ?? null;
      return {
        state: line?.state ?? 'closed',
        enabled: enabledNodes.has(uuid),
        writer: line?.writer ?? null,
        watchers: line?.parties ?? 0,
        recording: log !== null && line?.state === 'open',
        reason: line?.lastReason ?? null,
      };
    },
    async enable(uuid, on) {
      if (on) await capability(uuid);
      await db.transaction((tx) => setConsoleEnabled(tx, uuid, on));
      if (on) {
        enabledNodes.add(uuid);
        lineOf(uuid).line.hold('enabled');
      } else {
        enabledNodes.delete(uuid);
        kept.get(uuid)?.line.release('enabled');
      }
    },
    enabled: (uuid) => enabledNodes.has(uuid),
    async check(uuid) {
      await capability(uuid);
    },
    async log(uuid, query) {
      if (directory === null || policy === 'never') throw fault('console-not-recorded', { node: uuid });
      await kept.get(uuid)?.log?.flush();
      return readLog(directoryOf(uuid), query);
    },
    async start() {
      stopped = false;
      leave();
      leave = recorder.subscribe((event) => {
        if (event.subject.type !== 'node') return;
        const uuid = event.subject.id;
        const { kind } = event;
        if (kind === 'operation.started' || kind === 'operation.resumed')
          operationEvent(uuid, (event.data as { kind: string }).kind, true);
        else if (kind === 'operation.succeeded' || kind === 'operation.failed')
          operationEvent(uuid, (event.data as { kind: string }).kind, false);
        else if (kind === 'node.created' && policy === 'always') void holdWhereThere(uuid, 'policy');
        else if (kind === 'node.deleted') {
          const work = forget(uuid).finally(() => forgetting.delete(work));
          forgetting.add(work);
        }
      });
      for (const uuid of await consoleEnabledNodes(db)) {
        enabledNodes.add(uuid);
        lineOf(uuid).line.hold('enabled');
      }
      if (directory === null || policy === 'never') return;
      const named = new Set(deps.nodes ?? []);
      const nodes = await listNodesBriefly(db, {});
      for (const { uuid, name } of nodes)
        if (policy === 'always' || named.has(uuid) || (name !== null && named.has(name)))
          void holdWhereThere(uuid, 'policy');
      // Operations that went on while nobody listened: taken up again before this service started.
      const running = await operations.activities(
        'node',
        nodes.map(({ uuid }) => uuid),
      );
      for (const [uuid, { kind }] of running) operationEvent(uuid, kind, true);
    },
    async stop() {
      stopped = true;
      leave();
      leave = () => {};
      for (const cancel of lingering.values()) cancel();
      lingering.clear();
      const all = [...kept.values()];
      kept.clear();
      await Promise.all(forgetting);
      await Promise.all(
        all.map(async ({ line, log }) => {
          await line.close('The undercloud is being stopped.');
          await log?.flush();
        }),
      );
    },
  };

  async function forget(uuid: string): Promise<void> {
    const found = kept.get(uuid);
    kept.delete(uuid);
    enabledNodes.delete(uuid);
    await found?.line.close('The node was deleted.');
    await found?.log?.flush();
    if (directory !== null) removeLog(directoryOf(uuid));
  }
  return consoles;
}
