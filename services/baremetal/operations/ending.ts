/** How operations on nodes end badly: the state walks to its failed one with the reason, and nothing is left promised. */
import type { Tx } from '../../core/database/index.ts';
import type { Fault } from '../../core/errors/index.ts';
import type { Run } from '../../core/operations/index.ts';
import { fire } from '../change.ts';
import type { Ground } from '../ground.ts';
import { nextState, type ProvisionState } from '../states.ts';
import { nodeByUuid, patchNode } from '../store/nodes.ts';

export async function failNode(
  ground: Ground,
  run: Run<unknown>,
  error: Fault,
  tx: Tx,
  operation: string,
): Promise<void> {
  const node = await nodeByUuid(tx, run.subject.id, true);
  if (!node) return;
  const lastError = error.message;
  // Where the table has no `fail` (somebody moved the node by hand), the reason is still told.
  if (nextState(node.provisionState, 'fail') === null) await patchNode(tx, node.uuid, { lastError });
  else
    await fire(ground, tx, node.uuid, 'fail', { cause: operation, with: { lastError, cleanStep: {}, deployStep: {} } });
}

/** Walks an arrow as part of a step; where the node is past it already (the step ran twice) nothing happens. */
export async function walk(
  ground: Ground,
  run: Run<unknown>,
  tx: Tx,
  event: Parameters<typeof fire>[3],
  options: Parameters<typeof fire>[4] & { from: readonly ProvisionState[] },
): Promise<void> {
  const node = await nodeByUuid(tx, run.subject.id, true);
  if (!node || !options.from.includes(node.provisionState)) return;
  await fire(ground, tx, run.subject.id, event, options);
}
