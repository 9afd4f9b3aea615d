/** One resource in its stack, without the rest of the tree: a thousand agents ask every two seconds. */
import { fault } from '../core/errors/index.ts';
import type { Desk } from './desk.ts';
import { type Live, openState } from './engine/state.ts';
import { meansOf, nodeOf, type StackNode } from './engine/tree.ts';
import { type FoundResource, resource } from './store/resources.ts';
import * as stackStore from './store/stacks.ts';

/** @throws Fault `resource-not-found` */
export async function loadOne(
  desk: Desk,
  found: Pick<FoundResource, 'id' | 'name' | 'stack_id'>,
): Promise<{ node: StackNode; live: Live }> {
  const { db, secrets } = desk.house;
  const [stack, row] = [await stackStore.stack(db, found.stack_id), await resource(db, found.id)];
  if (!stack || !row) throw fault('resource-not-found', { resource: found.name, stack: found.stack_id });
  const live = openState(secrets, row);
  const node = nodeOf(meansOf(desk), stack, null, {});
  node.resources.set(row.name, live);
  return { node, live };
}
