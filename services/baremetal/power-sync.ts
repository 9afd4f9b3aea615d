/**
 * What the BMCs say, once a minute: somebody presses a power button, a breaker falls, and the record must not lie. Nodes
 * that an operation works on are left to it. One exchange on a kept session a node, so that a thousand cost 0.1 s of CPU.
 */
import { bmcOf, recordPower } from './change.ts';
import type { Ground } from './ground.ts';
import { listNodes, type NodeRow } from './store/nodes.ts';

export interface PowerSync {
  start(): void;
  stop(): void;
  /** One round; returns how many states were found changed. A BMC that does not answer changes nothing: its exchange is an event. */
  sweep(): Promise<number>;
}

/** BMCs asked at a time: sick ones take ten seconds each, and must not stop the round. */
const atOnce = 64;

export function createPowerSync(ground: Ground, everyMs: number): PowerSync {
  let stopped = true;
  let cancel = () => {};
  let stopping = new AbortController();

  async function look(node: NodeRow, signal: AbortSignal): Promise<boolean> {
    const power = await bmcOf(ground, node).power(signal);
    if (power === node.powerState) return false;
    const { house } = ground;
    // An operation may have begun meanwhile; it knows better than an answer from before.
    if (await house.operations.activity({ type: 'node', id: node.uuid })) return false;
    await house.db.transaction((tx) => recordPower(ground, tx, node.uuid, power, 'the BMC said so'));
    return true;
  }

  async function sweep(): Promise<number> {
    const { signal } = stopping;
    const { db, operations } = ground.house;
    const nodes = (await listNodes(db, { maintenance: false, includeChildren: true })).filter(
      ({ provisionState }) => provisionState !== 'enroll' && provisionState !== 'verifying',
    );
    const busy = await operations.activities(
      'node',
      nodes.map(({ uuid }) => uuid),
    );
    const idle = nodes.filter(({ uuid }) => !busy.has(uuid));
    let changed = 0;
    const worker = async () => {
      for (let node = idle.pop(); node && !signal.aborted; node = idle.pop())
        if (await look(node, signal).catch(() => false)) changed += 1;
    };
    await Promise.all(Array.from({ length: Math.min(atOnce, idle.length) }, worker));
    return changed;
  }

  function schedule(): void {
    cancel = ground.house.clock.after(everyMs, () => {
      sweep()
        .catch(() => {})
        .finally(() => {
          if (!stopped) schedule();
        });
    });
  }

  return {
    start() {
      if (!stopped || everyMs <= 0) return;
      stopped = false;
      stopping = new AbortController();
      schedule();
    },
    stop() {
      stopped = true;
      cancel();
      stopping.abort(new Error('the service stops'));
    },
    sweep,
  };
}
