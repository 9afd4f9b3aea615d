import { createHash, hash } from 'node:crypto';
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type TreeNode, walkTree } from './layers.ts';

/** Pieces of a file that is too large to be read at once. */
const PIECE = 4 * 1024 * 1024;

/** Read and hashed in one go: a stream for each of 20,000 files costs a millisecond each, twenty times the work itself. */
function digest(path: string, size: number): string {
  if (size <= PIECE) return hash('sha256', readFileSync(path), 'hex');
  const whole = createHash('sha256');
  const piece = Buffer.allocUnsafe(PIECE);
  const file = openSync(path, 'r');
  try {
    for (let got = readSync(file, piece); got > 0; got = readSync(file, piece)) whole.update(piece.subarray(0, got));
  } finally {
    closeSync(file);
  }
  return whole.digest('hex');
}

/** Digests of a layer's files are kept beside it: a layer is written once and read for every image that has it. */
class LayerDigests {
  #known: Map<string, string> | undefined;
  #path: string;
  #changed = false;

  constructor(layer: string) {
    this.#path = join(dirname(layer), 'digests.json');
  }

  async of(source: string, relative: string, size: number): Promise<string> {
    this.#known ??= await this.#load();
    let found = this.#known.get(relative);
    if (found === undefined) {
      found = digest(source, size);
      this.#known.set(relative, found);
      this.#changed = true;
    }
    return found;
  }

  /** A file that a lost power left half written is one that is not there. */
  async #load(): Promise<Map<string, string>> {
    const text = await readFile(this.#path, 'utf8').catch(() => '{}');
    try {
      return new Map(Object.entries(JSON.parse(text) as Record<string, string>));
    } catch {
      return new Map();
    }
  }

  async save(): Promise<void> {
    if (this.#changed && (await stat(dirname(this.#path)).catch(() => undefined)))
      await writeFile(this.#path, JSON.stringify(Object.fromEntries(this.#known ?? [])));
  }
}

/** sha256 of a file of the tree. */
export function digestOf(node: TreeNode): string {
  node.digest ??= digest(node.source, node.size);
  return node.digest;
}

/** Finds the digest of every file of a tree: most of them lie beside the layers that the files come from. `layers` are the directories of the layers. */
export async function digestTree(root: TreeNode, layers: readonly string[]): Promise<void> {
  // Only published layers (…/KEY/diff) have a place for digests; the last one is of this build alone.
  const digests = layers.map((layer) => (layer.endsWith('/diff') ? new LayerDigests(layer) : undefined));
  for (const { node } of walkTree(root)) {
    if (node.kind !== 'file') continue;
    const layer = layers[node.layer];
    const kept = layer !== undefined && node.source.startsWith(`${layer}/`) ? digests[node.layer] : undefined;
    if (kept !== undefined) node.digest = await kept.of(node.source, node.source.slice(layer!.length + 1), node.size);
  }
  for (const each of digests) await each?.save();
}
