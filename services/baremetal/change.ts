/** Every change of a node's state: one function that walks the table, one that records power. Both within a transaction. */
import type { Tx } from '../core/database/index.ts';
import { fault } from '../core/errors/index.ts';
import { type Bmc, type BootDevice, type BootWay, bootWays, type PowerState } from '../power/index.ts';
import { accessOf } from './driver-info.ts';
import { interfaceOf } from './drivers.ts';
import type { Ground } from './ground.ts';
import { nodeSubject } from './ground.ts';
import type { Boot, JsonObject } from './node.ts';
import { defaultTargets, nextState, type ProvisionEvent, type ProvisionState } from './states.ts';
import { forgetAgent } from './store/agents.ts';
import { type BootOrder, keepOrder } from './store/boots.ts';
import { type NodePatch, type NodeRow, nodeByUuid, patchNode, type Where } from './store/nodes.ts';

/** @throws Fault `node-not-found` */
export async function requireNode(db: Where, uuid: string, lock = false): Promise<NodeRow> {
  const node = await nodeByUuid(db, uuid, lock);
  if (!node) throw fault('node-not-found', { node: uuid });
  return node;
}

export interface FireOptions {
  readonly cause?: string;
  readonly requestId?: string;
  /** Where the way ends; default: the table's target of the new state. */
  readonly target?: ProvisionState | null;
  /** More columns, in the same statement. */
  readonly with?: NodePatch;
}

/** Walks one arrow. @throws Fault `node-event-refused` */
export async function fire(
  ground: Ground,
  tx: Tx,
  uuid: string,
  event: ProvisionEvent,
  options: FireOptions = {},
): Promise<ProvisionState> {
  const node = await requireNode(tx, uuid, true);
  const to = nextState(node.provisionState, event);
  if (!to) throw fault('node-event-refused', { node: node.name ?? uuid, state: node.provisionState, event });
  await patchNode(tx, uuid, {
    ...options.with,
    provisionState: to,
    targetProvisionState: options.target === undefined ? (defaultTargets[to] ?? null) : options.target,
  });
  const { cause, requestId } = options;
  await ground.house.recorder.append(
    tx,
    'node.provision-state',
    nodeSubject(uuid),
    { from: node.provisionState, to, event },
    {
      ...(cause !== undefined && { cause }),
      ...(requestId !== undefined && { requestId }),
      ...(node.provisionUpdatedAt && { durationMs: Math.max(0, Date.now() - node.provisionUpdatedAt.getTime()) }),
    },
  );
  return to;
}

/** What the BMC says now; an event only where it differs. Off means that no agent runs there any more. */
export async function recordPower(
  ground: Ground,
  tx: Tx,
  uuid: string,
  power: PowerState,
  cause?: string,
): Promise<void> {
  const node = await nodeByUuid(tx, uuid, true);
  if (!node) return;
  if (power === 'off' && (await forgetAgent(tx, uuid)))
    await ground.house.recorder.append(tx, 'node.agent-gone', nodeSubject(uuid), { reason: 'the machine is off' });
  if (node.powerState === power) return;
  await patchNode(tx, uuid, { powerState: power });
  await ground.house.recorder.append(
    tx,
    'node.power-state',
    nodeSubject(uuid),
    { from: node.powerState, to: power },
    cause === undefined ? {} : { cause },
  );
}

/** What the machine is to boot from now on; `agent` begins a new power cycle, whose tokens are new too. */
export async function intend(ground: Ground, tx: Tx, uuid: string, boot: Boot, reason: string): Promise<void> {
  const node = await requireNode(tx, uuid, true);
  const powerCycle = boot === 'agent' ? node.powerCycle + 1 : node.powerCycle;
  if (boot === 'agent') await forgetAgent(tx, uuid);
  await patchNode(tx, uuid, { boot, bootReason: reason, powerCycle });
  await ground.house.recorder.append(tx, 'node.boot-intent', nodeSubject(uuid), { intent: boot, reason, powerCycle });
}

export const bmcOf = (ground: Ground, node: NodeRow): Bmc => ground.power.bmc(accessOf(ground.house.secrets, node));

/**
 * Sets the boot device, which the BMC reads back, and keeps what was ordered, for the boot to be judged by (boot-truth.ts). Where the
 * kind of BMC forgets devices there is nothing to judge.
 */
export async function orderBoot(
  ground: Ground,
  node: NodeRow,
  wanted: Omit<BootDevice, 'efi'>,
  signal?: AbortSignal,
  retry?: { readonly way: BootWay },
): Promise<{ device: string; persistent: boolean }> {
  const { device } = wanted;
  const way = retry?.way ?? wayOf(node, wanted.persistent);
  await bmcOf(ground, node).setBootDevice({ ...wanted, efi: bootsByUefi(node) }, signal);
  const isKept = quirkOf(node, 'bootNotKept') !== true;
  const byReset = retry !== undefined;
  let order: BootOrder | null = null;
  if (isKept && device === 'pxe') order = { device, way, byReset };
  // One boot from the disk proves nothing for those after it.
  else if (isKept && device === 'disk' && wanted.persistent) order = { device, way: 'always', byReset };
  await keepOrder(ground.house.db, node.uuid, order);
  return { device, persistent: wanted.persistent || (device === 'pxe' && way !== 'once') };
}

const quirkOf = ({ driverInternalInfo: { bmc_quirks: quirks } }: NodeRow, name: string): unknown =>
  typeof quirks === 'object' && quirks !== null ? (quirks as JsonObject)[name] : undefined;

/** In which way the network is set on this kind of BMC. */
export function wayOf(node: NodeRow, persistent: boolean): BootWay {
  const learnt = bootWays.find((way) => way === quirkOf(node, 'bootWay'));
  return learnt ?? (persistent ? 'always' : 'once');
}

/** Nodes with the deploy interface `fake` are made and unmade without an agent. */
export const usesAgent = (node: NodeRow): boolean =>
  interfaceOf(node.driver, 'deploy', node.interfaces.deploy) !== 'fake';

/** By what the node says it is: its boot_mode, its capabilities, or what its agent saw. */
export function bootsByUefi(node: NodeRow): boolean {
  const capabilities = typeof node.properties.capabilities === 'string' ? node.properties.capabilities : '';
  const said = /(?:^|,)boot_mode:(\w+)/.exec(capabilities)?.[1] ?? node.bootMode;
  return said === 'uefi';
}
