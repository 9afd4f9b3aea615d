import type { Assembled } from './assemble.ts';
import type { TreeNode } from './layers.ts';
export async function buildOnLoop(_o: unknown): Promise<{ assembled: Assembled; tree: TreeNode }> {
  throw new Error('loop');
}
