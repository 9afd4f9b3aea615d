/**
 * Whether machines boot what their BMC was told and has read back. A start that was to come from the network is judged by who asks for
 * an address first: firmware, or the system on the disk; one from the disk by whether the firmware asks at all. Boots of one
 * kind of BMC are counted together (store/boots.ts), and from the counts follows how the network is set from then on
 * (services/power/boot-ways.ts). A machine that went elsewhere is told of in its timeline, and reset by whoever waits for its agent.
 */
import type { EventMap } from '../core/events/index.ts';
import { bootQuirks, nextWay } from '../power/index.ts';
import { type Ground, nodeSubject, seenByFleet } from './ground.ts';
import { type BootOrder, type BootVerdict, bootsOf, countBoot, takeOrder, teachBootWay } from './store/boots.ts';
import type { Model } from './store/cards.ts';
import { type NodeRow, nodeByUuid } from './store/nodes.ts';

/** ms by which a firmware's request may come before the machine was seen to be on: by whoever switched it, and by the fleet loop. */
const earlyMs = { ours: 2_000, fleet: 15_000 } as const;
/** What boot calls a client that is no firmware (services/boot/decision.ts). */
const system = 'the running system';

interface Start {
  /** Resolves to what it was to boot; null: nothing to judge. */
  readonly order: Promise<BootOrder | null>;
  told: BootVerdict | null;
}

/** Listens to boot's and the operations' events; returns the way out. */
export function watchBootTruth(ground: Ground): () => void {
  const { db, recorder, clock } = ground.house;
  const starts = new Map<string, Start>();
  /** When the firmware of a machine without a start was heard. */
  const early = new Map<string, number>();

  function begin(uuid: string, seenWithin: number): void {
    const order = takeOrder(db, uuid).catch(() => null);
    const start: Start = { order, told: null };
    starts.set(uuid, start);
    const heardAt = early.get(uuid);
    early.delete(uuid);
    if (heardAt !== undefined && clock.now() - heardAt < seenWithin) judge(uuid, 'network');
  }

  /** The first request of a start decides; silence does not end it, for a machine may only be slow. */
  function judge(uuid: string, came: 'network' | 'system' | 'nothing'): void {
    const start = starts.get(uuid);
    if (!start) return;
    const before = start.told;
    if (before !== null && (before !== 'unheard' || came === 'nothing')) return;
    start.told = came === 'nothing' ? 'unheard' : 'obeyed';
    if (came !== 'nothing') starts.delete(uuid);
    start.order
      .then(async (order) => {
        if (!order || (came === 'nothing' && order.device === 'disk')) return;
        const went = came === 'nothing' ? null : came === 'network' ? 'pxe' : 'disk';
        const verdict: BootVerdict = went === null ? 'unheard' : went === order.device ? 'obeyed' : 'ignored';
        await settle(uuid, order, verdict);
      })
      // The database is away: one boot less to learn from.
      .catch(() => {});
  }

  async function settle(uuid: string, order: BootOrder, verdict: BootVerdict): Promise<void> {
    await db.transaction(async (tx) => {
      const node = await nodeByUuid(tx, uuid);
      if (!node) return;
      const kind = kindOf(node);
      const taught: string[] = [];
      if (kind) {
        // Set while the machine ran, and a reset: that is what `again` does, whatever else was tried with it.
        const way = order.byReset && verdict === 'obeyed' && order.device === 'pxe' ? 'again' : order.way;
        await countBoot(tx, kind, { device: order.device, way }, verdict, uuid);
        taught.push(...(await teachBootWay(tx, kind)));
      }
      const ignored = kind !== null && bootQuirks(await bootsOf(tx, kind)).bootIgnored === true;
      if (verdict !== 'obeyed') {
        const data = told(order, verdict, ignored);
        await recorder.append(tx, 'node.boot-override', nodeSubject(uuid), data);
      }
      for (const one of taught)
        await recorder.append(tx, 'node.updated', nodeSubject(one), { fields: ['driverInternalInfo'] });
    });
  }

  const leave = recorder.subscribe(({ subject, kind, data, cause }) => {
    if (subject.type !== 'node') return;
    const { id } = subject;
    switch (kind) {
      case 'node.power-state':
        if ((data as EventMap['node.power-state']).to === 'on')
          begin(id, cause === seenByFleet ? earlyMs.fleet : earlyMs.ours);
        else {
          starts.delete(id);
          early.delete(id);
        }
        break;
      case 'node.boot-retry':
        begin(id, 0);
        break;
      case 'dhcp.exchange': {
        const isSystem = (data as EventMap['dhcp.exchange']).client === system;
        if (starts.has(id)) judge(id, isSystem ? 'system' : 'network');
        else if (!isSystem) early.set(id, clock.now());
        break;
      }
      case 'node.agent-lookup':
        // Another server's DHCP answered it: the agent itself says where it came from.
        judge(id, 'network');
        break;
      case 'boot.silent':
        if ((data as EventMap['boot.silent']).step === 'power-on') judge(id, 'nothing');
        break;
      case 'node.deleted':
        starts.delete(id);
        early.delete(id);
        break;
    }
  });
  return () => {
    leave();
    starts.clear();
    early.clear();
  };
}

/** Null: its BMC was never asked who it is. */
export function kindOf({ driverInternalInfo: info }: Pick<NodeRow, 'driverInternalInfo'>): Model | null {
  const { bmc_vendor: vendor, bmc_model: model, bmc_firmware: firmware } = info;
  return typeof vendor === 'string' && typeof model === 'string' && typeof firmware === 'string'
    ? { vendor, model, firmware }
    : null;
}

function told(
  { device, way }: BootOrder,
  verdict: 'ignored' | 'unheard',
  helpless: boolean,
): EventMap['node.boot-override'] {
  const next = verdict === 'unheard' && way !== 'once' ? null : nextWay(way);
  if (device === 'disk')
    return {
      ...{ device, way, verdict },
      text: 'the BMC had read back “boot from disk”, and the firmware asked the network first',
      remedy: 'Our answer sends it to its disk; nothing has to be done while the undercloud answers DHCP.',
    };
  const order =
    'Put the network first in the firmware’s boot order: what the machine boots is then decided by our answer.';
  if (verdict === 'unheard')
    return {
      ...{ device, way, verdict },
      text: 'the BMC had read back “boot from the network”, and nothing was heard of the machine',
      remedy: `Look at its console, cable, switch port and VLAN.${next ? ` The next boot is set another way (${words[next]}).` : ` ${order}`}`,
    };
  return {
    ...{ device, way, verdict },
    text: 'the BMC had read back “boot from the network”, and the system on the disk was booted',
    remedy: helpless || next === null ? order : `It is told another way: ${words[next]}.`,
  };
}

const words: Readonly<Record<BootOrder['way'], string>> = {
  once: 'for one boot',
  always: 'for every boot',
  again: 'for every boot, and again when the machine is on, with a reset',
};
