import type { TreeDifferences } from './compare-trees.ts';
import { EXPLAINED } from './explained.ts';

/** The differences that no explanation covers, as `kind path`, and how many each reason covers. */
export function judge(differences: TreeDifferences): { unexplained: string[]; explained: Map<string, number> } {
  const unexplained: string[] = [];
  const explained = new Map<string, number>();
  for (const [kind, paths] of Object.entries(differences) as [keyof TreeDifferences, string[]][]) {
    for (const path of paths) {
      const plain = path.split(' ')[0]!;
      const row = EXPLAINED.find(({ where, kinds }) => kinds.includes(kind) && where.test(plain));
      if (row === undefined) unexplained.push(`${kind} ${path}`);
      else explained.set(row.reason, (explained.get(row.reason) ?? 0) + 1);
    }
  }
  return { unexplained, explained };
}
