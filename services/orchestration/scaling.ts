/** A signal to a scaling policy moves the capacity of its group: noted with the group, and carried out as an update of the stack. */
import type { Context } from '../core/context.ts';
import type { Tx } from '../core/database/index.ts';
import type { Desk } from './desk.ts';
import { type Live, sealState } from './engine/state.ts';
import { loadTree, nodeIn, referenceOf, type StackNode } from './engine/tree.ts';
import { stackSubject } from './model.ts';
import { isGroup, type Scaled, scaledOf, sizeOf } from './resources/scaling-groups.ts';
import { adjusted, adjustmentOf, cooldownLeft } from './resources/scaling-policy.ts';
import type { SignalTarget } from './signals.ts';
import { writeResources } from './store/resources.ts';
import * as store from './store/stacks.ts';

/** Begins an update of the root stack with the definition that it has, in the caller's transaction. */
export type Redo = (tx: Tx, row: store.StackRow, context: Context) => Promise<unknown>;

interface Found {
  readonly root: StackNode;
  readonly node: StackNode;
  readonly group: Live;
  readonly policy: Live;
}

/** The group that the policy names, among the resources of the policy's own stack. */
async function find(desk: Desk, target: SignalTarget): Promise<Found | string> {
  const root = await loadTree(desk, desk.house.db, target.root_id);
  const node = root && nodeIn(root, target.stack_id);
  const policy = node?.resources.get(target.name);
  if (!root || !node || !policy) return 'its stack is not there any more';
  const named = policy.state.properties.auto_scaling_group_id ?? policy.state.properties.AutoScalingGroupName ?? null;
  const group = [...node.resources.values()].find(
    (live) => isGroup(live.row.type) && [referenceOf(node, live), live.row.physical_id, live.row.name].includes(named),
  );
  return group ? { root, node, group, policy } : `there is no group ${String(named)} in its stack`;
}

/** @returns what came of it, for the event */
export async function scale(desk: Desk, target: SignalTarget, redo: Redo): Promise<string> {
  const { house } = desk;
  const found = await find(desk, target);
  if (typeof found === 'string') return `not scaled: ${found}`;
  const { root, node, group, policy } = found;
  const now = house.clock.now();
  const { properties, data } = group.state;
  const adjustment = adjustmentOf(policy.state.properties);
  const seconds = Math.max(adjustment.cooldownSeconds, Number(properties.cooldown ?? properties.Cooldown ?? 0));
  const left = cooldownLeft(seconds, scaledOf(data), now);
  if (left > 0) return `not scaled: it was scaled just now, and cools down for ${left} s more`;
  const size = sizeOf(group.row.type, properties, data);
  const capacity = size.bounded(adjusted(size.now, adjustment));
  if (capacity === size.now) return `not scaled: ${group.row.name} has ${capacity} already, and may have ${size.span}`;
  return house.db.transaction(async (tx) => {
    const locked = await store.lockStack(tx, root.row.id);
    if (!locked || locked.status === 'IN_PROGRESS' || locked.deleted_at)
      return `not scaled: the stack is in ${locked?.action ?? 'no action'}`;
    const scaled: Scaled = { capacity, desired: size.desired, at: now };
    group.state.data.scaled = { ...scaled };
    await writeResources(tx, [sealState(house.secrets, group)]);
    // Stacks between the root and the group look unchanged; this makes the update look into them.
    for (let above: StackNode | null = node; above?.parent; above = above.parent)
      await store.patchStack(tx, above.row.id, { status: 'IN_PROGRESS', reason: `${group.row.name} is scaled` });
    const context: Context = {
      requestId: `req-scale-${target.id}`,
      userId: root.row.user_id,
      projectId: root.row.project_id,
      domainId: null,
      roles: ['member'],
    };
    await redo(tx, locked, context);
    tx.afterCommit(() => house.operations.wake(stackSubject(root.row.id)));
    return `${group.row.name} goes from ${size.now} to ${capacity}`;
  });
}
