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
  readonly patienceMs?: number;
}

/** An action that has not shown itself after so many looks was over before the first one. */
const looksUntilOver = 3;

/** The tree at the end; `gone` when the stack is no more, undefined when patience ended first. */
export async function watchStack(
  session: Session,
  cloud: Client,
  { stack, before, action, patienceMs }: WatchStackOptions,
): Promise<Tree | 'gone' | undefined> {
  const since = Date.now();
  let seen = false;
  let looks = 0;
  let last: Tree | undefined;
  return watch<Tree | 'gone'>(
    session,
    async () => {
      const tree = await stackTree(cloud, stack);
      looks += 1;
      if (!tree) {
        const shown = last && { ...last, action: 'DELETE', status: 'COMPLETE', resources: [] };
        return { rows: (now) => (shown ? treeRows(shown, { fold: true, since }, now) : []), end: 'gone' };
      }
      last = tree;
      seen ||= !isSettled(tree) || action === undefined || tree.action !== action;
      const over = isSettled(tree) && (seen || looks >= looksUntilOver);
      const view = { fold: session.output.live, since, words: withPaths, ...(before && { before }) };
      return { rows: (now) => treeRows(tree, view, now), ...(over && { end: tree }) };
    },
    { ...(patienceMs !== undefined && { patienceMs }) },
  );
}
