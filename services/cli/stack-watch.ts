/** Watching a stack to the end of what it is at. */
import type { Client } from './client.ts';
import type { Session } from './program.ts';
import { type Stack, stackTree } from './stack-api.ts';
import { withPaths } from './stack-files.ts';
import { isSettled, type Tree, treeRows } from './stack-tree.ts';
import { watch } from './watch.ts';

export interface WatchStackOptions {
  readonly stack: Pick<Stack, 'stack_name' | 'id'>;
  /** The tree's marks before the change. */
  readonly before?: ReadonlyMap<string, string>;
  /** The action that was asked for: what the stack was before is not its end. */
  readonly action?: string;
  /** It was at something else when it was asked: that is cut short first, and its end is not ours. */
  readonly wasBusy?: boolean;
  readonly patienceMs?: number;
}

/** Looks in a row at a stack at rest that say that it stays so: between two actions it rests for a moment. */
const restOfOwn = { busy: 2, free: 1 } as const;
const restOfOther = 4;

/** The tree at the end; `gone` when the stack is no more, undefined when patience ended first. */
export async function watchStack(
  session: Session,
  cloud: Client,
  { stack, before, action, wasBusy = false, patienceMs }: WatchStackOptions,
): Promise<Tree | 'gone' | undefined> {
  const since = Date.now();
  let resting = 0;
  let last: Tree | undefined;
  return watch<Tree | 'gone'>(
    session,
    async () => {
      const tree = await stackTree(cloud, stack);
      if (!tree) {
        const shown = last && { ...last, action: 'DELETE', status: 'COMPLETE', resources: [] };
        return { rows: (now) => (shown ? treeRows(shown, { fold: true, since }, now) : []), end: 'gone' };
      }
      last = tree;
      resting = isSettled(tree) ? resting + 1 : 0;
      const own = action === undefined || tree.action === action;
      const over = resting >= (own ? restOfOwn[wasBusy ? 'busy' : 'free'] : restOfOther);
      const view = { fold: session.output.live, since, words: withPaths, ...(before && { before }) };
      return { rows: (now) => treeRows(tree, view, now), ...(over && { end: tree }) };
    },
    { ...(patienceMs !== undefined && { patienceMs }) },
  );
}
