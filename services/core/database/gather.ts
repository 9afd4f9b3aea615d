/**
 * Looks that come in while another is under way go out as one query: a hundred clients that each ask for one node cost a few
 * queries, and a lone one waits for nothing. Each look begins after it was asked for, so it sees what its asker has committed.
 */
import { createCommitBatch } from './batch.ts';

/** @param look of many keys at once; a key that it has nothing for is not in its answer */
export function createGather<Value>(
  look: (keys: readonly string[]) => Promise<ReadonlyMap<string, Value>>,
): (key: string) => Promise<Value | undefined> {
  const batch = createCommitBatch<string, Value | undefined>(async (keys) => {
    const found = await look([...new Set(keys)]);
    return keys.map((key) => found.get(key));
  });
  return (key) => batch.add(key);
}
