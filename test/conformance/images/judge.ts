import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TreeDifferences } from './compare-trees.ts';
import { EXPLAINED } from './explained.ts';

/** The differences that no explanation covers, as `kind path`, and how many each reason covers. `trees` are the two directories. */
export function judge(
  differences: TreeDifferences,
  trees: { peer: string; ours: string },
): { unexplained: string[]; explained: Map<string, number> } {
  const unexplained: string[] = [];
  const explained = new Map<string, number>();
  for (const [kind, paths] of Object.entries(differences) as [keyof TreeDifferences, string[]][]) {
    for (const path of paths) {
      const plain = kind === 'kind' || kind === 'mode' || kind === 'owner' ? path.split(' ')[0]! : path;
      const row = EXPLAINED.find(({ where, kinds }) => kinds.includes(kind) && where.test(plain));
      const alike =
        kind !== 'content' ||
        row?.alike === undefined ||
        row.alike(readFileSync(join(trees.peer, plain)), readFileSync(join(trees.ours, plain)));
      if (row === undefined || !alike) unexplained.push(`${kind} ${path}`);
      else explained.set(row.reason, (explained.get(row.reason) ?? 0) + 1);
    }
  }
  return { unexplained, explained };
}
