import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { digestOf } from './digests.ts';
import { type TreeNode, walkTree } from './layers.ts';

/** One file of an image: `mode owner:group size digest path`; the digest of a link is its target. */
export interface ListedFile {
  path: string;
  mode: string;
  owner: string;
  size: number;
  digest: string;
}

/** Lists a tree with the digest of every file. */
export function listFiles(root: TreeNode): string {
  const lines: string[] = [];
  for (const { node, path } of walkTree(root)) {
    const what = node.kind === 'symlink' ? `>${node.target}` : node.kind === 'file' ? digestOf(node) : '-';
    lines.push(`${node.mode.toString(8)}\t${node.uid}:${node.gid}\t${node.size}\t${what}\t${path}\n`);
  }
  return lines.join('');
}

export async function writeFileList(path: string, text: string): Promise<void> {
  await writeFile(path, zstdCompressSync(text));
}

/** Reads the list that a build left beside its manifest; undefined for an image without one. */
export async function readFileList(directory: string): Promise<Map<string, ListedFile> | undefined> {
  const bytes = await readFile(join(directory, 'files.list.zst')).catch(() => undefined);
  if (bytes === undefined) return undefined;
  const files = new Map<string, ListedFile>();
  for (const line of zstdDecompressSync(bytes).toString('utf8').split('\n')) {
    const [mode, owner, size, hash, ...rest] = line.split('\t');
    const path = rest.join('\t');
    if (mode && owner && hash && path !== '') files.set(path, { path, mode, owner, size: Number(size), digest: hash });
  }
  return files;
}
