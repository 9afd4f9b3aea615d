/** One look at a stack: first everything that its definition wants, then the deletion of what it no longer wants. */
import { backward } from './backward.ts';
import type { Crew, Failure } from './drive.ts';
import { type End, forward } from './forward.ts';
import type { StackNode } from './tree.ts';

/** Whether the stack's action leaves nothing: its deletion, and the rollback of its creation. */
export const leavesNothing = (node: StackNode): boolean => {
  for (let here: StackNode | null = node; here; here = here.parent) {
    const { action, previous, parent_id } = here.row;
    if (action === 'DELETE' || (action === 'ROLLBACK' && parent_id === null && previous === null)) return true;
  }
  return false;
};

export async function convergeNode(crew: Crew, node: StackNode): Promise<{ end: End; failure: Failure | null }> {
  const failures: Failure[] = [];
  const all = leavesNothing(node);
  if (!all) {
    const end = await forward(crew, node, failures);
    if (end !== 'done') return { end, failure: failures[0] ?? null };
  }
  const unwanted = [...node.resources.values()].filter(({ row }) => all || !node.analysis.resources.has(row.name));
  const end = await backward(crew, node, [...node.retired, ...unwanted], failures);
  return { end, failure: failures[0] ?? null };
}
