import { createHash, hash } from 'node:crypto';
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { type TreeNode, walkTree } from './layers.ts';

/** One file of an image: `mode owner:group size digest path`; the digest of a link is its target. */
export interface ListedFile {
  path: string;
  mode: string;
  owner: string;
  size: number;
  digest: string;
}

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
    this.#known ??= new Map(
      Object.entries(JSON.parse(await readFile(this.#path, 'utf8').catch(() => '{}')) as Record<string, string>),
    );
    let found = this.#known.get(relative);
    if (found === undefined) {
      found = digest(source, size);
      this.#known.set(relative, found);
      this.#changed = true;
    }
    return found;
  }

  async save(): Promise<void> {
    if (this.#changed && (await stat(dirname(this.#path)).catch(() => undefined)))
      await writeFile(this.#path, JSON.stringify(Object.fromEntries(this.#known ?? [])));
  }
}

/** Lists a tree with the digest of every file. `layers` are the directories of its layers. */
export async function listFiles(root: TreeNode, layers: readonly string[]): Promise<string> {
  // Only published layers (…/KEY/diff) have a place for digests; the last one is of this build alone.
  const digests = layers.map((layer) => (layer.endsWith('/diff') ? new LayerDigests(layer) : undefined));
  const lines: string[] = [];
  for (const { node, path } of walkTree(root)) {
    let what = '-';
    if (node.kind === 'symlink') what = `>${node.target}`;
    else if (node.kind === 'file') {
      const layer = layers[node.layer];
      const kept = layer !== undefined && node.source.startsWith(`${layer}/`) ? digests[node.layer] : undefined;
      what =
        kept === undefined
          ? digest(node.source, node.size)
          : await kept.of(node.source, node.source.slice(layer!.length + 1), node.size);
    }
    lines.push(`${node.mode.toString(8)}\t${node.uid}:${node.gid}\t${node.size}\t${what}\t${path}\n`);
  }
  for (const each of digests) await each?.save();
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
